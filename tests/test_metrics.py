"""Metrics against oracles."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from vidcolor.training import metrics


def test_metrics_agree_with_scikit_image() -> None:
    """MSE and PSNR are scikit-image's; grey has no colourfulness; a known two-colour picture has the known one."""
    random = np.random.default_rng(0)
    a, b = random.random((2, 16, 16, 3))
    assert metrics.mse(a, b) == pytest.approx(mean_squared_error(a, b))
    assert metrics.psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=1))
    assert metrics.colourfulness(np.full((4, 4, 3), 0.5)) == 0
    # pure red: rg = 255, yb = 127.5 everywhere, so no spread and 0.3 × hypot of the means
    assert metrics.colourfulness(np.eye(3)[np.zeros((4, 4), int)]) == pytest.approx(0.3 * np.hypot(255, 127.5))
