"""The state of a training, and its form in a checkpoint."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from vidcolor.networks import ColorNetwork
from vidcolor_training.collapse import CollapseGuard
from vidcolor_training.objectives.adversary import Adversary
from vidcolor_training.recipes.recipe import Recipe, StageRecipe


@dataclass
class Position:
    """The progress of a run."""

    stage: int = 0
    """Index of the stage."""
    stage_pictures: int = 0
    """Pictures seen in this stage."""
    stage_done: float = 0.0
    """Part of this stage that is done, 0 to 1: by pictures, or by time where that is more."""
    step: int = 0
    """Steps of the whole run; also the number of the next batch."""
    pictures: int = 0
    """Pictures seen in the whole run, by all processes."""
    seconds: float = 0.0
    """Time spent in steps."""

    def enter_next_stage(self) -> None:
        """Move from the end of a stage to the beginning of the next."""
        self.stage, self.stage_pictures, self.stage_done = self.stage + 1, 0, 0.0


@dataclass
class State:
    """The networks, their optimizers, and the position."""

    generator: ColorNetwork
    ema: ColorNetwork
    adversary: Adversary | None
    position: Position = field(default_factory=Position)
    guard: CollapseGuard = field(default_factory=CollapseGuard)
    figures: dict[str, Any] = field(default_factory=dict)
    """Figures of the finished stages, which are kept with the weights."""
    optimizer_g: torch.optim.Optimizer | None = None
    optimizer_d: torch.optim.Optimizer | None = None

    @classmethod
    def of(cls, generator: ColorNetwork, adversary: Adversary | None) -> State:
        """Return the state at the beginning: the EMA equals the generator."""
        return cls(generator, copy.deepcopy(generator).requires_grad_(False), adversary)

    def begin_stage(self, stage: StageRecipe, recipe: Recipe) -> None:
        """Set what the stage trains, and make new optimizers."""
        if self.generator.strides:
            finest = stage.finest or recipe.network.config.get("finest", self.generator.strides[-1])
            self.generator.finest = self.ema.finest = finest
        if self.generator.encoder is not None:
            self.generator.encoder.requires_grad_(not stage.frozen_encoder)
        settings = recipe.optimiser
        self.optimizer_g = torch.optim.AdamW(
            [p for p in self.generator.parameters() if p.requires_grad],
            lr=stage.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
        self.optimizer_d = None
        if "adversarial" in stage.losses:
            assert self.adversary is not None
            assert recipe.discriminator is not None
            self.optimizer_d = torch.optim.AdamW(
                self.adversary.discriminator.parameters(),
                lr=recipe.discriminator.learning_rate,
                betas=recipe.discriminator.betas,
                weight_decay=0.0,
            )

    def to_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, for :mod:`vidcolor_training.checkpoint`."""
        return {
            **{name: part.state_dict() for name, part in self._parts().items()},
            "position": asdict(self.position),
            "guard": asdict(self.guard),
            "figures": self.figures,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Restore the result of :meth:`to_dict`; :meth:`begin_stage` must have made the stage's optimizers before."""
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        self.position = Position(**saved["position"])
        self.guard = CollapseGuard(**saved["guard"])
        self.figures = saved["figures"]

    def _parts(self) -> dict[str, Any]:
        parts = {
            "generator": self.generator,
            "ema": self.ema,
            "adversary": self.adversary,
            "optimiser_g": self.optimizer_g,
            "optimiser_d": self.optimizer_d,
        }
        return {name: part for name, part in parts.items() if part is not None}
