"""Conditions in which a picture may reach the network: damaged, at another size or aspect, with hints.

The strengths are those of a poor copy of a film, and are meant to be the same in every report. All of them are
deterministic: what is random is drawn from the names of the condition and of the picture.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from vidcolor.color.chroma import resize
from vidcolor.color.lab import rgb_to_lab
from vidcolor.frames import FloatArray
from vidcolor_training.data.hints import MAX_NOISE, MAX_SHIFT, NOISE_CELL, displace, hint_map, spread, true_points
from vidcolor_training.evaluation.evaluator import StillPicture

Part = tuple[slice, slice]
"""Rows and columns of a picture."""
WHOLE: Part = (slice(None), slice(None))

GRAIN = 10 / 255  # standard deviation
BLUR = 2 / 256  # standard deviation, of the side
JPEG_QUALITY = 40
BLACK, WHITE = 0.12, 0.85  # what fading leaves of 0 and 1
POINTS = 10
SHIFT, NOISE = MAX_SHIFT / 2, MAX_NOISE / 2  # half of the most that networks are trained on, and about its mean


@dataclass(frozen=True)
class Shown:
    """What a network is shown of a picture.

    ``grey``: (h, w) in [0, 1], of ``part`` of the picture, perhaps at another size. ``hints``: (3, h, w) in the form
    that networks take, or None. Only ``part`` is measured.
    """

    grey: FloatArray
    hints: FloatArray | None = None
    part: Part = WHOLE


@dataclass(frozen=True)
class Condition:
    """``show`` draws from the generator whatever is random. ``guided``: it is one for networks that take hints."""

    definition: str
    show: Callable[[StillPicture, Generator], Shown]
    guided: bool = False


def show(name: str, picture: StillPicture) -> Shown:
    """The picture under the condition of that name, the same every time."""
    seed = zlib.crc32(f"{name}\0{picture.name}".encode())
    return CONDITIONS[name].show(picture, Generator().manual_seed(seed))


def _grain(picture: StillPicture, random: Generator) -> Shown:
    noise = torch.randn(picture.grey.shape, generator=random).numpy()
    return Shown((picture.grey + np.float32(GRAIN) * noise).clip(0, 1))


def _blur(picture: StillPicture, random: Generator) -> Shown:
    sigma = BLUR * len(picture.grey)
    blurred = cv2.GaussianBlur(picture.grey, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return Shown(np.asarray(blurred, np.float32))


def _gamma(exponent: float) -> Condition:
    return Condition(f"grey to the power of {exponent}", lambda picture, _: Shown(picture.grey ** np.float32(exponent)))


def _jpeg(picture: StillPicture, random: Generator) -> Shown:
    file = io.BytesIO()
    Image.fromarray(np.rint(picture.grey * 255).astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
    with Image.open(file) as image:
        return Shown(np.asarray(image, np.float32) / np.float32(255))


def _fading(picture: StillPicture, random: Generator) -> Shown:
    return Shown(np.float32(BLACK) + picture.grey * np.float32(WHITE - BLACK))


def _size(side: int) -> Condition:
    """The tool itself shrinks by the mean over areas; it never enlarges to the network's size, short of tiny ones."""

    def show_at(picture: StillPicture, random: Generator) -> Shown:
        shrinks = side <= len(picture.grey)
        resized = resize(picture.grey, (side, side), cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)
        return Shown(resized.clip(0, 1))

    return Condition(
        f"grey brought to {side} × {side} (area mean or Lanczos), ab brought back (area mean or bicubic)", show_at
    )


def _aspect(width: int, height: int) -> Condition:
    def show_part(picture: StillPicture, random: Generator) -> Shown:
        side, longer = len(picture.grey), max(width, height)
        part = (_middle(side, side * height // longer), _middle(side, side * width // longer))
        return Shown(picture.grey[part], part=part)

    return Condition(
        f"the middle cut to {width}:{height} and shown alone, as wide or high as the picture; measured there", show_part
    )


def _middle(whole: int, length: int) -> slice:
    start = (whole - length) // 2
    return slice(start, start + length)


def _ten_points(picture: StillPicture, random: Generator) -> Shown:
    return _guided(picture, *true_points(true_ab(picture), torch.tensor([[POINTS]]), random))


def _moved_truth(picture: StillPicture, random: Generator) -> Shown:
    ab = true_ab(picture)
    moved = displace(ab, (torch.rand(1, 2, 4, 4, generator=random) * 2 - 1) * SHIFT)
    cells = (max(side // NOISE_CELL, 1) for side in ab.shape[-2:])
    noise = spread(torch.randn(1, 2, *cells, generator=random) * NOISE, ab, "bilinear")
    return _guided(picture, moved + noise, torch.ones_like(ab[:, :1]))


def _not_confident(picture: StillPicture, random: Generator) -> Shown:
    ab = true_ab(picture)
    return _guided(picture, -ab, torch.zeros_like(ab[:, :1]))


def _guided(picture: StillPicture, colors: Tensor, confidence: Tensor) -> Shown:
    return Shown(picture.grey, hint_map(colors, confidence)[0].numpy())


def true_ab(picture: StillPicture) -> Tensor:
    """The true ab of a picture, float32 (1, 2, S, S), Lab units."""
    return rgb_to_lab(torch.from_numpy(picture.true).permute(2, 0, 1))[None, 1:].float()


def to_part(ab: FloatArray, picture: StillPicture, part: Part) -> FloatArray:
    """ab (2, h, w), as predicted for what was shown, at the size of that part of the picture: as the tool resizes."""
    height, width = picture.grey[part].shape
    if ab.shape[1:] == (height, width):
        return ab
    interpolation = cv2.INTER_AREA if height <= ab.shape[1] else cv2.INTER_CUBIC
    return np.stack([resize(plane, (width, height), interpolation) for plane in ab])


CONDITIONS: Mapping[str, Condition] = {
    "grain": Condition("normal noise on every pixel, σ = 10/255", _grain),
    "blur": Condition("Gaussian, σ = 2 pixels at side 256", _blur),
    "gamma 0.8": _gamma(0.8),
    "gamma 1.2": _gamma(1.2),
    "jpeg 40": Condition("a JPEG of quality 40", _jpeg),
    "fading": Condition("black to 0.12, white to 0.85", _fading),
    "short side 192": _size(192),
    "short side 384": _size(384),
    "short side 512": _size(512),
    "4:3": _aspect(4, 3),
    "16:9": _aspect(16, 9),
    "3:4": _aspect(3, 4),
    "10 points": Condition("10 true points, means over 7 × 7 pixels at random places", _ten_points, guided=True),
    "moved truth": Condition(
        f"the true ab, displaced smoothly by up to about {SHIFT:.0%} of the side, with noise of σ = {NOISE:.0f} Lab "
        f"units in cells of {NOISE_CELL} pixels",
        _moved_truth, guided=True,
    ),
    "wrong hints, confidence 0": Condition(
        "the opposite of the true ab everywhere, at confidence 0", _not_confident, guided=True
    ),
}  # fmt: skip
"""In the order of a report. The L that predicted colors are joined with is always that of the undamaged picture."""
