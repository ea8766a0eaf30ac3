"""Records of what becomes of the things that a source holds: kept, changed or dropped, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

OutcomeKind = Literal["kept", "changed", "dropped"]


@dataclass(frozen=True)
class Outcome:
    """What becomes of one thing that the source holds."""

    what: str
    """``rotation``, ``chapters``, ``stream 2 (subtitle, subrip, eng)``."""
    kind: OutcomeKind
    why: str
    """One line; for what is changed or dropped it is a full sentence, which is also the warning."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """The result of writing a small part of the source the way that all of it would be written."""

    output: Path
    outcomes: tuple[Outcome, ...]
    """One for each thing in the source; empty if the output is refused."""
    warnings: tuple[str, ...]
    """The warnings that are known before the first frame is colored."""
    refused: str | None
    """Why this output cannot be made, in one line; None if it can."""


def warnings_of(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the reasons of all outcomes that are not ``kept``."""
    return [outcome.why for outcome in outcomes if outcome.kind != "kept"]
