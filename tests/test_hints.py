"""Hints made from the truth."""

from __future__ import annotations

import torch

from vidcolor.color import AB_SCALE
from vidcolor.training.hints import simulate_hints


def test_hints_are_true_where_they_are_sure() -> None:
    """About half of the pictures get none; fully confident hints carry the true colour."""
    ab = torch.full((64, 2, 32, 32), 20.0)
    hints = simulate_hints(ab, torch.Generator().manual_seed(0))
    assert hints.shape == (64, 3, 64, 64)
    confidence = hints[:, 2]
    assert 0.25 < (confidence.amax(dim=(1, 2)) == 0).float().mean() < 0.75
    sure = confidence == 1
    assert sure.any()
    torch.testing.assert_close(hints[:, 0][sure], torch.full_like(hints[:, 0][sure], 20 / AB_SCALE))
    assert (hints[:, :2].abs().sum(dim=1)[confidence == 0] == 0).all()
