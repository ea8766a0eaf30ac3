"""The log of a run: a line per entry in metrics.jsonl, the same in TensorBoard, and curves at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidcolor.files.atomic import atomic_file

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"
CURVES = ("curves.svg", "curves.png")
SMOOTHING_PARTS = 200  # a curve has at most so many points, each a mean


class RunLog:
    """The figures of a run by step.

    Args:
        run: The run folder.
        first_step: Entries of later steps are removed: a stopped run repeats them.
    """

    def __init__(self, run: Path, *, first_step: int) -> None:
        self.path = run / METRICS
        _keep_until(self.path, first_step)
        self.file = self.path.open("a", encoding="utf-8")
        self.board = _tensorboard(run / TENSORBOARD, first_step)

    def write(self, step: int, figures: Mapping[str, float | str]) -> None:
        """Write one entry; numbers are written to TensorBoard too."""
        self.file.write(json.dumps({"step": step, **figures}) + "\n")
        self.file.flush()
        for name, value in figures.items():
            if isinstance(value, (int, float)):
                self.board.add_scalar(name, value, step)

    def picture(self, step: int, path: Path) -> None:
        """Add an image file to TensorBoard."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            self.board.add_image("samples", np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        """Close the files; calling it twice is allowed."""
        self.file.close()
        self.board.close()


def _keep_until(path: Path, step: int) -> None:
    if not path.exists():
        return
    *whole, _half = path.read_text(encoding="utf-8").split("\n")  # a last line without end was not finished
    lines = [line for line in whole if json.loads(line)["step"] <= step]
    with atomic_file(path, overwrite=True) as part:
        part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _tensorboard(folder: Path, first_step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder, purge_step=first_step + 1)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the entries of a run, in order."""
    return [json.loads(line) for line in (run / METRICS).read_text(encoding="utf-8").splitlines()]


def draw_curves(run: Path) -> list[Path]:
    """Draw every figure of a run over its steps, as curves.svg and curves.png; return their paths."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rows = read_metrics(run)
    names = sorted({n for row in rows for n, v in row.items() if isinstance(v, (int, float))} - {"step"})
    columns = 3
    lines = -(-max(len(names), 1) // columns)
    figure = Figure(figsize=(4.5 * columns, 2.8 * lines), layout="constrained")
    FigureCanvasSVG(figure)
    for index, name in enumerate(names):
        axes = figure.add_subplot(lines, columns, index + 1)
        points = [(row["step"], row[name]) for row in rows if name in row]
        axes.plot(*zip(*_means(points), strict=True), color="#2266aa", linewidth=1.2, marker=".", markersize=3)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        for step in _stage_starts(rows):
            axes.axvline(step, color="#999999", linewidth=0.6, linestyle=":")
    paths = [run / name for name in CURVES]
    for path in paths:
        figure.savefig(path)
    return paths


def _means(points: list[tuple[int, float]]) -> list[tuple[float, float]]:
    size = -(-len(points) // SMOOTHING_PARTS)
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]


def _stage_starts(rows: list[dict[str, Any]]) -> list[int]:
    """Return the first step of every stage except the first."""
    found: dict[str, int] = {}
    for row in rows:
        if "stage" in row:
            found.setdefault(row["stage"], row["step"])
    return list(found.values())[1:]
