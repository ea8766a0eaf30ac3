"""Quantize the ab plane into bins, for networks that classify color (Zhang et al. 2016).

A bin is a square of side 10 Lab units whose center is a multiple of 10. There is one for each square that contains one
of the 2²⁴ colors of 8-bit sRGB: 261. Zhang et al. count 313 by a rule that they do not publish; further bins would
contain no colors and never be learned.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from vidcolor.networks.lab import full_precision, rgb_to_lab

BIN_SIDE = 10.0
"""Lab units."""
SOFT_BINS = 5
"""Nearest bins over which :func:`soft_encode` distributes a color."""
SOFT_SIGMA = 5.0
"""Standard deviation of the Gaussian weights of :func:`soft_encode`, Lab units."""
TABLE_RADIUS = 128
"""Lab units covered by the table of :func:`nearest_bins`."""
TEMPERATURE = 0.38
"""Default temperature of :func:`annealed_mean`: 1 gives the mean of a distribution, 0 its mode; the paper's value."""


@cache
def bins() -> Tensor:
    """Return the centers of all bins: float32 (Q, 2), Lab units, on the CPU, sorted by a, then b.

    The tensor is cached: do not write to it.
    """
    # The first call may be made inside such a context, and the tensor outlives it.
    with torch.inference_mode(False), torch.device("cpu"):
        cells: Tensor = torch.unique((_surface_ab() / BIN_SIDE).round(), dim=0)
        return cells.mul(BIN_SIDE).float()


def _surface_ab() -> Tensor:
    """Return ab (M, 2) of the six faces of the RGB cube, in 8-bit steps.

    The faces suffice: every color inside has the same ab as a color on a face, with another L.
    """
    steps = torch.linspace(0, 1, 256, dtype=torch.float64)
    u, v = torch.meshgrid(steps, steps, indexing="ij")
    faces = [
        torch.stack((torch.full_like(u, level), u, v)).roll(axis, dims=0) for axis in range(3) for level in (0.0, 1.0)
    ]
    return rgb_to_lab(torch.stack(faces))[:, 1:].permute(0, 2, 3, 1).reshape(-1, 2)


def soft_encode(ab: Tensor) -> Tensor:
    """Encode true colors as distributions over the bins, the target of a classifier (Zhang et al. 2016, section 2.1).

    Each color is distributed over its 5 nearest bins, with Gaussian weights (σ = 5 Lab units) of the distance.

    Args:
        ab: (N, 2, h, w), Lab units.

    Returns:
        Probabilities, (N, Q, h, w), of the dtype and on the device of ``ab``; they sum to 1 over Q.
    """
    n, _, h, w = ab.shape
    colors = ab.permute(0, 2, 3, 1).reshape(-1, 2)
    # Differences instead of cdist, whose matrix product loses precision where bins are equally far.
    a, b = bins().to(ab).unbind(1)
    squared = (colors[:, :1] - a) ** 2 + (colors[:, 1:] - b) ** 2
    nearest, index = torch.topk(squared, SOFT_BINS, dim=1, largest=False)
    weights = torch.softmax(-nearest / (2 * SOFT_SIGMA**2), dim=1)
    encoded = torch.zeros_like(squared).scatter_(1, index, weights)
    return encoded.view(n, h, w, -1).permute(0, 3, 1, 2)


def nearest_bins(ab: Tensor) -> tuple[Tensor, Tensor]:
    """Look up the 5 nearest bins of true colors, and their weights: :func:`soft_encode` without its zeros.

    Colors are rounded to whole Lab units first, so that a table serves: 20 times as fast.

    Args:
        ab: (N, 2, h, w), Lab units, clamped to ±128.

    Returns:
        Indices, int64 (N, 5, h, w), and weights, float32 (N, 5, h, w), which add up to 1.
    """
    index, weights = (table.to(ab.device) for table in _nearest_table())
    a, b = (ab.round().long().clamp(-TABLE_RADIUS, TABLE_RADIUS) + TABLE_RADIUS).unbind(1)
    entry = a * (2 * TABLE_RADIUS + 1) + b
    return index[entry].permute(0, 3, 1, 2), weights[entry].permute(0, 3, 1, 2)


@cache
def _nearest_table() -> tuple[Tensor, Tensor]:
    """Return indices and weights, ((2 R + 1)², 5) each, of all whole a and b within ±R."""
    with torch.inference_mode(False), torch.device("cpu"):
        units = torch.arange(-TABLE_RADIUS, TABLE_RADIUS + 1, dtype=torch.float32)
        ab = torch.stack(torch.meshgrid(units, units, indexing="ij"))[None]
        weights, index = soft_encode(ab)[0].flatten(1).topk(SOFT_BINS, dim=0)
        return index.T.contiguous(), weights.T.contiguous()


def annealed_mean(logits: Tensor, temperature: float = TEMPERATURE, centers: Tensor | None = None) -> Tensor:
    """Return the mean color of each distribution, sharpened by a temperature (Zhang et al. 2016, equation 5).

    Args:
        logits: (N, Q, h, w).
        temperature: above 0; 1 gives the mean, near 0 the mode.
        centers: :func:`bins` on the device of ``logits``; None: they are copied there.

    Returns:
        ab, float32 (N, 2, h, w), Lab units.
    """
    centers = bins() if centers is None else centers
    with full_precision(logits):
        probabilities = torch.softmax(logits.float() / temperature, dim=1)
        return torch.einsum("nqhw,qc->nchw", probabilities, centers.to(probabilities))


def class_weights(ab_prior: Tensor, lambda_: float = 0.5) -> Tensor:
    """Return the weights of the bins, w ∝ 1 / ((1 − λ) p + λ / Q) with Σ p w = 1 (Zhang et al. 2016, eq. 4).

    Args:
        ab_prior: p (Q,), the frequencies of the bins, adding up to 1.
        lambda_: λ in [0, 1]; 1 gives equal weights, smaller values larger weights for rare colors.

    Returns:
        (Q,).
    """
    weights: Tensor = 1 / ((1 - lambda_) * ab_prior + lambda_ / len(ab_prior))
    return weights / (ab_prior * weights).sum()
