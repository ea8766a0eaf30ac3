"""Small color films of known colors."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vidcolor.frames import FloatArray

SIZE = (48, 64)


def texture(seed: int, height: int = SIZE[0], width: int = SIZE[1]) -> FloatArray:
    """Return smooth noise in [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.asarray(np.clip(0.5 + 0.15 * smooth / smooth.std(), 0, 1), np.float32)


def still_shot(seed: int, frames: int, tint: Sequence[float] = (1.0, 0.8, 0.6)) -> np.ndarray:
    """Return uint8 (T, h, w, 3): a tinted texture that does not move."""
    picture = np.rint(255 * texture(seed)[..., None] * np.asarray(tint)).astype(np.uint8)
    return np.repeat(picture[None], frames, axis=0)


def two_colors(height: int = SIZE[0], width: int = SIZE[1]) -> np.ndarray:
    """Return uint8 (h, w, 3): a texture that is red on the left and green on the right."""
    rgb = texture(4, height, width)[..., None] * np.array((1.1, 0.6, 0.5))
    rgb[:, width // 2 :] *= np.array((0.5, 1.6, 1.0))
    return np.rint(255 * rgb.clip(0, 1)).astype(np.uint8)


def moving_square(frames: int) -> np.ndarray:
    """Return uint8 (T, h, w, 3): a red textured square that moves right over a blue ground, one pixel a frame."""
    ground, thing = still_shot(1, 1, (0.5, 0.6, 1.0))[0], still_shot(2, 1, (1.0, 0.4, 0.3))[0]
    film = np.repeat(ground[None], frames, axis=0)
    for t, picture in enumerate(film):
        picture[14:34, 4 + t : 24 + t] = thing[14:34, :20]
    return film


def write_film(path: Path, frames: np.ndarray, *, rate: Fraction = Fraction(25), pix_fmt: str = "yuv444p") -> Path:
    """Write uint8 (T, h, w, 3) as a lossless film: BT.709, limited range, tagged."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.color_range, stream.codec_context.colorspace = 1, 1
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            container.mux(stream.encode(frame.reformat(format=pix_fmt, dst_colorspace=1, dst_color_range=1)))
        container.mux(stream.encode(None))
    return path
