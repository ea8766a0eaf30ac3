"""What of a single picture stays neutral: its borders, and all of it where it shows nothing with a color."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidcolor.color.borders import fill_borders, find_borders, neutral_borders
from vidcolor.color.texture import texture_factor
from vidcolor.frames import Borders, FloatArray


@dataclass(frozen=True)
class NetworkView:
    """A picture at the size at which the network sees it."""

    grey: FloatArray
    """(h, w) in [0, 1]."""
    borders: Borders

    @classmethod
    def of(cls, grey: FloatArray) -> NetworkView:
        """Find the borders of (h, w) grey in [0, 1]."""
        return cls(grey, find_borders(grey))

    @property
    def shown(self) -> FloatArray:
        """The input of the network: the picture without its borders, (h, w)."""
        return fill_borders(self.grey, self.borders)

    def neutralized(self, ab: FloatArray) -> FloatArray:
        """Return ab (2, h, w) with what must stay neutral at 0."""
        factor = np.float32(texture_factor(self.borders.inside(self.grey)))
        return neutral_borders(ab * factor, self.grey, self.borders)
