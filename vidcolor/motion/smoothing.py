"""One color for one thing: the ab of anchors averaged along the motion, over what a shot has shown and soon will.

What the network is unsure of it decides anew in every frame. So each anchor asks the shot for its opinion: a running
mean from the shot's beginning, and another one backwards from :data:`WINDOW` frames ahead at most. Both follow the
optical flow, and both count, pixel by pixel, only as far as the luma agrees.

A relay (:mod:`vidcolor.motion.anchors`) has no opinion of its own. It is told what the anchors before and after it
agree on.

The mean of a red and a brown is duller than either. So the strength of the colors has a mean of its own, and the mean
color is brought up to it, within :data:`MAX_GAIN`.

Looking ahead is worth more than looking back further: it leaves half of the slow drift (over 24 frames, .49 instead of
.89 of the true film's own warp error) and raises PSNR instead of lowering it (four clips, see docs/steady.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidcolor.frames import FloatArray, Frame
from vidcolor.motion.flow import Levels, agreement, flow_estimator, flow_to, to_levels, warp

WINDOW = 32  # frames that wait, at full size; the first half of them is then settled
BEGINNING = 2  # frames of a shot that are settled as soon as half a window has come after them: a film begins sooner
TOLERANCE = 8.0  # grey levels of 255: more strict than where color must come from somewhere
MAX_KEEP = 0.95  # at strength 1: about the last twenty anchors
MAX_GAIN = 1.5  # where opinions differ in hue, little is left of the mean, and what is left is chance
MIN_WEIGHT = 1e-3  # where nothing that is remembered agrees, before and after share
MIN_CHROMA = 1e-3  # Lab units: grey has no hue to be brought out


@dataclass(frozen=True)
class Memory:
    """A running mean of ab along the motion, as it stands at one anchor, in either direction of time."""

    levels: Levels
    """(h, w): the anchor's grey."""
    color: FloatArray
    """(3, h, w): the means of a, of b and of their strength √(a² + b²)."""
    weight: FloatArray
    """(h, w): how many anchors, in effect, have gone into ``color`` at each pixel, this one included."""


@dataclass(frozen=True)
class Averager:
    """The running mean. ``max_weight``: how many anchors before the present one count at most."""

    max_weight: float
    estimator: cv2.DISOpticalFlow

    def remember(self, frame: Frame, memory: Memory | None) -> Memory | None:
        """One step, in either direction: what is remembered, warped to ``frame``, counts as far as the luma agrees.

        A frame without ab has no opinion of its own; None where nobody before has had one either.
        """
        levels, color = to_levels(frame.grey), None if frame.ab is None else with_strength(frame.ab)
        if memory is None:
            return None if color is None else Memory(levels, color, np.ones_like(color[0]))
        flow = flow_to(memory.levels, levels, self.estimator)
        trusted = warp(memory.weight, flow) * agreement(levels, memory.levels, flow, tolerance=TOLERANCE)
        past = np.clip(trusted, 0, np.float32(self.max_weight))
        warped = warp(memory.color, flow)
        if color is None:
            return Memory(levels, warped, past)
        return Memory(levels, color + past / (1 + past) * (warped - color), 1 + past)


def smooth(frames: Iterator[Frame], *, strength: float) -> Iterator[Frame]:
    """Replace the ab of each frame that has one, and that of relays, by the mean along the motion, within the shot.

    Holds back :data:`WINDOW` frames at most, half as many when a shot begins, and those that repeat the last one.
    ``strength``, 0 to 1, limits how many anchors the mean reaches to on either side; 0 passes every frame through
    untouched.
    """
    if strength == 0:
        yield from frames
        return
    keep = MAX_KEEP * strength
    averager = Averager(keep / (1 - keep), flow_estimator(finest=1))
    waiting: list[Frame] = []
    memory: Memory | None = None
    held = 0  # frames that wait, with those that repeat them
    for frame in frames:
        if frame.opens_shot:
            yield from settle(waiting, len(waiting), memory, averager)[0]
            waiting, memory, held = [], None, 0
        waiting.append(frame)
        held += 1 + len(frame.repeats)
        is_beginning = memory is None
        if held >= (WINDOW // 2 + BEGINNING if is_beginning else WINDOW):
            count = min((len(waiting) + 1) // 2, BEGINNING if is_beginning else WINDOW)
            settled, memory = settle(waiting, count, memory, averager)
            yield from settled
            waiting = waiting[count:]
            held = sum(1 + len(frame.repeats) for frame in waiting)
    yield from settle(waiting, len(waiting), memory, averager)[0]


def settle(
    waiting: Sequence[Frame], count: int, memory: Memory | None, averager: Averager
) -> tuple[list[Frame], Memory | None]:
    """The first ``count`` of the frames of a shot that wait, smoothed, and the memory at the last anchor among them."""
    ahead: dict[int, Memory] = {}
    following: Memory | None = None
    for index in reversed(range(len(waiting))):
        if waiting[index].ab is not None or waiting[index].is_relay:
            following = averager.remember(waiting[index], following)
            if following is not None:
                ahead[index] = following
    settled = []
    for index, frame in enumerate(waiting[:count]):
        if frame.ab is None and not frame.is_relay:
            settled.append(frame)
            continue
        memory = averager.remember(frame, memory)
        if memory is None:
            raise ValueError(f"expected ab on the first frame of every shot, got none before {frame.picture.pts = }")
        settled.append(replace(frame, ab=join(memory, ahead.get(index), frame.ab)))
    return settled, memory


def join(before: Memory, after: Memory | None, own: FloatArray | None) -> FloatArray:
    """ab (2, h, w): the mean of all anchors before and after the present frame; its ``own`` ab, if it has one, is in
    both of them."""
    total: FloatArray
    if after is None:
        total = before.color
    elif own is None:
        one, other = before.weight + np.float32(MIN_WEIGHT), after.weight + np.float32(MIN_WEIGHT)
        total = before.color * one + after.color * other
        total /= one + other
    else:
        total = before.color * before.weight + after.color * after.weight - with_strength(own)
        total /= before.weight + after.weight - 1
    ab, strength = total[:2], total[2]
    gain = strength / np.clip(strength_of(ab), np.float32(MIN_CHROMA), np.inf)
    joined: FloatArray = ab * np.clip(gain, 1, np.float32(MAX_GAIN))
    return joined


def with_strength(ab: FloatArray) -> FloatArray:
    """ab (2, h, w) and its strength, as a third plane."""
    return np.concatenate((ab, strength_of(ab)[None]))


def strength_of(ab: FloatArray) -> FloatArray:
    """√(a² + b²), (h, w): faster than ``np.hypot``, and unlike ``cv2.magnitude`` the same wherever the array lies."""
    strength: FloatArray = np.sqrt(ab[0] * ab[0] + ab[1] * ab[1])
    return strength
