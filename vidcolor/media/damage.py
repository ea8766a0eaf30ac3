"""Damage in a film: the error that ends the work, and the list of what was left out where the work continues."""

from __future__ import annotations

MAX_LINES = 20  # further lines are only counted


class UnreadableError(Exception):
    """Why a film cannot be read; raised by the stages of reading, which do not know the name of the film."""


class DamageError(UnreadableError):
    """The film is damaged."""


class Damage:
    """What was damaged in a film and left out or concealed, with ``--on-error keep-grey``."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0

    @property
    def lines(self) -> list[str]:
        """One line each with the time, at most :data:`MAX_LINES`; a last line counts the others."""
        return [*self._lines, f"and {self._more} more like these"] if self._more else self._lines

    def note(self, line: str) -> None:
        """Add a line."""
        if len(self._lines) < MAX_LINES:
            self._lines.append(line)
        else:
            self._more += 1

    def also(self, other: Damage) -> None:
        """Add the lines that only another reading of the same film has found."""
        for line in other.lines:
            if line not in self._lines:
                self.note(line)
