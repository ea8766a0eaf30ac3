"""Metrics of still pictures. Pictures are float64 (H, W, 3) R'G'B' in [0, 1]; definitions as the field prints them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

Rgb = npt.NDArray[np.float64]


def mse(pred: Rgb, true: Rgb) -> float:
    """Mean squared error over all pixels and channels."""
    return float(((pred - true) ** 2).mean())


def psnr(pred: Rgb, true: Rgb) -> float:
    """Peak signal-to-noise ratio in dB, in floating point (8-bit differences would wrap); infinite for equality."""
    error = mse(pred, true)
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(pred: Rgb, true: Rgb) -> float:
    """Structural similarity (Wang et al. 2004), scikit-image's, 7 × 7 uniform window, mean over channels."""
    return float(structural_similarity(pred, true, channel_axis=2, data_range=1.0))


def ciede2000(pred: Rgb, true: Rgb) -> float:
    """Mean CIEDE2000 colour difference."""
    return float(deltaE_ciede2000(rgb2lab(pred), rgb2lab(true)).mean())


def colourfulness(picture: Rgb) -> float:
    """Hasler & Süsstrunk (2003), M3, on R'G'B' in 0..255 with signed opponent axes, as they define it."""
    r, g, b = np.moveaxis(picture * 255, -1, 0)
    rg, yb = r - g, 0.5 * (r + g) - b
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def mean_a(picture: Rgb) -> float:
    """Mean a of Lab: the tint between green and magenta."""
    return float(rgb2lab(picture)[..., 1].mean())


def mean_b(picture: Rgb) -> float:
    """Mean b of Lab: the tint between blue and yellow."""
    return float(rgb2lab(picture)[..., 2].mean())


PAIR_METRICS: dict[str, Callable[[Rgb, Rgb], float]] = {"mse": mse, "psnr": psnr, "ssim": ssim, "ciede2000": ciede2000}
SINGLE_METRICS: dict[str, Callable[[Rgb], float]] = {"colourfulness": colourfulness, "mean_a": mean_a, "mean_b": mean_b}
