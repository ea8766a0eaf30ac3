"""Merge frames that show the same picture again (telecine, drawings on twos, stills), so that each is colored once.

Merged frames pass through the network and the smoothing as one frame and are expanded again before rendering, because
luma, and with it the gamut of each pixel, may differ between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from vidcolor.frames import FloatArray, Frame, Levels, Picture
from vidcolor.motion.flow import to_levels

MAX_DUPLICATES = 15
"""Duplicates of one frame; they are held until it is colored."""
MAX_DISTINCT_LUMA = 3
"""Duplicates of one frame whose luma planes differ from its own and are held at full size."""
BLUR_SIZE = 9
"""Side of the window, in pixels at render size, over which differences are averaged."""
QUICK_CHECK_ROWS = 24
"""Rows above and below the middle that are compared first; they tell most pairs of frames apart."""
MAX_DIFFERENCE = 3.0
"""Grey levels of 255 by which the means over a window may differ.

Duplicates encoded by x264 at crf 26 differ by 1.9 in the median frame and by 3.2 in one of ten; the slowest motion in
seven clips gives 5.5, and an edge of full contrast that moves by a tenth of a pixel more than 3.
"""


def merge_duplicates(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Move each frame that shows the same as an earlier one into the ``duplicates`` of that one.

    Frames are compared with the first of a run, so that slow motion does not accumulate. A frame that opens a shot or a
    segment, or that is disturbed, is never merged. Duplicates with equal luma share one array. Hold back
    :data:`MAX_DUPLICATES` frames at most.
    """
    first = next(frames, None)
    if first is None:
        return
    levels = to_levels(first.grey)
    duplicates: list[Frame] = []
    distinct = 0
    for frame in frames:
        own = to_levels(frame.grey)
        is_single = frame.opens_shot or frame.opens_segment or frame.is_disturbed or first.is_disturbed
        if not is_single and len(duplicates) < MAX_DUPLICATES and are_duplicates(levels, own):
            if _has_equal_planes(frame.picture, first.picture):
                same = replace(frame.picture, luma=first.picture.luma, chroma=first.picture.chroma)
                duplicates.append(replace(frame, picture=same))
                continue
            if distinct < MAX_DISTINCT_LUMA:
                duplicates.append(frame)
                distinct += 1
                continue
        yield replace(first, duplicates=tuple(duplicates))
        first, levels, duplicates, distinct = frame, own, [], 0
    yield replace(first, duplicates=tuple(duplicates))


def _has_equal_planes(one: Picture, other: Picture) -> bool:
    """Return whether two pictures have the same luma, and the same chroma where it is kept."""
    if not np.array_equal(one.luma, other.luma):
        return False
    if one.chroma is None or other.chroma is None:
        return one.chroma is other.chroma
    return all(map(np.array_equal, one.chroma, other.chroma))


def expand_duplicates(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield each frame followed by its duplicates, which share its ab array."""
    for frame in frames:
        yield replace(frame, duplicates=())
        for duplicate in frame.duplicates:
            yield replace(duplicate, ab=frame.ab, is_anchor=False)


def are_duplicates(one: Levels, other: Levels) -> bool:
    """Return whether two (h, w) pictures differ nowhere by more than a codec's error, :data:`MAX_DIFFERENCE`."""
    border = BLUR_SIZE // 2
    middle = slice(max(len(one) // 2 - QUICK_CHECK_ROWS, 0), len(one) // 2 + QUICK_CHECK_ROWS)
    quick = _mean_differences(one[middle], other[middle])[border:-border]  # rows whose window lies within the crop
    if quick.size and float(quick.max()) > MAX_DIFFERENCE:
        return False
    return float(_mean_differences(one, other).max()) <= MAX_DIFFERENCE


def _mean_differences(one: Levels, other: Levels) -> FloatArray:
    """Return the absolute difference of the means around each pixel, (h, w), in grey levels."""
    difference = cv2.blur(cv2.subtract(one, other, dtype=cv2.CV_32F), (BLUR_SIZE, BLUR_SIZE))
    return np.abs(difference, out=np.asarray(difference, np.float32))
