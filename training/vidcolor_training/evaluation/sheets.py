"""The best, median and worst pictures of an evaluation, as contact sheets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vidcolor.inference.colorizer import Predictor
from vidcolor_training.evaluation.contact_sheet import write_sheet
from vidcolor_training.evaluation.evaluator import StillPicture, join, pictures_of, uncolored
from vidcolor_training.evaluation.metrics import RgbFloat
from vidcolor_training.evaluation.report import EvaluationReport

SORTED_BY = "ciede2000"
SHEET_PICTURES = 6
SHEET_COLUMNS = 2


def triple(picture: StillPicture, colorizer: Predictor) -> list[RgbFloat]:
    """Return grey, ours and truth of one picture."""
    ours = join(picture.grey, colorizer.predict(picture.grey[None])[0])
    return [uncolored(picture), ours, picture.true]


def choose(errors: Mapping[str, float], count: int = SHEET_PICTURES) -> dict[str, list[str]]:
    """Return the names of the ``count`` best, median and worst pictures, each from the smaller error to the larger."""
    names = sorted(errors, key=lambda name: errors[name])
    middle = max(len(names) - count, 0) // 2
    return {"best": names[:count], "median": names[middle : middle + count], "worst": names[-count:]}


def add_sheets(
    report: EvaluationReport, sources: Sequence[Path], colorizers: Mapping[str, Predictor], folder: Path
) -> EvaluationReport:
    """Write sheets of the best, median and worst pictures of every colorizer into ``folder``, and add them to a report.

    ``sources`` and ``colorizers`` are those of the report.
    """
    chosen = {
        name: choose({item: figures[SORTED_BY] for item, figures in report.items[name].items()}) for name in colorizers
    }
    wanted = {item for kinds in chosen.values() for items in kinds.values() for item in items}
    pictures = {p.name: p for p in pictures_of(sources, wanted, size=report.about["size"])}
    sheets = []
    for number, (name, kinds) in enumerate(chosen.items(), start=1):
        for kind, items in kinds.items():
            path = folder / f"sheet-{number}-{_slug(name)}-{kind}.jpg"
            write_sheet([triple(pictures[item], colorizers[name]) for item in items], path, columns=SHEET_COLUMNS)
            figures = ", ".join(f"{report.items[name][item][SORTED_BY]:.1f}" for item in items)
            sheets.append((path, f"{name}, {kind} by CIEDE2000 ({figures}); each grey, ours, truth"))
    return replace(report, pictures=(*report.pictures, *sheets))


def _slug(name: str) -> str:
    """Convert a name to a part of a file name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name.removesuffix(".safetensors")).strip("-").lower()[:40] or "weights"
