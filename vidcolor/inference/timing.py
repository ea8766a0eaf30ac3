"""Measure short times so that other load on the machine matters little."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

ROUNDS = 6
"""Repetitions of :func:`shortest_times`. All calls take turns, so that other load affects all of them."""
GIVE_UP_RATIO = 4.0
"""Times the shortest time of all, from which on a call is not repeated."""
MEASURED_SECONDS = 0.2
"""Duration of :func:`shortest_time`."""


def shortest_times(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the shortest of several times of each call, in seconds; the first call of each is not measured."""
    for call in calls.values():
        call()
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            if best[name] == float("inf") or best[name] < GIVE_UP_RATIO * min(best.values()):
                best[name] = min(best[name], _seconds(call))
    return best


def shortest_time(call: Callable[[], object]) -> float:
    """Repeat a call for :data:`MEASURED_SECONDS` and return the shortest time in seconds."""
    call()  # the first call builds the kernel
    until, best = time.perf_counter() + MEASURED_SECONDS, float("inf")
    while time.perf_counter() < until:
        best = min(best, _seconds(call))
    return best


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
