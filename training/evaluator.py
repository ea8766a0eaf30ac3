"""The evaluator: pictures through a colorizer, measured beside the rows "grey" and "truth"."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from vidcolor.color import grey_to_lightness, lab_to_rgb, lightness_to_grey, rgb_to_lab
from vidcolor.colorizer import Predictor
from vidcolor.training.data import decode_square, iterate_files
from vidcolor.training.metrics import PAIR_METRICS, SINGLE_METRICS, Rgb
from vidcolor.training.report import Figures, Row


@dataclass(frozen=True)
class StillPicture:
    """A colour photograph made grey. ``true`` float64 (S, S, 3); ``grey`` float32 (S, S)."""

    name: str
    true: Rgb
    grey: npt.NDArray[np.float32]


def still_pictures(sources: Sequence[Path], *, size: int) -> Iterator[StillPicture]:
    """The photographs of folders and tar shards as squares of ``size``: short side resized, centre kept."""
    for name, data in iterate_files(sources):
        true = decode_square(data, size).astype(np.float64) / 255
        lab = rgb_to_lab(torch.from_numpy(true).permute(2, 0, 1))
        yield StillPicture(name, true, lightness_to_grey(lab[0]).clamp(0, 1).float().numpy())


def join(grey: npt.NDArray[np.float32], ab: npt.NDArray[np.float32]) -> Rgb:
    """Grey (H, W) and ab (2, H, W) to R'G'B' (H, W, 3), clipped to [0, 1] as the measured literature does."""
    L = grey_to_lightness(torch.from_numpy(grey).double())
    lab = torch.cat((L[None], torch.from_numpy(ab).double()))
    rgb: Rgb = lab_to_rgb(lab).clamp(0, 1).permute(1, 2, 0).numpy()
    return rgb


def measure(pred: Rgb, true: Rgb) -> Figures:
    """All metrics of one picture."""
    pair = {name: metric(pred, true) for name, metric in PAIR_METRICS.items()}
    return pair | {name: metric(pred) for name, metric in SINGLE_METRICS.items()}


def mean_figures(rows: Sequence[Figures]) -> Row:
    """Mean over pictures; None where it is infinite, as PSNR is for equal pictures: JSON has no infinity."""
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {name: mean if math.isfinite(mean) else None for name, mean in means.items()}


def evaluate_stills(sources: Sequence[Path], colorizers: dict[str, Predictor], *, size: int) -> dict[str, Row]:
    """One row of figures for grey, for every colorizer, and for the truth.

    ``pictures_per_second`` of a colorizer counts the network alone.
    """
    rows: dict[str, list[Figures]] = {name: [] for name in ("grey", *colorizers, "truth")}
    seconds = dict.fromkeys(colorizers, 0.0)
    for picture in tqdm(still_pictures(sources, size=size), desc="evaluate", unit="picture", mininterval=5):
        rows["grey"].append(measure(np.repeat(picture.grey[..., None], 3, axis=2).astype(np.float64), picture.true))
        rows["truth"].append(measure(picture.true, picture.true))
        for name, colorizer in colorizers.items():
            started = time.perf_counter()
            ab = colorizer.predict(picture.grey[None])[0]
            seconds[name] += time.perf_counter() - started
            rows[name].append(measure(join(picture.grey, ab), picture.true))
    table = {name: mean_figures(figures) for name, figures in rows.items()}
    for name in colorizers:
        table[name]["pictures_per_second"] = len(rows[name]) / seconds[name]
    for name, figures in rows.items():
        table[name]["mse_over_grey"] = sum(row["mse"] for row in figures) / sum(row["mse"] for row in rows["grey"])
    return table
