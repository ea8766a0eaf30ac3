"""A recipe: a TOML file that says what is trained, on what, and how. Every published experiment is one."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from vidcolor.errors import OptionError
from vidcolor.networks import NETWORKS

CROP_STEP = 64  # the stride of the coarsest features
LOSSES = (
    "l1", "smooth_l1", "mse", "rgb_mse", "perceptual", "adversarial", "feature_matching", "colourfulness",
    "rebalanced_classification", "temporal",
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


@dataclass(frozen=True, kw_only=True)
class PerceptualRecipe:
    """The network that the perceptual loss looks through."""

    network: str = "vgg16"
    """``vgg16``, or the name of an encoder."""


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
    """``crop``: squares cut out at full size. ``resize``: whole pictures, or nearly, made smaller. A frozen encoder has
    crops alone, as its cached features are cut with them."""
    learning_rate: float
    frozen_encoder: bool = False
    damage: bool = False
    """The grey picture is damaged as old film is; not with a frozen encoder."""
    losses: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.size % CROP_STEP:
            raise ValueError(f"stage {self.name}: size must be a multiple of {CROP_STEP}, got {self.size}")
        _check_choice(f"view of stage {self.name}:", self.view, ("crop", "resize"))
        for loss in self.losses:
            _check_choice(f"loss of stage {self.name}:", loss, LOSSES)
        if self.frozen_encoder and (self.damage or self.view == "resize"):
            raise ValueError(f"stage {self.name}: cached features of a frozen encoder are of whole, undamaged pictures")
        if "feature_matching" in self.losses and "adversarial" not in self.losses:
            raise ValueError(f"stage {self.name}: feature_matching needs the discriminator of adversarial")


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
        _check_choice("network", self.network, tuple(NETWORKS))
        for stage in self.stages:
            if stage.size > self.size:
                raise ValueError(f"stage {stage.name}: its size is larger than the data's, {self.size}")
            if "adversarial" in stage.losses and self.discriminator is None:
                raise ValueError(f"stage {stage.name}: its adversarial loss needs a table [discriminator]")
        frozen = [stage.frozen_encoder for stage in self.stages]
        if frozen != sorted(frozen, reverse=True):
            raise ValueError("a stage with a frozen encoder cannot follow one that trains it: its features are cached")

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
    folder = resources.files(__package__) / "recipes"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """A recipe by its name, or from a TOML file of one's own.

    Args:
        name_or_path: ``default`` or ``mine.toml``.
        changes: lines ``table.key=value``, with the value as TOML writes it, that replace a line of the recipe, or
            of every stage: ``stages.size=128``.

    Raises:
        OptionError: no such recipe, or a line in it that is not understood.
    """
    own = Path(name_or_path)
    if own.suffix == ".toml":
        if not own.is_file():
            raise OptionError(f"{own}: expected a recipe, found no such file")
        text = own.read_text(encoding="utf-8")
    elif name_or_path in recipe_names():
        text = (resources.files(__package__) / "recipes" / f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        raise OptionError(f"unknown recipe {name_or_path!r}; there are: {', '.join(recipe_names())}, or a .toml file")
    return parse_recipe(text, changes, where=name_or_path)


def parse_recipe(text: str, changes: Sequence[str] = (), *, where: str) -> Recipe:
    """The text of a recipe with ``changes``, checked. ``where`` names it in errors."""
    try:
        table = tomllib.loads(text)
        for change in changes:
            section, key = change.partition("=")[0].strip().split(".")
            value = tomllib.loads(change)[section][key]
            for part in table[section] if isinstance(table[section], list) else [table[section]]:
                part[key] = value
            text += f"# changed: {change}\n"
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
    except (KeyError, TypeError, ValueError) as exc:  # TOMLDecodeError is a ValueError
        raise OptionError(f"recipe {where}: not understood: {exc}") from exc


def _check_choice(what: str, found: str, choices: Sequence[str]) -> None:
    if found not in choices:
        raise ValueError(f"unknown {what} {found!r}; there are: {', '.join(sorted(choices))}")


def _with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _discriminator(table: Mapping[str, Any]) -> DiscriminatorRecipe | None:
    return DiscriminatorRecipe(**_with_tuples(table["discriminator"])) if "discriminator" in table else None
