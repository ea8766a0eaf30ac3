"""Noticing that an adversarial training has collapsed."""

from __future__ import annotations

import pytest

from vidcolor_training.collapse import PATIENCE, CollapseGuard


@pytest.mark.parametrize(
    ("loss_d", "colorfulness", "fault"),
    [(0.0001, 1.0, "loss_D"), (0.5, 3.0, "colorfulness"), (0.5, 0.01, "colorfulness"), (None, 3.0, "colorfulness")],
)
def test_patience(loss_d: float | None, colorfulness: float, fault: str) -> None:
    """One bad check is bad luck, several in a row are a collapse, and a good one between them forgives."""
    guard = CollapseGuard(was_colorful=True)

    def bad() -> str | None:
        return guard.observe(loss_d=loss_d, colorfulness_over_truth=colorfulness)

    assert [bad() for _ in range(PATIENCE - 1)] == [None] * (PATIENCE - 1)
    assert guard.observe(loss_d=0.5, colorfulness_over_truth=0.9) is None
    assert [bad() for _ in range(PATIENCE - 1)] == [None] * (PATIENCE - 1)
    assert fault in (bad() or "")


def test_a_network_begins_grey() -> None:
    """Paleness is a fault only of a network that has been colorful."""
    guard = CollapseGuard()
    assert [guard.observe(loss_d=0.5, colorfulness_over_truth=0.01) for _ in range(9)] == [None] * 9


def test_numbers_that_are_none_are_not_the_best() -> None:
    """A score that is not a number is never the best."""
    assert not CollapseGuard().is_best(mse_over_grey=float("nan"), colorfulness_over_truth=1.0)


def test_a_critic_without_bounds_is_not_judged_by_its_loss() -> None:
    """Without a bounded loss only the colors are looked at."""
    guard = CollapseGuard()
    assert [guard.observe(loss_d=None, colorfulness_over_truth=1.0) for _ in range(9)] == [None] * 9


def test_best_weighs_error_and_life() -> None:
    """The best is the one that is right and alive: neither grey nor gaudy."""
    guard = CollapseGuard()
    assert guard.is_best(mse_over_grey=1.0, colorfulness_over_truth=0.0)
    assert guard.is_best(mse_over_grey=0.8, colorfulness_over_truth=0.6)
    assert not guard.is_best(mse_over_grey=0.8, colorfulness_over_truth=1.6)
    assert guard.is_best(mse_over_grey=0.7, colorfulness_over_truth=0.95)
