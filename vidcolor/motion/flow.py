"""Optical flow on grey pictures, and warping along it.

Dense inverse search (Kroeger et al. 2016) as OpenCV has it. A flow from the present to another picture says for every
pixel of the present where it lies in the other one, so warping by it brings the other picture, or anything that
belongs to it, into the present's place.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.frames import FloatArray

Levels = npt.NDArray[np.uint8]
"""(h, w), 0 to 255: grey as the flow estimator takes it."""

AGREEMENT_WINDOW = 3  # pixels; single pixels agree by chance
GRAIN_WINDOW = 3  # pixels; grain differs to both sides, and its mean hardly


def to_levels(grey: FloatArray) -> Levels:
    """(h, w) grey in [0, 1] to levels."""
    levels: Levels = np.rint(grey * np.float32(255)).astype(np.uint8)
    return levels


def flow_estimator(*, finest: int) -> cv2.DISOpticalFlow:
    """Dense inverse search, ultrafast preset. It owns buffers: one for each thread.

    ``finest``: the flow is found at 1 / 2^finest of the pictures' size, and enlarged.

    For carrying true color between anchors four frames apart the fast preset is 4 % better, and takes half as long
    again.
    """
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    estimator.setFinestScale(finest)
    return estimator


def flow_to(other: Levels, present: Levels, estimator: cv2.DISOpticalFlow) -> FloatArray:
    """(h, w, 2): x and y displacement in pixels from each pixel of ``present`` to its place in ``other``."""
    return np.asarray(estimator.calc(present, other, None), dtype=np.float32)  # type: ignore[call-overload]


def warp(planes: FloatArray, flow: FloatArray) -> FloatArray:
    """Bring (h, w) or (C, h, w) of the other picture into the present's place, bilinearly; edges are extended."""
    places = pixel_grid(*planes.shape[-2:]) + flow
    if planes.ndim == 2:
        return sample(planes, places)
    return np.stack([sample(plane, places) for plane in planes])


def sample(plane: FloatArray, places: FloatArray) -> FloatArray:
    """Values of (h, w) at (h, w, 2) ``places``, x and y in pixels."""
    return np.asarray(cv2.remap(plane, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))  # type: ignore[call-overload]


def agreement(present: Levels, other: Levels, flow: FloatArray, *, tolerance: float) -> FloatArray:
    """(h, w) in (0, 1]: how well the other picture, warped along ``flow``, matches the present around each pixel.

    ``tolerance``: the mean difference, in grey levels, at which trust has fallen to 1/e.
    """
    # Old film flickers as a whole, which says nothing about where things are.
    exposure = (float(present.mean()) + 1) / (float(other.mean()) + 1)
    difference = cv2.blur(warp(other * np.float32(exposure), flow) - present, (GRAIN_WINDOW, GRAIN_WINDOW))
    mismatch = np.asarray(cv2.blur(np.abs(difference), (AGREEMENT_WINDOW, AGREEMENT_WINDOW)), dtype=np.float32)
    trust: FloatArray = np.exp(-np.square(mismatch / np.float32(tolerance)))
    return trust


@lru_cache(maxsize=4)
def pixel_grid(height: int, width: int) -> FloatArray:
    """(h, w, 2): the x and y of every pixel; shared, never to be written to."""
    y, x = np.indices((height, width), dtype=np.float32)
    return np.stack((x, y), axis=-1)
