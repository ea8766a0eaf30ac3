"""Damage in a film: the error that ends the work, and the list of what was left out where the work continues."""

from __future__ import annotations

MAX_LINES = 20  # further lines are only counted


class UnreadableError(Exception):
    """Why a film cannot be read; raised by the stages of reading, which do not know the name of the film."""


class DamageError(UnreadableError):
    """The film is damaged."""


class DamageLog:
    """Lines about damage that was concealed or left out; the first :data:`MAX_LINES` are kept, further ones counted."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines, and one more with the number of those that were not kept."""
        return (*self._lines, f"and {self._more} more like these") if self._more else tuple(self._lines)

    def add(self, line: str) -> None:
        """Add a line."""
        if len(self._lines) < MAX_LINES:
            self._lines.append(line)
        else:
            self._more += 1
