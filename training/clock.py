"""How much of a stage is done: by pictures, or by time where a run has a budget of it."""

from __future__ import annotations

import time


class StageClock:
    """The share of a stage that is done, from ``done`` at its start, or where it was resumed, to 1.

    Args:
        pictures: that the stage has.
        seconds: for the rest of the stage; None: no limit.
        done: so far.
    """

    def __init__(self, pictures: int, seconds: float | None, *, done: float = 0.0) -> None:
        self.pictures, self.seconds, self.first_done = pictures, seconds, done
        self.began = time.monotonic()

    def done(self, seen: int) -> float:
        """After ``seen`` pictures of the stage, now; at most 1."""
        by_pictures = seen / self.pictures
        if self.seconds is None:
            return min(by_pictures, 1.0)
        by_time = self.first_done + (1 - self.first_done) * (time.monotonic() - self.began) / self.seconds
        return min(max(by_pictures, by_time), 1.0)
