"""What it costs when a picture comes damaged, at another size or with hints: rows beside those of the clean run."""

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
from vidcolor_training.evaluation.conditions import CONDITIONS, Shown, show, to_part
from vidcolor_training.evaluation.evaluator import StillPicture, join, still_pictures, uncolored
from vidcolor_training.evaluation.metric_info import OVER_CLEAN
from vidcolor_training.evaluation.metrics import colorfulness, mse
from vidcolor_training.evaluation.report import TRUTH, Figures, Report, Row
from vidcolor_training.evaluation.set_metrics import ROUNDING_MSE

T = TypeVar("T")

DEAF = "the network takes no hints"


@dataclass(frozen=True)
class Compared:
    """One picture under a condition, and what it is compared with on the same pixels. ``change``: largest, of ab."""

    mse: float
    clean_mse: float
    grey_mse: float
    colorfulness: float
    change: float

    def figures(self) -> Figures:
        """As the report lists them, picture by picture."""
        return {
            "mse": self.mse,
            OVER_CLEAN: _over(self.mse, self.clean_mse),
            "colorfulness": self.colorfulness,
            "largest_change": self.change,
        }


def add_conditions(
    report: Report, sources: Sequence[Path], colorizers: Mapping[str, Predictor | HintPredictor], *, quiet: bool = False
) -> Report:
    """A report of stills with one more row for each colorizer under each condition, named "weights: condition".

    They stand before the row of the truth, and have ``mse``, ``mse_over_grey``, ``mse_over_clean``, ``colorfulness``
    and ``largest_change`` alone. Conditions with hints are left out for networks that take none, and said to be.

    Args:
        report: of :func:`evaluate_stills`; its pictures are colored again.
        sources: those that it was made with, and ``colorizers`` likewise.
        quiet: without a progress bar.
    """
    wanted = report.items[TRUTH]
    names = {weights: _conditions_for(colorizer) for weights, colorizer in colorizers.items()}
    found: dict[str, dict[str, Compared]] = {row_name(w, c): {} for w, conditions in names.items() for c in conditions}
    pictures = still_pictures(sources, size=report.about["size"], wanted=wanted)
    for picture in tqdm(pictures, desc="conditions", unit="picture", mininterval=5, disable=quiet, total=len(wanted)):
        for weights, colorizer in colorizers.items():
            for condition, compared in compare(picture, colorizer, names[weights]):
                found[row_name(weights, condition)][picture.name] = compared
    left_out = {row_name(w, c): DEAF for w, conditions in names.items() for c in CONDITIONS if c not in conditions}
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
    """The row of weights under a condition."""
    return f"{weights}: {condition}"


def compare(
    picture: StillPicture, colorizer: Predictor | HintPredictor, conditions: Sequence[str]
) -> Iterator[tuple[str, Compared]]:
    """Color a picture once as it is and once under each condition."""
    clean_ab = colorizer.predict(picture.grey[None])[0]
    clean, grey = join(picture.grey, clean_ab), uncolored(picture)
    for name in conditions:
        shown = show(name, picture)
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


def _predict(colorizer: Predictor | HintPredictor, shown: Shown) -> FloatArray:
    grey = np.ascontiguousarray(shown.grey)[None]
    if shown.hints is None:
        return np.asarray(colorizer.predict(grey)[0])
    return np.asarray(cast(HintPredictor, colorizer).predict(grey, shown.hints[None])[0])


def _conditions_for(colorizer: Predictor | HintPredictor) -> list[str]:
    hears = getattr(colorizer, "takes_hints", False)
    return [name for name, condition in CONDITIONS.items() if hears or not condition.guided]


def _summary(pictures: Sequence[Compared]) -> Row:
    """Ratios are of means, so that a picture with hardly any error cannot outweigh all others."""
    error, clean, grey = (
        float(np.mean(errors)) for errors in zip(*((p.mse, p.clean_mse, p.grey_mse) for p in pictures), strict=True)
    )
    figures = {"mse": error, OVER_CLEAN: _over(error, clean)}
    if grey > ROUNDING_MSE:
        figures["mse_over_grey"] = error / grey
    figures["colorfulness"] = float(np.mean([picture.colorfulness for picture in pictures]))
    figures["largest_change"] = max(picture.change for picture in pictures)
    return {name: figure if math.isfinite(figure) else None for name, figure in figures.items()}


def _over(error: float, clean: float) -> float:
    """1 for equal errors, even where both are 0."""
    if error == clean:
        return 1.0
    return error / clean if clean > 0 else math.inf


def _before_truth(table: Mapping[str, T], added: Mapping[str, T]) -> dict[str, T]:
    return {**{name: entry for name, entry in table.items() if name != TRUTH}, **added, TRUTH: table[TRUTH]}
