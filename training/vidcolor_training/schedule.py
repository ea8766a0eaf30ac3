"""Learning-rate schedules, as functions of the part of a stage that is done."""

from __future__ import annotations

import math

WARM_UP = 0.03  # of a stage: the rate rises from zero
FINAL_RATE = 0.02  # of the learning rate, at the end of a stage
ONE_CYCLE_RISE = 0.3  # of a stage
ONE_CYCLE_START = 1 / 25  # of the learning rate


def schedule(name: str, done: float) -> float:
    """Return the factor of the learning rate.

    Args:
        name: ``cosine``: a short rise, then half a cosine down (Loshchilov & Hutter 2017, without restarts);
            ``one_cycle``: a long rise, then down (Smith & Topin 2019); ``constant``: 1 after the same short rise.
        done: The part of the stage that is done, 0 to 1.
    """
    if name == "one_cycle":
        if done < ONE_CYCLE_RISE:
            return _cosine(ONE_CYCLE_START, 1.0, done / ONE_CYCLE_RISE)
        return _cosine(1.0, FINAL_RATE, (done - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))
    if done < WARM_UP:
        return max(done / WARM_UP, 0.01)
    return 1.0 if name == "constant" else _cosine(1.0, FINAL_RATE, (done - WARM_UP) / (1 - WARM_UP))


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
