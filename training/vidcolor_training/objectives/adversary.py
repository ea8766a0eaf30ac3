"""A discriminator with its inputs and losses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.errors import OptionError
from vidcolor.networks import Prediction
from vidcolor_training.data.batch import Batch, shrink_to
from vidcolor_training.objectives.discriminators import DISCRIMINATORS
from vidcolor_training.objectives.gan import GAN_MODES, gradient_penalty, r1_penalty
from vidcolor_training.recipes.recipe import DiscriminatorRecipe


class Adversary(nn.Module):
    """A discriminator of (grey, ab) at the prediction's size, trained as a recipe says.

    Its methods may be called under autocast: losses are taken in fp32, and so are the penalties from end to end.
    ``torch.compile`` cannot take the gradients of gradients that the penalties need.

    Args:
        recipe: the table [discriminator].
        condition: an encoder as :data:`vidcolor.networks.encoders.ENCODERS` has them, whose features of the undamaged
            grey picture are inputs of the discriminator too. It is frozen here, and stays in eval mode.

    Raises:
        OptionError: the recipe names no known discriminator, or asks for what does not fit together.
    """

    def __init__(self, recipe: DiscriminatorRecipe, condition: nn.Module | None = None) -> None:
        super().__init__()
        if recipe.name not in DISCRIMINATORS:
            known = ", ".join(sorted(DISCRIMINATORS))
            raise OptionError(f"unknown discriminator.name {recipe.name!r}; there are: {known}")
        if recipe.mode == "wgan-gp" and recipe.norm == "batch":
            raise OptionError(
                "discriminator: mode wgan-gp needs norm none: its penalty is of single pictures, batch norms mix them"
            )
        self.recipe = recipe
        self.mode = GAN_MODES[recipe.mode]
        condition_channels: Any = () if condition is None else condition.channels
        self.discriminator = DISCRIMINATORS[recipe.name](
            channels=recipe.channels,
            layers=recipe.layers,
            norm=recipe.norm,
            spectral_norm=recipe.spectral_norm,
            condition_channels=condition_channels,
        )
        self.condition = None if condition is None else condition.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Adversary:
        """Set the mode of the discriminator; the condition stays in eval mode."""
        super().train(mode)
        if self.condition is not None:
            self.condition.eval()
        return self

    def discriminator_terms(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        """Compute the losses of the discriminator; no gradient goes to the generator.

        Returns:
            Scalars ``loss_D_real``, ``loss_D_fake`` and, where the recipe has them, ``loss_D_gradient_penalty`` and
            ``loss_D_r1``, without their weights; ``loss_D`` is what is minimized: all of them, with their weights.
        """
        grey, real, fake = self._at_prediction_size(prediction, batch)
        fake = fake.detach()
        condition = self._see(batch)
        needs_r1 = self.recipe.r1 > 0
        real.requires_grad_(needs_r1)
        with torch.autocast(real.device.type, enabled=torch.is_autocast_enabled(real.device.type) and not needs_r1):
            real_logits = self.discriminator(grey, real, condition)[0].float()
        fake_logits = self.discriminator(grey, fake, condition)[0].float()
        terms: dict[str, Tensor] = self.mode.discriminator(real_logits, fake_logits)
        if self.recipe.mode == "wgan-gp":
            penalty = gradient_penalty(lambda ab: self.discriminator(grey, ab, condition)[0], real, fake)
            terms["loss_D_gradient_penalty"] = penalty
            terms["loss_D"] = terms["loss_D"] + self.recipe.gradient_penalty * penalty
        if needs_r1:
            terms["loss_D_r1"] = r1_penalty(real_logits, real)
            terms["loss_D"] = terms["loss_D"] + self.recipe.r1 * terms["loss_D_r1"]
        return terms

    def generator_terms(
        self, prediction: Prediction, batch: Batch, *, feature_matching: bool = True
    ) -> dict[str, Tensor]:
        """Compute the adversarial losses of the generator; no gradient goes to the discriminator's parameters.

        Returns:
            Scalars ``adversarial``, the game's own, and ``feature_matching``: the mean absolute difference between the
            discriminator's hidden maps of the made and of the true picture, mean over the maps (Wang et al. 2018,
            eq. 4, with one discriminator). Without ``feature_matching`` the latter, which costs a pass, is left out.
        """
        grey, real, fake = self._at_prediction_size(prediction, batch)
        condition = self._see(batch)
        with _without_parameter_gradients(self.discriminator):
            logits, fake_maps = self.discriminator(grey, fake, condition)
            terms = {"adversarial": self.mode.generator(logits.float())}
            if feature_matching:
                with torch.no_grad():
                    _, real_maps = self.discriminator(grey, real, condition)
                pairs = zip(fake_maps, real_maps, strict=True)
                distances = [F.l1_loss(made.float(), true.float()) for made, true in pairs]
                terms["feature_matching"] = torch.stack(distances).mean()
        return terms

    def _at_prediction_size(self, prediction: Prediction, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return grey in [0, 1], true ab and predicted ab in the recipe's unit, all at the prediction's size."""
        grey, unit = shrink_to(batch.clean_grey, prediction.ab), self.recipe.ab_unit
        return grey, batch.ab_like(prediction) / unit, prediction.ab.float() / unit

    def _see(self, batch: Batch) -> list[Tensor] | None:
        """Return the condition's features of the clean grey pictures in float32, as the penalties need them."""
        if self.condition is None:
            return None
        with torch.no_grad():
            return [m.float() for m in self.condition(batch.clean_grey)]


@contextmanager
def _without_parameter_gradients(module: nn.Module) -> Iterator[None]:
    """Let graphs made inside pass gradients through ``module``, but not to its parameters."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
