"""The moving averages of ab along the motion."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.scenes import moving_scene, relative_error, shot, with_noise
from vidcolor.motion.smoothing import START_FRAMES, WINDOW, smooth


def mean_abs(frames, others) -> float:
    """Mean absolute difference of ab, Lab units."""
    return float(np.mean([np.abs(one.ab - other.ab).mean() for one, other in zip(frames, others, strict=True)]))


@pytest.mark.parametrize(("strength", "limit"), [(0.5, 0.35), (0.8, 0.2), (1.0, 0.3)])
def test_smoothing_removes_flicker_and_keeps_color(strength, limit):
    """Noise is reduced, and true ab keeps its position and its chroma."""
    views = moving_scene(8, 24, speed=1.5)
    clean, noisy = shot(views), with_noise(shot(views), 10)
    assert relative_error(list(smooth(iter(noisy), strength=strength)), views) < limit * relative_error(noisy, views)
    still = list(smooth(iter(clean), strength=strength))
    assert relative_error(still, views) < 0.03
    chroma = np.mean([np.hypot(*frame.ab).mean() for frame in still])
    assert chroma > 0.93 * np.mean([np.hypot(*ab).mean() for _, ab in views])


def test_exposure_does_not_stop_smoothing():
    """A film whose exposure flickers by 10 % is smoothed nearly as well as one with constant exposure."""
    views = moving_scene(15, 24, speed=1.5)
    noisy = with_noise(shot(views), 10)
    gains = np.random.default_rng(0).normal(1, 0.1, len(noisy)).clip(0.7, 1.2).astype(np.float32)
    flickering = [replace(frame, grey=frame.grey * gain * 0.8) for frame, gain in zip(noisy, gains, strict=True)]
    steady_error = relative_error(list(smooth(iter(noisy), strength=0.5)), views)
    assert relative_error(list(smooth(iter(flickering), strength=0.5)), views) < 1.1 * steady_error


def test_the_average_restarts_where_luma_differs():
    """Where luma does not match, the average is that of the new picture alone."""
    before, after = moving_scene(10, 1)[0], moving_scene(11, 1)[0]
    frames = shot([before, after])
    last = list(smooth(iter(frames), strength=0.5))[-1]
    assert relative_error([last], [after]) < 0.05


def test_the_first_frame_is_smoothed_too():
    """Noise is reduced on the first frame of a shot as on the last, by the frames that follow."""
    views = moving_scene(9, 24, speed=1.5)
    noisy = with_noise(shot(views), 10)
    smoothed = list(smooth(iter(noisy), strength=0.8))
    for place in (0, 12, -1):
        assert relative_error([smoothed[place]], [views[place]]) < 0.5 * relative_error([noisy[place]], [views[place]])


def test_alternating_colors_become_one():
    """A still scene with red and green anchors in turn gets one color on all frames."""
    grey, ab = moving_scene(16, 1)[0]
    frames = [replace(frame, ab=ab * (-1) ** index) for index, frame in enumerate(shot([(grey, ab)] * 40))]
    smoothed = np.stack([frame.ab for frame in smooth(iter(frames), strength=1.0)])
    assert np.abs(np.diff(smoothed, axis=0)).mean() < 0.05 * np.abs(ab).mean()


def test_differing_hues_become_one_without_dullness():
    """Orange and red in turn give a hue between them with their mean chroma; opposite hues give grey."""
    grey, _ = moving_scene(16, 1)[0]
    opinions = [np.full((2, *grey.shape), 20, np.float32), np.full((2, *grey.shape), 20, np.float32)]
    opinions[1][1] *= -0.25
    frames = [replace(frame, ab=opinions[i % 2]) for i, frame in enumerate(shot([(grey, opinions[0])] * 40))]
    middle = list(smooth(iter(frames), strength=1.0))[20].ab
    assert np.arctan2(middle[1], middle[0]) == pytest.approx(np.arctan2(7.5, 20), abs=0.05)
    assert np.hypot(*middle) == pytest.approx((np.hypot(20, 20) + np.hypot(20, 5)) / 2, rel=0.02)
    opposite = [replace(frame, ab=opinions[0] * (-1) ** i) for i, frame in enumerate(frames)]
    assert np.hypot(*list(smooth(iter(opposite), strength=1.0))[20].ab).max() < 0.2 * np.hypot(20, 20)


def test_only_the_window_counts():
    """A frame does not depend on frames after the window."""
    frames = with_noise(shot(moving_scene(7, WINDOW + 20), every=1), 8)
    whole = list(smooth(iter(frames), strength=0.5))
    part = list(smooth(iter(frames[: WINDOW + START_FRAMES]), strength=0.5))
    settled = START_FRAMES + WINDOW // 2
    for one, other in zip(whole[:settled], part, strict=False):
        np.testing.assert_array_equal(one.ab, other.ab)
    assert mean_abs(whole[settled:WINDOW], part[settled:WINDOW]) > 0


@pytest.mark.parametrize("repeated", [0, 3])
def test_a_shot_begins_after_half_a_window(repeated):
    """The first frames come out after half a window, and no frame with less than half a window after it."""
    frames = [replace(frame, duplicates=(frame,) * repeated) for frame in shot(moving_scene(7, 2 * WINDOW), every=1)]
    taken: list[int] = []
    came = [(number, len(taken)) for number, _ in enumerate(smooth(watched(frames, taken), strength=0.5))]
    shown = 1 + repeated
    assert came[0][1] == -(-(WINDOW // 2 + START_FRAMES) // shown)
    behind = [(read - number - 1) * shown for number, read in came if read < len(frames)]
    assert min(behind[START_FRAMES:]) >= WINDOW // 2


def watched(frames, taken):
    """Yield the frames and count them in ``taken``."""
    for frame in frames:
        taken.append(1)
        yield frame


def test_frames_without_ab_pass():
    """Frames without ab come out in place as the same objects; only anchors change."""
    frames = shot(moving_scene(17, 41, speed=0.5), every=4)
    smoothed = list(smooth(iter(frames), strength=0.8))
    assert [frame.picture.pts for frame in smoothed] == list(range(41))
    assert all(out is frame for out, frame in zip(smoothed, frames, strict=True) if frame.ab is None)
    assert all(out.ab is not None for out, frame in zip(smoothed, frames, strict=True) if frame.is_anchor)


def test_a_waypoint_gets_the_mean_of_its_anchors():
    """A waypoint gets the ab of the anchors on both sides, with less of their noise."""
    views = moving_scene(9, 25, speed=1.5)
    noisy = with_noise(shot(views), 10)
    frames = [
        frame if index % 4 == 0 else replace(frame, ab=None, is_anchor=False, is_waypoint=True)
        for index, frame in enumerate(noisy)
    ]
    smoothed = list(smooth(iter(frames), strength=0.8))
    assert relative_error(smoothed, views) < 0.5 * relative_error(noisy, views)
    anchors, waypoints = smoothed[4:21:4], smoothed[6:23:4]
    assert relative_error(waypoints, views[6:23:4]) < 1.5 * relative_error(anchors, views[4:21:4])


def test_a_waypoint_without_an_anchor_before_it_is_an_error():
    """A waypoint at the start of a shot raises ValueError."""
    waypoint = replace(shot(moving_scene(9, 1))[0], ab=None, is_anchor=False, is_waypoint=True)
    with pytest.raises(ValueError, match="expected ab on the first frame of every shot"):
        list(smooth(iter([waypoint]), strength=0.8))


def test_anchors_that_do_not_match_count_alike():
    """A waypoint whose luma matches neither anchor gets the mean of both."""
    (grey, ab), (other, _) = moving_scene(10, 1)[0], moving_scene(11, 1)[0]
    first, _, last = shot([(grey, ab)] * 3)
    waypoint = replace(first, opens_shot=False, grey=other, ab=None, is_anchor=False, is_waypoint=True)
    told = list(smooth(iter([first, waypoint, replace(last, ab=-ab)]), strength=0.8))[1].ab
    assert np.isfinite(told).all()
    assert np.abs(told).mean() < 0.5 * np.abs(ab).mean()
