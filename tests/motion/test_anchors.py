"""Which frames the network sees."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.scenes import frames_of, panning
from vidcolor.frames import Frame
from vidcolor.motion.anchors import MAX_SPACING, MIN_SPACING, mark_anchors
from vidcolor.motion.shots import FLASH_FRAMES, mark_cuts


def anchors_of(pictures: list[np.ndarray], every: int | None) -> list[int]:
    """Their places."""
    return [frame.picture.pts for frame in mark_anchors(mark_cuts(frames_of(pictures)), every) if frame.is_anchor]


@pytest.mark.parametrize("length", [1, FLASH_FRAMES])
def test_disturbed_frames_are_no_anchors(length):
    """Flashes are told from the frames around them, and the next good frame is an anchor in their place."""
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
    """Where nothing moves they are as far apart as they may be, whatever the exposure does."""
    gains = np.random.default_rng(0).uniform(0.8, 1.0, 41)
    assert anchors_of([gain * panning(1, 1)[0] for gain in gains], None) == [*range(0, 40, MAX_SPACING), 40]


def test_motion_needs_more_anchors():
    """The faster things appear and vanish, the closer; no anchor is further than it may be."""
    wild = [np.roll(view, 9 * index, axis=0) for index, view in enumerate(panning(2, 41, speed=9.0))]
    slow, fast = anchors_of(panning(2, 41, speed=0.5), None), anchors_of(wild, None)
    assert len(fast) > 1.5 * len(slow)
    for anchors in (slow, fast):
        assert anchors[0] == 0
        assert anchors[-1] == 40
        assert max(np.diff(anchors)) <= MAX_SPACING


def marks_of(pictures: list[np.ndarray], every: int | None) -> str:
    """For each frame: A an anchor, r a waypoint, a dot neither."""
    frames = mark_anchors(mark_cuts(frames_of(pictures)), every)
    return "".join("A" if frame.is_anchor else "r" if frame.is_waypoint else "." for frame in frames)


def changing(share: float) -> list[np.ndarray]:
    """A scene of which ``share`` is another one in each of 21 frames: no motion leads from one to the next."""
    scene = panning(2, 1)[0]
    return [(1 - share) * scene + share * panning(seed, 1)[0] for seed in range(6, 27)]


def test_relays_where_motion_leads_nowhere():
    """Where a frame cannot be bent into the next, color halts on it, and the network sees no more than each fourth.

    A film that is told where its anchors are has no waypoints, nor has one that can be bent.
    """
    marks = marks_of(changing(0.3), None)
    assert "ArrrArrrA" in marks
    assert min(np.diff([place for place, mark in enumerate(marks[:-1]) if mark == "A"])) == MIN_SPACING
    assert "r" not in marks_of(changing(0.3), 8) + marks_of(panning(2, 41, speed=0.5), None)


def test_what_is_torn_is_seen_at_once():
    """Frames that have next to nothing in common with the one before are anchors, however near, without any cut."""
    marks = marks_of(changing(0.45), None)
    assert marks.count("A") > 0.8 * len(marks)


def test_anchors_do_not_depend_on_what_comes_later():
    """But for the last frame, a film cut short has the anchors of the whole: nothing depends on how it was read."""
    views = panning(3, 60, speed=6.0)
    whole, part = anchors_of(views, None), anchors_of(views[:31], None)
    assert [anchor for anchor in part if anchor < 29] == [anchor for anchor in whole if anchor < 29]


def test_a_disturbed_frame_does_not_hasten_an_anchor():
    """What a damaged frame looks like says nothing of the motion."""
    frames: list[Frame] = list(mark_cuts(frames_of(panning(1, 9, speed=0.2))))
    frames[3] = replace(frames[3], grey=1 - frames[3].grey, is_disturbed=True)
    assert [frame.picture.pts for frame in mark_anchors(iter(frames), None) if frame.is_anchor] == [0, 8]
