"""What becomes of one thing that a source holds: kept, changed or dropped, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["kept", "changed", "dropped"]


@dataclass(frozen=True)
class Fate:
    """What becomes of one thing."""

    what: str
    """``rotation``, ``chapters``, ``stream 2 (subtitle, subrip, eng)``."""
    outcome: Outcome
    why: str
    """One line; for what is lost it is the warning, and a whole sentence."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would come out."""

    output: Path
    fates: tuple[Fate, ...]
    """Of everything in the source; empty where the output is refused."""
    warnings: tuple[str, ...]
    """What coloring the film would warn of before the first frame."""
    refused: str | None
    """Why this output cannot be made; one line."""


def warnings_of(fates: Iterable[Fate]) -> list[str]:
    """The lines that whoever colors the film has to be told."""
    return [fate.why for fate in fates if fate.outcome != "kept"]
