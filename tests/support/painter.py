"""A colorizer whose colors follow from brightness."""

from __future__ import annotations

import numpy as np

from vidcolor.frames import FloatArray


class Painter:
    """Colors bright pixels yellow and dark ones blue."""

    batch_size = 4
    fingerprint = "paint"
    runs_on = "paper"
    backend = "paper 1"

    def predict(self, grey: FloatArray) -> FloatArray:
        """Return ab (N, 2, h, w) of greys (N, h, w) in [0, 1]."""
        return np.stack((10 * (grey - 0.5), 60 * (grey - 0.5)), axis=1)
