"""The command ``vidcolor train``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vidcolor.cli.options import debug_option
from vidcolor_training.extras import check_extras

EXISTING = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)


@dataclass(frozen=True, kw_only=True)
class TrainArguments:
    """The options of ``vidcolor train``, by the names of their parameters."""

    recipe_name: str
    changes: tuple[str, ...]
    encoder: Path | None
    pretrained: Path | None
    fetch: bool
    init: Path | None
    init_parts: Path | None
    first_stage: str | None
    resume: bool
    minutes: float | None
    checkpoint_minutes: float
    check_every: int
    compiled: bool
    validation: Path | None
    device: str
    cache: Path | None
    overwrite: bool


@click.command()
@click.argument("data", nargs=-1, required=True, type=EXISTING)
@click.option(
    "-o",
    "--output",
    "run",
    required=True,
    type=NEW_FOLDER,
    help="The run's folder: weights, recipe, data list, metrics, curves, samples, checkpoint.",
)
@click.option(
    "--recipe",
    "recipe_name",
    default="default",
    show_default=True,
    help="A name (see vidcolor models), or a .toml file.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Change a line of the recipe, the value as TOML writes it.",
)
@click.option("--encoder", type=FILE, help="ImageNet parameters of the recipe's encoder.")
@click.option(
    "--pretrained",
    type=FOLDER,
    help="Folder with published parameters: NAME.safetensors of the recipe's encoder, vgg16, ...  "
    "[default: vidcolor's cache]",
)
@click.option(
    "--fetch", is_flag=True, help="Download published parameters that the recipe needs and that are not at hand."
)
@click.option(
    "--init", type=FILE, help="Go on from a weights file of the same network; with --encoder, all but the encoder."
)
@click.option(
    "--init-parts",
    type=FILE,
    help="Start with the parameters of the same name and shape in the weights of another network.",
)
@click.option("--from-stage", "first_stage", metavar="STAGE", help="Leave out the recipe's stages before this one.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.1),
    help="Time budget, with weights that can be used at its end. Decoding, and the features of a frozen "
    "encoder, which are computed once for a set of pictures, come out of it.",
)
@click.option(
    "--checkpoint-minutes",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Time between checkpoints.",
)
@click.option(
    "--check-every",
    default=500,
    show_default=True,
    type=click.IntRange(min=1),
    help="Steps between checks of the network, with a sample sheet.",
)
@click.option("--compile", "compiled", is_flag=True, help="Compile the network (torch.compile); pays on GPUs.")
@click.option(
    "--validation",
    type=EXISTING,
    help="Pictures for checks and for the figures kept with the weights; never trained on.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:N or mps. Under torchrun every process takes its own GPU.",
)
@click.option("--cache", type=NEW_FOLDER, help="Folder for decoded pictures and features.  [default: RUN/cache]")
@click.option("--overwrite", is_flag=True, help="Use a run folder that holds a run already.")
@debug_option
def train(data: tuple[Path, ...], run: Path, **options: Any) -> None:
    """Train a network on DATA: folders of pictures, tar shards of pictures, films, in any mixture.

    To train on several GPUs: torchrun --nproc-per-node N -m vidcolor train ...
    """
    check_extras()
    from vidcolor.inference.torch_engine import resolve_device
    from vidcolor_training.distributed import joined_world
    from vidcolor_training.recipes.toml import load_recipe
    from vidcolor_training.run import RunFiles, StartingPoint, check_run_folder, start_run, train_run
    from vidcolor_training.trainer import RunOptions

    given = TrainArguments(**options)
    deadline = None if given.minutes is None else time.monotonic() + given.minutes * 60
    recipe = load_recipe(given.recipe_name, given.changes)
    recipe = recipe if given.first_stage is None else recipe.starting_at(given.first_stage)
    check_run_folder(run, recipe, resume=given.resume, overwrite=given.overwrite)
    files = RunFiles(data=data, run=run, cache=given.cache or run / "cache", validation=given.validation)
    start = StartingPoint(
        init=given.init,
        parts=given.init_parts,
        encoder=given.encoder,
        pretrained=given.pretrained,
        fetch=given.fetch,
    )
    settings = RunOptions(
        checkpoint_minutes=given.checkpoint_minutes, check_every=given.check_every, compile=given.compiled
    )
    with joined_world(resolve_device(given.device)) as world:
        trainer = start_run(
            recipe, files, start, world=world, options=settings, resume=given.resume, warn=print_warning
        )
        path = train_run(
            trainer, given.validation, deadline=deadline, resume=given.resume, say=click.echo, warn=print_warning
        )
        if world.leads:
            click.echo(f"{path}: {trainer.state.position.pictures} pictures seen")


def print_warning(line: str) -> None:
    """Print a warning to standard error."""
    click.echo(f"warning: {line}", err=True)
