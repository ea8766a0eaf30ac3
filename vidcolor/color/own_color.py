"""Tell colors of a picture's own from a tint: from sepia, a tinted or toned print, a cast of a scanner.

A tint is one color for each level of luma. So at thumbnail size the mean Cb and Cr of each level is subtracted, and
what is left counts: in a tinted picture noise, in a color photograph nearly everything (``docs/keep-color.md``). A
pixel counts at most with the chroma that it has, since a neutral one beside a colored title is no color.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.frames import FloatArray
from vidcolor.options import KeepColor

THUMBNAIL_SIDE = 64
"""Short side of a thumbnail in pixels; noise of chroma cancels out in it."""
LONG_SIDE = 4 * THUMBNAIL_SIDE
"""Limit of the long side: a strip of 6000 × 1 would otherwise become 384,000 × 64. Strips are squeezed."""
NOISE_WINDOW = 3
"""Side of the window, in pixels of a thumbnail, over which noise is averaged."""
LUMA_STEPS = 16
"""Levels of luma whose mean color is subtracted; between them it is interpolated."""
QUANTILE = 0.9
"""Quantile of what is left: something small, such as a colored subtitle, does not make a color picture."""
OWN, SURE, TINTED = 3.4, 5.5, 2.0
"""Code values of 8 bits from which on what is left are colors of the picture's own, from which on that is sure, and up
to which it surely is a tint."""
NO_COLOR = 1.5
"""Mean chroma in code values of 8 bits below which a picture surely has no color."""
STRONG = 20.0
"""Mean chroma in code values of 8 bits from which on a tint has a line: a drawing in one color looks the same."""
MIN_SHARE = 0.16
"""Least ratio of what is left to the mean chroma: a strong tint leaves more, since it is stronger in some places."""
DARK, MIN_LIT = 0.08, 0.2
"""Luma, 0 to 1, above which a pixel shows its color, and the least share of such pixels in a picture that is judged."""


@dataclass(frozen=True)
class ColorEvidence:
    """What the colors of one picture say, in code values of 8 bits."""

    left: float
    """What is left without the tint."""
    chroma: float
    """The mean √(Cb² + Cr²), the tint included."""
    is_lit: bool
    """Whether enough of the picture is bright enough to show any color."""

    @property
    def has_own(self) -> bool:
        """Whether the picture has colors of its own."""
        return self.left >= OWN and self.left >= MIN_SHARE * self.chroma

    @property
    def has_any(self) -> bool:
        """Whether the picture has any color, a tint included."""
        return self.chroma >= NO_COLOR

    @property
    def is_strong_tint(self) -> bool:
        """Whether the picture has much of one color, which is not taken for its own."""
        return not self.has_own and self.chroma >= STRONG

    def says_keep(self, keep: KeepColor) -> bool:
        """Return whether the picture keeps its colors."""
        return keep != "never" and (self.has_any if keep == "always" else self.has_own)

    @property
    def is_sure(self) -> bool:
        """Whether one picture suffices to say so."""
        return not self.has_any or (self.has_own and self.left >= SURE)

    def denies(self, decision: bool, keep: KeepColor) -> bool:
        """Return whether the picture clearly says the contrary of an earlier decision to keep colors or not."""
        is_clear = keep == "always" or not TINTED < self.left < SURE
        return is_clear and self.says_keep(keep) != decision


GREY = ColorEvidence(left=0.0, chroma=0.0, is_lit=True)
"""Of a picture without color."""


def color_evidence(luma: FloatArray, chroma: FloatArray) -> ColorEvidence:
    """Judge a picture at thumbnail size.

    Args:
        luma: (h, w), gamma-encoded, in [0, 1].
        chroma: Cb and Cr, (2, h, w), in [-0.5, 0.5].
    """
    planes = [_denoised(plane).ravel() for plane in chroma]
    tints = _tint_basis(_denoised(luma))
    without_tint = np.hypot(*(plane - _fitted(tints, plane) for plane in planes))
    total = np.hypot(*planes)
    return ColorEvidence(
        left=255 * float(np.quantile(np.minimum(without_tint, total), QUANTILE)),
        chroma=255 * float(total.mean()),
        is_lit=float((luma > DARK).mean()) >= MIN_LIT,
    )


def thumbnail_size(height: int, width: int) -> tuple[int, int]:
    """Return (width, height) of the thumbnail of a plane: the short side is :data:`THUMBNAIL_SIDE`."""
    scale = THUMBNAIL_SIDE / min(height, width)
    return min(round(width * scale), LONG_SIDE), min(round(height * scale), LONG_SIDE)


def thumbnail_band(rgb: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Shrink some rows of a picture, (rows, W, 3), to their part of its thumbnail.

    Each side is divided by a whole number: the short side becomes less than twice :data:`THUMBNAIL_SIDE`, the long side
    less than twice :data:`LONG_SIDE`. Every band keeps at least one row.

    Args:
        rgb: R'G'B' in [0, 1].
        size: (height, width) of the whole picture.
    """
    step_y, step_x = (max(1, min(size) // THUMBNAIL_SIDE, length // LONG_SIDE) for length in size)
    small = max(1, rgb.shape[1] // step_x), max(1, round(len(rgb) / step_y))
    return np.asarray(cv2.resize(rgb, small, interpolation=cv2.INTER_AREA), np.float32)


def rgb_evidence(rgb: FloatArray) -> ColorEvidence:
    """Judge a picture at thumbnail size, R'G'B' (h, w, 3) in [0, 1]."""
    luma = rgb @ np.array((0.299, 0.587, 0.114), np.float32)
    chroma = np.stack(((rgb[..., 2] - luma) / np.float32(1.772), (rgb[..., 0] - luma) / np.float32(1.402)))
    return color_evidence(luma, chroma)


def _denoised(plane: FloatArray) -> FloatArray:
    return np.asarray(cv2.blur(plane, (NOISE_WINDOW, NOISE_WINDOW)), np.float32)


def _tint_basis(luma: FloatArray) -> npt.NDArray[np.floating]:
    """Return what a tint is made of, (pixels, LUMA_STEPS + 2): a polyline over luma, and slopes across and down.

    The slopes are for casts that are stronger at one edge than at the other.
    """
    height, width = luma.shape
    levels = luma.ravel() * np.float32(LUMA_STEPS - 1)
    below = np.clip(levels.astype(np.int64), 0, LUMA_STEPS - 2)
    basis = np.zeros((len(levels), LUMA_STEPS + 2))
    places = np.arange(len(levels))
    basis[places, below], basis[places, below + 1] = 1 - (levels - below), levels - below
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    basis[:, LUMA_STEPS], basis[:, LUMA_STEPS + 1] = x.ravel(), y.ravel()
    return basis


def _fitted(basis: npt.NDArray[np.floating], values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the combination of a basis (pixels, terms) that is nearest to values (pixels,), by least squares."""
    normal = basis.T @ basis + 1e-3 * np.eye(basis.shape[1])
    return np.asarray(basis @ np.linalg.solve(normal, basis.T @ values))
