"""Measure the memory bandwidth of this machine.

A rate is the best within about a fifth of a second, so load by other programs matters little.
"""

from __future__ import annotations

import numpy as np

from vidcolor.inference.timing import shortest_time

COPIED_BYTES = 1 << 26
"""Size of the array that is copied: source and target exceed most processors' caches."""


def bytes_per_second() -> float:
    """Measure the memory bandwidth of one core: bytes read and written per second when it copies a large array."""
    source, target = np.ones(COPIED_BYTES, np.uint8), np.zeros(COPIED_BYTES, np.uint8)
    return 2 * COPIED_BYTES / shortest_time(lambda: np.copyto(target, source))
