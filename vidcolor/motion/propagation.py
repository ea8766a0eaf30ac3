"""Steady color: ab smoothed over the anchors of a shot, then carried along the optical flow to the frames between.

Both happen at half of the render size, for which the network's own color is no coarser. There they take half the time,
and the mean of four pixels has less grain to be misled by: on six clips the flicker stays (.52 of the truth's instead
of .50), and what drifts over 8 and 24 frames is less (.32 for .33, .38 for .40).

Smoothing comes first because that is better as well as cheaper: with blobs of noise on true ab and anchors at every
fourth frame it leaves less error and less flicker than carrying first (37 against 51 % of the energy of ab at
strength 0.5), at half the cost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidcolor.color.luma import MIN_SHORT_SIDE
from vidcolor.frames import FloatArray, Frame
from vidcolor.motion.flow import Levels, agreement, flow_estimator, flow_to, to_levels, warp
from vidcolor.motion.smoothing import smooth

TOLERANCE = 15.0  # grey levels of 255; see vidcolor.motion.flow.agreement
MIN_TRUST = 1e-3  # where no anchor agrees, they share by distance


def steady(frames: Iterator[Frame], *, strength: float) -> Iterator[Frame]:
    """Give ab to every frame, given anchors that have it: :func:`vidcolor.motion.smoothing.smooth`, then :func:`carry`.

    What neither of them changes passes untouched.
    """
    waiting: deque[tuple[Frame, Frame]] = deque()

    def halved() -> Iterator[Frame]:
        for frame in frames:
            small = at_half_size(frame)
            waiting.append((frame, small))
            yield small

    for small in carry(smooth(halved(), strength=strength)):
        frame, before = waiting.popleft()
        assert small.ab is not None  # carry
        yield frame if small.ab is before.ab else replace(frame, ab=resized(small.ab, frame.grey.shape))


def at_half_size(frame: Frame) -> Frame:
    """The frame with a grey and an ab of half the size, where that leaves enough for optical flow."""
    height, width = frame.grey.shape
    if min(height, width) < 2 * MIN_SHORT_SIDE:
        return frame
    size = round(height / 2), round(width / 2)
    grey: FloatArray = cv2.resize(frame.grey, size[::-1], interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    ab = None if frame.ab is None else resized(frame.ab, size)
    return replace(frame, grey=grey, ab=ab)


def resized(ab: FloatArray, size: tuple[int, ...]) -> FloatArray:
    """ab (2, h, w) to ``size`` (height, width): mean over the area where it shrinks, bilinear where it grows."""
    if ab.shape[1:] == size:
        return ab
    interpolation = cv2.INTER_AREA if size[0] < ab.shape[1] else cv2.INTER_LINEAR
    return np.stack([cv2.resize(plane, size[::-1], interpolation=interpolation) for plane in ab])


@dataclass(frozen=True)
class Anchor:
    """A frame whose color is carried to others."""

    levels: Levels
    """(h, w): its grey."""
    ab: FloatArray
    """(2, h, w)."""


def carry(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Give each frame between anchors its ab from the anchors on both sides within the shot; anchors pass untouched.

    Holds back the frames between two anchors. Raises ValueError where a frame has no anchor before it in its shot.
    """
    estimator = flow_estimator(finest=1)
    previous: Anchor | None = None
    between: list[Frame] = []
    for frame in frames:
        if frame.opens_shot:
            yield from color_between(between, previous, None, estimator)
            previous, between = None, []
        if frame.ab is None:
            between.append(frame)
            continue
        anchor = Anchor(to_levels(frame.grey), frame.ab)
        yield from color_between(between, previous, anchor, estimator)
        previous, between = anchor, []
        yield frame
    yield from color_between(between, previous, None, estimator)


def color_between(
    frames: Sequence[Frame], previous: Anchor | None, following: Anchor | None, estimator: cv2.DISOpticalFlow
) -> Iterator[Frame]:
    """Color consecutive frames between two anchors; at a shot's end ``following`` may be missing."""
    for index, frame in enumerate(frames):
        if previous is None:
            raise ValueError(f"expected ab on the first frame of every shot, got none before {frame.picture.pts = }")
        anchors = [(previous, index + 1)]
        if following is not None:
            anchors.append((following, len(frames) - index))
        ab = between(anchors) if frame.is_disturbed else blend(to_levels(frame.grey), anchors, estimator)
        yield replace(frame, ab=ab)


def between(anchors: Sequence[tuple[Anchor, int]]) -> FloatArray:
    """The ab of a frame whose luma says nothing: that of ``anchors``, by their distances, where it stands."""
    total: FloatArray = sum(anchor.ab / np.float32(distance) for anchor, distance in anchors)  # type: ignore[assignment]
    return total / np.float32(sum(1 / distance for _, distance in anchors))


def blend(levels: Levels, anchors: Sequence[tuple[Anchor, int]], estimator: cv2.DISOpticalFlow) -> FloatArray:
    """The ab of a frame from ``anchors`` and their distances in frames: warped, weighted by agreement over distance."""
    total = np.zeros((2, *levels.shape), np.float32)
    total_weight = np.zeros(levels.shape, np.float32)
    for anchor, distance in anchors:
        flow = flow_to(anchor.levels, levels, estimator)
        trust = agreement(levels, anchor.levels, flow, tolerance=TOLERANCE) + np.float32(MIN_TRUST)
        weight = trust / np.float32(distance)
        total += weight * warp(anchor.ab, flow)
        total_weight += weight
    total /= total_weight
    return total
