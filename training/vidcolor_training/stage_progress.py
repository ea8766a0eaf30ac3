"""How much of a stage is done: by pictures, or by time where a run has a budget of it."""

from __future__ import annotations

import time


class StageProgress:
    """The share of a stage that is done, from ``done`` at its start, or where it was resumed, to 1.

    Args:
        pictures: that the stage has.
        seconds: for the rest of the stage; None: no limit.
        done: so far.
        seen: pictures of the stage so far.
    """

    def __init__(self, pictures: int, seconds: float | None, *, done: float = 0.0, seen: int = 0) -> None:
        self.pictures, self.seconds, self.first_done, self.first_seen = pictures, seconds, done, seen
        self.began = time.monotonic()

    def done(self, seen: int) -> float:
        """After ``seen`` pictures of the stage, now; at most 1."""
        by_pictures = seen / self.pictures
        if self.first_done > self.first_seen / self.pictures:  # time had been faster: the rest of the pictures is left
            rest = (seen - self.first_seen) / (self.pictures - self.first_seen)
            by_pictures = self.first_done + (1 - self.first_done) * rest
        if self.seconds is None:
            return min(by_pictures, 1.0)
        by_time = self.first_done + (1 - self.first_done) * (time.monotonic() - self.began) / self.seconds
        return min(max(by_pictures, by_time), 1.0)
