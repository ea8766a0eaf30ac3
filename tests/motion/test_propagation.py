"""Propagation of ab between anchors, within a shot."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.scenes import SIZE, moving_scene, relative_error, shot
from vidcolor.motion.propagation import propagate, smooth_and_propagate
from vidcolor.motion.smoothing import WINDOW


def test_without_smoothing_every_frame_passes_untouched():
    """With strength 0 and every frame an anchor, the same objects come out."""
    frames = shot(moving_scene(1, 4))
    assert all(out is frame for out, frame in zip(smooth_and_propagate(iter(frames), strength=0), frames, strict=True))


@pytest.mark.parametrize("every", [2, 4, 8])
def test_color_follows_the_motion(every):
    """Between anchors, propagated ab has a tenth of the error of the nearest anchor's ab."""
    views = moving_scene(2, 17)
    frames = shot(views, every=every)
    carried = list(propagate(iter(frames)))
    nearest = [
        replace(frame, ab=min((f for f in frames if f.ab is not None), key=lambda f, i=i: abs(f.picture.pts - i)).ab)
        for i, frame in enumerate(frames)
    ]
    assert relative_error(carried, views) < 0.1 * relative_error(nearest, views)
    for out, frame in zip(carried, frames, strict=True):
        assert out is frame or not frame.is_anchor


def test_occluded_areas_use_the_anchor_that_shows_them():
    """Around a square that moves over the background, ab has less than half the error of the nearest anchor's ab."""
    views = []
    background = moving_scene(3, 1)[0][0]
    texture = moving_scene(4, 1)[0][0][:40, :40]
    for index in range(9):
        grey, ab = background.copy(), np.zeros((2, *SIZE), np.float32)
        left = 10 + 3 * index
        grey[30:70, left : left + 40], ab[0, 30:70, left : left + 40] = texture, 50
        views.append((grey, ab))
    frames = shot(views, every=8)
    nearest = [replace(frame, ab=frames[0 if index <= 4 else 8].ab) for index, frame in enumerate(frames)]
    assert relative_error(list(propagate(iter(frames))), views) < 0.5 * relative_error(nearest, views)


def test_waypoints_help_in_fast_motion():
    """Where anchors are too far apart for the flow, waypoints on all frames reduce the error to a quarter."""
    views = moving_scene(3, 33, speed=8.0)
    without = shot(views, every=4)
    waypoints = [replace(frame, is_waypoint=frame.ab is None) for frame in without]
    without_waypoints, with_waypoints = (
        relative_error(list(smooth_and_propagate(iter(f), strength=0.8)), views) for f in (without, waypoints)
    )
    assert with_waypoints < 0.25 * without_waypoints


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("every", [1, 4])
def test_nothing_crosses_a_cut(strength, every):
    """Two shots in a row give, bit for bit, the result of each alone."""
    first, second = shot(moving_scene(5, 7), every=every), shot(moving_scene(6, 9), every=every, start=7)
    together = list(smooth_and_propagate(iter(first + second), strength=strength))
    alone = [
        *smooth_and_propagate(iter(first), strength=strength),
        *smooth_and_propagate(iter(second), strength=strength),
    ]
    assert len(together) == 16
    for one, other in zip(together, alone, strict=True):
        assert one.picture.pts == other.picture.pts
        np.testing.assert_array_equal(one.ab, other.ab)


@pytest.mark.parametrize("every", [1, 4])
def test_memory_is_bounded(every):
    """No more frames are held back than the window and the frames between two anchors."""
    frames = shot(moving_scene(12, 60, speed=0.5), every=every)
    read = 0

    def counted():
        nonlocal read
        for frame in frames:
            read += 1
            yield frame

    for written, _ in enumerate(smooth_and_propagate(counted(), strength=0.5), start=1):
        assert read - written < WINDOW + every


def test_a_flash_keeps_the_colors_around_it():
    """A disturbed frame gets the mean ab of its anchors without warping; the anchors keep their own."""
    views = moving_scene(18, 9, speed=0)
    frames = shot(views, every=4)
    frames[2] = replace(frames[2], grey=np.ones_like(frames[2].grey), is_disturbed=True)
    carried = list(propagate(iter(frames)))
    np.testing.assert_allclose(carried[2].ab, views[2][1], atol=1e-4)
    far = replace(frames[4], ab=frames[4].ab + 8)
    carried = list(propagate(iter([*frames[:4], far])))
    np.testing.assert_allclose(carried[2].ab, views[2][1] + 4, atol=1e-4)


def test_a_shot_without_a_last_anchor_still_ends():
    """Frames after the last anchor get their ab from it alone."""
    views = moving_scene(13, 5)
    frames = shot(views, every=4)[:4]
    assert relative_error(list(propagate(iter(frames))), views[:4]) < 0.15


def test_a_shot_must_begin_with_an_anchor():
    """A frame without an anchor before it raises ValueError."""
    frames = shot(moving_scene(14, 3))
    with pytest.raises(ValueError, match="expected ab on the first frame"):
        list(propagate(iter([replace(frames[0], ab=None), frames[1]])))
