"""What the evaluator finds out, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Figures = dict[str, float]
"""Of one picture or clip, by metric."""
Row = dict[str, float | None]
"""Of a whole set, by metric. None stands for infinity, which JSON does not have."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation: every table has the rows "grey" and "truth".

    ``rows``: by name of the row. ``items``: by name of the row, then of the picture or clip.
    ``not_measured``: metric to the reason why it is missing. ``about``: what was measured, with what, on what.
    ``pictures``: image files to show, with their captions; ``players``: films to show side by side, likewise; all lie
    in the report's folder.
    """

    kind: str
    rows: Mapping[str, Row]
    items: Mapping[str, Mapping[str, Figures]]
    about: Mapping[str, Any]
    not_measured: Mapping[str, str] = field(default_factory=dict)
    pictures: Sequence[tuple[Path, str]] = ()
    players: Sequence[tuple[Path, str]] = ()


def format_table(table: dict[str, dict[str, float | None]]) -> str:
    """Rows of figures as a plain table."""
    names = list(dict.fromkeys(name for row in table.values() for name in row))
    width = max(len(name) for name in table)
    lines = [" " * width + "".join(f"  {name:>13.13}" for name in names)]
    for name, row in table.items():
        cells = "".join(f"  {_cell(row[n]):>13}" if n in row else " " * 15 for n in names)
        lines.append(f"{name:<{width}}{cells}")
    return "\n".join(lines)


def _cell(figure: float | None) -> str:
    return "inf" if figure is None else f"{figure:.5g}"
