"""Damage to the grey picture."""

from __future__ import annotations

import numpy as np
import torch

from vidcolor.training.augment import damage


def test_damage_is_old_film_not_another_picture() -> None:
    """Damage keeps the range and the picture recognisable, and is repeatable."""
    grey = torch.rand(16, 1, 64, 64).mul(0.2) + torch.linspace(0, 0.8, 64)
    damaged = damage(grey, torch.Generator().manual_seed(0))
    assert 0 <= damaged.min() <= damaged.max() <= 1
    assert torch.equal(damaged, damage(grey, torch.Generator().manual_seed(0)))
    assert np.corrcoef(grey.flatten(), damaged.flatten())[0, 1] > 0.9
