"""Metrics of one still picture, defined as the field prints them.

Pictures are R'G'B', float64 (H, W, 3) in [0, 1]; Lab is float64 (H, W, 3), D65, as scikit-image makes it. Differences
are taken in floating point, never between 8-bit numbers: published evaluators subtract uint8 arrays, whose differences
and squares wrap around modulo 256, which prints 22.5 dB as 28.8 dB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from skimage.color import deltaE_cie76, deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

RgbFloat = npt.NDArray[np.float64]
Lab = npt.NDArray[np.float64]

EPSILON = 5 / 255
"""Of the ε-accuracy. Figures for another ε, or in another color space, cannot be compared with ours."""


@dataclass(frozen=True)
class LabPicture:
    """A picture as R'G'B', with its Lab, which is computed once for all metrics."""

    rgb: RgbFloat

    @cached_property
    def lab(self) -> Lab:
        """The picture in Lab."""
        lab: Lab = rgb2lab(self.rgb)
        return lab


def mse(pred: RgbFloat, true: RgbFloat) -> float:
    """Compute the mean squared error over all pixels and channels, for values in [0, 1]."""
    return float(((pred - true) ** 2).mean())


def psnr(pred: RgbFloat, true: RgbFloat) -> float:
    """Compute the peak signal-to-noise ratio in dB; infinite for equal pictures."""
    error = mse(pred, true)
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(pred: RgbFloat, true: RgbFloat) -> float:
    """Compute the structural similarity (Wang et al. 2004), 7 × 7 uniform window, mean over channels."""
    return float(structural_similarity(pred, true, channel_axis=2, data_range=1.0))


def mae(pred: RgbFloat, true: RgbFloat) -> float:
    """Compute the mean absolute error over all pixels and channels, for values in 0..255, as tables print it."""
    return 255 * float(np.abs(pred - true).mean())


def epsilon_accuracy(pred: RgbFloat, true: RgbFloat) -> float:
    """Compute the percentage of pixels whose R', G' and B' all differ from the truth by at most EPSILON.

    After Nazeri, Ng & Ebrahimi (2018), "Image Colorization using Generative Adversarial Networks", who leave ε open.
    """
    return 100 * float((np.abs(pred - true) <= EPSILON).all(axis=2).mean())


def cie76(pred: Lab, true: Lab) -> float:
    """Compute the mean color difference ΔE*ab (CIE 1976): the distance in Lab."""
    return float(deltaE_cie76(pred, true).mean())


def ciede2000(pred: Lab, true: Lab) -> float:
    """Compute the mean color difference ΔE00 (CIEDE2000; Sharma, Wu & Dalal 2005)."""
    return float(deltaE_ciede2000(pred, true).mean())


def opponents(picture: RgbFloat) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the opponents R − G and (R + G) / 2 − B in 0..255, each (H, W)."""
    r, g, b = np.moveaxis(picture * 255, -1, 0)
    return r - g, 0.5 * (r + g) - b


def _spread_and_shift(rg: npt.NDArray[np.float64], yb: npt.NDArray[np.float64]) -> float:
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def colorfulness(picture: RgbFloat) -> float:
    """Compute colorfulness M3 with signed opponents, as Hasler & Süsstrunk (2003) define it."""
    return _spread_and_shift(*opponents(picture))


def colorfulness_absolute(picture: RgbFloat) -> float:
    """Compute M3 of the opponents' absolute values, the variant in papers on colorization."""
    rg, yb = opponents(picture)
    return _spread_and_shift(np.abs(rg), np.abs(yb))


def mean_a(picture: Lab) -> float:
    """Compute the mean a of Lab: the tint between green and magenta."""
    return float(picture[..., 1].mean())


def mean_b(picture: Lab) -> float:
    """Compute the mean b of Lab: the tint between blue and yellow."""
    return float(picture[..., 2].mean())


RGB_DIFFERENCES: dict[str, Callable[[RgbFloat, RgbFloat], float]] = {
    "mse": mse,
    "psnr": psnr,
    "ssim": ssim,
    "mae": mae,
    "epsilon_accuracy": epsilon_accuracy,
}
LAB_DIFFERENCES: dict[str, Callable[[Lab, Lab], float]] = {"cie76": cie76, "ciede2000": ciede2000}
RGB_STATISTICS: dict[str, Callable[[RgbFloat], float]] = {
    "colorfulness": colorfulness,
    "colorfulness_absolute": colorfulness_absolute,
}
LAB_STATISTICS: dict[str, Callable[[Lab], float]] = {"mean_a": mean_a, "mean_b": mean_b}


def measure(pred: LabPicture, true: LabPicture) -> dict[str, float]:
    """Compute all metrics of one picture, by name."""
    return (
        {name: metric(pred.rgb, true.rgb) for name, metric in RGB_DIFFERENCES.items()}
        | {name: metric(pred.lab, true.lab) for name, metric in LAB_DIFFERENCES.items()}
        | {name: metric(pred.rgb) for name, metric in RGB_STATISTICS.items()}
        | {name: metric(pred.lab) for name, metric in LAB_STATISTICS.items()}
    )
