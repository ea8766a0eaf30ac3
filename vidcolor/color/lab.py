"""CIE Lab (D65, 2° observer) to linear sRGB and its gamma, as functions of NumPy arrays.

Those of tensors, which training differentiates, are in :mod:`vidcolor.networks.lab`.

Sources: IEC 61966-2-1 (sRGB), CIE 15:2004 (Lab). The matrix and the white point are those of scikit-image, the
reference in the tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

AnyFloat = npt.NDArray[np.floating[Any]]
"""Floating point of either precision; every function keeps it."""

RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
"""Matrix from linear sRGB to CIE XYZ, D65."""
WHITE_XYZ = (0.95047, 1.0, 1.08883)
"""XYZ of the white point D65, 2° observer."""

LAB_EPSILON = (6 / 29) ** 3
"""Upper end of the linear part of the Lab function f(t) = slope · t + offset; above it f is the cube root."""
LAB_SLOPE = (29 / 6) ** 2 / 3
LAB_OFFSET = 4 / 29


def linear_to_srgb(linear: AnyFloat) -> AnyFloat:
    """Convert linear light to gamma-encoded values, nominally in [0, 1]; an odd function, defined for negatives."""
    magnitude = np.abs(linear)
    curved = 1.055 * np.maximum(magnitude, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(magnitude <= 0.0031308, linear * 12.92, np.copysign(curved, linear))


def lab_to_linear_rgb(lab: AnyFloat) -> AnyFloat:
    """Convert Lab (3, H, W) to linear sRGB (3, H, W); colors outside sRGB are not clipped to [0, 1]."""
    L, a, b = lab
    fy = (L + 16) / 116
    f = np.stack((fy + a / 500, fy, fy - b / 200))
    xyz = np.where(f > 6 / 29, f**3, (f - LAB_OFFSET) / LAB_SLOPE)
    to_xyz = np.array(RGB_TO_XYZ) / np.array(WHITE_XYZ)[:, None]
    linear: AnyFloat = np.einsum("ij,jhw->ihw", np.linalg.inv(to_xyz).astype(lab.dtype), xyz)
    return linear
