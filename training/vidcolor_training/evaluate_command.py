"""The command ``vidcolor evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidcolor.cli.options import debug_option
from vidcolor_training.extras import check_extras


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The report's folder: report.html, report.json and sheets of pictures.",
)
@click.option(
    "--weights",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="One or more weights files.  [default: those that come with vidcolor]",
)
@click.option(
    "--video", is_flag=True, help="DATA are films in color, colored as the film pipeline does: flicker and drift too."
)
@click.option(
    "--worn", is_flag=True, help="With --video: the films are worn first, as old ones are: flicker, grain, weave, dust."
)
@click.option(
    "--conditions", is_flag=True, help="Also damaged, at other sizes and aspects, and with hints: a row for each."
)
@click.option(
    "--size",
    default=256,
    show_default=True,
    type=click.IntRange(min=32),
    help="Side of the square pictures; of films the short side.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Only so many pictures, evenly spread over all; of films only so many frames of each.  "
    "[default: all; 240 frames]",
)
@click.option(
    "--pretrained",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with alexnet.safetensors, for LPIPS, and efficientnet_lite2.safetensors, for a Fréchet "
    "distance.  [default: ~/.cache/vidcolor/pretrained]",
)
@click.option("--fetch", is_flag=True, help="Download these two if they are not at hand.")
@click.option("--inception", metavar="FILE|download", help="InceptionV3 of torch-fidelity or torchvision, for FID.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--overwrite", is_flag=True, help="Replace a report that is there already.")
@debug_option
def evaluate(data: tuple[Path, ...], folder: Path, *, overwrite: bool, **options: Any) -> None:
    """Measure weights on DATA: color photographs or films, which are made grey. With the rows "grey" and "truth"."""
    check_extras()
    from vidcolor.errors import OutputError
    from vidcolor_training.evaluation.evaluation import EvaluationRequest, run_evaluation
    from vidcolor_training.evaluation.report import format_table
    from vidcolor_training.evaluation.report_files import HTML_NAME, JSON_NAME, write_report

    request = EvaluationRequest(data=data, folder=folder, **options)
    if request.video and (request.pretrained or request.inception or request.fetch):
        raise click.UsageError("--pretrained, --inception and --fetch are for metrics of pictures, not for --video")
    if request.video and request.conditions:
        raise click.UsageError("--conditions is for still pictures, not for --video")
    if request.worn and not request.video:
        raise click.UsageError("--worn is for films: give --video too; for still pictures there is --conditions")
    if (folder / JSON_NAME).exists() and not overwrite:
        raise OutputError(f"{folder}: holds a report already; choose another folder or give --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    report = run_evaluation(request)
    write_report(report, folder)
    click.echo(format_table(report.rows))
    for metric, reason in report.not_measured.items():
        click.echo(f"not measured: {metric}: {reason}")
    for name, reason in report.left_out.items():
        click.echo(f"left out: {name}: {reason}")
    click.echo(f"report: {folder / HTML_NAME}")
