"""Cuts, found on luma alone and while the film goes by.

Two frames belong to the same shot if one can be bent into the other. A small copy of the earlier frame is warped
along the optical flow to the later one; what is left is measured with the structure term of SSIM (Wang et al. 2004),
averaged over the picture. Pans and violent motion leave up to 0.25, hard cuts more than 0.5. Mean brightness does not
enter, so flicker and exposure do not count; flashes are looked across.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np

from vidcolor.flow import Levels, flow_estimator, flow_to, to_levels, warp
from vidcolor.frames import FloatArray, Frame

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
    last: Levels | None = None  # of the shot, that was not disturbed
    source = ((frame, thumbnail(frame.grey)) for frame in frames)
    ahead = deque(islice(source, FLASH_FRAMES + 1))
    while ahead:
        frame, levels = ahead.popleft()
        if last is None or not differ(last, levels, estimator):
            yield replace(frame, opens_shot=last is None)
            last = levels
        elif any(not differ(last, later, estimator) for _, later in ahead):
            yield replace(frame, is_disturbed=True)
        else:
            yield replace(frame, opens_shot=True)
            last = levels
        ahead.extend(islice(source, 1))


def differ(earlier: Levels, later: Levels, estimator: cv2.DISOpticalFlow) -> bool:
    """Whether two thumbnails show different scenes, motion aside."""
    return exceeds(earlier, later, CUT_THRESHOLD, estimator)


def exceeds(earlier: Levels, later: Levels, limit: float, estimator: cv2.DISOpticalFlow) -> bool:
    """Whether more than ``limit`` of the structure of two thumbnails is unrelated, motion aside."""
    earlier_grey, later_grey = earlier.astype(np.float32), later.astype(np.float32)
    if structure_loss(earlier_grey, later_grey) <= limit:  # nearly always, and the flow is three times the work
        return False
    warped = warp(earlier_grey, flow_to(earlier, later, estimator))
    return structure_loss(warped, later_grey) > limit


def thumbnail_flow() -> cv2.DISOpticalFlow:
    """A flow estimator for thumbnails."""
    return flow_estimator(finest=0)


def structure_loss(one: FloatArray, other: FloatArray) -> float:
    """One minus the mean contrast-and-structure term of SSIM of two (h, w) pictures: 0 alike, 1 unrelated."""

    def mean(values: FloatArray) -> FloatArray:
        return np.asarray(cv2.blur(values, (STRUCTURE_WINDOW, STRUCTURE_WINDOW)))

    one_mean, other_mean = mean(one), mean(other)
    variances = mean(one * one) - one_mean**2 + mean(other * other) - other_mean**2
    covariance = mean(one * other) - one_mean * other_mean
    flat = max(FLATNESS * float(one.var() + other.var()) / 2, NOISE_VARIANCE)
    return 1 - float(np.mean((2 * covariance + flat) / (variances + flat)))


def thumbnail(grey: FloatArray) -> Levels:
    """(h, w) grey in [0, 1] to levels with a short side of ``THUMBNAIL_SIDE``."""
    height, width = grey.shape
    scale = THUMBNAIL_SIDE / min(height, width)
    size = (round(width * scale), round(height * scale))
    return to_levels(np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA)))
