"""Degrade color clips as old film is degraded: the input of the network changes, the truth stays.

Unlike :mod:`vidcolor_training.data.augment`, which degrades single pictures, this depends on time: exposure flickers,
the gate weaves, grain and dust are new in every frame, scratches stay for some frames, and some frames are lost.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np

from vidcolor.frames import FloatArray
from vidcolor.motion.flow import pixel_grid, sample
from vidcolor_training.evaluation.color_clips import ColorClip, Pictures

WEAVE_MEMORY = 0.7  # how much of the film's place in the gate the next frame keeps
SCRATCH_FRAMES = 12  # mean life of a scratch
SCRATCH_WANDER = 0.5  # pixels a frame
SPECK = (2, 6)  # pixels


@dataclass(frozen=True)
class FilmDegradation:
    """The strengths of degradation at render size, luma in [0, 1]; 0 leaves a kind of degradation out.

    ``flicker``: standard deviation of the logarithm of exposure, new in each frame. ``weave``: standard deviation of
    the picture's place, pixels. ``grain``: standard deviation. ``dust``: specks in a frame of 256 × 256. ``scratches``:
    in a frame. ``lost``: part of the frames that are blank. ``faded``: part of the range that is lost at black and
    white.
    """

    flicker: float = 0.06
    weave: float = 0.5
    grain: float = 0.03
    dust: float = 6.0
    scratches: float = 1.0
    lost: float = 0.02
    faded: float = 0.05

    def only(self, name: str) -> FilmDegradation:
        """Return this degradation with the kind ``name`` alone.

        Raises:
            ValueError: The name is unknown.
        """
        if name not in {field.name for field in fields(self)}:
            raise ValueError(
                f"unknown degradation {name!r}; there are: {', '.join(field.name for field in fields(self))}"
            )
        return replace(FilmDegradation(0, 0, 0, 0, 0, 0, 0), **{name: getattr(self, name)})


def degrade_clip(clip: ColorClip, degradation: FilmDegradation) -> ColorClip:
    """Return the clip with :attr:`ColorClip.seen` degraded, deterministically.

    Gate weave moves the whole picture, and so the true colors. All else changes ``seen`` alone.
    """
    random = np.random.default_rng(zlib.crc32(clip.name.encode()))
    clip = _weave(clip, degradation.weave, random)
    frames, height, width = clip.grey.shape
    seen = clip.grey * (1 - 2 * degradation.faded) + np.float32(degradation.faded)
    seen = seen * np.exp(degradation.flicker * random.standard_normal((frames, 1, 1))).astype(np.float32)
    seen += np.float32(degradation.grain) * random.standard_normal(seen.shape, dtype=np.float32)
    _scratch(seen, degradation.scratches, random)
    for frame in seen:
        _dust(frame, random.poisson(degradation.dust * height * width / 256**2), random)
    for t in np.flatnonzero(random.random(frames) < degradation.lost):
        seen[t] = random.choice((0.02, 0.98))
    return replace(clip, seen=np.clip(seen, 0, 1))


def _weave(clip: ColorClip, weave: float, random: np.random.Generator) -> ColorClip:
    frames, height, width = clip.grey.shape
    true, grey, ab = np.empty_like(clip.true), np.empty_like(clip.grey), np.empty_like(clip.ab)
    place = np.zeros(2)
    for t in range(frames):
        place = WEAVE_MEMORY * place + np.sqrt(1 - WEAVE_MEMORY**2) * random.normal(0, weave, 2)
        where = pixel_grid(height, width) + place.astype(np.float32)
        true[t] = _move(clip.true[t], where)
        grey[t], ab[t] = sample(clip.grey[t], where), [sample(plane, where) for plane in clip.ab[t]]
    return replace(clip, true=true, grey=grey, ab=ab)


def _move(picture: Pictures, where: FloatArray) -> Pictures:
    moved: Pictures = cv2.remap(picture, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return moved


def _scratch(seen: FloatArray, scratches: float, random: np.random.Generator) -> None:
    """Draw vertical lines of one pixel over the whole height, in place; each stays for some frames and wanders."""
    frames, _, width = seen.shape
    for _ in range(random.poisson(scratches * frames / SCRATCH_FRAMES)):
        first, life = random.integers(frames), 1 + random.geometric(1 / SCRATCH_FRAMES)
        column, strength = random.uniform(0, width), random.uniform(-0.5, 0.5)
        for t in range(first, min(first + life, frames)):
            column = np.clip(column + random.normal(0, SCRATCH_WANDER), 0, width - 1)
            seen[t, :, int(column)] += np.float32(strength)


def _dust(frame: FloatArray, specks: int, random: np.random.Generator) -> None:
    """Draw dark or light specks on one frame, in place."""
    height, width = frame.shape
    for _ in range(specks):
        axes = tuple(int(axis) for axis in random.integers(*SPECK, 2))
        center = (int(random.integers(width)), int(random.integers(height)))
        level = float(random.choice((0.05, 0.95)))
        cv2.ellipse(frame, center, axes, float(random.uniform(0, 180)), 0, 360, (level,), -1)
