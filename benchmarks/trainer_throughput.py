"""Compare the trainer's pictures per second with those of the bare step on data that is on the device.

    python -m benchmarks.trainer_throughput [--recipe default] [--stage gan] [--steps 12] [--pairs 5]

The bare step is forward, backward and optimizer of the same networks under the same losses on one fixed batch; the
trainer adds cropping, degradation, hints, the moving average and logs. Both run alternately in one process; the result
is the median of their ratios. Pictures and parameters are random, which does not affect the time.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from vidcolor.inference.torch_engine import resolve_device
from vidcolor_training.data.batches import Batches
from vidcolor_training.data.pictures import PictureSet
from vidcolor_training.distributed import World
from vidcolor_training.objectives.adversary import Adversary
from vidcolor_training.pretrained.feature_networks import to_device
from vidcolor_training.recipes.recipe import Recipe
from vidcolor_training.recipes.toml import load_recipe
from vidcolor_training.run_log import RunLog
from vidcolor_training.state import State
from vidcolor_training.stop_signals import StopRequest
from vidcolor_training.trainer import RunOptions, Trainer, TrainingData

PICTURES = 64


def random_pictures(size: int, folder: Path) -> PictureSet:
    """Return random pictures."""
    random = np.random.default_rng(0)
    grey = random.integers(0, 256, (PICTURES, size, size), dtype=np.uint8)
    ab = random.integers(-50, 51, (PICTURES, 2, size, size), dtype=np.int8)
    names = tuple(f"{i}.jpg" for i in range(PICTURES))
    files = tuple((name, "0" * 64) for name in names)
    return PictureSet(grey=grey, ab=ab, names=names, files=files, sha256="0" * 64, folder=folder, skipped=())


def trainer_for(recipe: Recipe, folder: Path, device: torch.device) -> Trainer:
    """Return a trainer of networks with random parameters."""
    torch.manual_seed(0)
    generator = to_device(recipe.network.build(), device)
    adversary = None if recipe.discriminator is None else Adversary(recipe.discriminator, None).to(device)
    data = TrainingData(pictures=random_pictures(recipe.data.size, folder))
    options = RunOptions(check_every=1_000_000, checkpoint_minutes=1_000_000)
    return Trainer(recipe, State.of(generator, adversary), data, folder, world=World(device=device), options=options)


def main() -> None:
    """Print each pair and the median ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--stage", default="gan")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device = resolve_device(options.device)
    recipe = load_recipe(options.recipe).starting_at(options.stage)
    count = options.steps * recipe.optimiser.batch_size
    recipe = replace(recipe, stages=(replace(recipe.stages[0], pictures=count),))
    print(
        platform.processor() or platform.machine(),
        device,
        "torch",
        torch.__version__,
        "threads",
        torch.get_num_threads(),
    )
    with tempfile.TemporaryDirectory() as name:
        trainer = trainer_for(recipe, Path(name), device)
        ratios = [ratio(trainer, options.steps) for _ in range(options.pairs + 1)][1:]
    print(f"trainer ÷ bare step, median of {options.pairs}: {statistics.median(ratios):.3f}")


def ratio(trainer: Trainer, steps: int) -> float:
    """Return the bare time over the trainer's time for the same number of steps."""
    bare, whole = time_bare(trainer, steps), time_trainer(trainer)
    pictures = steps * trainer.recipe.optimiser.batch_size
    print(f"bare {pictures / bare:.2f} pictures/s, trainer {pictures / whole:.2f}: {bare / whole:.3f}", flush=True)
    return bare / whole


def time_trainer(trainer: Trainer) -> float:
    """Time one stage of the trainer."""
    stage, cache = trainer.recipe.stages[0], trainer.feature_cache()
    trainer.state.position.stage_pictures, trainer.state.position.stage_done = 0, 0.0
    trainer.state.begin_stage(stage, trainer.recipe)
    log = RunLog(trainer.run, first_step=trainer.state.position.step)
    began = time.perf_counter()
    with patch.object(Trainer, "_check"):  # figures of random pictures have no meaning
        trainer.train_stage(stage, cache, None, StopRequest(), log)
    synchronize(trainer.device)
    elapsed = time.perf_counter() - began
    log.close()
    return elapsed


def time_bare(trainer: Trainer, steps: int) -> float:
    """Time forward, backward and optimizers on one batch."""
    recipe, stage, state = trainer.recipe, trainer.recipe.stages[0], trainer.state
    cache = trainer.feature_cache()
    source = Batches(
        trainer.pictures, batch_size=recipe.optimiser.batch_size, device=trainer.device, seed=0, features=cache
    )
    batch = source.batch(0, stage, hints=state.generator.takes_hints)
    state.begin_stage(stage, recipe)
    step = trainer.step_of(stage)
    synchronize(trainer.device)
    began = time.perf_counter()
    with patch("vidcolor_training.step.update_ema"):
        for _ in range(steps):
            step([batch])
    synchronize(trainer.device)
    return time.perf_counter() - began


def synchronize(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
