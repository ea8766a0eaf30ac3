"""``vidcolor evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from vidcolor.cli.options import debug_option


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", "folder", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="The report's folder: report.html, report.json and sheets of pictures.")  # fmt: skip
@click.option("--weights", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="One or more weights files.  [default: those that come with vidcolor]")  # fmt: skip
@click.option("--video", is_flag=True,
              help="DATA are films in color, colored as the film pipeline does: flicker and drift too.")  # fmt: skip
@click.option("--worn", is_flag=True,
              help="With --video: the films are worn first, as old ones are: flicker, grain, weave, dust.")  # fmt: skip
@click.option("--conditions", is_flag=True,
              help="Also damaged, at other sizes and aspects, and with hints: a row for each.")  # fmt: skip
@click.option("--size", default=256, show_default=True, type=click.IntRange(min=32),
              help="Side of the square pictures; of films the short side.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1),
              help="Only so many pictures, evenly spread over all; of films only so many frames of each.  "
              "[default: all; 240 frames]")  # fmt: skip
@click.option("--pretrained", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder with alexnet.safetensors, for LPIPS, and efficientnet_lite2.safetensors, for a Fréchet "
              "distance.  [default: ~/.cache/vidcolor/pretrained]")  # fmt: skip
@click.option("--fetch", is_flag=True, help="Download these two if they are not at hand.")
@click.option("--inception", metavar="FILE|download",
              help="InceptionV3 of torch-fidelity or torchvision, for FID.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--overwrite", is_flag=True, help="Replace a report that is there already.")
@debug_option
def evaluate(
    data: tuple[Path, ...], folder: Path, weights: tuple[Path, ...], video: bool, worn: bool, conditions: bool,
    size: int, limit: int | None, pretrained: Path | None, fetch: bool, inception: str | None, device: str,
    overwrite: bool,
) -> None:  # fmt: skip
    """Measure weights on DATA: color photographs or films, which are made grey. With the rows "grey" and "truth"."""
    from dataclasses import replace

    from vidcolor.errors import OutputError
    from vidcolor.inference.colorizer import Colorizer, resolve_device
    from vidcolor.inference.weights import default_weights, load_generator
    from vidcolor_training.evaluation.condition_rows import add_conditions
    from vidcolor_training.evaluation.evaluator import evaluate_stills
    from vidcolor_training.evaluation.film_degradation import FilmDegradation
    from vidcolor_training.evaluation.metric_networks import ALEXNET, EFFICIENTNET, find_metric_networks
    from vidcolor_training.evaluation.provenance import environment, file_sha256, row_names, weights_about
    from vidcolor_training.evaluation.report import format_table
    from vidcolor_training.evaluation.report_files import HTML_NAME, JSON_NAME, write_report
    from vidcolor_training.evaluation.sheets import add_sheets
    from vidcolor_training.evaluation.video_evaluator import MAX_FRAMES, evaluate_video
    from vidcolor_training.pretrained.published import fetch_inception, fetch_pretrained, find_pretrained

    if video and (pretrained or inception or fetch):
        raise click.UsageError("--pretrained, --inception and --fetch are for metrics of pictures, not for --video")
    if video and conditions:
        raise click.UsageError("--conditions is for still pictures, not for --video")
    if worn and not video:
        raise click.UsageError("--worn is for films: give --video too; for still pictures there is --conditions")
    if (folder / JSON_NAME).exists() and not overwrite:
        raise OutputError(f"{folder}: holds a report already; choose another folder or give --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    paths = row_names(weights or (default_weights(),))
    batch_size = None if video else 1  # pictures differ in size and count one by one; the frames of a film do not
    colorizers = {
        name: Colorizer(load_generator(path), device=device, batch_size=batch_size) for name, path in paths.items()
    }
    about = {
        "weights": {name: weights_about(path) for name, path in paths.items()},
        **environment(resolve_device(device)),
    }
    if video:
        wear = FilmDegradation() if worn else None
        report = evaluate_video(data, colorizers, folder, size=size, max_frames=limit or MAX_FRAMES, wear=wear)
        report = replace(report, about={**report.about, **about})
    else:
        for name in (ALEXNET, EFFICIENTNET):
            if fetch and find_pretrained(name, pretrained) is None:
                fetch_pretrained(name)
        if inception is None:
            inception_file = None
        else:
            inception_file = fetch_inception() if inception == "download" else Path(inception)
        networks = find_metric_networks(pretrained, inception=inception_file, device=resolve_device(device))
        report = evaluate_stills(data, colorizers, size=size, networks=networks, limit=limit)
        files = {metric: {"file": p.name, "sha256": file_sha256(p)} for metric, p in networks.files.items()}
        report = replace(report, about={**report.about, **about, "networks": files})
        if conditions:
            report = add_conditions(report, data, colorizers)
        report = add_sheets(report, data, colorizers, folder)
    write_report(report, folder)
    click.echo(format_table(report.rows))
    for metric, reason in report.not_measured.items():
        click.echo(f"not measured: {metric}: {reason}")
    click.echo(f"report: {folder / HTML_NAME}")
