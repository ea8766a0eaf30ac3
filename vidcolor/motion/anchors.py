"""Anchors: the frames that the network sees. The others get their color from them, along the motion.

How many a shot needs depends on how far its picture can be bent. With true colors on the anchors of eleven clips of 96
frames, what carrying costs (error over the energy of ab, mean and worst clip):

    every 4th frame                          26 % of the frames   0.8 %   2.5 %
    every 8th                                14 %                 1.7 %   5.0 %
    every 8th, and wherever bending fails    17 %                 1.2 %   3.0 %
    every 16th, more strict from the 8th on  13 %                 1.7 %   3.5 %

With the network's colors, whose mistakes are forty times as large, the last two are equally good.

Where a picture cannot be bent over :data:`NEAREST` frames, the network knows no more of the fourth frame than of the
first. What is missing is a way there, so the frames between become *relays*: color makes a halt on them
(:mod:`vidcolor.motion.smoothing`), which costs two steps of flow instead of a network. Only what is all but torn needs
an anchor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vidcolor.frames import Frame
from vidcolor.motion.shots import Thumbnail, thumbnail, thumbnail_flow, unrelated

NEAREST = 4  # frames from one anchor to the next that are chosen by motion, but for:
TORN = 0.2  # of the structure, as below: more than that, and the next frame is an anchor however near
FURTHEST = 16
MAX_PICTURES = 16  # between anchors, repeated ones included: they wait for the next one, at full size
BENT = 0.12  # of the structure: what bending the thumbnail of an anchor or relay into a frame's may leave
FAR = 8  # frames from the last anchor, from which on it may leave less:
BENT_FAR = 0.08


def mark_anchors(frames: Iterator[Frame], every: int | None) -> Iterator[Frame]:
    """Set ``is_anchor`` on the first and the last frame of each shot, and on enough between them.

    So every other frame has an anchor on both sides. A disturbed frame is never one: the frame after it takes its
    place. Holds back one frame.

    Args:
        every: frames from one anchor to the next; None: at most :data:`FURTHEST`, and fewer where the picture changes
            so much that the anchor cannot be bent into it. Where it does so within :data:`NEAREST` frames,
            ``is_relay`` is set instead.
    """
    spacing = every or FURTHEST
    estimator = thumbnail_flow()
    age = shown = 0  # frames, and pictures, since the last anchor
    halt: Thumbnail | None = None  # of the last anchor or relay
    has_relay = False  # since the last anchor
    frame = next(frames, None)
    while frame is not None:
        following = next(frames, None)
        closes_shot = following is None or following.opens_shot
        too_many = every is None and shown >= MAX_PICTURES
        due = frame.opens_shot or closes_shot or age + 1 >= spacing or too_many
        is_last_way = False  # what follows cannot be reached from before
        if not due and every is None and following is not None and halt is not None and not following.is_disturbed:
            limit = BENT if age + 1 < FAR else BENT_FAR
            loss = unrelated(halt, thumbnail(following.grey), limit, estimator)
            is_last_way = loss > limit
            due = loss > TORN or ((is_last_way or has_relay) and age + 1 >= NEAREST)
        is_anchor = due and not frame.is_disturbed
        is_relay = is_last_way and not due and not frame.is_disturbed
        if every is None and (is_anchor or is_relay):
            halt = thumbnail(frame.grey)
        age = 0 if is_anchor else age + 1
        shown = (0 if is_anchor else shown) + 1 + len(frame.repeats)
        has_relay = not is_anchor and (has_relay or is_relay)
        yield replace(frame, is_anchor=is_anchor, is_relay=is_relay)
        frame = following
