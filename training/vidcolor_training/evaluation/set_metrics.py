"""Metrics of a set of pictures: what only all of them together can say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.floating]


def delta_colorfulness(pred: Sequence[float], true: Sequence[float]) -> float:
    """ΔCF of the set, as papers print it: the difference of the means. Too dull and too garish pictures cancel."""
    return abs(float(np.mean(pred)) - float(np.mean(true)))


def mean_delta_colorfulness(pred: Sequence[float], true: Sequence[float]) -> float:
    """Mean over pictures of each one's own |ΔCF|: nothing cancels."""
    return float(np.abs(np.subtract(pred, true)).mean())


def psnr_of_set(mse: Sequence[float]) -> float:
    """PSNR in dB of the mean squared error of the whole set, infinite if that is 0.

    The mean of PSNRs is pulled up without limit by the one photograph that is grey itself; this one is not.
    """
    error = float(np.mean(mse))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def over_grey(figures: Sequence[float], grey: Sequence[float]) -> float:
    """The sum of an error over that of the uncolored pictures: below 1 the colors are worth having."""
    return float(np.sum(figures) / np.sum(grey))


def frechet_distance(a: Features, b: Features) -> float:
    """Squared Fréchet (2-Wasserstein) distance of two sets of features, (N, D) and (M, D), each taken as a Gaussian.

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
    """The mean (D,), and a triangular R (min(N, D), D) for which RᵀR is the covariance."""
    exact = features.astype(np.float64)
    mean = exact.mean(axis=0)
    root: npt.NDArray[np.float64] = np.linalg.qr((exact - mean) / np.sqrt(len(exact) - 1), mode="r")
    return mean, root
