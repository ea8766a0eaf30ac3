"""Steps of color on hand-made pictures."""

from __future__ import annotations

import numpy as np
import pytest

from vidcolor_training.evaluation.blotches import FlatSteps, blotch_figures, flat_steps


def lab(side: int = 32) -> np.ndarray:
    """A neutral picture of even lightness."""
    picture = np.zeros((side, side, 3))
    picture[..., 0] = 50
    return picture


def test_one_edge_counted_by_hand() -> None:
    """Half of the picture is (3, 4) away from the other: 16 steps of 5 across, of 480 pairs of cells."""
    true = lab()
    pred = lab()
    pred[:, 16:, 1:] = 3, 4
    found = flat_steps(pred, true)
    assert found.total == pytest.approx(16 * 5)
    assert found.count == 2 * 16 * 15


def test_an_edge_of_light_does_not_count() -> None:
    """Where the cells on one side of the edge hold texture, color may change with it."""
    true, pred = lab(), lab()
    pred[:, 16:, 1:] = 3, 4
    true[::2, 16:, 0] = 90
    assert flat_steps(pred, true).total == 0


def test_blotches_are_more_than_a_soft_change() -> None:
    """The same colors scattered over the cells give many times the steps of a slope; grey gives none, the truth 1."""
    true = lab()
    true[..., 1] = np.linspace(-20, 20, 32)
    scattered = true.copy()
    blocks = true.reshape(16, 2, 16, 2, 3).transpose(0, 2, 1, 3, 4).reshape(256, 2, 2, 3)
    shuffled = blocks[np.random.default_rng(0).permutation(256)].reshape(16, 16, 2, 2, 3)
    scattered = shuffled.transpose(0, 2, 1, 3, 4).reshape(32, 32, 3)
    reference = flat_steps(true, true)
    assert blotch_figures(flat_steps(scattered, true), reference)["flat_steps_over_truth"] > 5
    assert blotch_figures(flat_steps(lab(), true), reference) == {"flat_steps_over_truth": 0}
    assert blotch_figures(reference, reference) == {"flat_steps_over_truth": 1}


def test_sides_that_do_not_divide() -> None:
    """What 16 × 16 cells leave over is cut off; smaller pictures are refused; a plain truth gives no figure."""
    assert flat_steps(lab(39), lab(39)) == FlatSteps(0.0, 480)
    with pytest.raises(ValueError, match="at least 16"):
        flat_steps(lab(15), lab(15))
    assert blotch_figures(FlatSteps(1.0, 1), FlatSteps(0.0, 1)) == {}
