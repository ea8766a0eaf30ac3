"""The result of an evaluation, and its tables as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidcolor_training.evaluation.metric_info import by_group, format_figure, metric_info, rows_to_print

GREY, TRUTH = "grey", "truth"

Figures = dict[str, float]
"""Figures of one picture or clip, by metric."""
SetFigures = dict[str, float | None]
"""Figures of a whole set, by metric. None stands for infinity, which JSON does not have."""


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """One evaluation: every table has the rows "grey" and "truth".

    ``rows``: by name of the row. ``items``: by name of the row, then of the picture or clip.
    ``not_measured``: metric to the reason why it is missing. ``about``: what was measured, with what, on what.
    ``left_out``: name of a picture or clip to the reason why it was not measured.
    ``pictures``: image files to show, with their captions; ``players``: films to show side by side, likewise; all lie
    in the report's folder.
    """

    kind: str
    rows: Mapping[str, SetFigures]
    items: Mapping[str, Mapping[str, Figures]]
    about: Mapping[str, Any]
    not_measured: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    pictures: Sequence[tuple[Path, str]] = ()
    players: Sequence[tuple[Path, str]] = ()


def format_table(rows: Mapping[str, SetFigures]) -> str:
    """Format rows of figures as plain text: one table for each group of metrics, so that lines stay short."""
    width = max(len(name) for name in rows)
    groups = by_group(metric for row in rows.values() for metric in row)
    return "\n\n".join(_format_group(rows, metrics, width) for metrics in groups.values())


def _format_group(rows: Mapping[str, SetFigures], metrics: Sequence[str], width: int) -> str:
    widths = [max(len(metric_info(metric).label), 8) for metric in metrics]
    lines = [" " * width + "".join(f"  {metric_info(m).label:>{w}}" for m, w in zip(metrics, widths, strict=True))]
    for name, row in rows_to_print(rows, metrics).items():
        cells = [format_figure(metric, row[metric]) if metric in row else "" for metric in metrics]
        lines.append(f"{name:<{width}}" + "".join(f"  {c:>{w}}" for c, w in zip(cells, widths, strict=True)))
    return "\n".join(line.rstrip() for line in lines)
