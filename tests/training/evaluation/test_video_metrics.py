"""Metrics of films against oracles, and on films whose figures are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from vidcolor.motion.flow import to_levels
from vidcolor_training.evaluation.video_metrics import (
    DRIFT_FRAMES,
    Match,
    cdc,
    drift,
    jensen_shannon,
    match_frames,
    pairs_at,
    visible,
    warp_error,
)

SIZE = (64, 96)
RNG_SEED = 3


def texture(seed: int, height: int = SIZE[0], width: int = SIZE[1]) -> np.ndarray:
    """Smooth noise in [0, 1], float32."""
    noise = np.random.default_rng(seed).standard_normal((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(0.5 + 0.2 * smooth / smooth.std(), 0, 1)


def flow_of(x: float, y: float = 0.0) -> np.ndarray:
    """The same displacement everywhere."""
    return np.broadcast_to(np.float32((x, y)), (*SIZE, 2)).copy()


def test_jensen_shannon_is_scipys() -> None:
    """The divergence is the square of SciPy's distance, empty bins included."""
    p, q = np.random.default_rng(0).dirichlet(np.full(64, 0.05), (2, 5))
    p[:, :8] = 0
    p /= p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(jensen_shannon(p, q), jensenshannon(p, q, axis=1) ** 2)


def test_cdc_is_the_published_definition() -> None:
    """One number from random frames equals a plain loop over strides, channels and frames."""
    frames = np.random.default_rng(1).integers(0, 256, (9, 6, 7, 3), np.uint8)
    by_channel = []
    for channel in range(3):
        histogram = [np.histogram(f[..., channel], bins=256, range=(0, 256))[0] / 42 for f in frames]
        by_stride = [
            np.mean([jensenshannon(histogram[t], histogram[t + d]) ** 2 for t in range(9 - d)]) for d in (1, 2, 4)
        ]
        by_channel.append(np.mean(by_stride))
    assert cdc(frames) == pytest.approx(np.mean(by_channel))


def test_cdc_does_not_see_cuts() -> None:
    """Two still shots are perfectly consistent, unless one takes them for a single shot."""
    frames = np.repeat(np.uint8([[[[200, 10, 10]]], [[[10, 10, 200]]]]), 6, axis=0)
    assert cdc(frames, (range(6), range(6, 12))) == 0
    assert cdc(frames) > 0.1


def test_cdc_of_too_few_frames() -> None:
    """The stride of four needs five frames in one shot, as the message says."""
    frames = np.zeros((8, 4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match=r"at least 5 frames, got \[4, 4\]"):
        cdc(frames, (range(4), range(4, 8)))


def test_pairs_stay_in_their_shot() -> None:
    """Every pair lies within a shot; ``every`` counts from its beginning."""
    shots = (range(4), range(4, 6), range(6, 12))
    assert pairs_at(2, shots) == [(0, 2), (1, 3), (6, 8), (7, 9), (8, 10), (9, 11)]
    assert pairs_at(1, shots, every=3) == [(0, 1), (4, 5), (6, 7), (9, 10)]
    assert pairs_at(24, shots) == []


def test_a_pan_is_visible_except_where_it_leaves() -> None:
    """Flows that undo each other are trusted wherever they stay in the picture."""
    seen = visible(flow_of(3), flow_of(-3))
    assert seen[:, :-3].all()
    assert not seen[:, -3:].any()


def test_flows_that_disagree_are_occlusions() -> None:
    """One pixel of disagreement is too much for a small motion, and little for a large one."""
    assert not visible(flow_of(1), flow_of(0)).any()
    assert visible(flow_of(8), flow_of(-7)).any()


def test_motion_edges_are_not_visible() -> None:
    """At the border of a thing that moves by half a pixel the flow's gradient is too steep; the rest is seen."""
    forward = flow_of(0)
    forward[20:40, 30:60, 0] = 0.5
    seen = visible(forward, -forward)
    assert not seen[20:40, 29].any()
    assert not seen[19, 30:60].any()
    assert seen[22:38, 32:58].all()
    assert seen[:18].all()


def test_noise_that_is_new_in_each_frame() -> None:
    """On a still picture, noise of variance s² on a and b gives a warp error of 2 s²."""
    levels = [to_levels(texture(1))] * 6
    rng = np.random.default_rng(RNG_SEED)
    ab = [np.float32(20) + rng.normal(0, 3, (2, *SIZE)).astype(np.float32) for _ in levels]
    errors = [warp_error(ab[m.earlier], ab[m.later], m) for m in match_frames(levels, pairs_at(1, (range(6),)))]
    assert np.mean(errors) == pytest.approx(2 * 3**2, rel=0.03)


def test_color_that_moves_with_its_picture_is_steady() -> None:
    """Under a pan, color that goes along has a hundredth of the warp error of color that stays behind."""
    world = texture(2, 64, 130)
    levels = [to_levels(world[:, 4 * t : 4 * t + SIZE[1]]) for t in range(5)]
    color = 40 * (texture(3, 64, 130) - 0.5)
    moving = [np.stack([color[:, 4 * t : 4 * t + SIZE[1]]] * 2) for t in range(5)]
    matches = list(match_frames(levels, pairs_at(2, (range(5),))))
    along = np.mean([warp_error(moving[m.earlier], moving[m.later], m) for m in matches])
    behind = np.mean([warp_error(moving[0], moving[0], m) for m in matches])
    assert np.median(matches[0].flow[..., 0]) == pytest.approx(-8, abs=0.1)
    assert along < 0.01 * behind


def test_what_cannot_be_matched_is_not_measured() -> None:
    """With less than half of the picture visible there is no figure, rather than a good or a wild one."""
    seen = np.zeros(SIZE, bool)
    seen[: SIZE[0] // 2] = True
    ab = np.zeros((2, *SIZE), np.float32)
    assert warp_error(ab, ab + 2, Match(0, 1, flow_of(0), seen)) == 4
    seen[0] = False
    assert warp_error(ab, ab + 2, Match(0, 1, flow_of(0), seen)) is None


def test_drift_of_a_slow_ramp() -> None:
    """Color that moves evenly from 0 to D over a shot drifts by D / √12, in a as in b, flicker or not."""
    ramp = np.linspace(0, 6, 400)
    flicker = np.where(np.arange(400) % 2, 1.0, -1.0)
    one = np.stack((ramp, np.zeros(400)), axis=1)
    both = np.stack((ramp + flicker, -ramp), axis=1)
    assert drift(one, (range(400),)) == pytest.approx(6 / np.sqrt(12), rel=0.03)
    assert drift(both, (range(400),)) == pytest.approx(6 / np.sqrt(6), rel=0.03)


def test_drift_does_not_see_cuts() -> None:
    """Shots of different colors, each steady, do not drift; long shots count by their frames, short ones not."""
    steady = np.repeat(np.float64([[10, 0], [-10, 5]]), 30, axis=0)
    assert drift(steady, (range(30), range(30, 60))) == 0
    moving = np.concatenate((np.zeros((90, 2)), np.linspace((0, 0), (4, 0), 30), [[50, 50]] * 5))
    alone = drift(moving[90:120], (range(30),))
    assert drift(moving, (range(90), range(90, 120), range(120, 125))) == pytest.approx(alone / 4)


def test_drift_of_short_shots() -> None:
    """A second is needed, and the message says so."""
    with pytest.raises(ValueError, match=f"at least {DRIFT_FRAMES} frames"):
        drift(np.zeros((40, 2)), (range(20), range(20, 40)))
