"""The choice of anchors and waypoints."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.scenes import frames_of, panning
from vidcolor.frames import Frame
from vidcolor.motion.anchors import MAX_SPACING, MIN_SPACING, mark_anchors
from vidcolor.motion.shots import FLASH_FRAMES, mark_cuts


def anchors_of(pictures: list[np.ndarray], every: int | None) -> list[int]:
    """The numbers of the anchors."""
    return [frame.picture.pts for frame in mark_anchors(mark_cuts(frames_of(pictures)), every) if frame.is_anchor]


@pytest.mark.parametrize("length", [1, FLASH_FRAMES])
def test_disturbed_frames_are_no_anchors(length):
    """Flashes are marked as disturbed, and the next frame is an anchor in their place."""
    pictures = panning(1, 21)
    pictures[8 : 8 + length] = [np.ones_like(pictures[0])] * length
    frames = list(mark_anchors(mark_cuts(frames_of(pictures)), 4))
    assert [frame.picture.pts for frame in frames if frame.is_disturbed] == list(range(8, 8 + length))
    expected = [0, 4, *range(8 + length, 20, 4), 20]
    assert [frame.picture.pts for frame in frames if frame.is_anchor] == expected


@pytest.mark.parametrize(
    ("every", "expected"),
    [(1, range(13)), (4, [0, 4, 8, 9, 10, 12]), (5, [0, 5, 9, 10, 12]), (100, [0, 9, 10, 12])],
)
def test_anchors(every, expected):
    """The first and the last frame of a shot and each n-th between are anchors."""
    frames = mark_cuts(frames_of(panning(1, 10) + panning(2, 3)))
    assert [frame.picture.pts for frame in mark_anchors(frames, every) if frame.is_anchor] == list(expected)


def test_a_still_needs_few_anchors():
    """Without motion anchors have the largest spacing, also where the exposure changes."""
    gains = np.random.default_rng(0).uniform(0.8, 1.0, 41)
    assert anchors_of([gain * panning(1, 1)[0] for gain in gains], None) == [*range(0, 40, MAX_SPACING), 40]


def test_motion_needs_more_anchors():
    """Faster motion gives closer anchors; none is farther than the largest spacing."""
    wild = [np.roll(view, 9 * index, axis=0) for index, view in enumerate(panning(2, 41, speed=9.0))]
    slow, fast = anchors_of(panning(2, 41, speed=0.5), None), anchors_of(wild, None)
    assert len(fast) > 1.5 * len(slow)
    for anchors in (slow, fast):
        assert anchors[0] == 0
        assert anchors[-1] == 40
        assert max(np.diff(anchors)) <= MAX_SPACING


def marks_of(pictures: list[np.ndarray], every: int | None) -> str:
    """A character per frame: A for an anchor, w for a waypoint, a dot for neither."""
    frames = mark_anchors(mark_cuts(frames_of(pictures)), every)
    return "".join("A" if frame.is_anchor else "w" if frame.is_waypoint else "." for frame in frames)


def changing(share: float) -> list[np.ndarray]:
    """A scene mixed with ``share`` of another one in each of 21 frames, so that flow cannot match them."""
    scene = panning(2, 1)[0]
    return [(1 - share) * scene + share * panning(seed, 1)[0] for seed in range(6, 27)]


def test_waypoints_where_frames_cannot_be_warped():
    """A frame that cannot be warped into the next is a waypoint, and every fourth at most is an anchor.

    With a fixed spacing, and where frames can be warped, there are no waypoints.
    """
    marks = marks_of(changing(0.3), None)
    assert "AwwwAwwwA" in marks
    assert min(np.diff([place for place, mark in enumerate(marks[:-1]) if mark == "A"])) == MIN_SPACING
    assert "w" not in marks_of(changing(0.3), 8) + marks_of(panning(2, 41, speed=0.5), None)


def test_unrelated_frames_are_anchors():
    """Frames that have almost nothing in common with the one before are anchors at any distance, without a cut."""
    marks = marks_of(changing(0.45), None)
    assert marks.count("A") > 0.8 * len(marks)


def test_anchors_do_not_depend_on_what_comes_later():
    """A truncated film has the anchors of the whole film, except for its last frame."""
    views = panning(3, 60, speed=6.0)
    whole, part = anchors_of(views, None), anchors_of(views[:31], None)
    assert [anchor for anchor in part if anchor < 29] == [anchor for anchor in whole if anchor < 29]


def test_a_disturbed_frame_does_not_cause_an_anchor():
    """A damaged frame has no influence on the anchors."""
    frames: list[Frame] = list(mark_cuts(frames_of(panning(1, 9, speed=0.2))))
    frames[3] = replace(frames[3], grey=1 - frames[3].grey, is_disturbed=True)
    assert [frame.picture.pts for frame in mark_anchors(iter(frames), None) if frame.is_anchor] == [0, 8]
