"""Render a report as one HTML page without scripts or addresses elsewhere; it names pictures and films relatively.

Jinja escapes all names of pictures, weights and recipes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vidcolor_training.evaluation.histogram import common_ceiling, histogram_svg
from vidcolor_training.evaluation.metric_info import (
    METRIC_INFO,
    OVER_CLEAN,
    by_group,
    format_figure,
    metric_info,
    rows_to_print,
)
from vidcolor_training.evaluation.report import EvaluationReport, SetFigures

FIXED_ROWS = ("grey", "truth")
HISTOGRAMS = {"mse": "grey", "ciede2000": "grey", "colorfulness": "truth"}
"""Metric to the row that is drawn behind every other: an error is compared with grey's, which is 0 for the truth."""
ARROWS = {"lower": "↓", "higher": "↑", "truth": "≈", "none": ""}
TITLES = {"stills": "Still pictures", "video": "Film clips"}


def render_html(report: EvaluationReport, folder: Path) -> str:
    """Return the page of a report; ``folder`` is where it will be stored."""
    metrics = list(dict.fromkeys(metric for row in report.rows.values() for metric in row))
    page = _environment().get_template("report.html")
    return page.render(
        title=f"{TITLES.get(report.kind, report.kind)}: evaluation",
        lead=_lead(report),
        rows=report.rows,
        groups=by_group(metrics),
        best={metric: best_rows(report.rows, metric) for metric in metrics},
        not_measured={metric_info(metric).label: reason for metric, reason in report.not_measured.items()},
        left_out=report.left_out,
        histograms=_histograms(report),
        pictures=_relative(report.pictures, folder),
        players=_relative(report.players, folder),
        definitions=_definitions(metrics),
        about=report.about,
    )


def _environment() -> Environment:
    """Return the environment of the templates: everything is escaped, and an unknown name is an error."""
    loader = PackageLoader("vidcolor_training.evaluation")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"words": _words, "info": metric_info}
    environment.globals |= {
        "arrows": ARROWS,
        "fixed_rows": FIXED_ROWS,
        "format_figure": format_figure,
        "rows_to_print": rows_to_print,
    }
    return environment


def _lead(report: EvaluationReport) -> str:
    items = len(next(iter(report.items.values()), ()))
    noun = "clips" if report.kind == "video" else "pictures"
    size = f", short side {report.about['size']}" if "size" in report.about else ""
    return f"{items} {noun}{size}: {', '.join(weights_rows(report.rows))}, beside grey and the truth"


def weights_rows(rows: Mapping[str, SetFigures]) -> list[str]:
    """Return the names of the rows of weights: not grey, not the truth, and not weights under a condition."""
    return [name for name, row in rows.items() if name not in FIXED_ROWS and OVER_CLEAN not in row]


def best_rows(rows: Mapping[str, SetFigures], metric: str) -> set[str]:
    """Return the names of the weights with the best figure, several if they are equal, among :func:`weights_rows`."""
    found = {name: rows[name][metric] for name in weights_rows(rows) if metric in rows[name]}
    figures = {name: math.inf if figure is None else figure for name, figure in found.items()}
    target = rows.get("truth", {}).get(metric)
    badness = {
        "lower": lambda figure: figure,
        "higher": lambda figure: -figure,
        "truth": lambda figure: abs(figure - target) if target is not None else 0.0,
        "none": None,
    }[metric_info(metric).better]
    if len(figures) < 2 or badness is None:  # a single figure is not marked as best
        return set()
    least = min(badness(figure) for figure in figures.values())
    return {name for name, figure in figures.items() if badness(figure) == least}


def _definitions(metrics: Iterable[str]) -> dict[str, str]:
    """Return the labels and definitions of the described metrics, in the order of the tables."""
    names = [name for names in by_group(metrics).values() for name in names if name in METRIC_INFO]
    return {METRIC_INFO[name].label: METRIC_INFO[name].definition for name in names}


def _histograms(report: EvaluationReport) -> dict[str, dict[str, Markup]]:
    """Return the histograms by the labels of their metrics and by their captions."""
    found: dict[str, dict[str, Markup]] = {}
    for metric, behind in HISTOGRAMS.items():
        values = {name: [f[metric] for f in items.values() if metric in f] for name, items in report.items.items()}
        ours = [name for name in weights_rows(report.rows) if values.get(name)]
        if ours and values.get(behind):
            ceiling = common_ceiling([values[name] for name in (*ours, behind)])
            found[metric_info(metric).label] = {
                f"{name} (filled) and {behind} (line)": Markup(
                    histogram_svg(values[name], values[behind], ceiling=ceiling)
                )
                for name in ours
            }
    return found


def _relative(files: Sequence[tuple[Path, str]], folder: Path) -> list[tuple[str, str]]:
    """Return the addresses of files relative to the page, with their captions."""
    return [(quote(path.relative_to(folder).as_posix()), caption) for path, caption in files]


def _words(key: Any) -> str:
    """Return an identifier as words; other keys stay as they are."""
    return str(key).replace("_", " ") if str(key).isidentifier() else str(key)
