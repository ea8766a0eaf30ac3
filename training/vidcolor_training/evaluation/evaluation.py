"""What ``vidcolor evaluate`` does: from weights files and data to a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vidcolor.inference.colorizer import Predictor
from vidcolor.inference.loading import load_colorizer
from vidcolor.inference.torch_engine import resolve_device
from vidcolor.inference.weights_file import default_weights
from vidcolor_training.evaluation.condition_rows import add_conditions
from vidcolor_training.evaluation.evaluator import evaluate_stills
from vidcolor_training.evaluation.film_degradation import FilmDegradation
from vidcolor_training.evaluation.metric_networks import (
    ALEXNET,
    EFFICIENTNET,
    MetricNetworks,
    find_metric_networks,
)
from vidcolor_training.evaluation.provenance import environment, file_sha256, row_names, weights_about
from vidcolor_training.evaluation.report import EvaluationReport
from vidcolor_training.evaluation.sheets import add_sheets
from vidcolor_training.evaluation.video_evaluator import MAX_FRAMES, evaluate_video
from vidcolor_training.pretrained.published import fetch_inception, fetch_pretrained, find_pretrained


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """The options of ``vidcolor evaluate``, by the names of their parameters."""

    data: tuple[Path, ...]
    folder: Path
    weights: tuple[Path, ...]
    """Weights files; empty: the default weights."""
    video: bool
    worn: bool
    conditions: bool
    size: int
    limit: int | None
    pretrained: Path | None
    fetch: bool
    inception: str | None
    """The file of an InceptionV3, or ``download``."""
    device: str


def run_evaluation(request: EvaluationRequest) -> EvaluationReport:
    """Evaluate all weights on the data, write pictures and films into the folder, and return the report."""
    paths = row_names(request.weights or (default_weights(),))
    batch_size = None if request.video else 1  # pictures differ in size and are timed one by one
    colorizers = {
        name: load_colorizer(path, device=request.device, batch_size=batch_size) for name, path in paths.items()
    }
    report = _evaluate_films(request, colorizers) if request.video else _evaluate_pictures(request, colorizers)
    about = {
        "weights": {name: weights_about(path) for name, path in paths.items()},
        **environment(resolve_device(request.device)),
    }
    networks = {key: report.about[key] for key in ("networks", "conditions") if key in report.about}
    rest = {key: value for key, value in report.about.items() if key not in networks}
    return replace(report, about={**rest, **about, **networks})


def _evaluate_films(request: EvaluationRequest, colorizers: Mapping[str, Predictor]) -> EvaluationReport:
    return evaluate_video(
        request.data,
        colorizers,
        request.folder,
        size=request.size,
        max_frames=request.limit or MAX_FRAMES,
        wear=FilmDegradation() if request.worn else None,
    )


def _evaluate_pictures(request: EvaluationRequest, colorizers: Mapping[str, Predictor]) -> EvaluationReport:
    networks = _metric_networks(request)
    report = evaluate_stills(request.data, colorizers, size=request.size, networks=networks, limit=request.limit)
    files = {metric: {"file": path.name, "sha256": file_sha256(path)} for metric, path in networks.files.items()}
    report = replace(report, about={**report.about, "networks": files})
    if request.conditions:
        report = add_conditions(report, request.data, colorizers)
    return add_sheets(report, request.data, colorizers, request.folder)


def _metric_networks(request: EvaluationRequest) -> MetricNetworks:
    """Return the metric networks that are available, downloaded where the request allows it."""
    for name in (ALEXNET, EFFICIENTNET):
        if request.fetch and find_pretrained(name, request.pretrained) is None:
            fetch_pretrained(name)
    if request.inception is None:
        inception = None
    else:
        inception = fetch_inception() if request.inception == "download" else Path(request.inception)
    return find_metric_networks(request.pretrained, inception=inception, device=resolve_device(request.device))
