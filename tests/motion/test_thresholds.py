"""What the tuned constants of motion decide, just below and just above each threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.scenes import ab_of, frames_of, moving_scene, panning, shot, with_loss
from vidcolor.frames import FloatArray, Frame
from vidcolor.motion.anchors import mark_anchors
from vidcolor.motion.duplicates import QUICK_CHECK_ROWS, merge_duplicates
from vidcolor.motion.flow import flow_estimator
from vidcolor.motion.propagation import propagate, resize_ab
from vidcolor.motion.shots import mark_cuts
from vidcolor.motion.smoothing import Averager, MovingAverage, combine, smooth

SCENE = panning(2, 1)[0]


def starts(pictures: list[FloatArray]) -> list[int]:
    """Return the first frame of each shot."""
    return [frame.picture.pts for frame in mark_cuts(frames_of(pictures)) if frame.opens_shot]


def marks(pictures: list[FloatArray]) -> str:
    """Return a letter for each frame: A an anchor, w a waypoint, a dot neither."""
    frames = mark_anchors(mark_cuts(frames_of(pictures)), None)
    return "".join("A" if frame.is_anchor else "w" if frame.is_waypoint else "." for frame in frames)


def textured(seed: int, deviation: float) -> FloatArray:
    """Return a smooth texture (120, 160) of mean 0, with the given standard deviation in grey levels of 255."""
    texture = panning(seed, 1)[0]
    return np.asarray((texture - texture.mean()) / texture.std() * np.float32(deviation / 255), np.float32)


# Shots


@pytest.mark.parametrize(("loss", "expected"), [(0.37, [0]), (0.43, [0, 4])])
def test_loss_of_a_cut(loss: float, expected: list[int]) -> None:
    """A frame that keeps a little more than half of the structure before it belongs to the same shot."""
    assert starts([SCENE] * 4 + [with_loss(SCENE, loss)] * 4) == expected


@pytest.mark.parametrize(("deviation", "expected"), [(14.0, [0]), (25.0, [0, 4])])
def test_structure_that_is_faint_beside_the_rest_is_flat(deviation: float, expected: list[int]) -> None:
    """Where a fifth of the picture has strong contrast and stays, the rest decides only if it is clearly visible."""
    ground = np.full((120, 160), 0.3, np.float32)
    ground[:, 64:96] = 1.0
    faint = np.where(ground < 1, textured(4, deviation), 0)
    one, other = ground + faint, ground - faint
    assert starts([one] * 4 + [other] * 4) == expected


@pytest.mark.parametrize(("deviation", "expected"), [(3.3, [0]), (5.2, [0, 4])])
def test_what_is_left_of_a_black_picture_is_flat(deviation: float, expected: list[int]) -> None:
    """Texture of three grey levels is noise, also where there is nothing else; of five levels it is a scene."""
    dark, faint = np.float32(0.1), textured(4, deviation)
    one, other = dark + faint, dark - faint
    assert starts([one] * 4 + [other] * 4) == expected


@pytest.mark.parametrize(("length", "expected"), [(2, [0]), (3, [0, 6, 9])])
def test_length_of_a_flash(length: int, expected: list[int]) -> None:
    """Another picture for two frames is a disturbance, for three frames a shot."""
    pictures = [SCENE] * 12
    pictures[6 : 6 + length] = [panning(3, 1)[0]] * length
    assert starts(pictures) == expected


# Anchors


@pytest.mark.parametrize(
    ("change_at", "loss", "expected"),
    [
        (6, 0.11, "A.......A"),
        (6, 0.13, "A....Aw.A"),  # an anchor right before the change, and a waypoint after it
        (4, 0.07, "A..........A"),
        (4, 0.09, "A.......A..A"),  # stricter eight frames from the last anchor
        (4, 0.13, "A..wA.A"),  # too near for an anchor
        (5, 0.13, "A...Aw.A"),
        (3, 0.19, "A.wwA.A"),
        (3, 0.21, "A.AA..A"),  # too different for a waypoint
    ],
)
def test_loss_of_anchors(change_at: int, loss: float, expected: str) -> None:
    """A still picture may change only so much before it needs an anchor or a waypoint."""
    assert marks([SCENE] * change_at + [with_loss(SCENE, loss)] * (len(expected) - change_at)) == expected


def test_anchors_of_a_still() -> None:
    """A still of forty frames has an anchor at every sixteenth."""
    assert [index for index, mark in enumerate(marks([SCENE] * 41)) if mark == "A"] == [0, 16, 32, 40]


@pytest.mark.parametrize(("copies", "expected"), [(3, [0, 4, 8, 9]), (4, [0, 4, 8, 9]), (1, [0, 8, 9]), (0, [0, 9])])
def test_duplicates_between_anchors(copies: int, expected: list[int]) -> None:
    """There are never many more than sixteen pictures from one anchor to the next, duplicates included."""
    frames = [replace(frame, duplicates=(frame,) * copies) for frame in mark_cuts(frames_of([SCENE] * 10))]
    assert [frame.picture.pts for frame in mark_anchors(iter(frames), None) if frame.is_anchor] == expected


# Duplicates


@pytest.mark.parametrize("top", [2, 45])
@pytest.mark.parametrize(("pixels", "expected"), [(60, 1), (61, 2)])
def test_difference_of_duplicates(top: int, pixels: int, expected: int) -> None:
    """Pictures whose means over 9 by 9 pixels differ by up to three grey levels somewhere are the same picture."""
    grey = np.full((96, 128), 0.5, np.float32)
    patch = np.zeros(81, np.float32)
    patch[:pixels] = 4 / 255  # the mean over the patch is 2.96 or 3.01 levels
    changed = grey.copy()
    changed[top : top + 9, 50:59] += np.random.default_rng(0).permutation(patch).reshape(9, 9)
    assert len(list(merge_duplicates(frames_of([grey, changed])))) == expected


def test_rows_that_are_compared_first_decide_nothing_alone() -> None:
    """A line near the end of those rows counts by its mean with the rows beyond, as in the whole picture."""
    grey = np.full((96, 128), 0.5, np.float32)
    changed = grey.copy()
    changed[96 // 2 - QUICK_CHECK_ROWS + 1] += 26 / 255  # a ninth of it is 2.9 levels
    assert len(list(merge_duplicates(frames_of([grey, changed])))) == 1


def test_runs_of_duplicates() -> None:
    """A still is merged to runs of sixteen, and to runs of four where every picture has luma of its own."""
    still = list(frames_of([SCENE] * 34))
    own = [replace(f, picture=replace(f.picture, luma=np.full((2, 2), i, np.uint8))) for i, f in enumerate(still)]
    assert [1 + len(frame.duplicates) for frame in merge_duplicates(iter(still))] == [16, 16, 2]
    assert [1 + len(frame.duplicates) for frame in merge_duplicates(iter(own[:10]))] == [4, 4, 2]


# Smoothing


@pytest.mark.parametrize(("chroma", "expected"), [(4.0, 5.0), (5.0, 5.0), (7.0, 7.0), (7.4, 7.4), (8.0, 7.5)])
def test_chroma_is_scaled_up_within_limits(chroma: float, expected: float) -> None:
    """The mean color is scaled up to the mean chroma, at most by a half, and never down."""
    planes = np.array([3, 4, chroma], np.float32)[:, None, None] * np.ones((3, 8, 8), np.float32)
    average = MovingAverage(np.zeros((8, 8), np.uint8), planes, np.ones((8, 8), np.float32))
    a, b = combine(average, None, planes[:2])
    np.testing.assert_allclose(np.hypot(a, b), expected, rtol=1e-5)
    np.testing.assert_allclose(np.arctan2(b, a), np.arctan2(4, 3), rtol=1e-5)


@pytest.mark.parametrize(("difference", "low", "high"), [(4, 0.05, 0.3), (8, 0.4, 0.85), (16, 0.9, 1.0)])
def test_luma_that_smoothing_accepts(difference: int, low: float, high: float) -> None:
    """Opposite colors cancel out where luma differs by 4 grey levels, and keep apart where it differs by 16."""
    one, other = opposite(difference)
    first = next(smooth(iter([one, replace(other, opens_shot=False)]), strength=0.5))
    assert low < share_kept(first) < high


def test_the_moving_average_is_a_mean_up_to_its_weight() -> None:
    """Anchors that match count alike, and those before together never more than the largest weight."""
    averager, average = Averager(2.5, flow_estimator(finest=1)), None
    expected = [(0, 1), (10, 2), (20, 3), (20 + (76 - 20) / 3.5, 3.5)]
    for value, (mean, weight) in zip((0, 20, 40, 76), expected, strict=True):
        (frame,) = shot([(SCENE, np.full((2, *SCENE.shape), value, np.float32))])
        average = averager.update(frame, average)
        assert average is not None
        np.testing.assert_allclose(average.color[0], mean, rtol=0.01, atol=0.01)
        np.testing.assert_allclose(average.weight, weight, rtol=0.01)


def test_reach_of_the_moving_average() -> None:
    """At full strength an anchor ten frames further away counts .6 times as much; at half strength not at all."""
    frames = shot([(SCENE, np.zeros((2, *SCENE.shape), np.float32))] * 60)
    frames[25] = replace(frames[25], ab=np.full((2, *SCENE.shape), 20, np.float32))
    for strength, low, high in ((1.0, 0.5, 0.7), (0.5, 0.0, 0.01)):
        smoothed = [ab_of(frame).mean() for frame in smooth(iter(frames), strength=strength)]
        assert low <= smoothed[36] / smoothed[26] <= high


# Propagation


def test_the_nearer_anchor_counts_more() -> None:
    """Where nothing moves, color goes in equal steps from one anchor to the next."""
    views = [(SCENE, np.full((2, *SCENE.shape), value, np.float32)) for value in (0, 0, 0, 0, 40)]
    means = [ab_of(frame).mean() for frame in propagate(iter(shot(views, every=4)))]
    np.testing.assert_allclose(means, [0, 10, 20, 30, 40], rtol=1e-4)


@pytest.mark.parametrize(("difference", "low", "high"), [(7, 0.43, 0.47), (15, 0.22, 0.32), (30, 0.0, 0.06)])
def test_luma_that_propagation_accepts(difference: int, low: float, high: float) -> None:
    """An anchor whose luma differs by 7 grey levels counts nearly as much as one that matches, by 30 hardly."""
    matching, differing = opposite(difference)
    between = replace(matching, opens_shot=False, is_anchor=False, ab=None)
    _, carried, _ = propagate(iter([differing, between, replace(matching, opens_shot=False)]))
    assert low < (1 - share_kept(carried)) / 2 < high


def test_disturbed_frames_take_both_colors_by_distance() -> None:
    """A flash shows nothing, so the nearer anchor counts three times as much as one three frames away."""
    views = [(SCENE, np.full((2, *SCENE.shape), value, np.float32)) for value in (0, 0, 0, 0, 40)]
    frames = [replace(frame, is_disturbed=frame.ab is None) for frame in shot(views, every=4)]
    np.testing.assert_allclose([ab_of(frame).mean() for frame in propagate(iter(frames))], [0, 10, 20, 30, 40])


def test_ab_is_resized_by_area_and_bilinearly() -> None:
    """Where it shrinks, a pixel is the mean of those that it covers; where it grows, it lies between two."""
    ab = np.array([[[0, 0, 9, 3, 3, 9]]] * 2, np.float32).repeat(3, axis=1)
    np.testing.assert_allclose(resize_ab(ab, (1, 2)), [[[3, 5]]] * 2, rtol=1e-5)
    np.testing.assert_allclose(resize_ab(ab[:, :, 1:3], (3, 4))[0, 0], [0, 2.25, 6.75, 9], rtol=1e-5)
    np.testing.assert_allclose(resize_ab(ab, (4, 12))[0, 0], [0, 0, 0, 2.25, 6.75, 7.5, 4.5, 3, 3, 4.5, 7.5, 9])
    assert resize_ab(ab, (3, 6)) is ab


def test_where_no_anchor_matches_distance_counts() -> None:
    """A place that neither anchor shows gets the color of both, by their distances, and is never left empty."""
    anchor, _ = opposite(0)
    dark = replace(anchor, grey=anchor.grey * np.float32(0.1))
    lit = replace(dark, opens_shot=False, is_anchor=False, grey=np.maximum(dark.grey, PATCH), ab=None)
    frames = [dark, lit, lit, lit, replace(dark, opens_shot=False, ab=-ab_of(dark))]
    near = list(propagate(iter(frames)))[1]
    assert np.isfinite(ab_of(near)).all()
    assert share_kept(near) == pytest.approx(0.5, abs=0.05)  # three quarters less one quarter


PATCH = np.zeros((96, 128), np.float32)
PATCH[36:60, 50:78] = 1


def opposite(difference: int) -> tuple[Frame, Frame]:
    """Return two first frames of opposite ab, whose luma differs in a patch by so many grey levels of 255."""
    grey = np.float32(0.3) + np.float32(0.3) * moving_scene(3, 1)[0][0]
    ab = np.full((2, *grey.shape), 20, np.float32)
    one, other = shot([(grey, ab)])[0], shot([(grey + PATCH * np.float32(difference / 255), -ab)])[0]
    return one, other


def share_kept(frame: Frame) -> float:
    """Return the mean of ab within the patch: 1 for the ab of the first of two opposite frames, -1 for the other's."""
    return float(ab_of(frame)[:, 42:54, 56:72].mean() / 20)
