"""From luma to ab: padding, device, data type and batches around a generator. No state between calls."""

from __future__ import annotations

from typing import Protocol

from vidcolor.frames import FloatArray


class Colorizer(Protocol):
    """Anything that says which colour a grey picture has."""

    batch_size: int
    """How many pictures are worth handing over in one call."""

    def predict(self, grey: FloatArray) -> FloatArray:
        """(N, h, w) grey levels in [0, 1], any size, to (N, 2, h, w) ab in Lab units. Every picture on its own."""
        ...
