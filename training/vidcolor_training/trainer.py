"""The trainer: the stages of a recipe, one after the other, on one set of pictures.

    pictures ─► batches ─► step (discriminator, generator, EMA) ─► log, checks, checkpoints ─► weights

The weights are the exponential moving average (EMA) of the generator. A run that was stopped continues from its last
checkpoint: batches and random numbers depend on the step number alone. On the CPU, in one process and without a
deadline, its results are the same as without the stop.
"""

from __future__ import annotations

import itertools
import math
import platform
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch import Tensor
from tqdm import tqdm

from vidcolor._version import __version__
from vidcolor.errors import StoppedError, TrainingError
from vidcolor.inference.arithmetic import BFLOAT16, fastest_arithmetic
from vidcolor.inference.torch_engine import fastest_dtype
from vidcolor.inference.weights import save_generator
from vidcolor.networks import ColorNetwork, Prediction
from vidcolor.networks.color_bins import class_weights
from vidcolor_training.checkpoint import load_checkpoint, save_checkpoint
from vidcolor_training.checks import Checker, CheckFigures
from vidcolor_training.data.batch import Batch
from vidcolor_training.data.batches import Batches
from vidcolor_training.data.feature_cache import Autocast, FeatureCache, frozen_encode, parameters_sha256
from vidcolor_training.data.pictures import PictureSet
from vidcolor_training.distributed import World
from vidcolor_training.objectives.losses import LossTerm, ab_prior, build_losses
from vidcolor_training.recipes.recipe import FEATURE_LOSSES, Recipe, StageRecipe
from vidcolor_training.recipes.toml import recipe_sha256, resolved_text
from vidcolor_training.run_log import RunLog, draw_curves
from vidcolor_training.schedule import schedule
from vidcolor_training.stage_progress import StageProgress
from vidcolor_training.state import State
from vidcolor_training.step import Predict, Step
from vidcolor_training.stop_signals import StopRequest, stop_requests

LOG_EVERY = 20  # steps
PRIOR_PICTURES = 1000  # that the frequencies of colors are counted on
FINAL = "weights.safetensors"
BEST = "best.safetensors"
SAMPLES = "samples"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Settings of a run that are no part of the recipe."""

    checkpoint_minutes: float = 5.0
    """Time between checkpoints."""
    check_every: int = 500
    """Steps between checks, each with a sample sheet."""
    compile: bool = False
    """Compile the generator (torch.compile)."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The pictures of a run, and the network of the perceptual losses."""

    pictures: PictureSet
    validation: PictureSet | None = None
    """Pictures for the checks; None: some of the training pictures."""
    features: torch.nn.Module | None = None
    """The feature network of the perceptual losses, on the device; None where no stage has such a loss."""


class Trainer:
    """Trains all stages of a recipe into one run folder.

    Args:
        recipe: What to train.
        state: The networks at the beginning, on the device of ``world``.
        data: The pictures.
        run: The folder for all results; it exists.
        world: This process, and its device.
        options: Checks and checkpoints.
    """

    def __init__(
        self, recipe: Recipe, state: State, data: TrainingData, run: Path, *, world: World, options: RunOptions
    ) -> None:
        self.recipe, self.state, self.run, self.world, self.options = recipe, state, run, world, options
        self.pictures, self.features, self.device = data.pictures, data.features, world.device
        self.autocast = training_autocast(self.device)
        self._predict = torch.compile(state.generator.predict) if self.options.compile else state.generator.predict
        self.random = torch.Generator()
        self.checker = Checker(data.pictures if data.validation is None else data.validation, self.device)
        self.identity = {
            "recipe": recipe_sha256(recipe),
            "data": self.pictures.sha256,
            "number of processes": str(world.size),
            "perceptual network": "" if self.features is None else parameters_sha256(self.features),
        }

    def train(
        self,
        *,
        deadline: float | None = None,
        resume: bool = False,
        on_stage_end: Callable[[str, ColorNetwork], dict[str, Any]] = lambda name, network: {},
    ) -> Path:
        """Run all stages, or the remaining ones of a stopped run; return the path of the weights file.

        Args:
            deadline: When the training should end, in seconds of ``time.monotonic()``. Every stage ends after its
                share of the time, or after its number of pictures if that comes first. None: no limit.
            resume: Continue from the last checkpoint.
            on_stage_end: Called with the name of each finished stage and the EMA; returns figures that are kept with
                the weights. Its time is taken from the later stages; after the last one the run ends that much past
                the deadline.

        Raises:
            StoppedError: SIGINT or SIGTERM was received; a checkpoint has been written.
            TrainingError: A loss is no longer finite, or the training has collapsed.
        """
        saved = load_checkpoint(self.run, self.identity) if resume else None
        if saved is not None:
            if saved["position"]["stage"] < len(self.recipe.stages):
                self.state.begin_stage(self.recipe.stages[saved["position"]["stage"]], self.recipe)
            self.state.restore(saved)
        cache = self.feature_cache()
        with stop_requests() as stop, self._log_of_run() as log:
            for index in range(self.state.position.stage, len(self.recipe.stages)):
                stage = self.recipe.stages[index]
                if saved is None:
                    self.state.begin_stage(stage, self.recipe)
                saved = None
                if self.state.position.stage_done < 1:
                    self.train_stage(stage, cache if stage.cached else None, self._stage_budget(deadline), stop, log)
                self._save_checkpoint()
                self.state.figures[stage.name] = on_stage_end(stage.name, self.state.ema)
                self.save(f"{stage.name}.safetensors")
                self.state.position.enter_next_stage()
        self._save_checkpoint()
        path = self.save(FINAL)
        if self.world.leads:
            draw_curves(self.run)
        return path

    def save(self, name: str) -> Path:
        """Write the EMA of the generator into the run folder, as a weights file."""
        path = self.run / name
        self.world.average_statistics(self.state.ema)
        if self.world.leads:
            save_generator(
                path,
                self.state.ema.state_dict(),
                network=self.recipe.network.name,
                config=self.state.generator.config,
                recipe=resolved_text(self.recipe),
                training=self.about(),
            )
        return path

    def about(self) -> dict[str, Any]:
        """Return what a weights file says about its training."""
        position = self.state.position
        return {
            "vidcolor": __version__,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else platform.machine(),
            "threads": torch.get_num_threads(),
            "processes": self.world.size,
            "seed": self.recipe.seed,
            "recipe_sha256": recipe_sha256(self.recipe),
            "data_sha256": self.pictures.sha256,
            "data_pictures": len(self.pictures),
            "steps": position.step,
            "pictures_seen": position.pictures,
            "minutes": round(position.seconds / 60, 2),
            "figures": self.state.figures,
        }

    def feature_cache(self) -> FeatureCache | None:
        """Return the features of the frozen encoder, or None if no remaining stage needs them."""
        if not any(stage.cached for stage in self.recipe.stages[self.state.position.stage :]):
            return None

        def compute() -> FeatureCache:
            return FeatureCache(self.state.generator, self.pictures, device=self.device, autocast=self.autocast)

        return self.world.in_turn(compute)

    def _log_of_run(self) -> AbstractContextManager[RunLog | None]:
        """Return the log in the leading process, and None in the others."""
        if not self.world.leads:
            return nullcontext()
        return closing(RunLog(self.run, first_step=self.state.position.step))

    def _stage_budget(self, deadline: float | None) -> float | None:
        """Return this stage's part of the remaining time, in seconds; None if there is no deadline."""
        if deadline is None:
            return None
        position = self.state.position
        this, *later = (stage.share for stage in self.recipe.stages[position.stage :])
        this *= 1 - position.stage_done
        return max(deadline - time.monotonic(), 1.0) * this / (this + sum(later))

    def train_stage(
        self,
        stage: StageRecipe,
        cache: FeatureCache | None,
        seconds: float | None,
        stop: StopRequest,
        log: RunLog | None,
    ) -> None:
        """Train the rest of a stage, for at most ``seconds`` if that is not None."""
        position = self.state.position
        progress = StageProgress(stage.pictures, seconds, done=position.stage_done, seen=position.stage_pictures)
        step = self.step_of(stage)
        since_entry, since_check = LossSums(), LossSums()
        saved = began = time.monotonic()
        bar = tqdm(
            total=stage.pictures,
            initial=position.stage_pictures,
            desc=stage.name,
            unit="picture",
            mininterval=5,
            disable=not self.world.leads,
        )
        with bar, closing(self._batches(stage, cache)) as groups:
            for batches in groups:
                self._seed()
                self._set_rates(stage)
                losses = step(batches)
                since_entry.add(losses)
                since_check.add(losses)
                seen = sum(len(batch.grey) for batch in batches) * self.world.size
                position.step += 1
                position.stage_pictures += seen
                position.pictures += seen
                bar.update(seen)
                done = progress.done(position.stage_pictures)
                position.stage_done, stopped = self.world.agree(done, bool(stop))
                ended = stopped or position.stage_done >= 1
                to_check = position.step % self.options.check_every == 0 or position.stage_done >= 1
                if position.step % LOG_EVERY == 0 or ended or to_check:
                    position.seconds += time.monotonic() - began
                    self._log(stage, since_entry.means(), log)
                    # After the log, which checks the losses: a checkpoint never holds numbers that are not finite.
                    if stopped or time.monotonic() - saved > self.options.checkpoint_minutes * 60:
                        self._save_checkpoint()
                        saved = time.monotonic()
                    if to_check:
                        self._check(stage, since_check.means(), log)
                    began = time.monotonic()  # neither checks nor checkpoints count as training
                if stopped:
                    raise StoppedError(f"{self.run}: stopped after step {position.step}; go on with --resume")
                if ended:
                    break

    def step_of(self, stage: StageRecipe) -> Step:
        """Return the training step of a stage."""
        predict = self._predict_in(stage)
        terms = self._terms(stage, predict)
        return Step(self.state, stage, self.recipe, terms, predict=predict, autocast=self.autocast, world=self.world)

    def _predict_in(self, stage: StageRecipe) -> Predict:
        """Return the generator's ``predict``; a frozen encoder runs with its batch norms folded, which is faster."""
        if not stage.frozen_encoder:
            return self._predict
        encode = frozen_encode(self.state.generator)

        def predict(grey: Tensor, hints: Tensor | None = None, semantics: list[Tensor] | None = None) -> Prediction:
            return self._predict(grey, hints, encode(grey) if semantics is None else semantics)

        return predict

    def _batches(self, stage: StageRecipe, cache: FeatureCache | None) -> Generator[list[Batch]]:
        """Yield groups of ``accumulate`` batches, without end."""
        count = self.recipe.optimiser.accumulate
        batch_size, seed = self.recipe.optimiser.batch_size, self.recipe.seed
        source = Batches(
            self.pictures,
            batch_size=batch_size,
            device=self.device,
            seed=seed,
            rank=self.world.rank,
            world=self.world.size,
            features=cache,
            balance=self.recipe.data.balance,
        )
        first = self.state.position.step * count
        with closing(source.stream(first, stage, hints=self.state.generator.takes_hints)) as stream:
            while True:
                yield list(itertools.islice(stream, count))

    def _terms(self, stage: StageRecipe, predict: Predict) -> dict[str, LossTerm]:
        """Return the losses of a stage, except those of the discriminator."""
        names = [name for name in stage.losses if name not in ("adversarial", "feature_matching")]
        weights = None
        if "rebalanced_classification" in names:
            weights = class_weights(count_colors(self.pictures)).to(self.device)
        terms = build_losses(
            names,
            predict=predict,
            features=self.features,
            class_weights=weights,
            random=self.random,
            feature_stride=self.recipe.perceptual.stride,
        )

        def under_autocast(term: LossTerm) -> LossTerm:
            def compute(*arguments: Any) -> Tensor:
                with self.autocast():
                    return term(*arguments)

            return compute

        # These losses run a network; the others are sums over pixels, in full precision.
        return {
            name: under_autocast(term) if name in (*FEATURE_LOSSES, "temporal", "divergence") else term
            for name, term in terms.items()
        }

    def _seed(self) -> None:
        """Seed the random numbers of the next step (dropout, warps) from the step and the process alone."""
        seed = int(
            np.random.SeedSequence((self.recipe.seed, self.state.position.step, self.world.rank)).generate_state(1)[0]
        )
        torch.manual_seed(seed)
        self.random.manual_seed(seed)

    def _set_rates(self, stage: StageRecipe) -> None:
        factor = schedule(self.recipe.optimiser.schedule, self.state.position.stage_done)
        assert self.state.optimizer_g is not None
        for group in self.state.optimizer_g.param_groups:
            group["lr"] = stage.learning_rate * factor
        if self.state.optimizer_d is not None:
            assert self.recipe.discriminator is not None
            for group in self.state.optimizer_d.param_groups:
                group["lr"] = self.recipe.discriminator.learning_rate * factor

    def _log(self, stage: StageRecipe, losses: dict[str, float], log: RunLog | None) -> None:
        position = self.state.position
        wrong = ", ".join(name for name, value in losses.items() if not math.isfinite(value))
        if not self.world.every(not wrong):
            wrong = wrong or "a loss of another process"
            raise TrainingError(
                f"{self.run}: {wrong} no longer finite at step {position.step}; lower the learning rate"
            )
        rate = position.pictures / position.seconds
        if log is not None:
            log.write(position.step, {"stage": stage.name, "pictures_per_second": rate, **losses})

    def _check(self, stage: StageRecipe, losses: dict[str, float], log: RunLog | None) -> None:
        """Measure the EMA on a few pictures, write a sample sheet, and end a training that has collapsed."""
        position, guard = self.state.position, self.state.guard
        self.world.average_statistics(self.state.ema)
        sheet = self.run / SAMPLES / f"step-{position.step:07d}.jpg"
        figures = CheckFigures(0.0, 0.0)
        if log is not None:
            check = self.checker.check(self.state.ema.eval(), self.autocast, sheet)
            figures = check.figures
            log.write(position.step, {f"check_{name}": value for name, value in check.log.items()})
            log.picture(position.step, sheet)
        figures = CheckFigures(*self.world.broadcast(astuple(figures)))
        if guard.is_best(**asdict(figures)):
            self.save(BEST)
        if "adversarial" not in stage.losses:
            return
        assert self.recipe.discriminator is not None
        (loss_d,) = self.world.broadcast((losses["loss_D"],))
        bounded = self.recipe.discriminator.mode != "wgan-gp"
        fault = guard.observe(
            loss_d=loss_d if bounded else None, colorfulness_over_truth=figures.colorfulness_over_truth
        )
        if fault:
            self._save_checkpoint()
            raise TrainingError(f"{self.run}: collapsed by step {position.step}: {fault}; {BEST} has the best weights")

    def _save_checkpoint(self) -> None:
        if self.world.leads:
            save_checkpoint(self.run, self.state.to_dict(), self.identity)


class LossSums:
    """Losses since the last entry of the log, added up on the device: reading a value would wait for the GPU."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add the losses of one step."""
        self.sums = {name: self.sums.get(name, 0) + value for name, value in losses.items()}
        self.count += 1

    def means(self) -> dict[str, float]:
        """Return the means over the steps since the last call, and start again."""
        found = {name: value.item() / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return found


def count_colors(pictures: PictureSet) -> Tensor:
    """Return the frequencies of the bins of color, :func:`ab_prior`, in some of the pictures."""
    every = max(len(pictures) // PRIOR_PICTURES, 1)
    return ab_prior(torch.from_numpy(np.array(pictures.ab[::every, :, ::4, ::4])).float())


def training_autocast(device: torch.device) -> Autocast:
    """Return autocast to bf16 where the device is fast in it, else to nothing: gradients in fp16 would need scaling."""
    if device.type == "cpu":
        enabled = fastest_arithmetic(ov.Core(), has_int8=False) == BFLOAT16
    else:
        enabled = fastest_dtype(device) == torch.bfloat16
    return lambda: torch.autocast(device.type, torch.bfloat16, enabled=enabled)
