"""Cuts, found on luma alone and while the film goes by.

Two frames belong to the same shot if one can be bent into the other. A small copy of the earlier frame is warped
along the optical flow to the later one; what is left is measured with the structure term of SSIM (Wang et al. 2004),
averaged over the picture. Pans and violent motion leave up to 0.25, hard cuts more than 0.5. Mean brightness does not
enter, so flicker and exposure do not count; flashes are looked across.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np

from vidcolor.color.luma import resize_plane
from vidcolor.frames import FloatArray, Frame
from vidcolor.motion.flow import Levels, flow_estimator, flow_to, to_levels, warp

CUT_THRESHOLD = 0.4
FLASH_FRAMES = 2  # a disturbance up to this long is no shot of its own
THUMBNAIL_SIDE = 48  # short side: no grain left, but faces still are
STRUCTURE_WINDOW = 9  # thumbnail pixels
FLATNESS = 0.02  # of the pictures' own variance: fainter structure counts as flat, also in dark and in foggy scenes
NOISE_VARIANCE = 16.0  # levels squared: what is left of a black picture


def mark_cuts(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Set ``opens_shot`` on the first frame and on each one after a hard cut; dissolves and fades are not cuts.

    Holds back ``FLASH_FRAMES`` frames.

    A frame that matches neither what was there before nor what comes after, where those match each other, is a flash
    or damage: ``is_disturbed``.
    """
    estimator = thumbnail_flow()
    last: Thumbnail | None = None  # of the shot, that was not disturbed
    source = ((frame, thumbnail(frame.grey)) for frame in frames)
    ahead = deque(islice(source, FLASH_FRAMES + 1))
    while ahead:
        frame, small = ahead.popleft()
        if last is None or not differ(last, small, estimator):
            yield replace(frame, opens_shot=last is None)
            last = small
        elif any(not differ(last, later, estimator) for _, later in ahead):
            yield replace(frame, is_disturbed=True)
        else:
            yield replace(frame, opens_shot=True)
            last = small
        ahead.extend(islice(source, 1))


@dataclass(frozen=True)
class Thumbnail:
    """A frame in small, and what is needed of it whenever it is compared."""

    levels: Levels
    structure: Structure


@dataclass(frozen=True)
class Structure:
    """A picture (h, w) in float, and the mean and the variance around each of its pixels."""

    values: FloatArray
    mean: FloatArray
    variance: FloatArray
    spread: float
    """The variance of all pixels."""

    @classmethod
    def of(cls, values: FloatArray) -> Structure:
        """Measure a picture."""
        mean = local_mean(values)
        return cls(values, mean, local_mean(values * values) - mean**2, float(values.var()))


def thumbnail(grey: FloatArray) -> Thumbnail:
    """(h, w) grey in [0, 1] to a short side of ``THUMBNAIL_SIDE``."""
    height, width = grey.shape
    scale = THUMBNAIL_SIDE / min(height, width)
    levels = to_levels(resize_plane(grey, (round(width * scale), round(height * scale))))
    return Thumbnail(levels, Structure.of(levels.astype(np.float32)))


def thumbnail_flow() -> cv2.DISOpticalFlow:
    """A flow estimator for thumbnails."""
    return flow_estimator(finest=0)


def differ(earlier: Thumbnail, later: Thumbnail, estimator: cv2.DISOpticalFlow) -> bool:
    """Whether two thumbnails show different scenes, motion aside."""
    return unrelated(earlier, later, CUT_THRESHOLD, estimator) > CUT_THRESHOLD


def unrelated(earlier: Thumbnail, later: Thumbnail, limit: float, estimator: cv2.DISOpticalFlow) -> float:
    """How much of the structure of two thumbnails is unrelated, motion aside, in [0, 1]; without motion in mind where
    that is no more than ``limit`` anyway."""
    loss = structure_loss(earlier.structure, later.structure)
    if loss <= limit:  # nearly always, and flow is three times the work
        return loss
    warped = warp(earlier.structure.values, flow_to(earlier.levels, later.levels, estimator))
    return structure_loss(Structure.of(warped), later.structure)


def structure_loss(one: Structure, other: Structure) -> float:
    """One minus the mean contrast-and-structure term of SSIM of two pictures: 0 alike, 1 unrelated."""
    covariance = local_mean(one.values * other.values) - one.mean * other.mean
    flat = max(FLATNESS * (one.spread + other.spread) / 2, NOISE_VARIANCE)
    return 1 - float(np.mean((2 * covariance + flat) / (one.variance + other.variance + flat)))


def local_mean(values: FloatArray) -> FloatArray:
    """Of the pixels around each of (h, w)."""
    return np.asarray(cv2.blur(values, (STRUCTURE_WINDOW, STRUCTURE_WINDOW)))
