"""``vidcolor train``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from vidcolor.cli.options import debug_option


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", "run", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="The run's folder: weights, recipe, data list, metrics, curves, samples, checkpoint.")  # fmt: skip
@click.option("--recipe", "recipe_name", default="default", show_default=True,
              help="A name (see vidcolor models), or a .toml file.")  # fmt: skip
@click.option("--set", "changes", multiple=True, metavar="TABLE.KEY=VALUE",
              help="Change a line of the recipe, the value as TOML writes it.")  # fmt: skip
@click.option("--encoder", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="ImageNet parameters of the recipe's encoder.")  # fmt: skip
@click.option("--pretrained", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder with published parameters: NAME.safetensors of the recipe's encoder, vgg16, ...  "
              "[default: vidcolor's cache]")  # fmt: skip
@click.option("--fetch", is_flag=True,
              help="Download published parameters that the recipe needs and that are not at hand.")  # fmt: skip
@click.option("--init", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Go on from a weights file of the same network; with --encoder, all but the encoder.")  # fmt: skip
@click.option("--from-stage", "first_stage", metavar="STAGE", help="Leave out the recipe's stages before this one.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@click.option("--minutes", type=click.FloatRange(min=0.1),
              help="Time budget, with weights that can be used at its end. Decoding, and the features of a frozen "
              "encoder, which are computed once for a set of pictures, come out of it.")  # fmt: skip
@click.option("--checkpoint-minutes", default=5.0, show_default=True, type=click.FloatRange(min=0),
              help="Time between checkpoints.")  # fmt: skip
@click.option("--check-every", default=500, show_default=True, type=click.IntRange(min=1),
              help="Steps between checks of the network, with a sample sheet.")  # fmt: skip
@click.option("--compile", "compiled", is_flag=True, help="Compile the network (torch.compile); pays on GPUs.")
@click.option("--validation", type=click.Path(exists=True, path_type=Path),
              help="Pictures for checks and for the figures kept with the weights; never trained on.")  # fmt: skip
@click.option("--device", default="auto", show_default=True,
              help="auto, cpu, cuda, cuda:N or mps. Under torchrun every process takes its own GPU.")  # fmt: skip
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for decoded pictures and features.  [default: RUN/cache]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Use a run folder that holds a run already.")
@debug_option
def train(
    data: tuple[Path, ...], run: Path, recipe_name: str, changes: tuple[str, ...], encoder: Path | None,
    pretrained: Path | None, fetch: bool, init: Path | None, first_stage: str | None, resume: bool,
    minutes: float | None, checkpoint_minutes: float, check_every: int, compiled: bool, validation: Path | None,
    device: str, cache: Path | None, overwrite: bool,
) -> None:  # fmt: skip
    """Train a network on DATA: folders of pictures, tar shards of pictures, films, in any mixture.

    To train on several GPUs: torchrun --nproc-per-node N -m vidcolor train ...
    """
    from vidcolor.inference.colorizer import resolve_device
    from vidcolor_training.distributed import joined_world
    from vidcolor_training.recipes.recipe import load_recipe
    from vidcolor_training.run import StartingPoint, check_run_folder, start_run, train_run
    from vidcolor_training.run_log import check_extras
    from vidcolor_training.trainer import RunOptions

    started = time.monotonic()
    recipe = load_recipe(recipe_name, changes)
    recipe = recipe if first_stage is None else recipe.starting_at(first_stage)
    check_run_folder(run, recipe, resume=resume, overwrite=overwrite)
    check_extras()
    where = resolve_device(device)

    def warn(line: str) -> None:
        click.echo(f"warning: {line}", err=True)

    with joined_world(where) as world:
        start = StartingPoint(init=init, encoder=encoder, pretrained=pretrained, fetch=fetch)
        trainer = start_run(
            recipe, data, run, device=where, world=world, start=start, validation=validation,
            cache=cache or run / "cache", started=started, warn=warn, resume=resume,
            options=RunOptions(checkpoint_minutes=checkpoint_minutes, check_every=check_every, compile=compiled),
        )  # fmt: skip
        path = train_run(trainer, validation, minutes=minutes, resume=resume, say=click.echo, warn=warn)
        if world.leads:
            click.echo(f"{path}: {trainer.state.position.pictures} pictures seen")
