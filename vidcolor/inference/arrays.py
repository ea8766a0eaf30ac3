"""Check and convert the arrays that callers of the library pass."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vidcolor.frames import FloatArray

OVERSHOOT = 0.1
"""How far levels may lie outside [0, 1]: resampling filters overshoot at edges. Such levels are clipped."""


MAX_CHANNELS = 4
"""Pictures of 3 or 4 columns and more rows than this, more of them than this, are one picture with channels."""


def levels_of(array: npt.ArrayLike) -> FloatArray:
    """Convert levels of any shape to float32 in [0, 1].

    Args:
        array: floating point in [0, 1], with at most :data:`OVERSHOOT` beyond; or uint8 or uint16, from 0 to the type's
            maximum.

    Returns:
        The levels, clipped to [0, 1]: the same array if it is float32 and within the range.

    Raises:
        TypeError: the data type is another one.
        ValueError: values are not finite, or outside the range.
    """
    values = np.asarray(array)
    if values.dtype in (np.uint8, np.uint16):
        return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)
    if values.dtype.kind != "f":
        expected = "floating point in [0, 1], uint8 or uint16"
        raise TypeError(f"expected levels as {expected}, got {values.dtype}")
    if not values.size:
        return values.astype(np.float32)
    low, high = float(values.min()), float(values.max())  # NaN if any value is
    if not math.isfinite(low + high):
        raise ValueError("expected levels in [0, 1], got some that are not finite")
    if not -OVERSHOOT <= low <= high <= 1 + OVERSHOOT:
        raise ValueError(f"expected levels in [0, 1], got {low:g} to {high:g}; divide code values by their maximum")
    levels = values.astype(np.float32, copy=False)
    return levels if low >= 0 and high <= 1 else np.clip(levels, 0, 1)


def grey_levels(array: npt.ArrayLike) -> FloatArray:
    """Convert grey pictures, (N, h, w), to float32 in [0, 1]; levels as in :func:`levels_of`.

    Raises:
        TypeError: the data type is another one.
        ValueError: the shape is another one, a picture has no pixels, or values are outside the range.
    """
    values = np.asarray(array)
    has_channels = values.ndim == 3 and values.shape[2] in (3, 4) and min(values.shape[:2]) > MAX_CHANNELS
    if values.ndim != 3 or 0 in values.shape[1:] or has_channels:
        hint = "Colorizer.colorize takes a single picture, grey or R'G'B'"
        raise ValueError(f"expected grey pictures of shape (N, h, w), got {values.shape}; {hint}")
    return levels_of(values)
