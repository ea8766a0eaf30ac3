"""Detect hard cuts on luma, in one pass over the film.

Two frames belong to the same shot if one can be warped into the other. A thumbnail of the earlier frame is warped along
the optical flow to the later one; what still differs is measured by one minus the contrast-and-structure term of SSIM
(Wang et al. 2004), averaged over the picture. Pans and violent motion give up to 0.25, hard cuts more than 0.5. Mean
brightness does not enter, so flicker and changes of exposure are not cuts. Flashes are bridged by comparing the frames
around them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np

from vidcolor.color.luma import resize_plane
from vidcolor.frames import FloatArray, Frame, Levels
from vidcolor.motion.flow import flow_estimator, flow_to, to_levels, warp

CUT_THRESHOLD = 0.4
"""Structure change, 0 to 1, above which two frames are of different shots."""
FLASH_FRAMES = 2
"""Length, in frames, up to which a disturbance is not a shot of its own."""
THUMBNAIL_SIDE = 48
"""Short side of a thumbnail in pixels: small enough to lose the grain, large enough for faces."""
STRUCTURE_WINDOW = 9
"""Side of the window of SSIM, in pixels of a thumbnail."""
FLATNESS = 0.02
"""Share of the whole pictures' variance below which local structure counts as flat. Relative, so that dark and foggy
scenes count as well."""
NOISE_VARIANCE = 16.0
"""Lower bound of that threshold in grey levels squared, for pictures that are black or uniform."""


def mark_cuts(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Set ``opens_shot`` on the first frame and on the first one after each hard cut, ``is_disturbed`` on flashes.

    Dissolves and fades are not cuts. A frame that matches neither the frames before nor those after it, where those
    match each other, is a flash or damaged: ``is_disturbed``. Hold back :data:`FLASH_FRAMES` frames.
    """
    estimator = thumbnail_flow()
    last: Thumbnail | None = None  # the last frame of the shot that is not disturbed
    source = ((frame, thumbnail(frame.grey)) for frame in frames)
    ahead = deque(islice(source, FLASH_FRAMES + 1))
    while ahead:
        frame, small = ahead.popleft()
        if last is None or not is_cut(last, small, estimator):
            yield replace(frame, opens_shot=last is None)
            last = small
        elif any(not is_cut(last, later, estimator) for _, later in ahead):
            yield replace(frame, is_disturbed=True)
        else:
            yield replace(frame, opens_shot=True)
            last = small
        ahead.extend(islice(source, 1))


@dataclass(frozen=True)
class Thumbnail:
    """A frame at thumbnail size, with the statistics that every comparison of it needs."""

    levels: Levels
    """(h, w)."""
    structure: Structure


@dataclass(frozen=True)
class Structure:
    """A picture with the local mean and variance that SSIM needs."""

    values: FloatArray
    """(h, w), grey levels."""
    mean: FloatArray
    """(h, w): the mean of the window around each pixel."""
    variance: FloatArray
    """(h, w): the variance in the window around each pixel."""
    total_variance: float
    """The variance over the whole picture."""

    @classmethod
    def of(cls, values: FloatArray) -> Structure:
        """Measure a picture, (h, w) in grey levels."""
        mean = local_mean(values)
        return cls(values, mean, local_mean(values * values) - mean**2, float(values.var()))


def thumbnail(grey: FloatArray) -> Thumbnail:
    """Shrink (h, w) grey in [0, 1] to a short side of :data:`THUMBNAIL_SIDE`, and measure it."""
    height, width = grey.shape
    scale = THUMBNAIL_SIDE / min(height, width)
    levels = to_levels(resize_plane(grey, (round(width * scale), round(height * scale))))
    return Thumbnail(levels, Structure.of(levels.astype(np.float32)))


def thumbnail_flow() -> cv2.DISOpticalFlow:
    """Create a flow estimator for thumbnails."""
    return flow_estimator(finest=0)


def is_cut(earlier: Thumbnail, later: Thumbnail, estimator: cv2.DISOpticalFlow) -> bool:
    """Return whether two thumbnails show different scenes, apart from motion."""
    return structure_change(earlier, later, CUT_THRESHOLD, estimator) > CUT_THRESHOLD


def structure_change(earlier: Thumbnail, later: Thumbnail, limit: float, estimator: cv2.DISOpticalFlow) -> float:
    """Measure how much of the structure of two thumbnails differs, apart from motion.

    Args:
        earlier: is warped to ``later``.
        later: the other thumbnail.
        limit: a loss without warping up to this is returned as it is, which saves the flow for most frames.
        estimator: of the flow.

    Returns:
        The structure loss, 0 (equal) to about 1 (unrelated).
    """
    loss = structure_loss(earlier.structure, later.structure)
    if loss <= limit:
        return loss
    warped = warp(earlier.structure.values, flow_to(earlier.levels, later.levels, estimator))
    return structure_loss(Structure.of(warped), later.structure)


def structure_loss(one: Structure, other: Structure) -> float:
    """Return one minus the mean contrast-and-structure term of SSIM: 0 for equal, about 1 for unrelated pictures."""
    covariance = local_mean(one.values * other.values) - one.mean * other.mean
    flat = max(FLATNESS * (one.total_variance + other.total_variance) / 2, NOISE_VARIANCE)
    return 1 - float(np.mean((2 * covariance + flat) / (one.variance + other.variance + flat)))


def local_mean(values: FloatArray) -> FloatArray:
    """Return the mean of the window around each pixel of (h, w)."""
    return np.asarray(cv2.blur(values, (STRUCTURE_WINDOW, STRUCTURE_WINDOW)))
