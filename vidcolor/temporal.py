"""Steady colour: ab smoothed over the anchors of a shot, then carried along the optical flow to the frames between.

Smoothing comes first because that is better as well as cheaper: with blobs of noise on true ab and anchors at every
fourth frame it leaves less error and less flicker than carrying first (37 against 51 % of the energy of ab at
strength 0.5), at half the cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidcolor.flow import Levels, flow_estimator, flow_to, to_levels, warp
from vidcolor.frames import FloatArray, Frame

AGREEMENT_LEVELS = 15.0  # grey levels of 255 at which trust has fallen to 1/e
AGREEMENT_WINDOW = 5  # pixels; single pixels agree by chance
LEAST_TRUST = 1e-3  # where no anchor agrees, they share by distance
MAX_KEEP = 0.95  # at strength 1: about the last twenty


def steady(frames: Iterator[Frame], *, strength: float) -> Iterator[Frame]:
    """Give ab to every frame, given anchors that have it: :func:`smooth`, then :func:`carry`."""
    return carry(smooth(frames, strength=strength))


@dataclass(frozen=True)
class Memory:
    """What smoothing knows of a shot: its newest anchor."""

    levels: Levels
    """(h, w): its grey."""
    ab: FloatArray
    """(2, h, w): its smoothed ab."""
    weight: FloatArray
    """(h, w): how many anchors, in effect, have gone into ``ab`` at each pixel; at least 1."""


def smooth(frames: Iterator[Frame], *, strength: float) -> Iterator[Frame]:
    """Replace the ab of each frame that has one by a running mean along the motion, from the shot's beginning.

    ``strength``, 0 to 1, limits how far back the mean reaches; 0 passes every frame through untouched.
    """
    if strength == 0:
        yield from frames
        return
    keep = MAX_KEEP * strength
    estimator = flow_estimator()
    memory: Memory | None = None
    for frame in frames:
        if frame.opens_shot:
            memory = None
        if frame.ab is None:
            yield frame
            continue
        memory = remember(to_levels(frame.grey), frame.ab, memory, keep / (1 - keep), estimator)
        yield replace(frame, ab=memory.ab)


def remember(
    levels: Levels, ab: FloatArray, memory: Memory | None, max_weight: float, estimator: cv2.DISOpticalFlow
) -> Memory:
    """One step of the running mean: what is remembered, warped to the present, counts as far as the luma agrees."""
    if memory is None:
        return Memory(levels, ab, np.ones_like(ab[0]))
    flow = flow_to(memory.levels, levels, estimator)
    past = np.minimum(warp(memory.weight, flow) * agreement(levels, memory.levels, flow), np.float32(max_weight))
    return Memory(levels, ab + past / (1 + past) * (warp(memory.ab, flow) - ab), 1 + past)


@dataclass(frozen=True)
class Anchor:
    """A frame whose colour is carried to others."""

    levels: Levels
    """(h, w): its grey."""
    ab: FloatArray
    """(2, h, w)."""


def carry(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Give each frame between anchors its ab from the anchors on both sides within the shot; anchors pass untouched.

    Holds back the frames between two anchors. Raises ValueError where a frame has no anchor before it in its shot.
    """
    estimator = flow_estimator()
    previous: Anchor | None = None
    between: list[Frame] = []
    for frame in frames:
        if frame.opens_shot:
            yield from colour_between(between, previous, None, estimator)
            previous, between = None, []
        if frame.ab is None:
            between.append(frame)
            continue
        anchor = Anchor(to_levels(frame.grey), frame.ab)
        yield from colour_between(between, previous, anchor, estimator)
        previous, between = anchor, []
        yield frame
    yield from colour_between(between, previous, None, estimator)


def colour_between(
    frames: Sequence[Frame], previous: Anchor | None, following: Anchor | None, estimator: cv2.DISOpticalFlow
) -> Iterator[Frame]:
    """Colour consecutive frames between two anchors; at a shot's end ``following`` may be missing."""
    for index, frame in enumerate(frames):
        if previous is None:
            raise ValueError(f"expected ab on the first frame of every shot, got none before {frame.picture.pts = }")
        anchors = [(previous, index + 1)]
        if following is not None:
            anchors.append((following, len(frames) - index))
        yield replace(frame, ab=blend(to_levels(frame.grey), anchors, estimator))


def blend(levels: Levels, anchors: Sequence[tuple[Anchor, int]], estimator: cv2.DISOpticalFlow) -> FloatArray:
    """The ab of a frame from ``anchors`` and their distances in frames: warped, weighted by agreement over distance."""
    total = np.zeros((2, *levels.shape), np.float32)
    total_weight = np.zeros(levels.shape, np.float32)
    for anchor, distance in anchors:
        flow = flow_to(anchor.levels, levels, estimator)
        weight = (agreement(levels, anchor.levels, flow) + np.float32(LEAST_TRUST)) / np.float32(distance)
        total += weight * warp(anchor.ab, flow)
        total_weight += weight
    total /= total_weight
    return total


def agreement(present: Levels, other: Levels, flow: FloatArray) -> FloatArray:
    """(h, w) in (0, 1]: how well the other picture, warped along ``flow``, matches the present around each pixel."""
    # Old film flickers as a whole, which says nothing about where things are.
    exposure = (float(present.mean()) + 1) / (float(other.mean()) + 1)
    difference = np.abs(warp(other * np.float32(exposure), flow) - present)
    mismatch = np.asarray(cv2.blur(difference, (AGREEMENT_WINDOW, AGREEMENT_WINDOW)), dtype=np.float32)
    trust: FloatArray = np.exp(-np.square(mismatch / np.float32(AGREEMENT_LEVELS)))
    return trust
