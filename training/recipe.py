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
from vidcolor.training.losses import PIXEL_LOSSES

CROP_STEP = 64  # the stride of the coarsest features
LOSSES = {*PIXEL_LOSSES, "adversarial"}


@dataclass(frozen=True, kw_only=True)
class OptimiserRecipe:
    """AdamW and what goes with it."""

    batch_size: int
    weight_decay: float
    gradient_clip: float
    ema_decay: float


@dataclass(frozen=True, kw_only=True)
class DiscriminatorRecipe:
    """The PatchGAN of the adversarial stages."""

    channels: int
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """One stretch of training under one set of losses."""

    name: str
    pictures: int
    """Seen in this stage, not different ones."""
    share: float
    """Of the time that is left for training, where a run has a time budget; the shares of all stages add up to 1."""
    size: int
    """Side of the random crops; a multiple of 64, the coarsest feature's stride, as cached features are cut too."""
    learning_rate: float
    frozen_encoder: bool
    losses: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.size % CROP_STEP:
            raise ValueError(f"stage {self.name}: size must be a multiple of {CROP_STEP}, got {self.size}")
        if unknown := sorted(set(self.losses) - LOSSES):
            raise ValueError(f"stage {self.name}: unknown loss {unknown[0]!r}; there are: {', '.join(sorted(LOSSES))}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The whole file."""

    name: str
    seed: int
    network: str
    network_config: Mapping[str, Any]
    size: int
    optimiser: OptimiserRecipe
    discriminator: DiscriminatorRecipe
    stages: tuple[StageRecipe, ...]
    text: str = field(repr=False)
    """The file itself, as it goes into the run folder and the weights."""

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"unknown network {self.network!r}; there are: {', '.join(sorted(NETWORKS))}")
        if largest := [stage.name for stage in self.stages if stage.size > self.size]:
            raise ValueError(f"stage {largest[0]}: its size is larger than the data's, {self.size}")
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
        changes: lines ``table.key=value``, with the value as TOML writes it, that replace a line of the recipe.

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
            table[section][key] = tomllib.loads(change)[section][key]
            text += f"# changed: {change}\n"
        network = dict(table["network"])
        return Recipe(
            name=table["name"],
            seed=table["seed"],
            network=network.pop("name"),
            network_config=network,
            size=table["data"]["size"],
            optimiser=OptimiserRecipe(**table["optimiser"]),
            discriminator=DiscriminatorRecipe(**table["discriminator"]),
            stages=tuple(StageRecipe(**stage) for stage in table["stages"]),
            text=text,
        )
    except (KeyError, TypeError, ValueError) as exc:  # TOMLDecodeError is a ValueError
        raise OptionError(f"recipe {where}: not understood: {exc}") from exc
