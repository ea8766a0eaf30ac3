"""The ab plane cut into bins, for networks that classify color instead of measuring it (Zhang et al. 2016).

A bin is a square of side 10 Lab units around its centre, a multiple of 10. There is one wherever one of the 2²⁴ colors
of 8-bit sRGB falls: 261. Zhang et al. count 313 by a rule that they do not print; with no color in them, more bins
would never be learned.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from vidcolor.color.lab import full_precision, rgb_to_lab

BIN_SIDE = 10.0
"""Lab units."""
SOFT_BINS = 5
SOFT_SIGMA = 5.0  # Lab units
TEMPERATURE = 0.38
"""Between the mean (1) and the mode (0) of a distribution; the value of the paper."""


@cache
def bins() -> Tensor:
    """The centres, float32 (Q, 2), Lab units, on the CPU, in the order of a and then of b. Not to be written to."""
    # A color may be asked for first inside either of these, and the tensor outlives them.
    with torch.inference_mode(False), torch.device("cpu"):
        cells: Tensor = torch.unique((_surface_ab() / BIN_SIDE).round(), dim=0)
        return cells.mul(BIN_SIDE).float()


def _surface_ab() -> Tensor:
    """ab (M, 2) of the six faces of the RGB cube, in 8-bit steps.

    The faces are enough: from any color inside, L alone can be changed until a face is met, and ab is still the same.
    """
    steps = torch.linspace(0, 1, 256, dtype=torch.float64)
    u, v = torch.meshgrid(steps, steps, indexing="ij")
    faces = [
        torch.stack((torch.full_like(u, level), u, v)).roll(axis, dims=0) for axis in range(3) for level in (0.0, 1.0)
    ]
    return rgb_to_lab(torch.stack(faces))[:, 1:].permute(0, 2, 3, 1).reshape(-1, 2)


def soft_encode(ab: Tensor) -> Tensor:
    """True colors as distributions over the bins, which a classifier learns (Zhang et al. 2016, section 2.1).

    Each color is shared out among its 5 nearest bins, by a Gaussian of σ = 5 Lab units of the distance.

    Args:
        ab: (N, 2, h, w), Lab units.

    Returns:
        (N, Q, h, w) of ``ab``'s dtype and device, adding up to 1 over Q.
    """
    n, _, h, w = ab.shape
    places = ab.permute(0, 2, 3, 1).reshape(-1, 2)
    # Differences, not cdist: its matrix product would lose digits where bins are equally far.
    a, b = bins().to(ab).unbind(1)
    squared = (places[:, :1] - a) ** 2 + (places[:, 1:] - b) ** 2
    nearest, index = torch.topk(squared, SOFT_BINS, dim=1, largest=False)
    weights = torch.softmax(-nearest / (2 * SOFT_SIGMA**2), dim=1)
    encoded = torch.zeros_like(squared).scatter_(1, index, weights)
    return encoded.view(n, h, w, -1).permute(0, 3, 1, 2)


def annealed_mean(logits: Tensor, temperature: float = TEMPERATURE, centres: Tensor | None = None) -> Tensor:
    """A color for each distribution: its mean, after the temperature has sharpened it (Zhang et al. 2016, equation 5).

    Args:
        logits: (N, Q, h, w).
        temperature: above 0; 1 is the mean, towards 0 the mode.
        centres: :func:`bins`, where they are on the device already.

    Returns:
        ab, float32 (N, 2, h, w), Lab units.
    """
    centres = bins() if centres is None else centres
    with full_precision(logits):
        probabilities = torch.softmax(logits.float() / temperature, dim=1)
        return torch.einsum("nqhw,qc->nchw", probabilities, centres.to(probabilities))
