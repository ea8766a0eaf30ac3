"""What ``vidcolor train`` does around the training: from a recipe and files to a trainer and its run folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vidcolor._version import __version__
from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.export import export_onnx
from vidcolor.inference.weights import load_generator
from vidcolor.inference.weights_file import ONNX_SUFFIX
from vidcolor.networks import ColorNetwork
from vidcolor.networks.bin_pyramid import BinPyramid
from vidcolor.networks.encoders import ENCODERS
from vidcolor_training.checkpoint import NAME as CHECKPOINT
from vidcolor_training.data.pictures import PictureSet, load_pictures
from vidcolor_training.distributed import World
from vidcolor_training.evaluation.evaluator import evaluate_stills
from vidcolor_training.evaluation.report import format_table
from vidcolor_training.objectives.adversary import Adversary
from vidcolor_training.pretrained.feature_networks import build_features, to_device
from vidcolor_training.pretrained.published import fetch_pretrained, find_pretrained, load_published
from vidcolor_training.recipes.recipe import FEATURE_LOSSES, Recipe
from vidcolor_training.recipes.toml import parse_recipe, recipe_sha256, resolved_text
from vidcolor_training.run_log import CURVES, METRICS, TENSORBOARD
from vidcolor_training.state import State
from vidcolor_training.trainer import BEST, FINAL, SAMPLES, RunOptions, Trainer, TrainingData, count_colors

RECIPE = "recipe.toml"
DATA_LIST = "data.tsv"
ABOUT = "run.json"
FINAL_ONNX = str(Path(FINAL).with_suffix(ONNX_SUFFIX))
STATISTICS_PICTURES, STATISTICS_BATCH = 64, 8
CALIBRATION_PICTURES = 16
"""Pictures on which the ranges for int8 are measured (:mod:`vidcolor.inference.int8`)."""

Warn = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class StartingPoint:
    """The source of the parameters at the beginning of a run."""

    init: Path | None = None
    """A weights file of the same network."""
    parts: Path | None = None
    """A weights file of another network; parameters of the same name and shape are taken from it."""
    encoder: Path | None = None
    """ImageNet parameters of the network's encoder."""
    pretrained: Path | None = None
    """A folder of published parameters, by name; None: the user's cache."""
    fetch: bool = False
    """Whether to download missing parameters."""

    def find(self, name: str) -> Path | None:
        """Return the file of the published parameters ``name``, downloaded if that is allowed, or None."""
        found = find_pretrained(name, self.pretrained)
        return fetch_pretrained(name) if found is None and self.fetch else found


def check_run_folder(run: Path, recipe: Recipe, *, resume: bool, overwrite: bool) -> None:
    """Check that a run folder can be used, and remove an older run from it with ``overwrite``.

    Raises:
        OutputError: The folder holds a run, and neither ``resume`` nor ``overwrite`` is true.
        InputError: ``resume`` is true, and the folder holds no run, or a run of another recipe.
    """
    holds_run = (run / METRICS).exists()
    if resume:
        if not (run / RECIPE).is_file():
            raise InputError(f"{run}: holds no run to resume; start it without --resume")
        if (run / RECIPE).read_text(encoding="utf-8") != resolved_text(recipe):
            raise InputError(f"{run}: its recipe is another one; resume with --recipe {run / RECIPE}")
    elif holds_run and not overwrite:
        raise OutputError(f"{run}: holds a run already; choose another folder, or give --resume or --overwrite")
    elif holds_run:
        remove_run(run)


def remove_run(run: Path) -> None:
    """Remove the files of a run from its folder. The cache and all other files stay."""
    names = [METRICS, CHECKPOINT, BEST, FINAL, FINAL_ONNX, RECIPE, DATA_LIST, ABOUT, *CURVES]
    if (run / RECIPE).is_file():
        with contextlib.suppress(OptionError):
            stages = parse_recipe((run / RECIPE).read_text(encoding="utf-8"), where=str(run / RECIPE)).stages
            names += [f"{stage.name}.safetensors" for stage in stages]
    for path in (*(run / name for name in names), *(run / SAMPLES).glob("step-*.jpg")):
        path.unlink(missing_ok=True)
    shutil.rmtree(run / TENSORBOARD, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """The files that a run reads, and the folders that it writes."""

    data: Sequence[Path]
    """Folders of pictures, tar shards, pictures and films."""
    run: Path
    """The folder for all results."""
    cache: Path
    """The folder for decoded pictures and features."""
    validation: Path | None = None
    """Pictures for the checks; None: some of the training pictures."""


def start_run(
    recipe: Recipe,
    files: RunFiles,
    start: StartingPoint,
    *,
    world: World,
    options: RunOptions,
    resume: bool = False,
    warn: Warn,
) -> Trainer:
    """Decode the pictures, build and fill the networks, and write down what a new run is made of."""
    pictures = _load(files.data, recipe.data.size, files.cache, world, warn)
    checked = (
        None if files.validation is None else _load([files.validation], recipe.data.size, files.cache, world, warn)
    )
    torch.manual_seed(recipe.seed)
    generator = to_device(recipe.network.build(), world.device)
    _fill(generator, recipe, start, pictures, warn)
    if start.init is None and not resume:
        _set_prior(generator, pictures)
    state = State.of(generator, _adversary(recipe, start, world.device, warn))
    for network in (state.generator, state.ema, state.adversary):
        if network is not None:
            world.share_parameters(network)
    if world.leads and not resume:
        _write_about(files.run, recipe, pictures, options)
    features = _feature_network(recipe, start, world.device, warn)
    data = TrainingData(pictures=pictures, validation=checked, features=features)
    return Trainer(recipe, state, data, files.run, world=world, options=options)


def train_run(
    trainer: Trainer,
    validation: Path | None,
    *,
    deadline: float | None,
    resume: bool,
    say: Callable[[str], None],
    warn: Warn,
) -> Path:
    """Train, and evaluate on ``validation`` after every stage; return the path of the weights file.

    The same weights are also exported to ONNX, beside it.

    Args:
        trainer: The result of :func:`start_run`.
        validation: Pictures for the figures that are kept with the weights; None: no figures.
        deadline: When the training should end, in seconds of ``time.monotonic()``; None: no limit.
        resume: Continue from the last checkpoint.
        say: Called with the table of figures of each stage.
        warn: Called with each warning.
    """

    def figures(stage: str, network: ColorNetwork) -> dict[str, Any]:
        if validation is None or not trainer.world.leads:
            return {}
        colorizer = Colorizer(network, device=str(trainer.world.device))
        try:
            rows = evaluate_stills([validation], {stage: colorizer}, size=trainer.recipe.data.size).rows
        except InputError as exc:  # found late; the training goes on
            warn(f"no figures of stage {stage}: {exc}")
            return {}
        say(format_table(rows))
        return dict(rows)

    path = trainer.train(deadline=deadline, resume=resume, on_stage_end=figures)
    if trainer.world.leads:
        export_onnx(path, path.with_suffix(ONNX_SUFFIX), pictures=calibration(trainer.pictures), overwrite=True)
    return path


def calibration(pictures: PictureSet) -> list[FloatArray]:
    """Return the grey of :data:`CALIBRATION_PICTURES` of the pictures, spread over all: (S, S) each, in [0, 1]."""
    every = max(len(pictures) // CALIBRATION_PICTURES, 1)
    return [np.asarray(grey / 255, np.float32) for grey in pictures.grey[::every][:CALIBRATION_PICTURES]]


def _load(data: Sequence[Path], size: int, cache: Path, world: World, warn: Warn) -> PictureSet:
    found = world.in_turn(lambda: load_pictures(data, size=size, cache=cache))
    if world.leads:
        for line in found.skipped:
            warn(line)
    return found


def measure_statistics(encoder: nn.Module, pictures: PictureSet) -> None:
    """Set the running statistics of an encoder's batch norms to those of some of the pictures.

    Training never updates them, because they are usually ImageNet's; an encoder with random parameters has none.
    """
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the mean over all batches, with equal weights
    every = max(len(pictures) // STATISTICS_PICTURES, 1)
    grey = torch.from_numpy(np.array(pictures.grey[::every][:STATISTICS_PICTURES]))[:, None].float() / 255
    device = next(encoder.parameters()).device
    encoder.train()
    with torch.no_grad():
        for start in range(0, len(grey), STATISTICS_BATCH):
            encoder(grey[start : start + STATISTICS_BATCH].to(device))
    encoder.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _fill(generator: ColorNetwork, recipe: Recipe, start: StartingPoint, pictures: PictureSet, warn: Warn) -> None:
    if start.init is not None:
        given = load_generator(start.init)
        if isinstance(given, ColorNetwork) and given.strides:
            given.finest = generator.finest  # no parameter depends on it
        if type(given) is not type(generator) or given.config != generator.config:
            raise OptionError(f"{start.init}: holds another network than the recipe's, {recipe.network.name}")
        generator.load_state_dict(given.state_dict())
    if start.parts is not None:
        _fill_parts(generator, start.parts, warn)
    if generator.encoder is None:
        if start.encoder is not None:
            raise OptionError(f"{start.encoder}: the recipe's network, {recipe.network.name}, has no encoder to fill")
        return
    name = str(generator.config["encoder"])
    filled = start.init or start.parts
    path = start.encoder or (start.find(name) if filled is None else None)
    if path is not None:
        load_published(generator.encoder, path)
    elif filled is None:
        warn(f"the encoder {name} starts at random; give --encoder, --pretrained or --fetch for ImageNet parameters")
        measure_statistics(generator.encoder, pictures)


def _fill_parts(generator: ColorNetwork, path: Path, warn: Warn) -> None:
    """Copy the parameters of another network that have the same name and shape."""
    given = load_generator(path).state_dict()
    own = generator.state_dict()
    common = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if not common:
        raise OptionError(f"{path}: has no parameter in common with the recipe's network")
    generator.load_state_dict(common, strict=False)
    fresh = sorted({name.split(".")[0] for name in own if name not in common})
    warn(f"{path}: {len(common)} of {len(own)} parameters are taken; new: {', '.join(fresh)}")


def _set_prior(generator: ColorNetwork, pictures: PictureSet) -> None:
    """Start a network that classifies colors, and is not trained yet, from the frequencies of colors."""
    if isinstance(generator, BinPyramid):
        generator.set_prior(count_colors(pictures))


def _adversary(recipe: Recipe, start: StartingPoint, device: torch.device, warn: Warn) -> Adversary | None:
    if recipe.discriminator is None:
        return None
    condition = None
    if name := recipe.discriminator.condition:
        condition = ENCODERS[name]()
        _fill_published(condition, name, "the discriminator's condition", start, warn)
    return to_device(Adversary(recipe.discriminator, condition), device)


def _feature_network(recipe: Recipe, start: StartingPoint, device: torch.device, warn: Warn) -> nn.Module | None:
    if not any(loss in stage.losses for stage in recipe.stages for loss in FEATURE_LOSSES):
        return None
    name = recipe.perceptual.network
    network = build_features(name)
    _fill_published(network, name, "the perceptual loss", start, warn)
    return to_device(network.requires_grad_(False).eval(), device)


def _fill_published(network: nn.Module, name: str, what: str, start: StartingPoint, warn: Warn) -> None:
    path = start.find(name)
    if path is None:
        warn(f"{what} uses a random {name}; give --pretrained or --fetch for ImageNet parameters")
    else:
        load_published(network, path)


def _write_about(run: Path, recipe: Recipe, pictures: PictureSet, options: RunOptions) -> None:
    """Write the resolved recipe, the list of the data with hashes, and the versions into the run folder."""
    run.mkdir(parents=True, exist_ok=True)
    (run / RECIPE).write_text(resolved_text(recipe), encoding="utf-8")
    lines = [f"{sha256}\t{name}\n" for name, sha256 in pictures.files]
    (run / DATA_LIST).write_text("".join(lines), encoding="utf-8")
    about = {
        "command": sys.argv[1:],
        "recipe": recipe.name,
        "recipe_sha256": recipe_sha256(recipe),
        "data_sha256": pictures.sha256,
        "data_pictures": len(pictures),
        "data_list_sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
        "seed": recipe.seed,
        "versions": {
            "vidcolor": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "options": vars(options),
    }
    (run / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
