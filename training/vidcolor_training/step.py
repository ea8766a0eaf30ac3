"""One training step: of the discriminator, the generator and the moving average."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from vidcolor.networks import Prediction
from vidcolor_training.data.batch import Batch
from vidcolor_training.data.feature_cache import Autocast
from vidcolor_training.distributed import World
from vidcolor_training.ema import update_ema
from vidcolor_training.objectives.losses import LossTerm
from vidcolor_training.recipes.recipe import Recipe, StageRecipe
from vidcolor_training.state import State

Predict = Callable[..., Prediction]

LABELS = {"adversarial": "GAN", "l1": "L1"}  # the names in pix2pix


def label(loss: str) -> str:
    """Return the name of a generator's loss in logs: ``loss_G_GAN``, ``loss_G_L1``, ``loss_G_perceptual``, ..."""
    return f"loss_G_{LABELS.get(loss, loss)}"


class Step:
    """The training step of one stage.

    Args:
        state: The networks and optimizers.
        stage: The stage, of ``recipe``.
        recipe: The recipe.
        terms: The losses that need no discriminator, by their names in the recipe.
        predict: The generator's ``predict``, perhaps compiled.
        autocast: The context of forward passes.
        world: The processes whose gradients are averaged.
    """

    def __init__(
        self,
        state: State,
        stage: StageRecipe,
        recipe: Recipe,
        terms: Mapping[str, LossTerm],
        *,
        predict: Predict,
        autocast: Autocast,
        world: World,
    ) -> None:
        self.state, self.stage, self.recipe, self.terms = state, stage, recipe, terms
        self.predict, self.autocast, self.world = predict, autocast, world
        self.adversary = state.adversary if "adversarial" in stage.losses else None

    def __call__(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Train on ``batches``: one step of the generator for all of them, one of the discriminator for each.

        Returns:
            All losses by their names in the logs: scalars on the device, means over the batches, without gradient.
            The terms of the generator are weighted; their sum is ``loss_G``.
        """
        state = self.state
        assert state.optimizer_g is not None
        self._prepare()
        found: list[dict[str, Tensor]] = []
        for batch in batches:
            with self.autocast():
                prediction = self.predict(batch.grey, batch.hints, batch.semantics)
            losses = {} if self.adversary is None else self._discriminate(prediction, batch)
            losses |= self._generate(prediction, batch, share=1 / len(batches))
            found.append(losses)
        parameters = state.optimizer_g.param_groups[0]["params"]
        self.world.average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, self.recipe.optimiser.gradient_clip)
        state.optimizer_g.step()
        update_ema(state.ema, state.generator, decay=self.recipe.optimiser.ema_decay, step=state.position.step + 1)
        return {name: torch.stack([losses[name] for losses in found]).mean() for name in found[0]}

    def _prepare(self) -> None:
        assert self.state.optimizer_g is not None
        self.state.generator.train()
        if self.state.generator.encoder is not None:
            self.state.generator.encoder.eval()  # keeps the running statistics of its batch norms
        self.state.optimizer_g.zero_grad(set_to_none=True)

    def _discriminate(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        assert self.adversary is not None
        assert self.state.optimizer_d is not None
        assert self.recipe.discriminator is not None
        for _ in range(self.recipe.discriminator.steps):
            with self.autocast():
                losses = self.adversary.discriminator_terms(prediction, batch)
            self.state.optimizer_d.zero_grad(set_to_none=True)
            losses["loss_D"].backward()
            self.world.average_gradients(self.adversary.discriminator.parameters())
            self.state.optimizer_d.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _generate(self, prediction: Prediction, batch: Batch, *, share: float) -> dict[str, Tensor]:
        terms = {name: term(prediction, batch) for name, term in self.terms.items()}
        if self.adversary is not None:
            with self.autocast():
                terms |= self.adversary.generator_terms(
                    prediction, batch, feature_matching="feature_matching" in self.stage.losses
                )
        weighted = {label(name): self.stage.losses[name] * term for name, term in terms.items()}
        total = torch.stack(list(weighted.values())).sum()
        (total * share).backward()
        return {name: loss.detach() for name, loss in {**weighted, "loss_G": total}.items()}
