"""Smooth the ab of anchors over time by moving averages along the optical flow, over past and future anchors.

Where the network is unsure, its colors change from frame to frame. So the ab of each anchor is replaced by the mean of
two exponential moving averages: one forward from the start of the shot, one backward from at most :data:`WINDOW` frames
ahead. Each is a running mean in which the weight of all earlier anchors together is capped: the cap makes it
exponential. Both are warped along the optical flow, and each pixel of an average loses weight where its luma does not
match the present frame; where nothing matches, the average starts again from the present frame. Both are reset at cuts.

A waypoint (:mod:`vidcolor.motion.anchors`) has no ab of its own: it gets the weighted mean of the two averages.

The mean of a red and a brown is duller than either. So the chroma C* = √(a² + b²) has a moving average of its own, and
the mean ab is scaled up to it, by :data:`MAX_CHROMA_GAIN` at most. Measurements, also of what looking ahead brings,
are in ``docs/steady.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidcolor.frames import FloatArray, Frame, Levels
from vidcolor.motion.flow import agreement, flow_estimator, flow_to, to_levels, warp

WINDOW = 32
"""Frames that are held at full size; when it is full, the first half of them is smoothed and passed on."""
START_FRAMES = 2
"""Frames at the start of a shot that are smoothed as soon as half a window follows them, to start the output sooner."""
SMOOTHING_TOLERANCE = 8.0
"""Grey levels of 255 by which luma may differ (``tolerance`` of :func:`vidcolor.motion.flow.agreement`).

It is smaller than for propagation, because every anchor has ab of its own to fall back on.
"""
MAX_DECAY = 0.95
"""Decay factor of the moving average at strength 1: it reaches over about the last twenty anchors."""
MAX_CHROMA_GAIN = 1.5
"""Largest factor by which the mean ab is scaled up: where hues differ much, the mean is nearly grey and noisy."""
MIN_WEIGHT = 1e-3
"""Added to both weights on a waypoint, so that both averages count alike where neither matches."""
MIN_MEAN_CHROMA = 1e-3
"""C* in Lab units: lower bound of the divisor when ab is scaled."""


@dataclass(frozen=True)
class MovingAverage:
    """The state of an exponential moving average of ab along the motion at one frame, in either direction of time."""

    levels: Levels
    """(h, w): the frame's grey."""
    color: FloatArray
    """(3, h, w), Lab units: the means of a, of b and of C*."""
    weight: FloatArray
    """(h, w): the effective number of anchors in ``color`` at each pixel."""


@dataclass(frozen=True)
class Averager:
    """Updates moving averages. It owns a flow estimator: one for each thread.

    Attributes:
        max_weight: upper bound of the weight of all anchors before the present one, which itself has the weight 1.
        estimator: of the optical flow.
    """

    max_weight: float
    estimator: cv2.DISOpticalFlow

    def update(self, frame: Frame, average: MovingAverage | None) -> MovingAverage | None:
        """Warp an average to the next frame, in either direction of time, and add the frame's ab, if it has any.

        The weight of each pixel is multiplied by the agreement of the luma, then limited to ``max_weight``.

        Args:
            frame: an anchor, or a waypoint without ab.
            average: the state at the frame before; None at the start of a shot.

        Returns:
            The state at ``frame``; None where neither ``average`` nor ``frame`` has any ab.
        """
        levels, color = to_levels(frame.grey), None if frame.ab is None else append_chroma(frame.ab)
        if average is None:
            return None if color is None else MovingAverage(levels, color, np.ones_like(color[0]))
        flow = flow_to(average.levels, levels, self.estimator)
        match = agreement(levels, average.levels, flow, tolerance=SMOOTHING_TOLERANCE)
        past = np.clip(warp(average.weight, flow) * match, 0, np.float32(self.max_weight))
        warped = warp(average.color, flow)
        if color is None:
            return MovingAverage(levels, warped, past)
        return MovingAverage(levels, color + past / (1 + past) * (warped - color), 1 + past)


def smooth(frames: Iterator[Frame], *, strength: float) -> Iterator[Frame]:
    """Replace the ab of anchors and waypoints by its moving average along the motion, within each shot.

    Other frames pass through as the same objects. At most :data:`WINDOW` frames are held back, about half as many at
    the start of a shot, not counting the duplicates of the last one.

    Args:
        frames: frames with ab on anchors, among them the first frame of every shot.
        strength: 0 to 1; the decay factor of the average is ``strength`` × :data:`MAX_DECAY`. 0 passes every frame
            through unchanged.

    Raises:
        ValueError: a waypoint has no anchor before it in its shot.
    """
    if strength == 0:
        yield from frames
        return
    decay = MAX_DECAY * strength
    # The weight of all earlier anchors in an exponential average: decay + decay² + decay³ + … = decay / (1 - decay).
    averager = Averager(decay / (1 - decay), flow_estimator(finest=1))
    pending: list[Frame] = []
    average: MovingAverage | None = None
    held = 0  # pending frames and their duplicates
    for frame in frames:
        if frame.opens_shot:
            yield from smooth_head(pending, len(pending), average, averager)[0]
            pending, average, held = [], None, 0
        pending.append(frame)
        held += 1 + len(frame.duplicates)
        at_start = average is None
        if held >= (WINDOW // 2 + START_FRAMES if at_start else WINDOW):
            count = min((len(pending) + 1) // 2, START_FRAMES if at_start else WINDOW)
            smoothed, average = smooth_head(pending, count, average, averager)
            yield from smoothed
            pending = pending[count:]
            held = sum(1 + len(frame.duplicates) for frame in pending)
    yield from smooth_head(pending, len(pending), average, averager)[0]


def smooth_head(
    pending: Sequence[Frame], count: int, average: MovingAverage | None, averager: Averager
) -> tuple[list[Frame], MovingAverage | None]:
    """Smooth the first ``count`` of the pending frames of a shot; the others only serve as look-ahead.

    Args:
        pending: consecutive frames of one shot.
        count: how many to smooth.
        average: the forward average before the first of them; None at the start of the shot.
        averager: updates the averages.

    Returns:
        The smoothed frames, and the forward average at the last anchor or waypoint among them.

    Raises:
        ValueError: a waypoint has no anchor before it.
    """
    backward: dict[int, MovingAverage] = {}
    following: MovingAverage | None = None
    for index in reversed(range(len(pending))):
        if pending[index].ab is not None or pending[index].is_waypoint:
            following = averager.update(pending[index], following)
            if following is not None:
                backward[index] = following
    smoothed = []
    for index, frame in enumerate(pending[:count]):
        if frame.ab is None and not frame.is_waypoint:
            smoothed.append(frame)
            continue
        average = averager.update(frame, average)
        if average is None:
            raise ValueError(f"expected ab on the first frame of every shot, got none before {frame.picture.pts = }")
        smoothed.append(replace(frame, ab=combine(average, backward.get(index), frame.ab)))
    return smoothed, average


def combine(forward: MovingAverage, backward: MovingAverage | None, own: FloatArray | None) -> FloatArray:
    """Combine the forward and the backward average at one frame to its smoothed ab.

    Args:
        forward: the average over the frame and the anchors before it.
        backward: the average over the frame and the anchors after it; None where there are none.
        own: the frame's own ab, (2, h, w), which both averages contain; None on a waypoint.

    Returns:
        ab, (2, h, w): the weighted mean, in which the frame itself counts once, scaled up to the mean chroma.
    """
    total: FloatArray
    if backward is None:
        total = forward.color
    elif own is None:
        forward_weight = forward.weight + np.float32(MIN_WEIGHT)
        backward_weight = backward.weight + np.float32(MIN_WEIGHT)
        total = forward.color * forward_weight + backward.color * backward_weight
        total /= forward_weight + backward_weight
    else:
        # Both contain the frame itself, with the weight 1, so one of the two is subtracted.
        total = forward.color * forward.weight + backward.color * backward.weight - append_chroma(own)
        total /= forward.weight + backward.weight - 1
    ab, chroma = total[:2], total[2]
    gain = chroma / np.clip(chroma_of(ab), np.float32(MIN_MEAN_CHROMA), np.inf)
    combined: FloatArray = ab * np.clip(gain, 1, np.float32(MAX_CHROMA_GAIN))
    return combined


def append_chroma(ab: FloatArray) -> FloatArray:
    """Return ab (2, h, w) with its chroma C* as a third plane: (3, h, w)."""
    return np.concatenate((ab, chroma_of(ab)[None]))


def chroma_of(ab: FloatArray) -> FloatArray:
    """Return the chroma C* = √(a² + b²) of ab (2, h, w): (h, w).

    This is faster than ``np.hypot`` and, unlike ``cv2.magnitude``, gives the same bits for every memory alignment.
    """
    chroma: FloatArray = np.sqrt(ab[0] * ab[0] + ab[1] * ab[1])
    return chroma
