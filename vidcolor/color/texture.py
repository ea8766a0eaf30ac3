"""Measure whether a picture shows anything that has a color to be known.

A field of grey, a gradient, a page of text and a title card show nothing: a network that was trained on photographs
takes them for skies and walls, and lays a veil over them. Photographs of little texture (skies, fog, painted walls) are
far from that (``docs/neutral.md``), so the measure does not touch them.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidcolor.frames import FloatArray

STROKE = 0.06
"""Width of strokes, in parts of the short side, up to which they count as writing and are removed."""
CELLS = 32
"""Cells along the short side whose means are compared; film grain cancels out in them."""
WINDOW = 5
"""Side of the window, in cells, from whose mean a cell must differ. A gradient does not."""
QUANTILE = 0.95
"""Quantile of the differences that counts: something small in a corner is no picture."""
BLANK, TEXTURED = 2.0, 4.0
"""Grey levels of 255: a picture with differences up to the first shows nothing, from the second on all of it counts."""


def texture_factor(grey: FloatArray) -> float:
    """Return the factor on the ab of a picture (h, w) in [0, 1]: 0 where it shows nothing, 1 for photographs.

    The factor is continuous, so that it follows a fade.
    """
    return float(np.clip((texture(grey) - BLANK) / (TEXTURED - BLANK), 0, 1))


def texture(grey: FloatArray) -> float:
    """Measure the structure that is left when dark strokes are removed, or bright ones, whichever leaves less.

    Args:
        grey: (h, w) in [0, 1].

    Returns:
        Grey levels, 0 to 255.
    """
    levels = cv2.blur(cv2.convertScaleAbs(grey, alpha=255), (3, 3))
    side = 2 * round(STROKE * min(grey.shape) / 2) + 1
    kernel = np.ones((side, side), np.uint8)
    return min(_structure(cv2.morphologyEx(levels, how, kernel)) for how in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN))


def _structure(levels: np.ndarray) -> float:
    height, width = levels.shape
    scale = CELLS / min(height, width)
    cells = cv2.resize(
        levels.astype(np.float32), (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA
    )
    inner = slice(WINDOW // 2, -(WINDOW // 2))
    differences = cv2.absdiff(cells, cv2.blur(cells, (WINDOW, WINDOW)))[inner, inner].ravel()
    place = round(QUANTILE * (len(differences) - 1))
    return float(np.partition(differences, place)[place])
