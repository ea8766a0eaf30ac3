"""Render a short grey film with sound, to try vidcolor without a film at hand.

Two synthetic shots with a hard cut, 24 frames per second, H.264 with neutral chroma and AAC in MP4. It is encoded here
because the writer in :mod:`vidcolor.media` copies the properties of its output from a source film.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame

from vidcolor.demo.landscape import Landscape
from vidcolor.demo.noise import smoothstep
from vidcolor.demo.seashore import BREAKER_SECONDS, Seashore
from vidcolor.demo.sound import SAMPLE_RATE, demo_sound
from vidcolor.files.atomic import atomic_file
from vidcolor.frames import FloatArray

WIDTH, HEIGHT = 768, 432
FRAME_RATE = 24
FRAMES_PER_SHOT = 60
SEED = 5
FILM_GRAIN = 0.014
"""Standard deviation of the grain; levels are 0 to 1."""
BT709_CODE = 1
"""ITU-T H.273 code of the matrix, the primaries and the transfer function."""
LIMITED_RANGE = 1
"""AVCOL_RANGE_MPEG."""
AUDIO_FRAME = 1024
"""Samples of a frame of AAC."""


def render_demo(path: Path) -> None:
    """Write the film; an existing file is replaced. Pictures and sound are the same every time.

    Raises:
        OutputError: the file cannot be written.
    """
    seconds = FRAMES_PER_SHOT / FRAME_RATE
    sound = demo_sound(np.random.default_rng(SEED), seconds, seconds, BREAKER_SECONDS)
    with (
        atomic_file(path, overwrite=True) as part,
        # "file:", because libav takes a name with a colon for a protocol
        av.open(f"file:{part}", "w", format="mp4", options={"movflags": "+faststart"}) as film,
    ):
        _write(film, _shots(seconds), sound)


def _shots(seconds: float) -> Iterator[FloatArray]:
    """Yield all frames, (HEIGHT, WIDTH) in [0, 1], with the look of an old camera."""
    shots = (
        Landscape(np.random.default_rng(SEED), HEIGHT, WIDTH, seconds),
        Seashore(np.random.default_rng(SEED + 1), HEIGHT, WIDTH),
    )
    lens = Lens(np.random.default_rng(SEED + 2))
    for shot in shots:
        for index in range(FRAMES_PER_SHOT):
            yield lens.expose(shot.render(index / FRAME_RATE))


class Lens:
    """Applies the look of an old camera: blur, vignette and film grain."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        down, right = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
        self._vignette = (1 - 0.16 * (0.4 * down**2 + 0.6 * right**2)).astype(np.float32)
        grain = cv2.GaussianBlur(rng.standard_normal((2 * HEIGHT, 2 * WIDTH)).astype(np.float32), (0, 0), 0.7)
        self._grain = (FILM_GRAIN / grain.std() * grain).astype(np.float32)

    def expose(self, scene: FloatArray) -> FloatArray:
        """Apply the look to a scene (HEIGHT, WIDTH) in [0, 1]; each call has other grain."""
        top, left = self._rng.integers(0, (HEIGHT, WIDTH))
        soft = np.asarray(cv2.GaussianBlur(scene, (0, 0), 0.55), np.float32)
        contrasty = 0.75 * soft + 0.25 * smoothstep(0, 1, soft)
        grain = self._grain[top : top + HEIGHT, left : left + WIDTH]
        return np.asarray((contrasty * self._vignette + grain).clip(0, 1), np.float32)


def _write(film: OutputContainer, frames: Iterator[FloatArray], sound: FloatArray) -> None:
    """Encode frames and sound, interleaved."""
    video = film.add_stream("libx264", rate=FRAME_RATE, options={"crf": "19", "preset": "veryfast"})
    video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context = video.codec_context
    context.time_base = Fraction(1, FRAME_RATE)
    context.color_range = LIMITED_RANGE
    context.colorspace = context.color_primaries = context.color_trc = BT709_CODE
    audio = film.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
    written = 0
    for index, frame in enumerate(frames):
        film.mux(video.encode(_video_frame(frame, index)))
        due = round((index + 1) / FRAME_RATE * SAMPLE_RATE)
        for start in range(written, due, AUDIO_FRAME):
            film.mux(audio.encode(_audio_frame(sound[:, start : min(start + AUDIO_FRAME, due)], start)))
        written = due
    for stream in (video, audio):
        film.mux(stream.encode(None))


def _video_frame(grey: FloatArray, index: int) -> VideoFrame:
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT] = np.rint(16 + 219 * grey)  # limited range; chroma is neutral
    frame = VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
    frame.colorspace, frame.color_range = BT709_CODE, LIMITED_RANGE
    return frame


def _audio_frame(samples: FloatArray, start: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
    return frame
