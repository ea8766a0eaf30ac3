"""Pictures that are shown more than once: telecine, drawings that are held, stills. They are colored once.

What is merged here goes through generator and temporal as one frame, and is parted again before it is rendered: luma,
and with it all that chroma depends on but ab, is each picture's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from vidcolor.frames import FloatArray, Frame
from vidcolor.motion.flow import Levels, to_levels

MAX_REPEATS = 15
"""Of one frame; they wait until it is colored."""
MAX_UNLIKE = 3
"""How many of them may have luma of their own, which waits with them, at full size."""
WINDOW = 9  # pixels at render size
GLANCE = 24  # rows to either side of the middle, which nearly always tell two pictures apart
TOLERANCE = 3.0
"""Grey levels of 255, by which the mean over a window may differ. What x264 leaves of equality at a crf of 26 is 1.9 in
the median frame and 3.2 in one of ten; the least motion in seven clips is 5.5. An edge of full contrast that moves by a
tenth of a pixel is beyond it."""


def merge_repeats(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Put each frame that shows the same as an earlier one into its ``repeats``; one that is equal shares its luma.

    Compared with the first of a run, so that slow motion does not add up. A frame that opens a shot or a segment, and
    one that is disturbed, stands for itself. Holds back :data:`MAX_REPEATS` frames at most.
    """
    first = next(frames, None)
    if first is None:
        return
    levels = to_levels(first.grey)
    repeats: list[Frame] = []
    unlike = 0
    for frame in frames:
        own = to_levels(frame.grey)
        stands_alone = frame.opens_shot or frame.opens_segment or frame.is_disturbed or first.is_disturbed
        if not stands_alone and len(repeats) < MAX_REPEATS and show_the_same(levels, own):
            if np.array_equal(frame.picture.luma, first.picture.luma):
                repeats.append(replace(frame, picture=replace(frame.picture, luma=first.picture.luma)))
                continue
            if unlike < MAX_UNLIKE:
                repeats.append(frame)
                unlike += 1
                continue
        yield replace(first, repeats=tuple(repeats))
        first, levels, repeats, unlike = frame, own, [], 0
    yield replace(first, repeats=tuple(repeats))


def part_repeats(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Every frame by itself again, with the ab of the one that it repeats: the very same array."""
    for frame in frames:
        yield replace(frame, repeats=())
        for repeat in frame.repeats:
            yield replace(repeat, ab=frame.ab, is_anchor=False)


def show_the_same(one: Levels, other: Levels) -> bool:
    """Whether no place in two (h, w) pictures differs by more than a codec's error."""
    around = WINDOW // 2
    middle = slice(max(len(one) // 2 - GLANCE, 0), len(one) // 2 + GLANCE)
    glance = _differences(one[middle], other[middle])[around:-around]  # at what the cut does not touch
    if glance.size and float(glance.max()) > TOLERANCE:
        return False
    return float(_differences(one, other).max()) <= TOLERANCE


def _differences(one: Levels, other: Levels) -> FloatArray:
    """(h, w): of the means around each place."""
    difference = cv2.blur(cv2.subtract(one, other, dtype=cv2.CV_32F), (WINDOW, WINDOW))
    return np.abs(difference, out=np.asarray(difference, np.float32))
