"""Metrics of a whole set of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.floating]

ROUNDING_MSE = 1 / 255**2 / 12
"""MSE that rounding to 8 bits makes, for values in 0..1."""
MIN_CF_SPREAD = 1e-3
"""Standard deviation of CF below which pictures are equally colorful: the CF of grey pictures differs by rounding."""


def delta_colorfulness(pred: Sequence[float], true: Sequence[float]) -> float:
    """Compute ΔCF of the set as in papers: the difference of the means. Too dull and too vivid pictures cancel."""
    return abs(float(np.mean(pred)) - float(np.mean(true)))


def mean_delta_colorfulness(pred: Sequence[float], true: Sequence[float]) -> float:
    """Compute the mean over pictures of |ΔCF| of each: nothing cancels."""
    return float(np.abs(np.subtract(pred, true)).mean())


def colorfulness_correlation(pred: Sequence[float], true: Sequence[float]) -> float | None:
    """Return Pearson's correlation of the pictures' CF with the truth's.

    1 if the pictures that are colorful in truth are the colorful ones here. None for fewer than two pictures, or where
    all have the same CF, as grey pictures do.
    """
    if len(pred) < 2 or min(np.std(pred), np.std(true)) < MIN_CF_SPREAD:
        return None
    return float(np.corrcoef(pred, true)[0, 1])


def colorfulness_figures(pred: Sequence[float], true: Sequence[float]) -> dict[str, float]:
    """Return what the CF of all pictures says of a set beside the truth's, by the names in reports."""
    figures = {
        "delta_cf": delta_colorfulness(pred, true),
        "mean_delta_cf": mean_delta_colorfulness(pred, true),
    }
    correlation = colorfulness_correlation(pred, true)
    return figures if correlation is None else figures | {"cf_correlation": correlation}


def share_worse_than_grey(mse: Sequence[float], grey_mse: Sequence[float]) -> float:
    """Return the share of pictures whose MSE exceeds the uncolored picture's by more than :data:`ROUNDING_MSE`."""
    return float((np.asarray(mse) > np.asarray(grey_mse) + ROUNDING_MSE).mean())


def psnr_of_set(mse: Sequence[float]) -> float:
    """Compute the PSNR in dB of the mean squared error of the whole set, infinite if that is 0.

    One photograph that is itself grey can raise the mean of PSNRs without limit, but not this figure.
    """
    error = float(np.mean(mse))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def over_grey(figures: Sequence[float], grey: Sequence[float]) -> float:
    """Divide the sum of an error by that of the uncolored pictures: below 1 the colors are better than grey."""
    return float(np.sum(figures) / np.sum(grey))


def frechet_distance(a: Features, b: Features) -> float:
    """Compute the squared Fréchet distance of the Gaussians fitted to two sets of features (N, D) and (M, D).

    |μa − μb|² + Tr(Σa + Σb − 2 (Σa Σb)^½), with unbiased covariances, in float64 (Heusel et al. 2017, eq. 6). With
    Σa = AᵀA and Σb = BᵀB the last trace is the sum of the singular values of ABᵀ, which stays real and exact where
    there are fewer pictures than features and the product has no unique root. Few pictures make the distance too large,
    the more so the larger D is: only distances between sets of the same size can be compared.

    Raises:
        ValueError: fewer than two pictures in a set.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"expected at least two pictures in both sets, got {len(a)} and {len(b)}")
    mean_a, root_a = _mean_and_root(a)
    mean_b, root_b = _mean_and_root(b)
    shared = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = ((mean_a - mean_b) ** 2).sum() + (root_a**2).sum() + (root_b**2).sum() - 2 * shared
    return max(float(distance), 0.0)  # of a set to itself rounding can leave less than nothing


def _mean_and_root(features: Features) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean (D,), and a triangular R (min(N, D), D) with the covariance RᵀR."""
    exact = features.astype(np.float64)
    mean = exact.mean(axis=0)
    root = np.linalg.qr((exact - mean) / np.sqrt(len(exact) - 1), mode="r")
    return mean, np.asarray(root)
