"""The evaluator: pictures through colorizers, measured beside the rows "grey" and "truth"."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from vidcolor.errors import InputError
from vidcolor.inference.colorizer import Predictor
from vidcolor.networks.lab import grey_to_lightness, lab_to_rgb, lightness_to_grey, rgb_to_lab
from vidcolor_training.data.pictures import MIN_CHROMA, PictureFile, decode_file, iterate_files
from vidcolor_training.evaluation.blotches import FlatSteps, blotch_figures, flat_steps
from vidcolor_training.evaluation.hues import HueCounts, count_hues, hue_figures
from vidcolor_training.evaluation.metric_networks import LPIPS, MetricNetworks, PictureFeatures
from vidcolor_training.evaluation.metrics import EPSILON, LabPicture, RgbFloat
from vidcolor_training.evaluation.report import GREY, TRUTH, EvaluationReport, Figures, SetFigures
from vidcolor_training.evaluation.set_metrics import (
    colorfulness_figures,
    frechet_distance,
    over_grey,
    psnr_of_set,
    share_worse_than_grey,
)

PROTOCOL = (
    "short side brought to the size (Lanczos), centre kept; the grey picture is the neutral color of the same CIE L; "
    "predicted ab joined with that L, R'G'B' clipped to 0..1 and not rounded to 8 bits"
)
GREY_ITSELF = "has no color itself"
FEWEST_PICTURES = 2  # a covariance needs two


@dataclass(frozen=True)
class StillPicture:
    """A color photograph made grey. ``true`` float64 (S, S, 3); ``grey`` float32 (S, S); ``sha256`` of its file."""

    name: str
    true: RgbFloat
    grey: npt.NDArray[np.float32]
    sha256: str


@dataclass
class Gathered:
    """The figures and features of one row, collected picture by picture."""

    figures: dict[str, Figures] = field(default_factory=dict)
    features: dict[str, list[npt.NDArray[np.float32]]] = field(default_factory=lambda: defaultdict(list))
    hues: HueCounts = field(default_factory=HueCounts.empty)
    steps: FlatSteps = field(default_factory=FlatSteps)
    seconds: float = 0.0

    def column(self, metric: str) -> list[float]:
        """Return one metric of all pictures, in order."""
        return [figures[metric] for figures in self.figures.values()]


@dataclass(frozen=True)
class LeftOut:
    """A picture that is no measure: it cannot be read or decoded, or has no color."""

    name: str
    reason: str


def named_files(sources: Sequence[Path]) -> Iterator[PictureFile]:
    """Yield the pictures in folders and tar shards; repeated names get a number."""
    seen: Counter[str] = Counter()
    for file in iterate_files(sources):
        seen[file.name] += 1
        yield file if seen[file.name] == 1 else replace(file, name=f"{file.name} ({seen[file.name]})")


def still_pictures(
    sources: Sequence[Path], *, size: int, wanted: Container[str] | None = None
) -> Iterator[StillPicture | LeftOut]:
    """Yield the photographs as squares of ``size``: short side resized, center cropped. ``wanted``: names to keep."""
    for file in named_files(sources):
        if wanted is None or file.name in wanted:
            yield _still_picture(file, size)


def _still_picture(file: PictureFile, size: int) -> StillPicture | LeftOut:
    try:
        true = decode_file(file, size).astype(np.float64) / 255
    except InputError as exc:
        return LeftOut(file.name, str(exc).removeprefix(f"{file.name}: "))
    lab = rgb_to_lab(torch.from_numpy(true).permute(2, 0, 1))
    if float(torch.hypot(lab[1], lab[2]).mean()) < MIN_CHROMA:
        return LeftOut(file.name, GREY_ITSELF)
    grey = lightness_to_grey(lab[0]).clamp(0, 1).float().numpy()
    return StillPicture(file.name, true, grey, hashlib.sha256(file.data).hexdigest())


def pictures_of(sources: Sequence[Path], names: Container[str], *, size: int) -> Iterator[StillPicture]:
    """Yield those photographs again that an evaluation has measured, by their names."""
    for picture in still_pictures(sources, size=size, wanted=names):
        if isinstance(picture, StillPicture):
            yield picture


def evenly_spread(names: Sequence[str], count: int) -> list[str]:
    """Return ``count`` names at equal distances, or all names if there are fewer."""
    count = min(count, len(names))
    return [names[index * len(names) // count] for index in range(count)]


def join(grey: npt.NDArray[np.float32], ab: npt.NDArray[np.float32]) -> RgbFloat:
    """Join grey (H, W) and ab (2, H, W) to R'G'B' (H, W, 3), clipped to [0, 1] as in the literature."""
    L = grey_to_lightness(torch.from_numpy(grey).double())
    lab = torch.cat((L[None], torch.from_numpy(ab).double()))
    rgb: RgbFloat = lab_to_rgb(lab).clamp(0, 1).permute(1, 2, 0).numpy()
    return rgb


def uncolored(picture: StillPicture) -> RgbFloat:
    """Return the grey picture as R'G'B' (S, S, 3)."""
    return np.repeat(picture.grey[..., None], 3, axis=2).astype(np.float64)


def evaluate_stills(
    sources: Sequence[Path],
    colorizers: Mapping[str, Predictor],
    *,
    size: int = 256,
    networks: MetricNetworks | None = None,
    limit: int | None = None,
    quiet: bool = False,
) -> EvaluationReport:
    """Measure colorizers on color photographs that are made grey. Only figures stay in memory.

    Args:
        sources: folders of pictures, tar shards, pictures.
        colorizers: by the name of their row; not "grey", nor "truth".
        size: side of the squares.
        networks: published networks, for LPIPS and Fréchet distances; None: without these.
        limit: only so many pictures, evenly spread over all.
        quiet: without a progress bar.

    Returns:
        A report of kind "stills" without pictures; ``about`` holds ``size``, ``epsilon``, ``protocol`` and ``data``.
        Pictures that cannot be decoded, and those without color, are listed in ``left_out``.

    Raises:
        InputError: there is no picture, or none that can be measured.
    """
    if {GREY, TRUTH} & set(colorizers):
        raise ValueError(f"rows cannot be called {GREY!r} or {TRUTH!r}")
    networks = networks or MetricNetworks()
    wanted = None if limit is None else set(evenly_spread([file.name for file in named_files(sources)], limit))
    rows = {name: Gathered() for name in (GREY, *colorizers, TRUTH)}
    digest = hashlib.sha256()
    total = None if wanted is None else len(wanted)
    pictures = still_pictures(sources, size=size, wanted=wanted)
    left_out: dict[str, str] = {}
    for picture in tqdm(pictures, desc="evaluate", unit="picture", mininterval=5, disable=quiet, total=total):
        if isinstance(picture, LeftOut):
            left_out[picture.name] = picture.reason
            continue
        digest.update(f"{picture.name}\0{picture.sha256}\n".encode())
        _measure_picture(picture, colorizers, networks, rows)
    count = len(rows[TRUTH].figures)
    if not count:
        first = "".join(f", but {len(left_out)} such as {name}: {why}" for name, why in [*left_out.items()][:1])
        raise InputError(f"{', '.join(map(str, sources))}: expected color pictures, found none{first}")
    table, not_measured = summarize(rows)
    data = {"sources": [source.name for source in sources], "pictures": count, "sha256": digest.hexdigest()}
    return EvaluationReport(
        kind="stills",
        rows=table,
        items={name: row.figures for name, row in rows.items()},
        about={"size": size, "epsilon": EPSILON, "protocol": PROTOCOL, "data": data},
        not_measured={**networks.not_measured, **not_measured},
        left_out=left_out,
    )


def _measure_picture(
    picture: StillPicture, colorizers: Mapping[str, Predictor], networks: MetricNetworks, rows: Mapping[str, Gathered]
) -> None:
    true = networks.embed(LabPicture(picture.true))
    _keep(rows[TRUTH], picture.name, true, true, networks)
    _keep(rows[GREY], picture.name, networks.embed(LabPicture(uncolored(picture))), true, networks)
    for name, colorizer in colorizers.items():
        if not rows[name].figures:
            colorizer.predict(picture.grey[None])  # the first call is slow everywhere and is not timed
        started = time.perf_counter()
        ab = colorizer.predict(picture.grey[None])[0]
        rows[name].seconds += time.perf_counter() - started
        _keep(rows[name], picture.name, networks.embed(LabPicture(join(picture.grey, ab))), true, networks)


def _keep(row: Gathered, name: str, pred: PictureFeatures, true: PictureFeatures, networks: MetricNetworks) -> None:
    row.figures[name] = networks.compare(pred, true)
    row.hues += count_hues(pred.picture.lab[..., 1:], true.picture.lab[..., 1:])
    row.steps += flat_steps(pred.picture.lab, true.picture.lab)
    for metric, vector in pred.features.items():
        row.features[metric].append(vector)


def summarize(rows: Mapping[str, Gathered]) -> tuple[dict[str, SetFigures], dict[str, str]]:
    """Return the figures of the set, by row, and the reasons why figures are missing, by metric."""
    not_measured: dict[str, str] = {}
    table = {name: _means(row) | _of_the_set(row, rows[GREY], rows[TRUTH]) for name, row in rows.items()}
    if len(rows[TRUTH].figures) < FEWEST_PICTURES:
        not_measured |= dict.fromkeys(rows[TRUTH].features, f"a Fréchet distance needs {FEWEST_PICTURES} pictures")
    return {name: _finite(row) for name, row in table.items()}, not_measured


def _means(row: Gathered) -> Figures:
    return {name: float(np.mean(row.column(name))) for name in next(iter(row.figures.values()))}


def _of_the_set(row: Gathered, grey: Gathered, truth: Gathered) -> Figures:
    figures = {
        "psnr_of_set": psnr_of_set(row.column("mse")),
        "worse_than_grey": share_worse_than_grey(row.column("mse"), grey.column("mse")),
        **colorfulness_figures(row.column("colorfulness_absolute"), truth.column("colorfulness_absolute")),
        **hue_figures(row.hues, truth.hues),
        **blotch_figures(row.steps, truth.steps),
    }
    for error in ("mse", LPIPS):
        if error in next(iter(row.figures.values())):
            figures[f"{error}_over_grey"] = over_grey(row.column(error), grey.column(error))
    if len(row.figures) >= FEWEST_PICTURES:
        for metric, vectors in row.features.items():
            figures[metric] = frechet_distance(np.stack(vectors), np.stack(truth.features[metric]))
    if row.seconds:
        figures["pictures_per_second"] = len(row.figures) / row.seconds
    return figures


def _finite(figures: Figures) -> SetFigures:
    """Replace infinite figures by None, as PSNR of equal pictures."""
    return {name: figure if math.isfinite(figure) else None for name, figure in figures.items()}
