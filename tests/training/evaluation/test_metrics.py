"""Metrics of one picture against oracles."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from skimage.color import rgb2lab
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio
from torchmetrics.functional import mean_absolute_error
from torchmetrics.functional import mean_squared_error as torch_mean_squared_error
from torchmetrics.functional.image import peak_signal_noise_ratio as torch_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as torch_ssim

from vidcolor_training.evaluation import metrics
from vidcolor_training.evaluation.metrics import LabPicture


@pytest.fixture
def pair() -> tuple[LabPicture, LabPicture]:
    """A smooth picture, and the same with some noise."""
    random = np.random.default_rng(0)
    ramp = np.linspace(0.1, 0.9, 24)
    true = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], 0.5), axis=2)
    return LabPicture(np.clip(true + random.normal(0, 0.05, true.shape), 0, 1)), LabPicture(true)


def as_batch(picture: LabPicture) -> torch.Tensor:
    """As torchmetrics takes pictures: (1, 3, H, W)."""
    return torch.from_numpy(picture.rgb).permute(2, 0, 1)[None].contiguous()


def test_mse_and_psnr_agree_with_scikit_image_and_torchmetrics(pair: tuple[LabPicture, LabPicture]) -> None:
    """Both are what scikit-image and torchmetrics find; equal pictures have an infinite PSNR."""
    pred, true = pair
    found = metrics.measure(pred, true)
    assert found["mse"] == pytest.approx(mean_squared_error(true.rgb, pred.rgb))
    assert found["mse"] == pytest.approx(float(torch_mean_squared_error(as_batch(pred), as_batch(true))))
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(true.rgb, pred.rgb, data_range=1))
    assert found["psnr"] == pytest.approx(float(torch_psnr(as_batch(pred), as_batch(true), data_range=1.0)))
    assert metrics.psnr(true.rgb, true.rgb) == float("inf")


def test_psnr_does_not_wrap_around() -> None:
    """A difference of 200 of 255 counts as 200, not as the 56 that 8-bit subtraction leaves."""
    pred, true = np.zeros((8, 8, 3)), np.full((8, 8, 3), 200 / 255)
    assert metrics.psnr(pred, true) == pytest.approx(20 * np.log10(255 / 200))


def test_ssim_is_the_published_formula(pair: tuple[LabPicture, LabPicture]) -> None:
    """SSIM is eq. 13 of Wang et al. (2004) in every whole 7 × 7 window, and near torchmetrics', which pads."""
    pred, true = pair
    mean = partial(uniform_filter, size=(7, 7, 1))
    x, y = mean(pred.rgb), mean(true.rgb)
    unbiased = 49 / 48
    xx, yy = unbiased * (mean(pred.rgb**2) - x**2), unbiased * (mean(true.rgb**2) - y**2)
    xy = unbiased * (mean(pred.rgb * true.rgb) - x * y)
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * x * y + c1) * (2 * xy + c2) / ((x**2 + y**2 + c1) * (xx + yy + c2))
    found = metrics.ssim(pred.rgb, true.rgb)
    assert found == pytest.approx(index[3:-3, 3:-3].mean())
    oracle = torch_ssim(as_batch(pred), as_batch(true), data_range=1.0, gaussian_kernel=False, kernel_size=7)
    assert found == pytest.approx(float(oracle), abs=0.03)
    assert metrics.ssim(true.rgb, true.rgb) == 1.0


def test_mae_is_in_levels_of_255(pair: tuple[LabPicture, LabPicture]) -> None:
    """MAE is torchmetrics' mean absolute error, for values in 0..255."""
    pred, true = pair
    oracle = mean_absolute_error(255 * as_batch(pred), 255 * as_batch(true))
    assert metrics.mae(pred.rgb, true.rgb) == pytest.approx(float(oracle))


def test_epsilon_accuracy_needs_every_channel() -> None:
    """A pixel counts if no channel is further off than ε, and only then: here one of four does."""
    true = np.full((2, 2, 3), 0.5)
    pred = true + np.array([[[0.9, -0.9, 0.9], [0, 0, 1.1]], [[1.1, 0, 0], [0, -1.1, 0]]]) * metrics.EPSILON
    assert metrics.epsilon_accuracy(pred, true) == 25.0


def test_color_differences(pair: tuple[LabPicture, LabPicture]) -> None:
    """CIE76 is the distance in Lab; CIEDE2000 gives the values that Sharma et al. (2005) publish in their Table 1."""
    pred, true = pair
    distance = np.linalg.norm(rgb2lab(pred.rgb) - rgb2lab(true.rgb), axis=2).mean()
    assert metrics.measure(pred, true)["cie76"] == pytest.approx(distance)
    first = np.array([[[50, 2.6772, -79.7751], [50, -1.0, 2.0], [2.0776, 0.0795, -1.1350]]])
    second = np.array([[[50, 0.0, -82.7485], [50, 0.0, 0.0], [0.9033, -0.0636, -0.5514]]])
    assert metrics.ciede2000(first, second) == pytest.approx((2.0425 + 2.3669 + 0.9082) / 3, abs=1e-4)


def test_colorfulness() -> None:
    """Grey has none, and pure red the known one in both variants; only the signs tell them apart."""
    grey, red = np.full((4, 4, 3), 0.5), np.eye(3)[np.zeros((4, 4), int)]
    # pure red: rg = 255, yb = 127.5 everywhere, so no spread and 0.3 × hypot of the means
    for variant in (metrics.colorfulness, metrics.colorfulness_absolute):
        assert variant(grey) == 0
        assert variant(red) == pytest.approx(0.3 * np.hypot(255, 127.5))
    # half red, half green: rg = ±255, so the signed opponents spread and the absolute ones do not
    halves = np.eye(3)[np.repeat([[0, 1]], 4, axis=0)]
    assert metrics.colorfulness(halves) == pytest.approx(255 + 0.3 * 127.5)
    assert metrics.colorfulness_absolute(halves) == pytest.approx(0.3 * np.hypot(255, 127.5))


def test_tints_have_signs() -> None:
    """Green lies at negative a, blue at negative b, as in scikit-image's Lab."""
    green, blue = (LabPicture(np.eye(3)[np.full((8, 8), channel)]) for channel in (1, 2))
    assert metrics.measure(green, green)["mean_a"] == pytest.approx(rgb2lab(green.rgb)[0, 0, 1])
    assert metrics.measure(green, green)["mean_a"] < -80
    assert metrics.measure(blue, blue)["mean_b"] < -100
