"""Hue figures of hand-made pictures, whose counts are known."""

from __future__ import annotations

import numpy as np
import pytest

from vidcolor_training.evaluation import hues
from vidcolor_training.evaluation.hues import HUES, NO_HUE, HueCounts, count_hues, hue_figures, hue_of


def at(degrees: float, chroma: float = 40.0) -> tuple[float, float]:
    """A color (a, b) by its angle and chroma."""
    return chroma * np.cos(np.radians(degrees)), chroma * np.sin(np.radians(degrees))


def picture(*runs: tuple[tuple[float, float], int]) -> np.ndarray:
    """A row of pixels (1, N, 2): each color so many times."""
    return np.concatenate([np.tile(color, (1, count, 1)) for color, count in runs], axis=1)


def figures(pred: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """The figures of a set of one picture."""
    return hue_figures(count_hues(pred, true), count_hues(true, true))


def test_hues_begin_at_their_angles() -> None:
    """Every angle has one hue, the bounds belong to the hue that begins there, and pink goes around zero."""
    expected = {
        19.9: "pink",
        20.1: "red",
        59.9: "red",
        60.1: "orange",
        84.9: "orange",
        85.1: "yellow",
        104.9: "yellow",
        105.1: "green",
        169.9: "green",
        170.1: "cyan",
        229.9: "cyan",
        230.1: "blue",
        299.9: "blue",
        300.1: "purple",
        339.9: "purple",
        340.1: "pink",
        0.0: "pink",
    }
    found = hue_of(np.array([at(degrees) for degrees in expected]))
    assert [HUES[index] for index in found] == list(expected.values())


def test_pale_pixels_have_no_hue() -> None:
    """The hue begins above a chroma of 15."""
    found = hue_of(np.array([at(120, 14.9), at(120, 15.1), (0.0, 0.0)]))
    assert found.tolist() == [NO_HUE, HUES.index("green"), NO_HUE]


def test_counted_by_hand() -> None:
    """Of ten green pixels four stay green, five turn olive, one turns grey; a blue one turns green."""
    true = picture((at(140), 10), (at(270), 1), ((0.0, 0.0), 9))
    pred = picture((at(140), 4), (at(95), 5), ((0.0, 0.0), 1), (at(140), 1), ((0.0, 0.0), 9))
    found = figures(pred, true)
    assert found["share_green"] == pytest.approx(5 / 10)
    assert found["recall_green"] == pytest.approx(4 / 10)
    assert found["precision_green"] == pytest.approx(4 / 5)
    assert (found["share_blue"], found["recall_blue"]) == (0, 0)
    assert found["precision_yellow"] == 0
    assert "precision_blue" not in found
    assert "share_yellow" not in found
    assert "recall_yellow" not in found
    assert found["ab_overlap"] == pytest.approx((4 + 1 + 9) / 20)


def test_truth_and_grey() -> None:
    """The truth has 1 everywhere; grey overlaps where the truth is neutral, finds nothing, and has no precision."""
    true = picture((at(30), 5), (at(200), 3), ((1.0, 1.0), 2))
    assert set(figures(true, true).values()) == {1.0}
    grey = figures(np.full_like(true, 1.0), true)
    assert grey["ab_overlap"] == pytest.approx(0.2)
    assert (grey["share_red"], grey["recall_cyan"]) == (0, 0)
    assert not any(name.startswith("precision") for name in grey)


def test_counts_add_up() -> None:
    """The figures of a set are those of all its pixels, not means of its pictures' figures."""
    random = np.random.default_rng(0)
    true, pred = random.normal(0, 30, (2, 6, 8, 5, 2))
    added = sum((count_hues(p, t) for p, t in zip(pred, true, strict=True)), HueCounts.empty())
    whole = count_hues(pred, true)
    assert (added.histogram == whole.histogram).all()
    assert (added.confusion == whole.confusion).all()


def test_histogram_agrees_with_numpy() -> None:
    """Inside the limits it is numpy's; neutral pixels share a square; what lies beyond counts in the outermost ones."""
    ab = np.random.default_rng(0).integers(-639, 639, (500, 2)) / 10
    edges = np.linspace(-64, 64, hues.AB_BINS + 1)
    assert (hues.ab_histogram(ab) == np.histogram2d(*ab.T, bins=(edges, edges))[0]).all()
    assert hues.ab_histogram(np.array([[1e-4, -1e-4], [-1e-4, 0.0]]))[16, 16] == 2
    assert hues.ab_histogram(np.array([[-100.0, 100.0], [64.0, -64.0]]))[[0, -1], [-1, 0]].tolist() == [1, 1]


def test_overlap_needs_pixels() -> None:
    """Without pixels there is no distribution to compare."""
    with pytest.raises(ValueError, match="at least one pixel"):
        hue_figures(HueCounts.empty(), HueCounts.empty())
