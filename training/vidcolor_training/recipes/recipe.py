"""The records of a recipe: what is trained, on what, and how. They mirror the tables of the TOML file."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from vidcolor.errors import OptionError
from vidcolor.networks import NETWORKS, ColorNetwork, build
from vidcolor.networks.encoders import ENCODERS
from vidcolor.networks.lab import AB_SCALE

CROP_STEP = 64  # the stride of the coarsest features
LOSSES = (
    "l1",
    "smooth_l1",
    "mse",
    "rgb_mse",
    "perceptual",
    "feature_distance",
    "adversarial",
    "feature_matching",
    "colorfulness",
    "classification",
    "rebalanced_classification",
    "temporal",
    "divergence",
)
FEATURE_LOSSES = ("perceptual", "feature_distance")
"""The losses that need the network of :class:`PerceptualRecipe`."""


class FieldError(ValueError):
    """A value that cannot be trained with: the field, what was expected and what was found."""

    def __init__(self, name: str, expected: str, found: object) -> None:
        super().__init__(f"{name}: expected {expected}, found {found}")


@dataclass(frozen=True, kw_only=True)
class NetworkRecipe:
    """The generator. In the file, ``name`` and the keywords of the network stand side by side in one table."""

    name: str
    config: Mapping[str, Any]
    """The keywords of the network's class."""

    def build(self) -> ColorNetwork:
        """Build the network with random parameters."""
        return build(self.name, dict(self.config))

    def build_without_memory(self) -> ColorNetwork:
        """Build the network on the meta device, to check its configuration.

        Raises:
            FieldError: The name is unknown, or the configuration does not fit the network.
        """
        _check_choice("network.name", self.name, NETWORKS)
        try:
            with torch.device("meta"):
                return self.build()
        except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as exc:
            raise FieldError("network", f"a configuration of {self.name}", f"one that it refuses: {exc}") from exc


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """The training pictures."""

    size: int
    """Side of the squares to which pictures are decoded, in pixels."""
    balance: float = 0.0
    """How much the sources of pictures are balanced, 0 to 1: 0: every picture is seen equally often, 1: every source
    is. The source of a picture is its name up to the first hyphen."""

    def __post_init__(self) -> None:
        if not 0 <= self.balance <= 1:
            raise FieldError("data.balance", "a number in [0, 1]", self.balance)


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    """AdamW (Loshchilov & Hutter 2019; plain Adam where ``weight_decay`` is 0), batches and the moving average."""

    batch_size: int
    accumulate: int = 1
    """Batches whose gradients are added up before a step."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    """Largest norm of the generator's gradient."""
    ema_decay: float = 0.998
    schedule: Literal["cosine", "one_cycle", "constant"] = "cosine"

    def __post_init__(self) -> None:
        _check_counts(batch_size=self.batch_size, accumulate=self.accumulate)
        if not 0 <= self.ema_decay < 1:
            raise FieldError("ema_decay", "a number in [0, 1)", self.ema_decay)


@dataclass(frozen=True, kw_only=True)
class DiscriminatorRecipe:
    """The discriminator of the adversarial stages, and its optimizer."""

    name: str = "patchgan"
    mode: Literal["vanilla", "lsgan", "hinge", "wgan-gp"] = "hinge"
    channels: int = 64
    layers: int = 3
    """Number of strided layers: 3 give patches of 70 × 70 pixels (Isola et al. 2017)."""
    norm: Literal["none", "batch"] = "none"
    ab_unit: float = AB_SCALE
    """Lab units that the discriminator gets as 1. Most colors stay below 40, a quarter of what tanh can express."""
    spectral_norm: bool = True
    condition: str = ""
    """An encoder whose features of the grey picture are inputs of the discriminator too; empty for none."""
    learning_rate: float
    betas: tuple[float, float] = (0.0, 0.99)
    steps: int = 1
    """Steps of the discriminator for each batch."""
    r1: float = 0.0
    """Weight of the R1 penalty (Mescheder et al. 2018)."""
    gradient_penalty: float = 10.0
    """Weight of the penalty of wgan-gp (Gulrajani et al. 2017)."""

    def __post_init__(self) -> None:
        _check_choice("condition", self.condition, ("", *ENCODERS))
        _check_counts(channels=self.channels, layers=self.layers, steps=self.steps)
        if not self.ab_unit > 0:
            raise FieldError("ab_unit", "a number above 0", self.ab_unit)


@dataclass(frozen=True, kw_only=True)
class PerceptualRecipe:
    """The feature network of the losses ``perceptual`` and ``feature_distance``."""

    network: str = "vgg16"
    """``vgg16``, ``alexnet``, or the name of an encoder."""
    stride: Literal[0, 1, 2, 4, 8] = 0
    """By how much pictures are reduced for the feature network; 0: to the size of the prediction."""


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """A part of the training with one set of losses."""

    name: str
    pictures: int
    """How many pictures are seen in this stage; each may be seen several times."""
    share: float
    """Part of the time budget of a run. The shares of all stages add up to 1."""
    size: int
    """Side of the network's input in pixels; a multiple of 64."""
    view: Literal["crop", "resize"] = "crop"
    """``crop``: squares cut out at full size. ``resize``: large squares, reduced to ``size``. Cached features allow
    crops alone, because they are cut together with the pictures."""
    smallest_view: float = 0.8
    """Side of the smallest square that ``resize`` cuts, as a part of the picture's side."""
    learning_rate: float
    finest: int = 0
    """The stride of the finest level that is trained, of networks with several; 0: the network's own."""
    hinted: float = 0.5
    """Share of the pictures that come with hints, for networks that take them."""
    frozen_encoder: bool = False
    damage: bool = False
    """Whether the grey picture is degraded as old film is. A frozen encoder then runs on each picture anew."""
    losses: Mapping[str, float]
    """Name of each loss to its weight."""

    def __post_init__(self) -> None:
        _check_counts(pictures=self.pictures, size=self.size)
        if self.size % CROP_STEP:
            raise FieldError("size", f"a multiple of {CROP_STEP}", self.size)
        if not 0 <= self.hinted <= 1:
            raise FieldError("hinted", "a number in [0, 1]", self.hinted)
        if not 0 < self.smallest_view <= 1:
            raise FieldError("smallest_view", "a number in (0, 1]", self.smallest_view)
        if not self.losses:
            raise FieldError("losses", "at least one loss", "none")
        for loss in self.losses:
            _check_choice("losses", loss, LOSSES)
        if "feature_matching" in self.losses and "adversarial" not in self.losses:
            raise FieldError("losses", "adversarial beside feature_matching", ", ".join(self.losses))
        if self.cached and self.view == "resize":
            raise FieldError("view", "crop, for the cached features of a frozen encoder", self.view)

    @property
    def cached(self) -> bool:
        """Whether the encoder's features are computed once: neither the encoder nor the pictures change."""
        return self.frozen_encoder and not self.damage


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe."""

    name: str
    seed: int
    network: NetworkRecipe
    data: DataRecipe
    optimiser: OptimizerRecipe
    discriminator: DiscriminatorRecipe | None = None
    perceptual: PerceptualRecipe = field(default_factory=PerceptualRecipe)
    stages: tuple[StageRecipe, ...]
    published: Mapping[str, str] = field(default_factory=dict)
    """Figures printed elsewhere for the same experiment, and their source; for tables only."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise FieldError("stages", "at least one stage", "none")
        network = self.network.build_without_memory()
        step = math.lcm(network.multiple, CROP_STEP if self.stages[0].cached else 1)
        self._check_size("data: size", self.data.size, step)
        for index, stage in enumerate(self.stages):
            self._check_size(f"stage {stage.name}: size", stage.size, step)
            self._check_stage(stage, network)
            if stage.cached and not all(earlier.frozen_encoder for earlier in self.stages[:index]):
                where = f"stage {stage.name}: frozen_encoder"
                raise FieldError(where, "false after a stage that trains the encoder, or damage = true", "true")

    def _check_size(self, where: str, size: int, step: int) -> None:
        if size % step:
            raise FieldError(where, f"a multiple of {step} for {self.network.name}", size)

    def _check_stage(self, stage: StageRecipe, network: ColorNetwork) -> None:
        """Check what a stage needs from the rest of the recipe."""
        where = f"stage {stage.name}"
        if stage.size > self.data.size:
            raise FieldError(f"{where}: size", f"at most {self.data.size}, the size of the data", stage.size)
        if stage.finest and stage.finest not in network.strides:
            strides = ", ".join(map(str, network.strides)) or "0"
            raise FieldError(f"{where}: finest", f"a stride of {self.network.name} ({strides})", stage.finest)
        if "adversarial" in stage.losses and self.discriminator is None:
            raise FieldError("discriminator", f"a table for the adversarial loss of {where}", "none")
        if stage.frozen_encoder and network.encoder is None:
            raise FieldError(f"{where}: frozen_encoder", f"false, {self.network.name} has no encoder", "true")

    def starting_at(self, stage_name: str) -> Recipe:
        """Return the recipe without the stages before ``stage_name``.

        Raises:
            OptionError: The recipe has no such stage.
        """
        names = [stage.name for stage in self.stages]
        if stage_name not in names:
            raise OptionError(f"recipe {self.name} has no stage {stage_name!r}; it has: {', '.join(names)}")
        return replace(self, stages=self.stages[names.index(stage_name) :])


def _check_choice(name: str, found: str, choices: Collection[str]) -> None:
    if found not in choices:
        raise FieldError(name, f"one of {', '.join(sorted(filter(None, choices)))}", repr(found))


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise FieldError(name, "a whole number from 1", count)
