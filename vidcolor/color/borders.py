"""Find the borders of a picture: bars beside it, above and below it, and the frame of a scan or of a film gate.

A border is as level as paint: along its whole length it has the level of the picture's edge, apart from noise, and it
ends at a straight line. Black borders are accepted alone. A border of any other level is accepted only with one of the
same level on the opposite side, because a sky or a wall may be as level on one.

The network sees the picture without its borders (:func:`fill_borders`), because they change the color that it gives to
the rest, and what lies in them stays neutral (:func:`neutral_borders`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.frames import NO_BORDERS, Borders, FloatArray, Levels

TOLERANCE = 5.0
"""Grey levels of 255 by which a border may differ from its level, after noise is averaged."""
NOISE_WINDOW = 3
"""Side of the window, in pixels, over which noise is averaged."""
MAX_OUTLIERS = 0.04
"""Share of a row or column of a border that may differ by more: dust."""
MIN_WIDTH = 0.015
"""Smallest width of a border, in parts of the side of the picture that it takes from."""
MAX_WIDTH = 0.45
"""Largest width of a border, likewise."""
BLACK = 30.0
"""Grey level up to which a border counts as black: raised blacks of old transfers reach it."""
MIN_STEP_OF_BLACK = 0.3
"""Share of a black border's length at which the picture must differ from it within :data:`STEP_PIXELS`."""
MIN_STEP = 0.5
"""The same for borders of other levels."""
STEP_PIXELS = 4
"""Pixels inside the end of a border in which it is compared with the picture."""
EDGE_PIXELS = 2
"""Pixels at the very edge that give a border's level."""
MIXED_PIXELS = 1
"""Pixels at the end of a border that hold some of the picture."""
CORNER = 0.12
"""Radius of rounded corners, in parts of the picture's short side."""

Axis = Literal["x", "y", "x between"]
"""Borders beside the picture, above and below it, or beside it between those above and below."""


@dataclass(frozen=True)
class Side:
    """The border on one side of a picture as far as one picture shows it."""

    width: int
    """Pixels from the edge that have the level of the edge, at most :data:`MAX_WIDTH`."""
    level: float
    """Grey level, 0 to 255."""
    step: float
    """Share of the border's length at which the picture differs from it; 0 if it does not end within the limit."""


WidthsOf = Callable[[Axis, Side, Side, int], tuple[int, int]]


def find_borders(grey: FloatArray) -> Borders:
    """Find the borders of one picture, (h, w) in [0, 1]."""
    return assemble(averaged_levels(grey), accepted_widths)


def assemble(levels: Levels, widths_of: WidthsOf) -> Borders:
    """Find the borders on all sides.

    Bars beside the picture may be of another level than those above and below it, so the latter are looked for between
    the former, or the other way round.

    Args:
        levels: (h, w), from :func:`averaged_levels`.
        widths_of: returns the widths of two opposite borders (:func:`accepted_widths`), called with the name of the
            axis, the two sides and the length of the picture along it.
    """
    height, width = levels.shape
    columns = np.ascontiguousarray(levels.T)
    left, right = widths_of("x", side_of(columns), side_of(columns[::-1]), width)
    inner = levels[:, left : width - right]
    top, bottom = widths_of("y", side_of(inner), side_of(inner[::-1]), height)
    if (top or bottom) and not (left or right):
        columns = columns[:, top : height - bottom]
        left, right = widths_of("x between", side_of(columns), side_of(columns[::-1]), width)
    return borders_of(levels, left, top, right, bottom)


def borders_of(levels: Levels, left: int, top: int, right: int, bottom: int) -> Borders:
    """Return the borders of these widths in pixels, with the level of the widest."""
    edges = ((left, levels[:, :1]), (top, levels[:1]), (right, levels[:, -1:]), (bottom, levels[-1:]))
    width, edge = max(edges, key=lambda pair: pair[0])
    return Borders(left, top, right, bottom, float(np.median(edge))) if width else NO_BORDERS


def averaged_levels(grey: FloatArray) -> Levels:
    """Return (h, w) grey in [0, 1] as levels, 0 to 255, with noise averaged."""
    levels = cv2.convertScaleAbs(grey, alpha=255)
    return np.asarray(cv2.blur(levels, (NOISE_WINDOW, NOISE_WINDOW)), np.uint8)


def side_of(levels: Levels) -> Side:
    """Measure the border at the top of (h, w) levels; pass a transposed or reversed view for the other sides."""
    level = float(np.median(levels[:EDGE_PIXELS]))
    limit = int(len(levels) * MAX_WIDTH)
    allowed = MAX_OUTLIERS * levels.shape[1]
    narrow = max(1, int(len(levels) * MIN_WIDTH))
    width = _lines_at(level, levels[:narrow], allowed)  # settles it for most pictures
    if width == narrow:
        width = _lines_at(level, levels[:limit], allowed)
    if width == limit:
        return Side(width, level, step=0.0)
    step = _differs(level, levels[width : width + STEP_PIXELS]).any(axis=0).mean()
    return Side(width, level, float(step))


def _lines_at(level: float, levels: Levels, allowed: float) -> int:
    """Return how many rows from the top have a level, apart from ``allowed`` pixels in each."""
    ends = np.flatnonzero(np.count_nonzero(_differs(level, levels), axis=1) > allowed)
    return int(ends[0]) if len(ends) else len(levels)


def _differs(level: float, levels: Levels) -> npt.NDArray[np.bool_]:
    low, high = max(math.ceil(level - TOLERANCE), 0), min(math.floor(level + TOLERANCE), 255)
    return (levels < low) | (levels > high)


def accepted_widths(axis: Axis, one: Side, other: Side, length: int) -> tuple[int, int]:
    """Return the widths of two opposite borders, 0 for one that is not accepted; ``length``: of the picture."""
    alike = abs(one.level - other.level) <= TOLERANCE
    are_pair = alike and all(side.width >= MIN_WIDTH * length and side.step >= MIN_STEP for side in (one, other))
    widths = tuple(
        side.width + MIXED_PIXELS if are_pair or _is_black_border(side, length) else 0 for side in (one, other)
    )
    return widths[0], widths[1]


def _is_black_border(side: Side, length: int) -> bool:
    return side.level <= BLACK and side.width >= MIN_WIDTH * length and side.step >= MIN_STEP_OF_BLACK


def fill_borders(grey: FloatArray, borders: Borders) -> FloatArray:
    """Replace the borders of (h, w) grey by mirror images of what lies within them."""
    if not borders:
        return grey
    left, top, right, bottom = borders.widths
    inner = np.ascontiguousarray(borders.inside(grey))
    return np.asarray(cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REFLECT), np.float32)


def neutral_borders(ab: FloatArray, grey: FloatArray, borders: Borders) -> FloatArray:
    """Return ab (2, h, w) with 0 in the borders of (h, w) grey and in rounded corners that have their level."""
    return ab * _picture_area(grey, borders) if borders else ab


def _picture_area(grey: FloatArray, borders: Borders) -> FloatArray:
    """Return 0 in the borders and in rounded corners that have their level, otherwise 1: (h, w)."""
    factor = np.zeros_like(grey)
    inner = borders.inside(factor)
    inner[...] = 1
    radius = max(round(CORNER * min(inner.shape)), 1)
    y, x = np.ogrid[:radius, :radius]
    beyond = (radius - 0.5 - y) ** 2 + (radius - 0.5 - x) ** 2 > radius**2
    at_level = np.abs(borders.inside(grey) * 255 - borders.level) <= TOLERANCE
    for rows in (slice(None), slice(None, None, -1)):
        for columns in (slice(None), slice(None, None, -1)):
            corner = inner[rows, columns][:radius, :radius]
            corner[_from_corner(beyond & at_level[rows, columns][:radius, :radius])] = 0
    return factor


def _from_corner(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the part of a mask (h, w) that is connected with its first pixel."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.asarray(mask & (labels == labels[0, 0]))
