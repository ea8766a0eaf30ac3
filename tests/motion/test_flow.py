"""Optical flow, warping and agreement, on pictures whose motion and difference are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.scenes import panning
from vidcolor.frames import FloatArray
from vidcolor.motion.flow import Levels, agreement, flow_estimator, flow_to, to_levels, warp

STILL = np.zeros((48, 64, 2), np.float32)
"""The flow between pictures that do not move."""


def test_levels_are_rounded() -> None:
    """Each grey becomes the nearest of 256 levels."""
    grey = np.array([[0, 0.49 / 255, 0.51 / 255, 254.49 / 255, 254.51 / 255, 1]], np.float32)
    np.testing.assert_array_equal(to_levels(grey), [[0, 0, 1, 254, 255, 255]])


@pytest.mark.parametrize("finest", [0, 1])
def test_flow_points_to_the_other_picture(finest: int) -> None:
    """Where the camera pans right by two pixels, everything lies two pixels further left in the later picture."""
    present, other = (to_levels(view) for view in panning(1, 2, speed=2.0))
    flow = flow_to(other, present, flow_estimator(finest=finest))
    assert flow.shape == (120, 160, 2)
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), [-2, 0], atol=0.1)


def test_warping_fetches_what_the_flow_points_to() -> None:
    """A pixel gets the value at its place plus the flow, between pixels the mean, beyond the edge that of the edge."""
    plane = np.arange(6, dtype=np.float32) * np.ones((4, 1), np.float32)
    flow = np.zeros((4, 6, 2), np.float32)
    flow[..., 0] = 1.5
    np.testing.assert_allclose(warp(plane, flow)[0], [1.5, 2.5, 3.5, 4.5, 5, 5])
    np.testing.assert_allclose(warp(np.stack((plane, 2 * plane)), flow)[1, 0], [3, 5, 7, 9, 10, 10])


def halves(difference: float) -> tuple[Levels, Levels]:
    """Return two pictures of the same mean that differ by so many levels, up on the left and down on the right."""
    present = np.full((48, 64), 100, np.uint8)
    other = present.astype(np.float32)
    other[:, :32] += difference
    other[:, 32:] -= difference
    return present, other.astype(np.uint8)


@pytest.mark.parametrize(("difference", "expected"), [(0, 1.0), (5, 0.779), (10, 0.368), (20, 0.018)])
def test_agreement_falls_with_the_difference(difference: int, expected: float) -> None:
    """It is 1/e where luma differs by the tolerance."""
    match = agreement(*halves(difference), STILL, tolerance=10.0)
    np.testing.assert_allclose(match[4:-4, 4:28], expected, atol=0.001)


def test_single_pixels_agree_by_chance() -> None:
    """Where the difference changes its sign, the pixels around count too."""
    match = agreement(*halves(15), STILL, tolerance=15.0)
    assert (match[4:-4, 31:33] < 0.8).all()


@pytest.mark.parametrize("gain", [0.7, 1.3])
def test_exposure_does_not_count(gain: float) -> None:
    """A picture that is darker or lighter as a whole agrees."""
    view = panning(1, 1)[0][:48, :64]
    assert match_of(view, view * np.float32(0.7 * gain), 0.7).min() > 0.98


def test_grain_hardly_counts() -> None:
    """A pattern of single pixels that differ by twice the tolerance agrees nearly."""
    grain = np.float32(20 / 255) * (2 * (np.indices((48, 64)).sum(axis=0) % 2) - 1)
    flat = np.full((48, 64), 0.5, np.float32)
    assert agreement(to_levels(flat), to_levels(flat + grain), STILL, tolerance=10.0).min() > 0.85


def match_of(present: FloatArray, other: FloatArray, gain: float) -> FloatArray:
    """Return the agreement of two greys that do not move."""
    return agreement(to_levels(present * np.float32(gain)), to_levels(other), STILL, tolerance=10.0)
