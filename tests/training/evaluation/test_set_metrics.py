"""Metrics of a set against oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from vidcolor_training.evaluation import set_metrics


def test_frechet_distance_agrees_with_torchmetrics() -> None:
    """With a small network of ours in Inception's place, torchmetrics finds the same distance."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 6), nn.Tanh()).double().requires_grad_(False)
    real, fake = torch.rand(2, 40, 3, 8, 8, dtype=torch.float64)
    fake = fake**2
    oracle = FrechetInceptionDistance(feature=_WithSize(network), normalize=True)
    oracle.update(real, real=True)
    oracle.update(fake, real=False)
    found = set_metrics.frechet_distance(network(fake).numpy(), network(real).numpy())
    assert found == pytest.approx(float(oracle.compute()), rel=1e-6)


class _WithSize(nn.Module):
    """What torchmetrics wants to know of a network."""

    num_features = 6

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Features, (N, 6)."""
        features: torch.Tensor = self.network(pictures)
        return features


def test_frechet_distance_agrees_with_the_matrix_root() -> None:
    """It is the published formula with scipy's matrix root, for more and for fewer pictures than features."""
    random = np.random.default_rng(0)
    for count in (200, 4):
        a, b = random.normal(size=(count, 8)), random.normal(0.5, 2, size=(count + 3, 8)) @ random.normal(size=(8, 8))
        cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
        root_a = linalg.sqrtm(cov_a + 0j)
        mixed = linalg.eigvalsh(root_a.real @ cov_b @ root_a.real).clip(0)
        shift = ((a.mean(0) - b.mean(0)) ** 2).sum()
        expected = shift + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(mixed).sum()
        assert set_metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-5)


def test_frechet_distance_of_gaussians() -> None:
    """Sets moved by m and stretched by s have |m|² + D (s − 1)²·variance; of a set to itself there is none."""
    points = np.random.default_rng(0).normal(size=(500, 3))
    moved = 2 * (points - points.mean(0)) + points.mean(0) + np.array([3.0, 0, 4.0])
    expected = 25 + np.cov(points, rowvar=False).trace()
    assert set_metrics.frechet_distance(points, moved) == pytest.approx(expected)
    assert set_metrics.frechet_distance(points, points) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="at least two pictures"):
        set_metrics.frechet_distance(points[:1], points)


def test_delta_colorfulness_cancels_and_its_mean_does_not() -> None:
    """One picture too dull by 10 and one too garish by 10: nothing for the set, 10 for the pictures."""
    assert set_metrics.delta_colorfulness([20, 40], [30, 30]) == 0
    assert set_metrics.mean_delta_colorfulness([20, 40], [30, 30]) == 10


def test_colorfulness_correlates_with_the_truths() -> None:
    """It is scipy's correlation; equally grey pictures, and a single picture, have none."""
    random = np.random.default_rng(0)
    pred, true = random.random((2, 30))
    found = set_metrics.colorfulness_figures(list(pred), list(true))
    assert found["cf_correlation"] == pytest.approx(stats.pearsonr(pred, true).statistic)
    assert "cf_correlation" not in set_metrics.colorfulness_figures([0, 1e-6, 0], [10, 20, 30])
    assert "cf_correlation" not in set_metrics.colorfulness_figures([10], [20])


def test_share_worse_than_grey() -> None:
    """One of four errors is larger than grey's; one that differs by rounding alone is not."""
    assert set_metrics.share_worse_than_grey([0.1, 0.3, 0.2 + 1e-7, 0.0], [0.2] * 4) == 0.25


def test_over_grey_and_psnr_of_set() -> None:
    """Sums are divided, not the ratios averaged; the set's PSNR is that of the mean error."""
    assert set_metrics.over_grey([1, 1], [1, 3]) == 0.5
    assert set_metrics.psnr_of_set([0.0, 0.02]) == pytest.approx(20)
    assert set_metrics.psnr_of_set([0.0]) == math.inf
