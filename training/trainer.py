"""The trainer: stages of a recipe, one after the other, on one set of pictures.

A stage trains the generator under the losses that the recipe names. While the encoder is frozen its features come from
a cache; afterwards everything is trained, on pictures that are damaged as old film is. What is kept is the exponential
moving average of the generator (EMA).
"""

from __future__ import annotations

import copy
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from vidcolor._version import __version__
from vidcolor.color import AB_SCALE
from vidcolor.networks import build
from vidcolor.networks.generator import Generator
from vidcolor.precision import fastest_dtype
from vidcolor.training.augment import damage
from vidcolor.training.data import PictureSet
from vidcolor.training.discriminators import PatchGAN
from vidcolor.training.features import FeatureCache
from vidcolor.training.hints import simulate_hints
from vidcolor.training.losses import PIXEL_LOSSES, discriminator_hinge, generator_hinge
from vidcolor.training.recipe import CROP_STEP, Recipe, StageRecipe
from vidcolor.weights import save_generator

WARM_UP = 0.03  # of a stage: the learning rate rises from zero
FINAL_RATE = 0.02  # of the learning rate at the end of a stage
LOG_EVERY = 20  # steps
SAVE_SECONDS = 300.0

Autocast = Callable[[], AbstractContextManager[Any]]


@dataclass
class State:
    """Everything that training changes."""

    generator: Generator
    ema: Generator
    discriminator: PatchGAN
    random: torch.Generator
    steps: int = 0
    pictures: int = 0


@dataclass(frozen=True)
class Batch:
    """One step's pictures on the device."""

    grey: Tensor
    """(N, 1, S, S) in [0, 1], as the network sees it."""
    true_ab: Tensor
    """(N, 2, S/2, S/2), Lab units."""
    hints: Tensor
    """(N, 3, S, S)."""
    semantics: list[Tensor] | None
    """The encoder's features where it is frozen."""


class Trainer:
    """One run: a recipe, a set of pictures, a folder for what comes out."""

    def __init__(
        self, recipe: Recipe, pictures: PictureSet, run: Path, *, device: torch.device, started: float
    ) -> None:
        self.recipe, self.pictures, self.run, self.device = recipe, pictures, run, device
        self.started = started  # time.monotonic() when the run was asked for: a time budget counts from there
        torch.manual_seed(recipe.seed)
        generator = build(recipe.network, dict(recipe.network_config))
        if not isinstance(generator, Generator):
            raise TypeError(f"expected a Generator, found {type(generator).__name__}")
        generator = generator.to(device, memory_format=torch.channels_last)
        discriminator = PatchGAN(recipe.discriminator.channels).to(device, memory_format=torch.channels_last)
        self.state = State(
            generator, copy.deepcopy(generator), discriminator, torch.Generator().manual_seed(recipe.seed)
        )
        fastest = fastest_dtype(device)
        dtype = torch.float32 if fastest == torch.float16 else fastest  # fp16 gradients would need scaling
        self.autocast: Autocast = lambda: torch.autocast(device.type, dtype, enabled=dtype != torch.float32)

    def train(self, *, minutes: float | None, on_stage_end: Callable[[str, Generator], dict[str, Any]]) -> Path:
        """Run all stages; returns the weights file. ``on_stage_end`` gives figures that are kept with the weights.

        With ``minutes`` every stage ends at its share of the time that is left then, or at its number of pictures if
        that is sooner. Only the last call of ``on_stage_end`` comes on top.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        (self.run / "recipe.toml").write_text(self.recipe.text, encoding="utf-8")
        (self.run / "metrics.jsonl").unlink(missing_ok=True)
        self.state.ema.load_state_dict(self.state.generator.state_dict())
        needs_cache = any(stage.frozen_encoder for stage in self.recipe.stages)
        features = None
        if needs_cache:
            features = FeatureCache(self.state.generator, self.pictures, device=self.device, autocast=self.autocast)
        deadline = None if minutes is None else self.started + minutes * 60
        figures: dict[str, Any] = {}
        for index, stage in enumerate(self.recipe.stages):
            share = stage.share / sum(later.share for later in self.recipe.stages[index:])
            seconds = None if deadline is None else max(deadline - time.monotonic(), 1.0) * share
            self._train_stage(stage, features if stage.frozen_encoder else None, seconds)
            figures[stage.name] = on_stage_end(stage.name, self.state.ema)
            path = self.save(f"{stage.name}.safetensors", figures)
        return path

    def save(self, name: str, figures: dict[str, Any]) -> Path:
        """Write the EMA of the generator into the run folder."""
        path = self.run / name
        save_generator(
            path, self.state.ema.state_dict(), network=self.recipe.network, config=self.state.generator.config,
            recipe=self.recipe.text, training=self._about(figures),
        )  # fmt: skip
        return path

    def _about(self, figures: dict[str, Any]) -> dict[str, Any]:
        return {
            "vidcolor": __version__,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else platform.machine(),
            "threads": torch.get_num_threads(),
            "recipe_sha256": self.recipe.sha256,
            "data_sha256": self.pictures.sha256,
            "data_pictures": len(self.pictures),
            "pictures_seen": self.state.pictures,
            "minutes": round((time.monotonic() - self.started) / 60, 1),
            "figures": figures,
        }

    def _train_stage(self, stage: StageRecipe, features: FeatureCache | None, seconds: float | None) -> None:
        """One stage; ``seconds`` is its time budget, None for none."""
        generator, discriminator = self.state.generator, self.state.discriminator
        generator.encoder.requires_grad_(not stage.frozen_encoder)
        optimiser_g = torch.optim.AdamW(
            [p for p in generator.parameters() if p.requires_grad],
            lr=stage.learning_rate, betas=(0.9, 0.99), weight_decay=self.recipe.optimiser.weight_decay,
        )  # fmt: skip
        optimiser_d = torch.optim.AdamW(
            discriminator.parameters(), lr=self.recipe.discriminator.learning_rate, betas=(0.0, 0.99)
        )
        began, seen, saved = time.monotonic(), 0, time.monotonic()
        with tqdm(total=stage.pictures, desc=stage.name, unit="picture", mininterval=5) as bar:
            for indices in self._indices():
                elapsed = time.monotonic() - began
                done = max(seen / stage.pictures, 0.0 if seconds is None else elapsed / seconds)
                if done >= 1:
                    break
                for group in optimiser_g.param_groups:
                    group["lr"] = stage.learning_rate * schedule(done)
                generator.train()
                generator.encoder.eval()  # the statistics of its batch norm stay ImageNet's
                batch = self._batch(indices, stage.size, features)
                losses = self._step(batch, stage, optimiser_g, optimiser_d)
                self._update_ema()
                self.state.steps += 1
                self.state.pictures += len(indices)
                seen += len(indices)
                bar.update(len(indices))
                if self.state.steps % LOG_EVERY == 0:
                    self._log(stage, losses, seen / (time.monotonic() - began))
                if time.monotonic() - saved > SAVE_SECONDS:
                    self.save("last.safetensors", {})
                    saved = time.monotonic()

    def _indices(self) -> Iterator[npt.NDArray[np.int64]]:
        """Batches of a random order, again and again, without end."""
        size = self.recipe.optimiser.batch_size
        while True:
            order = torch.randperm(len(self.pictures), generator=self.state.random).numpy()
            for start in range(0, max(len(order) - size + 1, 1), size):
                yield np.sort(order[start : start + size])

    def _batch(self, indices: npt.NDArray[np.int64], size: int, features: FeatureCache | None) -> Batch:
        grey = torch.from_numpy(self.pictures.grey[indices]).to(self.device)[:, None].float() / 255
        ab = torch.from_numpy(self.pictures.ab[indices]).to(self.device).float()
        ab += torch.rand(ab.shape, generator=self.state.random).to(ab) - 0.5  # undoes the rounding to whole units
        semantics = None if features is None else features.batch(indices, self.device)
        maps = random_crop([grey, ab, *(semantics or [])], size, self.state.random)
        if torch.rand((), generator=self.state.random) < 0.5:
            maps = [m.flip(-1) for m in maps]
        grey, ab, *semantics_cut = maps
        if semantics is None:
            grey = damage(grey, self.state.random)
        hints = simulate_hints(ab, self.state.random)
        return Batch(grey, ab, hints, None if semantics is None else semantics_cut)

    def _step(
        self, batch: Batch, stage: StageRecipe, optimiser_g: torch.optim.Optimizer, optimiser_d: torch.optim.Optimizer
    ) -> dict[str, float]:
        generator, discriminator = self.state.generator, self.state.discriminator
        with self.autocast():
            semantics = generator.encode(batch.grey) if batch.semantics is None else batch.semantics
            pred_ab = generator.predict(batch.grey, batch.hints, semantics).ab
        pred = pred_ab / AB_SCALE
        losses: dict[str, Tensor] = {}
        if "adversarial" in stage.losses:
            small = F.avg_pool2d(batch.grey, 2)
            true = batch.true_ab / AB_SCALE
            with self.autocast():
                real_logits = discriminator(small, true)
                fake_logits = discriminator(small, pred.detach().float())
            losses |= discriminator_hinge(real_logits.float(), fake_logits.float())
            optimiser_d.zero_grad(set_to_none=True)
            losses["loss_D"].backward()
            optimiser_d.step()
            discriminator.requires_grad_(False)
            with self.autocast():
                losses["loss_G_adversarial"] = generator_hinge(discriminator(small, pred.float()).float())
        for name, loss in PIXEL_LOSSES.items():
            if name in stage.losses:
                losses[f"loss_G_{name}"] = loss(pred_ab, batch.true_ab)
        total = sum((weight * losses[f"loss_G_{name}"] for name, weight in stage.losses.items()), pred_ab.new_zeros(()))
        optimiser_g.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(generator.parameters(), self.recipe.optimiser.gradient_clip)
        optimiser_g.step()
        discriminator.requires_grad_(True)
        return {name: value.item() for name, value in {**losses, "loss_G": total}.items()}

    def _update_ema(self) -> None:
        decay = min(self.recipe.optimiser.ema_decay, (1 + self.state.steps) / (10 + self.state.steps))
        values = self.state.generator.state_dict()
        with torch.no_grad():
            # Batch norm's statistics are averaged too: those of the newest parameters do not fit older ones.
            for name, average in self.state.ema.state_dict().items():
                if average.is_floating_point():
                    average.lerp_(values[name], 1 - decay)
                else:
                    average.copy_(values[name])

    def _log(self, stage: StageRecipe, losses: dict[str, float], rate: float) -> None:
        if not all(math.isfinite(value) for value in losses.values()):
            raise FloatingPointError(f"step {self.state.steps}: a loss is no longer finite: {losses}")
        row = {"stage": stage.name, "step": self.state.steps, "pictures_per_second": round(rate, 2), **losses}
        with (self.run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def random_crop(maps: list[Tensor], size: int, generator: torch.Generator) -> list[Tensor]:
    """The same random square from maps of one picture at several strides; the first, (N, C, S, S), has stride 1.

    The square's place is a multiple of CROP_STEP, so that it falls on whole cells of every map.
    """
    side = maps[0].shape[-1]
    steps = (side - size) // CROP_STEP + 1
    top, left = (torch.randint(0, steps, (2,), generator=generator) * CROP_STEP).tolist()
    cuts = []
    for m in maps:
        stride = side // m.shape[-1]
        y, x, s = top // stride, left // stride, size // stride
        cuts.append(m[..., y : y + s, x : x + s])
    return cuts


def schedule(done: float) -> float:
    """The learning rate's factor at ``done`` of a stage, 0 to 1: a short rise, then half a cosine down."""
    if done < WARM_UP:
        return max(done / WARM_UP, 0.01)
    cosine = 0.5 * (1 + math.cos(math.pi * min((done - WARM_UP) / (1 - WARM_UP), 1.0)))
    return FINAL_RATE + (1 - FINAL_RATE) * cosine
