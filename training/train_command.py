"""``vidcolor train``."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import click

from vidcolor.cli_options import debug_option


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", "run", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="The run's folder: weights, recipe, metrics.")  # fmt: skip
@click.option("--recipe", "recipe_name", default="default", show_default=True, help="A name, or a .toml file.")
@click.option("--set", "changes", multiple=True, metavar="TABLE.KEY=VALUE",
              help="Change a line of the recipe, the value as TOML writes it.")  # fmt: skip
@click.option("--encoder", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="ImageNet parameters of the recipe's encoder; without it the encoder starts at random.")  # fmt: skip
@click.option("--init", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Go on from a weights file of the same network; with --encoder, all but the encoder.")  # fmt: skip
@click.option("--from-stage", "first_stage", metavar="STAGE", help="Leave out the recipe's stages before this one.")
@click.option("--minutes", type=click.FloatRange(min=0.1),
              help="Time budget, with weights that can be used at its end. Decoding, and the features of a frozen "
              "encoder, which are computed once for a set of pictures, come out of it.")  # fmt: skip
@click.option("--validation", type=click.Path(exists=True, path_type=Path),
              help="Pictures for the figures that are kept with the weights; never trained on.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for decoded pictures and features.  [default: RUN/cache]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Use a run folder that holds a run already.")
@debug_option
def train(
    data: tuple[Path, ...], run: Path, recipe_name: str, changes: tuple[str, ...], encoder: Path | None,
    init: Path | None, first_stage: str | None, minutes: float | None, validation: Path | None, device: str,
    cache: Path | None, overwrite: bool,
) -> None:  # fmt: skip
    """Train a network on DATA: folders of pictures, tar shards of pictures."""
    from vidcolor.colorizer import Colorizer, resolve_device
    from vidcolor.errors import OutputError
    from vidcolor.networks.generator import Generator
    from vidcolor.training.data import load_pictures
    from vidcolor.training.encoders import load_published
    from vidcolor.training.evaluator import evaluate_stills
    from vidcolor.training.recipe import load_recipe
    from vidcolor.training.report import format_table
    from vidcolor.training.trainer import Trainer
    from vidcolor.weights import load_generator

    started = time.monotonic()
    recipe = load_recipe(recipe_name, changes)
    recipe = recipe if first_stage is None else recipe.starting_at(first_stage)
    if (run / "metrics.jsonl").exists() and not overwrite:
        raise OutputError(f"{run}: holds a run already; choose another folder or give --overwrite")
    pictures = load_pictures(data, size=recipe.size, cache=cache or run / "cache")
    trainer = Trainer(recipe, pictures, run, device=resolve_device(device), started=started)
    if init is not None:
        trainer.state.generator.load_state_dict(load_generator(init).state_dict())
    if encoder is not None:
        load_published(trainer.state.generator.encoder, encoder)
    if init is None and encoder is None:
        click.echo("warning: the encoder starts at random; give --encoder for ImageNet parameters", err=True)

    def figures(stage: str, generator: Generator) -> dict[str, Any]:
        if validation is None:
            return {}
        colorizer = Colorizer(copy.deepcopy(generator), device=device)
        table: dict[str, Any] = evaluate_stills([validation], {stage: colorizer}, size=recipe.size)
        click.echo(format_table(table))
        return table

    path = trainer.train(minutes=minutes, on_stage_end=figures)
    click.echo(f"{path}: {trainer.state.pictures} pictures seen")
