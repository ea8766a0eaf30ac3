"""sRGB and CIE Lab (D65, 2° observer), as pure functions of torch tensors.

Pictures are (..., 3, H, W) with R'G'B' gamma-encoded in [0, 1]; Lab has L in [0, 100] and a, b about [-110, 110].
*Grey* is the gamma-encoded level in [0, 1] of the neutral color with a given L, the value that a black-and-white
picture stores. All functions keep dtype and device and are differentiable.

Sources: IEC 61966-2-1 (sRGB), CIE 15:2004 (Lab). See :mod:`vidcolor.color.lab` for the constants.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidcolor.color.lab import LAB_EPSILON, LAB_OFFSET, LAB_SLOPE, RGB_TO_XYZ, WHITE_XYZ

AB_SCALE = 110.0
"""Lab units in one unit of a generator's ab, so that nearly all colors of sRGB lie in [-1, 1]."""


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """Convert gamma-encoded values, nominally in [0, 1], to linear light; an odd function, defined for negatives."""
    magnitude = encoded.abs()
    curved = ((magnitude.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(magnitude <= 0.04045, encoded / 12.92, curved * encoded.sign())


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Convert linear light to gamma-encoded values; the inverse of :func:`srgb_to_linear`."""
    magnitude = linear.abs()
    curved = 1.055 * magnitude.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(magnitude <= 0.0031308, linear * 12.92, curved * linear.sign())


def _lab_function(ratio: Tensor) -> Tensor:
    """Apply f of CIE Lab to X / Xn, Y / Yn or Z / Zn."""
    return torch.where(ratio > LAB_EPSILON, ratio.clamp(min=LAB_EPSILON) ** (1 / 3), LAB_SLOPE * ratio + LAB_OFFSET)


def _lab_function_inverse(f: Tensor) -> Tensor:
    """Apply the inverse of f of CIE Lab."""
    return torch.where(f > 6 / 29, f**3, (f - LAB_OFFSET) / LAB_SLOPE)


def _matmul_channels(matrix: Tensor, picture: Tensor) -> Tensor:
    """Multiply the channels of (..., 3, H, W) by a 3 × 3 matrix."""
    return torch.einsum("ij,...jhw->...ihw", matrix, picture)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB (..., 3, H, W) in [0, 1] to Lab (..., 3, H, W)."""
    matrix = rgb.new_tensor(RGB_TO_XYZ) / rgb.new_tensor(WHITE_XYZ)[:, None]
    fx, fy, fz = _lab_function(_matmul_channels(matrix, srgb_to_linear(rgb))).unbind(-3)
    return torch.stack((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)), dim=-3)


def lab_to_linear_rgb(lab: Tensor) -> Tensor:
    """Convert Lab (..., 3, H, W) to linear sRGB (..., 3, H, W); colors outside sRGB are not clipped to [0, 1]."""
    L, a, b = lab.unbind(-3)
    fy = (L + 16) / 116
    xyz = _lab_function_inverse(torch.stack((fy + a / 500, fy, fy - b / 200), dim=-3))
    to_xyz = torch.tensor(RGB_TO_XYZ, dtype=torch.float64) / torch.tensor(WHITE_XYZ, dtype=torch.float64)[:, None]
    return _matmul_channels(torch.linalg.inv(to_xyz).to(xyz), xyz)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert Lab (..., 3, H, W) to sRGB (..., 3, H, W), gamma-encoded; colors outside sRGB are not clipped."""
    return linear_to_srgb(lab_to_linear_rgb(lab))


def grey_to_lightness(grey: Tensor) -> Tensor:
    """Convert grey in [0, 1], gamma-encoded, any shape, to L in [0, 100]."""
    return 116 * _lab_function(srgb_to_linear(grey)) - 16


def lightness_to_grey(L: Tensor) -> Tensor:
    """Convert L in [0, 100], any shape, to grey in [0, 1], gamma-encoded."""
    return linear_to_srgb(_lab_function_inverse((L + 16) / 116))


def full_precision(like: torch.Tensor) -> torch.autocast:
    """Return a context without autocast on the device of ``like``; in bf16, conversion to Lab is off by two units."""
    return torch.autocast(like.device.type, enabled=False)
