"""Measure how much color changes inside evenly lit places, where blotches are seen first.

Hues that are scattered at random fit the histogram of a set well and look bad: the histogram does not know where they
lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidcolor_training.evaluation.metrics import Lab

CELLS = 16
"""Cells along each side of a picture."""
MAX_DEVIATION = 4.0
"""Standard deviation of L in a cell, below which it is evenly lit."""


@dataclass(frozen=True)
class FlatSteps:
    """Steps of ab between neighboring evenly lit cells: their sum in Lab units and their number, to be added up."""

    total: float = 0.0
    count: int = 0

    def __add__(self, other: FlatSteps) -> FlatSteps:
        return FlatSteps(self.total + other.total, self.count + other.count)


def flat_steps(pred: Lab, true: Lab) -> FlatSteps:
    """Sum up the distances between the mean ab of neighboring cells that are evenly lit in the true picture.

    Args:
        pred: Lab (H, W, 3); what is left over by 16 × 16 cells of whole pixels does not count.
        true: the same shape.

    Raises:
        ValueError: a side of less than 16 pixels.
    """
    ab = _cells(pred[..., 1:]).mean(axis=(1, 3))
    flat = _cells(true[..., :1]).std(axis=(1, 3))[..., 0] < MAX_DEVIATION
    across = np.linalg.norm(np.diff(ab, axis=1), axis=2)[flat[:, 1:] & flat[:, :-1]]
    down = np.linalg.norm(np.diff(ab, axis=0), axis=2)[flat[1:] & flat[:-1]]
    return FlatSteps(float(across.sum() + down.sum()), len(across) + len(down))


def _cells(maps: Lab) -> Lab:
    """Cut (H, W, C) into (CELLS, h, CELLS, w, C)."""
    height, width = (side // CELLS for side in maps.shape[:2])
    if not (height and width):
        raise ValueError(f"expected a picture of at least {CELLS} × {CELLS}, got {maps.shape[1]} × {maps.shape[0]}")
    whole = maps[: CELLS * height, : CELLS * width]
    return whole.reshape(CELLS, height, CELLS, width, -1)


def blotch_figures(pred: FlatSteps, true: FlatSteps) -> dict[str, float]:
    """Return ``flat_steps_over_truth`` of a set by its name in reports; nothing where the truth's steps are 0."""
    return {"flat_steps_over_truth": pred.total / true.total} if true.total > 0 else {}
