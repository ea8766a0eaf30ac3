"""A recipe: a TOML file that says what is trained, on what, and how. Every published experiment is one."""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from vidcolor.color.lab import AB_SCALE
from vidcolor.errors import OptionError
from vidcolor.networks import NETWORKS, ColorNetwork, build
from vidcolor.networks.encoders import ENCODERS

CHANGED = "# changed: "  # begins a line of a recipe's text that changes another one
CROP_STEP = 64  # the stride of the coarsest features
LOSSES = (
    "l1", "smooth_l1", "mse", "rgb_mse", "perceptual", "feature_distance", "adversarial", "feature_matching",
    "colorfulness", "rebalanced_classification", "temporal",
)  # fmt: skip
GAN_MODES = ("vanilla", "lsgan", "hinge", "wgan-gp")
SCHEDULES = ("cosine", "one_cycle", "constant")


@dataclass(frozen=True, kw_only=True)
class OptimiserRecipe:
    """AdamW (Loshchilov & Hutter 2019; plain Adam where ``weight_decay`` is 0) and what goes with it."""

    batch_size: int
    accumulate: int = 1
    """Batches whose gradients are added up before a step."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    """Largest norm of the generator's gradient."""
    ema_decay: float = 0.998
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        _check_choice("optimiser.schedule", self.schedule, SCHEDULES)
        _check_counts("optimiser", batch_size=self.batch_size, accumulate=self.accumulate)
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"optimiser: ema_decay must be in [0, 1), found {self.ema_decay}")


@dataclass(frozen=True, kw_only=True)
class DiscriminatorRecipe:
    """What the adversarial stages train against."""

    name: str = "patchgan"
    mode: str = "hinge"
    channels: int = 64
    layers: int = 3
    """Strided ones: 3 give patches of 70 × 70 pixels (Isola et al. 2017)."""
    norm: str = "none"
    """``none`` or ``batch``."""
    ab_unit: float = AB_SCALE
    """Lab units that the discriminator sees as 1: colors are seldom beyond 40, a quarter of what tanh can say."""
    spectral_norm: bool = True
    condition: str = ""
    """An encoder whose features of the grey picture the discriminator sees too; empty for none."""
    learning_rate: float
    betas: tuple[float, float] = (0.0, 0.99)
    steps: int = 1
    """Of the discriminator for each batch."""
    r1: float = 0.0
    """Weight of the R1 penalty (Mescheder et al. 2018)."""
    gradient_penalty: float = 10.0
    """Weight of the penalty of wgan-gp (Gulrajani et al. 2017)."""

    def __post_init__(self) -> None:
        _check_choice("discriminator.mode", self.mode, GAN_MODES)
        _check_choice("discriminator.norm", self.norm, ("none", "batch"))
        _check_choice("discriminator.condition", self.condition, ("", *ENCODERS))
        if not self.ab_unit > 0:
            raise ValueError(f"discriminator: ab_unit must be above 0, found {self.ab_unit}")
        _check_counts("discriminator", channels=self.channels, layers=self.layers, steps=self.steps)


@dataclass(frozen=True, kw_only=True)
class PerceptualRecipe:
    """What the losses ``perceptual`` and ``feature_distance`` look through."""

    network: str = "vgg16"
    """``vgg16``, or the name of an encoder."""
    stride: int = 0
    """Of the pictures that it sees; 0: the prediction's own."""

    def __post_init__(self) -> None:
        if self.stride not in (0, 1, 2, 4, 8):
            raise ValueError(f"perceptual: stride must be 0, 1, 2, 4 or 8, found {self.stride}")


FEATURE_LOSSES = ("perceptual", "feature_distance")
"""Those that need the network of :class:`PerceptualRecipe`."""


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """One stretch of training under one set of losses."""

    name: str
    pictures: int
    """Seen in this stage, not different ones."""
    share: float
    """Of the time that is left for training, where a run has a time budget; the shares of all stages add up to 1."""
    size: int
    """Side of what the network sees; a multiple of 64."""
    view: str = "crop"
    """``crop``: squares cut out at full size. ``resize``: whole pictures, or nearly, made smaller. Cached features have
    crops alone, as they are cut with them."""
    smallest_view: float = 0.8
    """Of the picture's side: the smallest square that ``resize`` shows."""
    learning_rate: float
    finest: int = 0
    """The stride of the finest level that is trained, of networks that speak at several; 0: the network's own."""
    hinted: float = 0.5
    """Share of the pictures that come with hints, of networks that take them."""
    frozen_encoder: bool = False
    damage: bool = False
    """The grey picture is damaged as old film is. A frozen encoder then sees each picture anew."""
    losses: Mapping[str, float]

    def __post_init__(self) -> None:
        _check_counts(f"stage {self.name}", pictures=self.pictures, size=self.size)
        if not 0 <= self.hinted <= 1:
            raise ValueError(f"stage {self.name}: hinted must be in [0, 1], found {self.hinted}")
        if not 0 < self.smallest_view <= 1:
            raise ValueError(f"stage {self.name}: smallest_view must be in (0, 1], found {self.smallest_view}")
        if not self.losses:
            raise ValueError(f"stage {self.name}: expected losses, found none")
        if self.size % CROP_STEP:
            raise ValueError(f"stage {self.name}: size must be a multiple of {CROP_STEP}, got {self.size}")
        _check_choice(f"view of stage {self.name}:", self.view, ("crop", "resize"))
        for loss in self.losses:
            _check_choice(f"loss of stage {self.name}:", loss, LOSSES)
        if self.cached and self.view == "resize":
            raise ValueError(f"stage {self.name}: cached features of a frozen encoder are of whole pictures")
        if "feature_matching" in self.losses and "adversarial" not in self.losses:
            raise ValueError(f"stage {self.name}: feature_matching needs the discriminator of adversarial")

    @property
    def cached(self) -> bool:
        """Whether the encoder's features are computed once: it stays as it is, and so do the pictures."""
        return self.frozen_encoder and not self.damage


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The whole file."""

    name: str
    seed: int
    network: str
    network_config: Mapping[str, Any]
    size: int
    optimiser: OptimiserRecipe
    discriminator: DiscriminatorRecipe | None
    perceptual: PerceptualRecipe
    stages: tuple[StageRecipe, ...]
    published: Mapping[str, str]
    """Figures printed elsewhere for the same experiment, and where; for tables only."""
    text: str = field(repr=False)
    """The file itself, as it goes into the run folder and the weights."""

    def __post_init__(self) -> None:
        network = self._network()
        if not self.stages:
            raise ValueError("expected stages, found none")
        if any(stage.frozen_encoder for stage in self.stages) and network.encoder is None:
            raise ValueError(f"{self.network} has no encoder that could be frozen")
        step = math.lcm(network.multiple, CROP_STEP if self.stages[0].cached else 1)
        for what, size in (("data", self.size), *((f"stage {stage.name}", stage.size) for stage in self.stages)):
            if size % step:
                raise ValueError(f"{what}: size must be a multiple of {step}, as {self.network} takes it, found {size}")
        for stage in self.stages:
            if stage.size > self.size:
                raise ValueError(f"stage {stage.name}: its size is larger than the data's, {self.size}")
            if stage.finest and stage.finest not in network.strides:
                raise ValueError(f"stage {stage.name}: {self.network} does not speak at stride {stage.finest}")
            if "adversarial" in stage.losses and self.discriminator is None:
                raise ValueError(f"stage {stage.name}: its adversarial loss needs a table [discriminator]")
        frozen = [stage.frozen_encoder for stage in self.stages]
        if any(stage.cached and not all(frozen[:i]) for i, stage in enumerate(self.stages)):
            raise ValueError("a stage with a frozen encoder cannot follow one that trains it: its features are cached")

    def _network(self) -> ColorNetwork:
        """Without memory for its parameters: to see whether its configuration is understood."""
        _check_choice("network", self.network, tuple(NETWORKS))
        try:
            with torch.device("meta"):
                return build(self.network, dict(self.network_config))
        except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as exc:
            raise ValueError(f"network: its configuration does not fit {self.network}: {exc}") from exc

    def starting_at(self, stage_name: str) -> Recipe:
        """The same recipe without the stages before ``stage_name``; raises OptionError where it has no such stage."""
        names = [stage.name for stage in self.stages]
        if stage_name not in names:
            raise OptionError(f"recipe {self.name} has no stage {stage_name!r}; it has: {', '.join(names)}")
        return replace(self, stages=self.stages[names.index(stage_name) :])

    @property
    def sha256(self) -> str:
        """Of the file's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def recipe_names() -> list[str]:
    """The recipes that come with vidcolor."""
    folder = resources.files(__package__)
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """A recipe by its name, or from a TOML file of one's own.

    Args:
        name_or_path: ``default`` or ``mine.toml``.
        changes: lines ``table.key=value``, with the value as TOML writes it, that replace a line of the recipe, or
            of every stage: ``stages.size=128``; outside tables ``seed=2``.

    Raises:
        OptionError: no such recipe, or a line in it that is not understood.
    """
    own = Path(name_or_path)
    if own.suffix == ".toml":
        if not own.is_file():
            raise OptionError(f"{own}: expected a recipe, found no such file")
        try:
            text = own.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise OptionError(f"{own}: expected a recipe in UTF-8, found a file that cannot be read: {exc}") from exc
    elif name_or_path in recipe_names():
        text = (resources.files(__package__) / f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        raise OptionError(f"unknown recipe {name_or_path!r}; there are: {', '.join(recipe_names())}, or a .toml file")
    return parse_recipe(text, changes, where=name_or_path)


def parse_recipe(text: str, changes: Sequence[str] = (), *, where: str) -> Recipe:
    """The text of a recipe with ``changes``, checked. ``where`` names it in errors.

    The changes are written into the text, as comments that are obeyed when it is parsed again: a run's recipe is whole.
    """
    try:
        text += "".join(f"{CHANGED}{change}\n" for change in changes)
        table = tomllib.loads(text)
        for line in text.splitlines():
            if line.startswith(CHANGED):
                _change(table, line.removeprefix(CHANGED))
        network = dict(table["network"])
        return Recipe(
            name=table["name"],
            seed=table["seed"],
            network=network.pop("name"),
            network_config=network,
            size=table["data"]["size"],
            optimiser=OptimiserRecipe(**_with_tuples(table["optimiser"])),
            discriminator=_discriminator(table),
            perceptual=PerceptualRecipe(**table.get("perceptual", {})),
            stages=tuple(StageRecipe(**stage) for stage in table["stages"]),
            published=table.get("published", {}),
            text=text,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:  # TOMLDecodeError is a ValueError
        raise OptionError(f"recipe {where}: not understood: {exc}") from exc


def _change(table: dict[str, Any], change: str) -> None:
    """Replace a line of a recipe's table; of every stage where the change names ``stages``."""
    *sections, key = change.partition("=")[0].strip().split(".")
    value = tomllib.loads(change)
    for section in sections:
        value = value[section]
    target = table
    for section in sections:
        target = target[section]
    for part in target if isinstance(target, list) else [target]:
        part[key] = value[key]


def _check_choice(what: str, found: str, choices: Sequence[str]) -> None:
    if found not in choices:
        raise ValueError(f"unknown {what} {found!r}; there are: {', '.join(sorted(choices))}")


def _check_counts(where: str, **counts: Any) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"{where}: {name} must be a whole number from 1, found {count!r}")


def _with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _discriminator(table: Mapping[str, Any]) -> DiscriminatorRecipe | None:
    return DiscriminatorRecipe(**_with_tuples(table["discriminator"])) if "discriminator" in table else None
