"""The progress of a stage: by pictures, or by time where a run has a time budget."""

from __future__ import annotations

import time


class StageProgress:
    """The part of a stage that is done, from ``done`` at its start, or where it was resumed, to 1.

    Args:
        pictures: Pictures of the whole stage.
        seconds: Time for the rest of the stage; None: no limit.
        done: The part that was done before.
        seen: Pictures of the stage that were seen before.
    """

    def __init__(self, pictures: int, seconds: float | None, *, done: float = 0.0, seen: int = 0) -> None:
        self.pictures, self.seconds, self.first_done, self.first_seen = pictures, seconds, done, seen
        self.began = time.monotonic()

    def done(self, seen: int) -> float:
        """Return the part that is done now, after ``seen`` pictures of the stage; at most 1."""
        by_pictures = seen / self.pictures
        if (
            self.first_done > self.first_seen / self.pictures
        ):  # the time ran faster: the rest of the pictures counts for the rest of the stage
            rest = (seen - self.first_seen) / (self.pictures - self.first_seen)
            by_pictures = self.first_done + (1 - self.first_done) * rest
        if self.seconds is None:
            return min(by_pictures, 1.0)
        by_time = self.first_done + (1 - self.first_done) * (time.monotonic() - self.began) / self.seconds
        return min(max(by_pictures, by_time), 1.0)
