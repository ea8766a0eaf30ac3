"""Train all recipes with the same time budget and tabulate their figures: ``python -m vidcolor_training.results``.

    python -m vidcolor_training.results train DATA... -o RUNS --minutes 4 --pretrained FOLDER
    python -m vidcolor_training.results measure VAL... -o RUNS --pretrained FOLDER
    python -m vidcolor_training.results table RUNS training/RESULTS.md

``table`` replaces what stands between the two marks in RESULTS.md, and leaves the prose around them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vidcolor.inference.weights_file import describe
from vidcolor.networks import build
from vidcolor_training.data.pictures import load_pictures
from vidcolor_training.evaluation.metric_info import format_figure, metric_info
from vidcolor_training.evaluation.report import GREY, TRUTH, EvaluationReport, SetFigures
from vidcolor_training.evaluation.report_files import JSON_NAME, read_report
from vidcolor_training.recipes.toml import load_recipe, recipe_names
from vidcolor_training.trainer import FINAL

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
LEFT_OUT = {"encoder-trial"}  # an experiment of our own within one network
REPORT = "report"
COLUMNS = (
    "mse",
    "mse_over_grey",
    "psnr",
    "ssim",
    "mae",
    "epsilon_accuracy",
    "cie76",
    "ciede2000",
    "colorfulness",
    "lpips",
    "frechet_efficientnet_lite2",
)


@click.group()
def main() -> None:
    """Train, measure and tabulate all recipes."""


@main.command("train")
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", "runs", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--minutes", required=True, type=click.FloatRange(min=0.1), help="For each recipe.")
@click.option("--size", default=256, show_default=True, type=click.IntRange(min=64), help="Side of the pictures.")
@click.option("--pretrained", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="[default: RUNS/cache]")
@click.option("--recipe", "names", multiple=True, help="Only these.  [default: all]")
def train_all(
    data: tuple[Path, ...],
    runs: Path,
    *,
    minutes: float,
    size: int,
    pretrained: Path | None,
    cache: Path | None,
    names: tuple[str, ...],
) -> None:
    """Train every recipe on DATA for as many minutes, one after the other. Finished runs are skipped."""
    cache = cache or runs / "cache"
    load_pictures(data, size=size, cache=cache)  # decoded before, so that no budget includes it
    for name in names or _compared():
        if (runs / name / FINAL).exists():
            continue
        options = ["-o", runs / name, "--recipe", name, "--minutes", minutes, "--cache", cache]
        options += [part for change in fitted_settings(name, size) for part in ("--set", change)]
        options += [] if pretrained is None else ["--pretrained", pretrained]
        click.echo(name)
        subprocess.run(
            [sys.executable, "-m", "vidcolor", "train", *map(str, [*data, *options]), "--overwrite"], check=True
        )


@main.command("measure")
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", "runs", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--size", default=256, show_default=True, type=click.IntRange(min=64), help="Side of the pictures.")
@click.option("--pretrained", type=click.Path(exists=True, file_okay=False, path_type=Path))
def measure_all(data: tuple[Path, ...], runs: Path, size: int, pretrained: Path | None) -> None:
    """Evaluate the weights of every run on DATA. Runs with a report are skipped."""
    for name in _trained(runs):
        folder = runs / name / REPORT
        if (folder / JSON_NAME).exists():
            continue
        options: list[Any] = ["-o", folder, "--weights", runs / name / FINAL, "--size", size]
        options += [] if pretrained is None else ["--pretrained", pretrained]
        subprocess.run([sys.executable, "-m", "vidcolor", "evaluate", *map(str, [*data, *options])], check=True)


@main.command("table")
@click.argument("runs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def tabulate(runs: Path, results: Path) -> None:
    """Write the figures of RUNS into the file RESULTS, between its marks."""
    text = results.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise click.ClickException(f"{results}: expected the marks {BEGIN} and {END}, each once")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    results.write_text(f"{before}{BEGIN}\n{render(runs)}\n{END}{after}", encoding="utf-8")


@dataclass(frozen=True)
class Measured:
    """The run and the report of one recipe."""

    name: str
    weights: dict[str, Any]
    report: EvaluationReport

    @property
    def training(self) -> dict[str, Any]:
        """The training metadata of the weights."""
        training: dict[str, Any] = self.weights["training"]
        return training

    @property
    def row(self) -> SetFigures:
        """The figures of the weights."""
        (row,) = (row for name, row in self.report.rows.items() if name not in (GREY, TRUTH))
        return row

    @property
    def parameters(self) -> int:
        """The number of the network's parameters."""
        return sum(p.numel() for p in build(self.weights["network"], self.weights["config"]).parameters())


def render(runs: Path) -> str:
    """Return the tables as Markdown.

    Raises:
        ValueError: The runs used different data, or the reports different pictures.
    """
    found = [
        Measured(name, describe(runs / name / FINAL), read_report(runs / name / REPORT)) for name in _trained(runs)
    ]
    if not found:
        raise ValueError(f"{runs}: holds no finished run")
    for what, values in (
        ("trained", {each.training["data_sha256"] for each in found}),
        ("measured", {each.report.about["data"]["sha256"] for each in found}),
    ):
        if len(values) > 1:
            raise ValueError(f"{runs}: the runs were not all {what} on the same pictures")
    return "\n\n".join((_conditions(found, runs), _figures(found), _published(found)))


def _compared() -> list[str]:
    return [name for name in recipe_names() if name not in LEFT_OUT]


def fitted_settings(name: str, size: int) -> list[str]:
    """Return the changes of a recipe for pictures of another size: a U-Net must not go below 1 × 1 pixels."""
    changes = [f"data.size={size}", f"stages.size={size}"]
    recipe = load_recipe(name)
    if recipe.network.name == "unet":
        changes.append(f"network.downs={min(int(recipe.network.config['downs']), size.bit_length() - 1)}")
    return changes


def _trained(runs: Path) -> list[str]:
    return [name for name in _compared() if (runs / name / FINAL).exists()]


def _conditions(found: Sequence[Measured], runs: Path) -> str:
    run = json.loads((runs / found[0].name / "run.json").read_text(encoding="utf-8"))
    training, about = found[0].training, found[0].report.about
    minutes = sorted(each.training["minutes"] for each in found)
    return (
        f"Trained on {training['data_pictures']} pictures (SHA-256 {training['data_sha256'][:16]}…), "
        f"{minutes[0]:.1f} to {minutes[-1]:.1f} minutes in steps for each recipe, {training['threads']} thread(s) of "
        f"{run['machine']['processor']}, torch {training['torch']}, seed {training['seed']}; "
        f"measured on {about['data']['pictures']} others (SHA-256 {about['data']['sha256'][:16]}…) "
        f"at {about['size']} × {about['size']}."
    )


def _figures(found: Sequence[Measured]) -> str:
    columns = [name for name in COLUMNS if name in found[0].row]
    labels = [metric_info(name).label for name in columns]
    head = ["recipe", "parameters", "pictures seen", "trained at, pictures/s", *labels]
    lines = [head, ["---"] * len(head), ["*grey*", "", "", "", *_cells(found[0].report.rows[GREY], columns)]]
    for each in found:
        seen, minutes = each.training["pictures_seen"], each.training["minutes"]
        start = [each.name, f"{each.parameters:,}", f"{seen:,}", f"{seen / minutes / 60:.1f}"]
        lines.append([*start, *_cells(each.row, columns)])
    lines.append(["*truth*", "", "", "", *_cells(found[0].report.rows[TRUTH], columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: SetFigures, columns: Sequence[str]) -> list[str]:
    return [format_figure(name, row[name]) for name in columns]


def _published(found: Sequence[Measured]) -> str:
    """Return the table of the figures published for the same experiments, measured on other pictures."""
    lines = ["| recipe | published figures | on |", "| --- | --- | --- |"]
    for each in found:
        published = dict(load_recipe(each.name).published)
        source = published.pop("source", "–")
        figures = ", ".join(f"{key} {value}" for key, value in published.items()) or "–"
        lines.append(f"| {each.name} | {figures} | {source} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
