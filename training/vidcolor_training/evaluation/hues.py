"""Measure which hues a set of pictures shows, and which of the truth's hues are found.

An error in R'G'B' says little about hues: the mean of all colors that a thing may have is a dull brown with a small
error. These figures compare the distribution of ab, and the hue of every pixel, with the truth's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

AB_LIMIT = 64.0
AB_BINS = 32
"""The ab histogram: 32 × 32 squares of 4 Lab units, over ±64. Pixels beyond that count in the outermost squares."""
MIN_CHROMA = 15.0
"""Pixels of this chroma or less have no hue."""
HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
HUE_STARTS = (20, 60, 85, 105, 170, 230, 300, 340)
"""Degrees of the angle of ab at which the hues begin. Each ends where the next begins; pink ends at 20°."""
NO_HUE = len(HUES)

Ab = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HueCounts:
    """Counts of pixels, which add up over pictures.

    Attributes:
        histogram: (AB_BINS, AB_BINS), predicted pixels by a and by b.
        confusion: (9, 9), pixels by their true hue (row) and their predicted hue (column); the last index is
            :data:`NO_HUE`.
    """

    histogram: Counts
    confusion: Counts

    @classmethod
    def empty(cls) -> Self:
        """Return the counts of no picture."""
        return cls(np.zeros((AB_BINS, AB_BINS), np.int64), np.zeros((len(HUES) + 1, len(HUES) + 1), np.int64))

    def __add__(self, other: HueCounts) -> HueCounts:
        return HueCounts(self.histogram + other.histogram, self.confusion + other.confusion)


def count_hues(pred_ab: Ab, true_ab: Ab) -> HueCounts:
    """Count the pixels of one picture.

    Args:
        pred_ab: (..., 2), Lab units.
        true_ab: the same shape.
    """
    pairs = hue_of(true_ab) * (len(HUES) + 1) + hue_of(pred_ab)
    confusion = np.bincount(pairs.ravel(), minlength=(len(HUES) + 1) ** 2)
    return HueCounts(ab_histogram(pred_ab), confusion.reshape(len(HUES) + 1, len(HUES) + 1))


def hue_of(ab: Ab) -> Counts:
    """Return the index in :data:`HUES` of each pixel of ab (..., 2), and :data:`NO_HUE` for pixels of low chroma."""
    a, b = ab[..., 0], ab[..., 1]
    angle = np.degrees(np.arctan2(b, a)) % 360
    hue = (np.digitize(angle, HUE_STARTS) - 1) % len(HUES)
    return np.where(np.hypot(a, b) > MIN_CHROMA, hue, NO_HUE).astype(np.int64)


def ab_histogram(ab: Ab) -> Counts:
    """Count the pixels of ab (..., 2), Lab units, in AB_BINS × AB_BINS squares over ±AB_LIMIT.

    Zero lies on the border of four squares: ab is rounded to tenths, so that neutral pixels all count in one of them.
    """
    places = np.floor((ab.round(1) + AB_LIMIT) * (AB_BINS / (2 * AB_LIMIT))).clip(0, AB_BINS - 1).astype(np.int64)
    counts = np.bincount((places[..., 0] * AB_BINS + places[..., 1]).ravel(), minlength=AB_BINS**2)
    return counts.reshape(AB_BINS, AB_BINS)


def histogram_overlap(a: Counts, b: Counts) -> float:
    """Return the sum of the minima of two histograms, each divided by its sum: 1 for equal ones, 0 for disjoint ones.

    Raises:
        ValueError: a histogram without any pixel.
    """
    if not (a.any() and b.any()):
        raise ValueError("expected histograms of at least one pixel")
    return float(np.minimum(a / a.sum(), b / b.sum()).sum())


def hue_figures(pred: HueCounts, true: HueCounts) -> dict[str, float]:
    """Return the figures of a set by their names in reports.

    ``ab_overlap``: :func:`histogram_overlap` with the truth's histogram. For each hue ``share_HUE``: how many pixels
    have it, over how many have it in the truth; ``recall_HUE``: of the pixels that have it in the truth, the share that
    has it in the prediction; ``precision_HUE``: of the pixels that have it in the prediction, the share that has it in
    the truth. A figure that would be divided by zero pixels is left out.

    Args:
        pred: counted over a set by :func:`count_hues`.
        true: counted over the same set with the truth as its own prediction.
    """
    in_truth, in_prediction = pred.confusion.sum(axis=1), pred.confusion.sum(axis=0)
    found = pred.confusion.diagonal()
    figures = {"ab_overlap": histogram_overlap(pred.histogram, true.histogram)}
    for name, dividends, divisors in (
        ("share", in_prediction, in_truth),
        ("recall", found, in_truth),
        ("precision", found, in_prediction),
    ):
        figures |= _ratios(name, dividends, divisors)
    return figures


def _ratios(name: str, dividends: Counts, divisors: Counts) -> dict[str, float]:
    by_hue: Mapping[str, tuple[int, int]] = dict(zip(HUES, zip(dividends, divisors, strict=True), strict=False))
    return {f"{name}_{hue}": float(over / under) for hue, (over, under) in by_hue.items() if under}
