"""A report as one HTML file: no script, nothing from elsewhere; pictures and films are named relative to it.

Whatever comes from outside (names of pictures, of weights, of recipes) is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from vidcolor_training.evaluation.histogram import common_ceiling, histogram_svg
from vidcolor_training.evaluation.metric_info import (
    METRIC_INFO,
    OVER_CLEAN,
    by_group,
    format_figure,
    metric_info,
    rows_to_print,
)

if TYPE_CHECKING:
    from vidcolor_training.evaluation.report import Report, Row

FIXED_ROWS = ("grey", "truth")
HISTOGRAMS = {"mse": "grey", "ciede2000": "grey", "colorfulness": "truth"}
"""Metric to the row that is drawn behind every other: an error is compared with grey's, which is 0 for the truth."""
ARROWS = {"lower": "↓", "higher": "↑", "truth": "≈", "none": ""}
TITLES = {"stills": "Still pictures", "video": "Film clips"}

STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1b; --soft: #6b6a66; --line: #dcd9d2; --paper: #fbfaf7; --card: #fff;
  --best: #0b6e4f; --tint: #f1efe9; --ours: #c4622d; --behind: #8d8b85; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceae4; --soft: #9d9a92; --line: #3a3934; --paper: #171715;
  --card: #1f1f1c; --best: #5fd1a6; --tint: #272723; --ours: #e58a55; --behind: #85827a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1, h2 { font-family: ui-serif, "Iowan Old Style", Palatino, Georgia, serif; font-weight: 600; line-height: 1.2; }
h1 { font-size: 2rem; margin: 0 0 .4rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .8rem; }
h3 { font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); margin: 1.6rem 0 .4rem;
  font-weight: 600; }
p.lead { color: var(--soft); margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .6rem; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .5rem .8rem; text-align: right; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--line); }
tbody th { text-align: left; font-weight: 500; position: sticky; left: 0; background: inherit; max-width: 16rem;
  overflow: hidden; text-overflow: ellipsis; }
thead th:first-child { text-align: left; position: sticky; left: 0; background: var(--card); }
tbody tr { background: var(--card); }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tr.fixed { background: var(--tint); color: var(--soft); }
td.best { color: var(--best); font-weight: 700; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .35rem 1.2rem; margin: 0;
  font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
dd dl { margin-bottom: .4rem; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
figure { margin: 0 0 1rem; }
.grid figure { border: 1px solid var(--line); border-radius: .6rem; background: var(--card); padding: .8rem;
  margin: 0; }
figcaption { font-size: .85rem; color: var(--soft); margin-top: .4rem; overflow-wrap: anywhere; }
img, video { display: block; width: 100%; height: auto; border-radius: .4rem; }
svg { display: block; width: 100%; height: auto; }
svg .ours { fill: var(--ours); opacity: .8; }
svg .behind { fill: none; stroke: var(--behind); stroke-width: 1.5; }
svg .axis { stroke: var(--line); }
svg text { fill: var(--soft); font-size: 11px; font-family: inherit; }
details summary { cursor: pointer; color: var(--soft); margin-top: 1rem; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  h1 { font-size: 1.6rem; } }
"""


def render_html(report: Report, folder: Path) -> str:
    """The whole page; ``folder`` is where it will stand."""
    title = f"{TITLES.get(report.kind, report.kind)}: evaluation"
    sections = [
        _tables(report.rows),
        _not_measured(report.not_measured),
        _histograms(report),
        _media("Best, median, worst", report.pictures, folder, _image),
        _media("Side by side", report.players, folder, _player),
        _definitions(metric for row in report.rows.values() for metric in row),
        f"<h2>About</h2>{_description_list(report.about)}",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>"
        f'<header><h1>{escape(title)}</h1><p class="lead">{_lead(report)}</p></header>\n'
        + "\n".join(section for section in sections if section)
        + "\n</main></body></html>\n"
    )


def _lead(report: Report) -> str:
    items = len(next(iter(report.items.values()), ()))
    noun = "clips" if report.kind == "video" else "pictures"
    size = f", short side {report.about['size']}" if "size" in report.about else ""
    names = weights_rows(report.rows)
    return escape(f"{items} {noun}{size}: {', '.join(names)}, beside grey and the truth")


def _tables(rows: Mapping[str, Row]) -> str:
    groups = by_group(metric for row in rows.values() for metric in row)
    tables = "".join(f"<h3>{escape(group)}</h3>{_table(rows, metrics)}" for group, metrics in groups.items())
    note = "<p class=lead>↓ lower is better, ↑ higher, ≈ nearest to the truth; bold: best of the weights.</p>"
    return f"<h2>Figures</h2>{note}{tables}"


def _table(rows: Mapping[str, Row], metrics: Sequence[str]) -> str:
    heads = "".join(f'<th scope="col" title="{escape(metric_info(m).definition)}">{_head(m)}</th>' for m in metrics)
    best = {metric: best_rows(rows, metric) for metric in metrics}
    lines = []
    for name, row in rows_to_print(rows, metrics).items():
        cells = "".join(
            f"<td{' class=best' if name in best[m] else ''}>{format_figure(m, row[m]) if m in row else ''}</td>"
            for m in metrics
        )
        fixed = " class=fixed" if name in FIXED_ROWS else ""
        lines.append(f'<tr{fixed}><th scope="row" title="{escape(name)}">{escape(name)}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col"></th>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _head(metric: str) -> str:
    info = metric_info(metric)
    return f"{escape(info.label)} {ARROWS[info.better]}".strip()


def weights_rows(rows: Mapping[str, Row]) -> list[str]:
    """The rows of weights as they are: not grey, not the truth, and not weights under a condition."""
    return [name for name, row in rows.items() if name not in FIXED_ROWS and OVER_CLEAN not in row]


def best_rows(rows: Mapping[str, Row], metric: str) -> set[str]:
    """The weights whose figure is best, several if they are equal; only :func:`weights_rows` compete."""
    found = {name: rows[name][metric] for name in weights_rows(rows) if metric in rows[name]}
    figures = {name: math.inf if figure is None else figure for name, figure in found.items()}
    target = rows.get("truth", {}).get(metric)
    badness = {
        "lower": lambda figure: figure,
        "higher": lambda figure: -figure,
        "truth": lambda figure: abs(figure - target) if target is not None else 0.0,
        "none": None,
    }[metric_info(metric).better]
    if len(figures) < 2 or badness is None:  # one alone is no best
        return set()
    least = min(badness(figure) for figure in figures.values())
    return {name for name, figure in figures.items() if badness(figure) == least}


def _not_measured(reasons: Mapping[str, str]) -> str:
    if not reasons:
        return ""
    named = {metric_info(metric).label: reason for metric, reason in reasons.items()}
    return f"<h2>Not measured</h2>{_description_list(named)}"


def _definitions(metrics: Iterable[str]) -> str:
    names = [name for names in by_group(metrics).values() for name in names if name in METRIC_INFO]
    definitions = {METRIC_INFO[name].label: METRIC_INFO[name].definition for name in names}
    return f"<details><summary>What the figures are</summary>{_description_list(definitions)}</details>"


def _histograms(report: Report) -> str:
    blocks = []
    for metric, behind in HISTOGRAMS.items():
        values = {name: [f[metric] for f in items.values() if metric in f] for name, items in report.items.items()}
        ours = [name for name in weights_rows(report.rows) if values.get(name)]
        if ours and values.get(behind):
            ceiling = common_ceiling([values[name] for name in (*ours, behind)])
            figures = "".join(_histogram(name, values[name], values[behind], behind, ceiling) for name in ours)
            blocks.append(f'<h3>{escape(metric_info(metric).label)}</h3><div class="grid">{figures}</div>')
    return f"<h2>Picture by picture</h2>{''.join(blocks)}" if blocks else ""


def _histogram(name: str, values: Sequence[float], others: Sequence[float], behind: str, ceiling: float) -> str:
    caption = f"{name} (filled) and {behind} (line)"
    svg = histogram_svg(values, others, ceiling=ceiling)
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _media(title: str, files: Sequence[tuple[Path, str]], folder: Path, element: Any) -> str:
    figures = "".join(
        f"<figure>{element(quote(path.relative_to(folder).as_posix()), escape(caption))}"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for path, caption in files
    )
    return f"<h2>{escape(title)}</h2>{figures}" if figures else ""


def _image(url: str, caption: str) -> str:
    return f'<a href="{url}"><img src="{url}" alt="{caption}" loading="lazy"></a>'


def _player(url: str, caption: str) -> str:
    return f'<video src="{url}" title="{caption}" controls muted loop playsinline preload="metadata"></video>'


def _description_list(table: Mapping[str, Any]) -> str:
    entries = "".join(f"<dt>{escape(_words(key))}</dt><dd>{_value(value)}</dd>" for key, value in table.items())
    return f"<dl>{entries}</dl>"


def _words(key: str) -> str:
    return str(key).replace("_", " ") if str(key).isidentifier() else str(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _description_list(value)
    if isinstance(value, list | tuple):
        return "<br>".join(_value(inner) for inner in value)
    return escape(f"{value:.6g}" if isinstance(value, float) else str(value))
