"""Compute the rows of a table from the figures of clips: means, ratios to the truth's own, and missing figures."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from vidcolor_training.evaluation.hues import HueCounts, hue_figures
from vidcolor_training.evaluation.report import GREY, TRUTH, Figures, SetFigures
from vidcolor_training.evaluation.set_metrics import (
    ROUNDING_MSE,
    colorfulness_figures,
    over_grey,
    share_worse_than_grey,
)
from vidcolor_training.evaluation.video_metrics import CDC_FRAMES, DRIFT_FRAMES, MIN_VISIBLE

OVER_TRUTH = {
    "flicker_over_truth": "warp_ab",
    "warp_ab_8_over_truth": "warp_ab_8",
    "warp_ab_24_over_truth": "warp_ab_24",
    "cdc_over_truth": "cdc",
    "drift_over_truth": "drift",
}
"""Name of each ratio, and what is divided by the truth's own."""
BY_FRAMES = frozenset({"network_share", "network_ms", "temporal_ms"})
"""Means over frames, not over clips."""
UNMATCHED = f"no two frames match over {MIN_VISIBLE:.0%} of the picture"
WHY_MISSING = {
    "cdc": f"no shot of {CDC_FRAMES} frames",
    "drift": f"no shot of {DRIFT_FRAMES} frames",
    "warp_ab": UNMATCHED,
    "warp_rgb": UNMATCHED,
    "warp_ab_8": f"no shot of 9 frames, or {UNMATCHED}",
    "warp_ab_24": f"no shot of 25 frames, or {UNMATCHED}",
}


def over_truth(figures: Figures, truth: Figures) -> Figures:
    """Return the ratios of :data:`OVER_TRUTH`, where both figures exist and the truth's is not zero."""
    return {
        name: figures[figure] / truth[figure]
        for name, figure in OVER_TRUTH.items()
        if figure in figures and truth.get(figure, 0) > 0
    }


def table(items: Mapping[str, Mapping[str, Figures]], frames: Mapping[str, int]) -> dict[str, SetFigures]:
    """Return a row of means for each row of ``items`` (row → clip → figures); ``frames``: the frames of each clip.

    A clip without a figure does not count for it; a ratio is one of means, so that a clip with hardly any motion cannot
    outweigh all others. None stands for infinity, as PSNR is for equal pictures.
    """
    means = {row: _means(clips, frames) for row, clips in items.items()}
    ratios = {row: over_truth(figures, means["truth"]) for row, figures in means.items()}
    return {row: {name: _finite(value) for name, value in (means[row] | ratios[row]).items()} for row in items}


def _means(clips: Mapping[str, Figures], frames: Mapping[str, int]) -> Figures:
    names = dict.fromkeys(name for figures in clips.values() for name in figures if name not in OVER_TRUTH)
    means = {name: _mean(name, clips, frames) for name in names}
    if "frames_per_second" in means:
        means["frames_per_second"] = 1000 / (means["network_ms"] + means["temporal_ms"])
    return means


def _mean(name: str, clips: Mapping[str, Figures], frames: Mapping[str, int]) -> float:
    having = [clip for clip, figures in clips.items() if name in figures]
    weights = [frames[clip] if name in BY_FRAMES else 1 for clip in having]
    return float(np.average([clips[clip][name] for clip in having], weights=weights))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def figures_of_set(items: Mapping[str, Mapping[str, Figures]], hues: Mapping[str, HueCounts]) -> dict[str, Figures]:
    """Return, for each row, what only all clips together can say: hues, colorfulness by clip, errors beside grey's.

    Args:
        items: row → clip → figures, with "mse" and "colorfulness_absolute"; the rows "grey" and "truth" among them.
        hues: row → counts over all clips.
    """

    def column(row: str, metric: str) -> list[float]:
        return [figures[metric] for figures in items[row].values()]

    grey_mse, true_cf = column(GREY, "mse"), column(TRUTH, "colorfulness_absolute")
    return {
        row: {
            **({"mse_over_grey": over_grey(column(row, "mse"), grey_mse)} if np.mean(grey_mse) > ROUNDING_MSE else {}),
            "worse_than_grey": share_worse_than_grey(column(row, "mse"), grey_mse),
            **colorfulness_figures(column(row, "colorfulness_absolute"), true_cf),
            **hue_figures(hues[row], hues[TRUTH]),
        }
        for row in items
    }


def gaps_in(clips: Mapping[str, Figures]) -> dict[str, str]:
    """Return, by metric, on which clips it is missing, and why."""
    reasons = {}
    for name, why in WHY_MISSING.items():
        without = [clip for clip, figures in clips.items() if name not in figures]
        if without:
            where = "any clip" if len(without) == len(clips) else ", ".join(without)
            reasons[name] = f"not on {where}: {why}"
    return reasons
