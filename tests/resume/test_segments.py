"""The division of a film into segments."""

from __future__ import annotations

import numpy as np
import pytest

from vidcolor.frames import Frame, Picture
from vidcolor.resume.segments import MAX_SEGMENT_FRAMES, MIN_SEGMENT_FRAMES, mark_segments


def openings(length: int, cuts: tuple[int, ...]) -> list[int]:
    """The numbers of the frames that open a segment."""
    luma, grey = np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.float32)
    frames = (Frame(Picture(number, 1, luma), grey, opens_shot=number in (0, *cuts)) for number in range(length))
    return [frame.picture.pts for frame in mark_segments(frames) if frame.opens_segment]


@pytest.mark.parametrize(
    ("length", "cuts", "expected"),
    [
        (1, (), [0]),
        (MIN_SEGMENT_FRAMES + 9, (MIN_SEGMENT_FRAMES - 1,), [0]),
        (MIN_SEGMENT_FRAMES + 9, (MIN_SEGMENT_FRAMES,), [0, MIN_SEGMENT_FRAMES]),
        (2 * MIN_SEGMENT_FRAMES, (100, MIN_SEGMENT_FRAMES + 7, MIN_SEGMENT_FRAMES + 90), [0, MIN_SEGMENT_FRAMES + 7]),
        (2 * MAX_SEGMENT_FRAMES + 1, (), [0, MAX_SEGMENT_FRAMES, 2 * MAX_SEGMENT_FRAMES]),
        (
            MAX_SEGMENT_FRAMES + 400,
            (MAX_SEGMENT_FRAMES + 10, MAX_SEGMENT_FRAMES + 300),
            [0, MAX_SEGMENT_FRAMES, MAX_SEGMENT_FRAMES + 300],
        ),
    ],
)
def test_openings(length: int, cuts: tuple[int, ...], expected: list[int]) -> None:
    """Short shots share a segment, segments start with shots where possible, and a long shot is divided."""
    assert openings(length, cuts) == expected


def test_a_film_that_begins_with_a_segment_is_marked_alike() -> None:
    """The division depends only on the frames from the start of a segment on."""
    cuts = tuple(np.random.default_rng(3).integers(1, 4000, 25).tolist())
    whole = openings(4000, cuts)
    for opening in whole[1:]:
        later = openings(4000 - opening, tuple(cut - opening for cut in cuts if cut > opening))
        assert later == [other - opening for other in whole if other >= opening]
