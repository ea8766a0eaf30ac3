"""Measure pictures that are degraded, of another size or with hints: rows beside those of the clean pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from tqdm import tqdm

from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import HintPredictor, Predictor
from vidcolor_training.evaluation.conditions import CONDITIONS, NetworkInput, apply_condition, to_part
from vidcolor_training.evaluation.evaluator import StillPicture, join, pictures_of, uncolored
from vidcolor_training.evaluation.metric_info import OVER_CLEAN
from vidcolor_training.evaluation.metrics import colorfulness, mse
from vidcolor_training.evaluation.report import TRUTH, EvaluationReport, Figures, SetFigures

T = TypeVar("T")

TAKES_NO_HINTS = "the network takes no hints"


@dataclass(frozen=True)
class Compared:
    """Figures of one picture with and without a condition, on the same pixels. ``change``: largest of ab."""

    mse: float
    clean_mse: float
    grey_mse: float
    colorfulness: float
    change: float

    def figures(self) -> Figures:
        """Return the figures by their names in the report."""
        return {
            "mse": self.mse,
            OVER_CLEAN: _over(self.mse, self.clean_mse),
            "colorfulness": self.colorfulness,
            "largest_change": self.change,
        }


def add_conditions(
    report: EvaluationReport,
    sources: Sequence[Path],
    colorizers: Mapping[str, Predictor | HintPredictor],
    *,
    quiet: bool = False,
) -> EvaluationReport:
    """Add a row for each colorizer under each condition to a report of stills, named "weights: condition".

    The rows are inserted before the row of the truth. Their figures are ``mse``, ``mse_over_grey``,
    ``mse_over_clean``, ``colorfulness`` and ``largest_change``. Conditions with hints are listed as not measured for
    networks that take none.

    Args:
        report: The result of :func:`evaluate_stills`; its pictures are colored again.
        sources: The sources of the report.
        colorizers: The colorizers of the report.
        quiet: Whether to hide the progress bar.
    """
    wanted = report.items[TRUTH]
    names = {weights: _conditions_for(colorizer) for weights, colorizer in colorizers.items()}
    found: dict[str, dict[str, Compared]] = {row_name(w, c): {} for w, conditions in names.items() for c in conditions}
    pictures = pictures_of(sources, wanted, size=report.about["size"])
    for picture in tqdm(pictures, desc="conditions", unit="picture", mininterval=5, disable=quiet, total=len(wanted)):
        for weights, colorizer in colorizers.items():
            for condition, compared in compare(picture, colorizer, names[weights]):
                found[row_name(weights, condition)][picture.name] = compared
    left_out = {
        row_name(w, c): TAKES_NO_HINTS for w, conditions in names.items() for c in CONDITIONS if c not in conditions
    }
    used = {condition: CONDITIONS[condition].definition for conditions in names.values() for condition in conditions}
    return replace(
        report,
        rows=_before_truth(report.rows, {name: _summary(list(items.values())) for name, items in found.items()}),
        items=_before_truth(
            report.items,
            {name: {item: compared.figures() for item, compared in items.items()} for name, items in found.items()},
        ),
        about={**report.about, "conditions": used},
        not_measured={**report.not_measured, **left_out},
    )


def row_name(weights: str, condition: str) -> str:
    """Return the name of the row of weights under a condition."""
    return f"{weights}: {condition}"


def compare(
    picture: StillPicture, colorizer: Predictor | HintPredictor, conditions: Sequence[str]
) -> Iterator[tuple[str, Compared]]:
    """Color a picture once unchanged and once under each condition; yield the comparisons."""
    clean_ab = colorizer.predict(picture.grey[None])[0]
    clean, grey = join(picture.grey, clean_ab), uncolored(picture)
    for name in conditions:
        shown = apply_condition(name, picture)
        part = shown.part
        ab = to_part(_predict(colorizer, shown), picture, part)
        pred, true = join(picture.grey[part], ab), picture.true[part]
        compared = Compared(
            mse=mse(pred, true),
            clean_mse=mse(clean[part], true),
            grey_mse=mse(grey[part], true),
            colorfulness=colorfulness(pred),
            change=float(np.abs(ab - clean_ab[:, *part]).max()),
        )
        yield name, compared


def _predict(colorizer: Predictor | HintPredictor, shown: NetworkInput) -> FloatArray:
    grey = np.ascontiguousarray(shown.grey)[None]
    if shown.hints is None:
        return np.asarray(colorizer.predict(grey)[0])
    return np.asarray(cast(HintPredictor, colorizer).predict(grey, shown.hints[None])[0])


def _conditions_for(colorizer: Predictor | HintPredictor) -> list[str]:
    takes_hints = getattr(colorizer, "takes_hints", False)
    return [name for name, condition in CONDITIONS.items() if takes_hints or not condition.guided]


def _summary(pictures: Sequence[Compared]) -> SetFigures:
    """Return the figures of a row; ratios are of means, so that a picture with a tiny error does not dominate."""
    error, clean, grey = (
        float(np.mean(errors)) for errors in zip(*((p.mse, p.clean_mse, p.grey_mse) for p in pictures), strict=True)
    )
    figures = {"mse": error, OVER_CLEAN: _over(error, clean), "mse_over_grey": _over(error, grey)}
    figures["colorfulness"] = float(np.mean([picture.colorfulness for picture in pictures]))
    figures["largest_change"] = max(picture.change for picture in pictures)
    return {name: figure if math.isfinite(figure) else None for name, figure in figures.items()}


def _over(error: float, clean: float) -> float:
    """Return the ratio of two errors; 1 for equal errors, also where both are 0."""
    if error == clean:
        return 1.0
    return error / clean if clean > 0 else math.inf


def _before_truth(table: Mapping[str, T], added: Mapping[str, T]) -> dict[str, T]:
    return {**{name: entry for name, entry in table.items() if name != TRUTH}, **added, TRUTH: table[TRUTH]}
