"""Smooth the ab of anchors over time, then propagate it along the optical flow to the frames between them.

Both run at half of the render size, which takes half the time; the network's own ab is no finer. Smoothing runs before
propagation because that gives less error and less flicker than the other order, at half the cost. Measurements are in
``docs/steady.md``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidcolor.color.luma import MIN_SHORT_SIDE
from vidcolor.frames import FloatArray, Frame, Levels
from vidcolor.motion.flow import agreement, flow_estimator, flow_to, to_levels, warp
from vidcolor.motion.smoothing import smooth

PROPAGATION_TOLERANCE = 15.0
"""Grey levels of 255 by which luma may differ (``tolerance`` of :func:`vidcolor.motion.flow.agreement`)."""
MIN_CONFIDENCE = 1e-3
"""Added to every confidence, so that anchors are weighted by distance where none matches."""


def smooth_and_propagate(frames: Iterator[Frame], *, strength: float) -> Iterator[Frame]:
    """Give every frame ab: :func:`vidcolor.motion.smoothing.smooth` on anchors, then :func:`propagate` between them.

    Frames whose ab neither step changes pass through as the same objects.

    Args:
        frames: frames with ab on anchors, among them the first frame of every shot.
        strength: of the smoothing, 0 to 1; 0 switches it off.

    Raises:
        ValueError: a frame has no anchor before it in its shot.
    """
    pending: deque[tuple[Frame, Frame]] = deque()

    def halved() -> Iterator[Frame]:
        for frame in frames:
            small = to_half_size(frame)
            pending.append((frame, small))
            yield small

    for small in propagate(smooth(halved(), strength=strength)):
        frame, before = pending.popleft()
        assert small.ab is not None  # propagate
        yield frame if small.ab is before.ab else replace(frame, ab=resize_ab(small.ab, frame.grey.shape))


def to_half_size(frame: Frame) -> Frame:
    """Return the frame with grey and ab at half size, or unchanged where that is too small for optical flow."""
    height, width = frame.grey.shape
    if min(height, width) < 2 * MIN_SHORT_SIDE:
        return frame
    size = round(height / 2), round(width / 2)
    grey: FloatArray = cv2.resize(frame.grey, size[::-1], interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    ab = None if frame.ab is None else resize_ab(frame.ab, size)
    return replace(frame, grey=grey, ab=ab)


def resize_ab(ab: FloatArray, size: tuple[int, ...]) -> FloatArray:
    """Resize ab (2, h, w) to ``size`` (height, width): by area where it shrinks, bilinearly where it grows."""
    if ab.shape[1:] == size:
        return ab
    interpolation = cv2.INTER_AREA if size[0] < ab.shape[1] else cv2.INTER_LINEAR
    return np.stack([cv2.resize(plane, size[::-1], interpolation=interpolation) for plane in ab])


@dataclass(frozen=True)
class Anchor:
    """What propagation needs of an anchor, a frame that the network has colored."""

    levels: Levels
    """(h, w): its grey."""
    ab: FloatArray
    """(2, h, w), Lab units."""


def propagate(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Give each frame without ab the ab of the anchors before and after it in its shot, warped along the flow.

    Frames with ab are the anchors and pass through as the same objects. Hold back the frames between two anchors.

    Raises:
        ValueError: a frame has no anchor before it in its shot.
    """
    estimator = flow_estimator(finest=1)
    previous: Anchor | None = None
    between: list[Frame] = []
    for frame in frames:
        if frame.opens_shot:
            yield from propagate_between(between, previous, None, estimator)
            previous, between = None, []
        if frame.ab is None:
            between.append(frame)
            continue
        anchor = Anchor(to_levels(frame.grey), frame.ab)
        yield from propagate_between(between, previous, anchor, estimator)
        previous, between = anchor, []
        yield frame
    yield from propagate_between(between, previous, None, estimator)


def propagate_between(
    frames: Sequence[Frame], previous: Anchor | None, following: Anchor | None, estimator: cv2.DISOpticalFlow
) -> Iterator[Frame]:
    """Color the consecutive frames between two anchors; at the end of a shot ``following`` may be None.

    Raises:
        ValueError: there are frames, but ``previous`` is None.
    """
    for index, frame in enumerate(frames):
        if previous is None:
            raise ValueError(f"expected ab on the first frame of every shot, got none before {frame.picture.pts = }")
        anchors = [(previous, index + 1)]
        if following is not None:
            anchors.append((following, len(frames) - index))
        if frame.is_disturbed:
            ab = average_by_distance(anchors)
        else:
            ab = blend_warped(to_levels(frame.grey), anchors, estimator)
        yield replace(frame, ab=ab)


def average_by_distance(anchors: Sequence[tuple[Anchor, int]]) -> FloatArray:
    """Average the ab of ``anchors`` without warping, weighted by 1 / distance in frames: (2, h, w).

    For disturbed frames, whose luma gives no usable flow.
    """
    total: FloatArray = sum(anchor.ab / np.float32(distance) for anchor, distance in anchors)  # type: ignore[assignment]
    return total / np.float32(sum(1 / distance for _, distance in anchors))


def blend_warped(levels: Levels, anchors: Sequence[tuple[Anchor, int]], estimator: cv2.DISOpticalFlow) -> FloatArray:
    """Warp the ab of each anchor to a frame and average it, weighted by confidence / distance.

    Args:
        levels: (h, w): the frame's grey.
        anchors: anchors, each with its distance in frames.
        estimator: of the flow.

    Returns:
        ab, (2, h, w).
    """
    total = np.zeros((2, *levels.shape), np.float32)
    total_weight = np.zeros(levels.shape, np.float32)
    for anchor, distance in anchors:
        flow = flow_to(anchor.levels, levels, estimator)
        match = agreement(levels, anchor.levels, flow, tolerance=PROPAGATION_TOLERANCE)
        weight = (match + np.float32(MIN_CONFIDENCE)) / np.float32(distance)
        total += weight * warp(anchor.ab, flow)
        total_weight += weight
    total /= total_weight
    return total
