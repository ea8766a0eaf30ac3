"""Write an evaluation as report.json and report.html, and read it back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidcolor.errors import InputError
from vidcolor.files.atomic import atomic_file
from vidcolor_training.evaluation.report import EvaluationReport
from vidcolor_training.evaluation.report_html import render_html

SCHEMA = "vidcolor-report-1"
JSON_NAME, HTML_NAME = "report.json", "report.html"


def write_report(report: EvaluationReport, folder: Path) -> None:
    """Write report.json and report.html into ``folder``, over those that are there.

    The report's pictures and players are only named: they lie in ``folder`` already.

    Raises:
        OutputError: the folder does not exist or takes no files.
    """
    with atomic_file(folder / JSON_NAME, overwrite=True) as part:
        part.write_text(json.dumps(_to_json(report, folder), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    with atomic_file(folder / HTML_NAME, overwrite=True) as part:
        part.write_text(render_html(report, folder), encoding="utf-8")


def read_report(folder: Path) -> EvaluationReport:
    """Read a report of :func:`write_report`, with infinite figures restored.

    Raises:
        InputError: The folder has no report, or one of another schema.
    """
    path = folder / JSON_NAME
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["schema"] != SCHEMA:
            raise InputError(f"{path}: expected a report of schema {SCHEMA}, found {table['schema']!r}; evaluate again")
        items = {
            row: {
                item: {k: math.inf if v is None else v for k, v in figures.items()} for item, figures in found.items()
            }
            for row, found in table["items"].items()
        }
        shown = {kind: [(folder / name, text) for name, text in table[kind]] for kind in ("pictures", "players")}
        return EvaluationReport(
            kind=table["kind"],
            rows=table["rows"],
            items=items,
            about=table["about"],
            not_measured=table["not_measured"],
            left_out=table.get("left_out", {}),  # older reports have none
            **shown,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(f"{path}: expected a report of vidcolor evaluate, found something else: {exc}") from exc


def _to_json(report: EvaluationReport, folder: Path) -> dict[str, Any]:
    table: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": report.kind,
        "about": report.about,
        "rows": report.rows,
        "not_measured": report.not_measured,
        "left_out": report.left_out,
        "pictures": [[path.relative_to(folder).as_posix(), caption] for path, caption in report.pictures],
        "players": [[path.relative_to(folder).as_posix(), caption] for path, caption in report.players],
        "items": report.items,
    }
    return {key: _without_infinity(value) for key, value in table.items()}


def _without_infinity(value: Any) -> Any:
    """Replace infinite figures by None: JSON has no infinity."""
    if isinstance(value, Mapping):
        return {str(key): _without_infinity(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinity(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
