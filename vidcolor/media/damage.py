"""What of a film could not be read or decoded, where that shall not end the work (``--on-error keep-grey``)."""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import Any

from av.packet import Packet

MAX_LINES = 20  # the others are counted


class Damage:
    """Notes what is damaged, and finds out which pictures are missing for it: those whose time never comes out."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0
        self._failures: list[str] = []  # of the decoder, not yet told
        self._awaited: list[int] = []  # heap of the times of pictures that went into the decoder

    @property
    def lines(self) -> list[str]:
        """One line each, with its time."""
        return [*self._lines, f"and {self._more} more like these"] if self._more else self._lines

    def note(self, line: str) -> None:
        """Put something down."""
        if len(self._lines) < MAX_LINES:
            self._lines.append(line)
        else:
            self._more += 1

    def also(self, other: Damage) -> None:
        """Put down what another reading of the same film has found beyond this one."""
        for line in other.lines:
            if line not in self._lines:
                self.note(line)

    def went_in(self, packet: Packet[Any]) -> None:
        """A packet goes into the decoder."""
        if packet.size and packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._awaited, packet.pts)

    def failed(self, how: str) -> None:
        """The decoder has refused something."""
        self._failures.append(how)

    def missing(self, before: int | None, time_base: Fraction) -> list[int]:
        """The times of pictures that should have come out ``before`` that time (None: the end), and have not."""
        due = []
        while self._awaited and (before is None or self._awaited[0] <= before):
            time = heapq.heappop(self._awaited)
            if time != before:
                due.append(time)
        lost = due[: len(self._failures)]
        for time in lost:
            seconds, how = float(time * time_base), self._failures.pop(0)
            self.note(
                f"the picture at {seconds:.2f} s cannot be decoded ({how}); the one before it stands in its place"
            )
        if before is None:
            for how in self._failures:
                self.note(f"something in the picture's stream cannot be decoded ({how}); no picture is known to miss")
            self._failures.clear()
        return lost
