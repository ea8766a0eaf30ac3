"""Bands of rows: how decoders hand out pictures, so that memory does not hold a large picture several times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vidcolor.frames import FloatArray, Plane

BAND_PIXELS = 1 << 20
"""Pixels that are converted at a time."""


@dataclass(frozen=True)
class Band:
    """Some rows of a picture, in sRGB."""

    levels: FloatArray
    """(rows, W) grey or (rows, W, 3) R'G'B', gamma-encoded, in [0, 1]."""
    alpha: Plane | None
    """(rows, W) code values: uint8, or uint16 for a picture of more than 8 bits; None: the picture has no alpha."""


def band_rows(width: int) -> int:
    """Return how many rows of a picture of this width are converted at a time."""
    return max(1, BAND_PIXELS // width)


def row_ranges(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield top and bottom (exclusive) of each band of a picture, from top to bottom."""
    rows = band_rows(width)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)
