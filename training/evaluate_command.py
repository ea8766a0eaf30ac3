"""``vidcolor evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidcolor.cli_options import debug_option


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", "report", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="The report's folder: report.json and sheet.jpg.")  # fmt: skip
@click.option("--weights", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="One or more weights files.  [default: those that come with vidcolor]")  # fmt: skip
@click.option(
    "--size", default=256, show_default=True, type=click.IntRange(min=32), help="Side of the square pictures."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@debug_option
def evaluate(data: tuple[Path, ...], report: Path, weights: tuple[Path, ...], size: int, device: str) -> None:
    """Measure weights on DATA: colour photographs, which are made grey. With the rows "grey" and "truth"."""
    from vidcolor.colorizer import Colorizer, Predictor
    from vidcolor.training.evaluator import evaluate_stills, still_pictures
    from vidcolor.training.report import format_table
    from vidcolor.training.sheets import contact_sheet, spread
    from vidcolor.weights import default_weights, load_generator

    paths = weights or (default_weights(),)
    colorizers: dict[str, Predictor] = {
        str(path): Colorizer(load_generator(path), device=device, batch_size=1) for path in paths
    }
    table = evaluate_stills(data, colorizers, size=size)
    report.mkdir(parents=True, exist_ok=True)
    (report / "report.json").write_text(json.dumps({"size": size, "rows": table}, indent=2, allow_nan=False) + "\n")
    count = sum(1 for _ in still_pictures(data, size=32))
    sample = spread(still_pictures(data, size=size), 24, count)
    contact_sheet(sample, next(iter(colorizers.values())), report / "sheet.jpg")
    click.echo(format_table(table))
