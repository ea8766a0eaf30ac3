"""The trainer: the stages of a recipe, one after the other, on one set of pictures.

    pictures ─► batches ─► step (discriminator, generator, EMA) ─► log, checks, checkpoints ─► weights

What is kept is the exponential moving average of the generator (EMA). A run can be stopped at any moment and goes on
from its last checkpoint as if it had never stopped: batches and random numbers depend on the number of the step alone.
"""

from __future__ import annotations

import itertools
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vidcolor._version import __version__
from vidcolor.errors import StoppedError, TrainingError
from vidcolor.inference.precision import fastest_dtype
from vidcolor.inference.weights import save_generator
from vidcolor.networks import ColorNetwork, Prediction
from vidcolor_training.checkpoint import load_checkpoint, save_checkpoint
from vidcolor_training.checks import Checker, CheckFigures
from vidcolor_training.data.batch import Batch
from vidcolor_training.data.batches import Batches
from vidcolor_training.data.feature_cache import FeatureCache, frozen_encode, parameters_sha256
from vidcolor_training.data.pictures import PictureSet
from vidcolor_training.distributed import World
from vidcolor_training.objectives.losses import LossTerm, ab_prior, build_losses, class_weights
from vidcolor_training.recipes.recipe import FEATURE_LOSSES, Recipe, StageRecipe
from vidcolor_training.run_log import RunLog, draw_curves
from vidcolor_training.schedule import schedule
from vidcolor_training.stage_progress import StageProgress
from vidcolor_training.state import State
from vidcolor_training.step import Autocast, Predict, Step
from vidcolor_training.stop_signals import StopRequest, stop_requests

LOG_EVERY = 20  # steps
PRIOR_PICTURES = 1000  # that the frequencies of colors are counted on
FINAL = "weights.safetensors"
BEST = "best.safetensors"
SAMPLES = "samples"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run does beside training; no part of the recipe, as it changes nothing of the result."""

    checkpoint_minutes: float = 5.0
    check_every: int = 500
    """Steps between checks, each with a sample sheet."""
    compile: bool = False
    """Compile the generator (torch.compile)."""


class Trainer:
    """One run.

    Args:
        state: the networks at the beginning, on ``device``.
        run: the folder for everything that comes out; it exists.
        validation: pictures for the checks; None: some of the training pictures.
        features: the network of the perceptual loss, on ``device``; None where no stage has that loss.
        started: ``time.monotonic()`` when the run was asked for: a time budget counts from there.
    """

    def __init__(
        self, recipe: Recipe, state: State, pictures: PictureSet, run: Path, *, device: torch.device, world: World,
        validation: PictureSet | None = None, features: torch.nn.Module | None = None,
        options: RunOptions | None = None, started: float | None = None,
    ) -> None:  # fmt: skip
        self.recipe, self.state, self.pictures, self.run = recipe, state, pictures, run
        self.device, self.world, self.features = device, world, features
        self.options = options or RunOptions()
        self.started = time.monotonic() if started is None else started
        self.autocast = training_autocast(device)
        self._predict = torch.compile(state.generator.predict) if self.options.compile else state.generator.predict
        self.random = torch.Generator()
        self.checker = Checker(pictures if validation is None else validation, device)
        self.identity = {
            "recipe": recipe.sha256,
            "stage": ",".join(stage.name for stage in recipe.stages),
            "data": pictures.sha256,
            "number of processes": str(world.size),
            "perceptual network": "" if features is None else parameters_sha256(features),
        }

    def train(
        self, *, minutes: float | None, resume: bool = False,
        on_stage_end: Callable[[str, ColorNetwork], dict[str, Any]] = lambda name, network: {},
    ) -> Path:  # fmt: skip
        """Run all stages, or those that are left of a stopped run; returns the weights file.

        Args:
            minutes: every stage ends at its share of this time, or at its number of pictures if that is sooner.
            on_stage_end: gives figures of the EMA that are kept with the weights. Its time is taken from the later
                stages'; after the last stage it comes on top of ``minutes``.

        Raises:
            StoppedError: SIGINT or SIGTERM came; a checkpoint has been written.
            TrainingError: a loss is no longer finite, or the training has collapsed.
        """
        saved = load_checkpoint(self.run, self.identity) if resume else None
        if saved is not None:
            if saved["position"]["stage"] < len(self.recipe.stages):
                self.state.begin_stage(self.recipe.stages[saved["position"]["stage"]], self.recipe)
            self.state.restore(saved)
        deadline = None if minutes is None else self.started + minutes * 60
        cache = self.feature_cache()
        with stop_requests() as stop, self._log_of_run() as log:
            for index in range(self.state.position.stage, len(self.recipe.stages)):
                stage = self.recipe.stages[index]
                if saved is None:
                    self.state.begin_stage(stage, self.recipe)
                saved = None
                if self.state.position.stage_done < 1:
                    self.train_stage(stage, cache if stage.cached else None, self._seconds(deadline), stop, log)
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
                path, self.state.ema.state_dict(), network=self.recipe.network, config=self.state.generator.config,
                recipe=self.recipe.text, training=self.about(),
            )  # fmt: skip
        return path

    def about(self) -> dict[str, Any]:
        """What a weights file says about its making."""
        position = self.state.position
        return {
            "vidcolor": __version__,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else platform.machine(),
            "threads": torch.get_num_threads(),
            "processes": self.world.size,
            "seed": self.recipe.seed,
            "recipe_sha256": self.recipe.sha256,
            "data_sha256": self.pictures.sha256,
            "data_pictures": len(self.pictures),
            "steps": position.step,
            "pictures_seen": position.pictures,
            "minutes": round(position.seconds / 60, 2),
            "figures": self.state.figures,
        }

    def feature_cache(self) -> FeatureCache | None:
        """The frozen encoder's features, if a stage that is left needs them."""
        if not any(stage.cached for stage in self.recipe.stages[self.state.position.stage :]):
            return None

        def compute() -> FeatureCache:
            return FeatureCache(self.state.generator, self.pictures, device=self.device, autocast=self.autocast)

        return self.world.in_turn(compute)

    def _log_of_run(self) -> AbstractContextManager[RunLog | None]:
        """The leading process writes; the others have nothing to say."""
        if not self.world.leads:
            return nullcontext()
        return closing(RunLog(self.run, first_step=self.state.position.step))

    def _seconds(self, deadline: float | None) -> float | None:
        """This stage's part of the time that is left."""
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
        """The rest of a stage, in ``seconds`` if that is not None."""
        position = self.state.position
        clock = StageProgress(stage.pictures, seconds, done=position.stage_done, seen=position.stage_pictures)
        step = self.step_of(stage)
        since_entry, since_check = LossSums(), LossSums()
        saved = began = time.monotonic()
        bar = tqdm(
            total=stage.pictures, initial=position.stage_pictures, desc=stage.name, unit="picture", mininterval=5,
            disable=not self.world.leads,
        )  # fmt: skip
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
                done = clock.done(position.stage_pictures)
                position.stage_done, stopped = self.world.agree(done, bool(stop), self.device)
                ended = stopped or position.stage_done >= 1
                to_check = position.step % self.options.check_every == 0 or position.stage_done >= 1
                if position.step % LOG_EVERY == 0 or ended or to_check:
                    position.seconds, began = position.seconds + time.monotonic() - began, time.monotonic()
                    self._log(stage, since_entry.means(), log)
                    # Here, behind a log: a checkpoint never holds numbers that are no longer finite.
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
        """What trains on one batch in this stage."""
        predict = self._predict_in(stage)
        return Step(
            self.state, stage, self.recipe, self._terms(stage, predict), predict=predict, autocast=self.autocast,
            world=self.world,
        )  # fmt: skip

    def _predict_in(self, stage: StageRecipe) -> Predict:
        """The generator's ``predict``, in a stage with a frozen encoder by its faster form in use."""
        if not stage.frozen_encoder:
            return self._predict
        encode = frozen_encode(self.state.generator)

        def predict(grey: Tensor, hints: Tensor | None = None, semantics: list[Tensor] | None = None) -> Prediction:
            return self._predict(grey, hints, encode(grey) if semantics is None else semantics)

        return predict

    def _batches(self, stage: StageRecipe, cache: FeatureCache | None) -> Iterator[list[Batch]]:
        """Groups of ``accumulate`` batches, without end."""
        count = self.recipe.optimiser.accumulate
        source = Batches(
            self.pictures, batch_size=self.recipe.optimiser.batch_size, device=self.device, seed=self.recipe.seed,
            rank=self.world.rank, world=self.world.size, features=cache,
        )  # fmt: skip
        first = self.state.position.step * count
        with closing(source.stream(first, stage, hints=self.state.generator.takes_hints)) as stream:
            while True:
                yield list(itertools.islice(stream, count))

    def _terms(self, stage: StageRecipe, predict: Predict) -> dict[str, LossTerm]:
        """The losses of a stage, but those of the discriminator."""
        names = [name for name in stage.losses if name not in ("adversarial", "feature_matching")]
        weights = None
        if "rebalanced_classification" in names:
            every = max(len(self.pictures) // PRIOR_PICTURES, 1)
            sample = torch.from_numpy(np.array(self.pictures.ab[::every, :, ::4, ::4])).float()
            weights = class_weights(ab_prior(sample)).to(self.device)
        terms = build_losses(
            names, predict=predict, features=self.features, class_weights=weights, random=self.random,
            feature_stride=self.recipe.perceptual.stride,
        )  # fmt: skip

        def under_autocast(term: LossTerm) -> LossTerm:
            def compute(*arguments: Any) -> Tensor:
                with self.autocast():
                    return term(*arguments)

            return compute

        # Of the losses these run a network; the others are sums over pixels, in full precision.
        return {
            name: under_autocast(term) if name in (*FEATURE_LOSSES, "temporal") else term
            for name, term in terms.items()
        }

    def _seed(self) -> None:
        """Make the next step's random numbers (dropout, warps) depend on the step and the process alone."""
        seed = int(
            np.random.SeedSequence((self.recipe.seed, self.state.position.step, self.world.rank)).generate_state(1)[0]
        )
        torch.manual_seed(seed)
        self.random.manual_seed(seed)

    def _set_rates(self, stage: StageRecipe) -> None:
        factor = schedule(self.recipe.optimiser.schedule, self.state.position.stage_done)
        assert self.state.optimiser_g is not None
        for group in self.state.optimiser_g.param_groups:
            group["lr"] = stage.learning_rate * factor
        if self.state.optimiser_d is not None:
            assert self.recipe.discriminator is not None
            for group in self.state.optimiser_d.param_groups:
                group["lr"] = self.recipe.discriminator.learning_rate * factor

    def _log(self, stage: StageRecipe, losses: dict[str, float], log: RunLog | None) -> None:
        position = self.state.position
        wrong = ", ".join(name for name, value in losses.items() if not math.isfinite(value))
        if not self.world.every(not wrong, self.device):
            wrong = wrong or "a loss of another process"
            raise TrainingError(
                f"{self.run}: {wrong} no longer finite at step {position.step}; lower the learning rate"
            )
        rate = position.pictures / position.seconds
        if log is not None:
            log.write(position.step, {"stage": stage.name, "pictures_per_second": rate, **losses})

    def _check(self, stage: StageRecipe, losses: dict[str, float], log: RunLog | None) -> None:
        """Measure the EMA on a few pictures, show it, and end a training that has collapsed."""
        position, guard = self.state.position, self.state.guard
        self.world.average_statistics(self.state.ema)
        sheet = self.run / SAMPLES / f"step-{position.step:07d}.jpg"
        figures = CheckFigures(0.0, 0.0)
        if log is not None:
            check = self.checker.check(self.state.ema.eval(), self.autocast, sheet)
            figures = check.figures
            log.write(position.step, {f"check_{name}": value for name, value in check.log.items()})
            log.picture(position.step, sheet)
        figures = CheckFigures(*self.world.first_says(astuple(figures), self.device))
        if guard.is_best(**asdict(figures)):
            self.save(BEST)
        if "adversarial" not in stage.losses:
            return
        assert self.recipe.discriminator is not None
        (loss_d,) = self.world.first_says((losses["loss_D"],), self.device)
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
    """Losses since the last entry of the log, added up on the device: reading one number would wait for the GPU."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, losses: dict[str, Tensor]) -> None:
        """One step's."""
        self.sums = {name: self.sums.get(name, 0) + value for name, value in losses.items()}
        self.count += 1

    def means(self) -> dict[str, float]:
        """Over the steps since the last call."""
        found = {name: value.item() / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return found


def training_autocast(device: torch.device) -> Autocast:
    """bf16 where the device is fast in it, else fp32: gradients in fp16 would need scaling."""
    dtype = fastest_dtype(device)
    enabled = dtype == torch.bfloat16
    return lambda: torch.autocast(device.type, torch.bfloat16, enabled=enabled)
