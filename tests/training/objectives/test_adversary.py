"""The adversary: its terms, who gets gradients, and that the condition stays as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vidcolor.errors import OptionError
from vidcolor.networks import Prediction
from vidcolor.networks.encoders import ENCODERS
from vidcolor.networks.lab import AB_SCALE
from vidcolor_training.data.batch import Batch
from vidcolor_training.objectives.adversary import Adversary
from vidcolor_training.objectives.gan import GAN_MODES
from vidcolor_training.recipes.recipe import DiscriminatorRecipe


def recipe(**changes: Any) -> DiscriminatorRecipe:
    """A small discriminator."""
    return DiscriminatorRecipe(**{"channels": 4, "layers": 2, "learning_rate": 1e-3, **changes})


def pictures(seed: int = 0) -> tuple[Prediction, Batch]:
    """Two pictures of side 64, and a prediction of side 32 with a gradient."""
    random = torch.Generator().manual_seed(seed)
    grey = torch.rand(2, 1, 64, 64, generator=random)
    ab = 40 * torch.randn(2, 2, 64, 64, generator=random)
    predicted = (20 * torch.randn(2, 2, 32, 32, generator=random)).requires_grad_()
    return Prediction(predicted), Batch(grey=torch.zeros_like(grey), clean_grey=grey, ab=ab)


def gradients(network: nn.Module) -> list[Tensor | None]:
    """Of all its parameters."""
    return [p.grad for p in network.parameters()]


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("mode", sorted(GAN_MODES))
def test_both_sides_learn_from_their_own_terms(mode: str, autocast: bool) -> None:
    """The discriminator's loss moves the discriminator alone, the generator's terms the prediction alone."""
    adversary = Adversary(recipe(mode=mode, r1=0.5))
    prediction, batch = pictures()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        own = adversary.generator_terms(prediction, batch)
    assert set(own) == {"adversarial", "feature_matching"}
    for term in own.values():
        (gradient,) = torch.autograd.grad(term, prediction.ab, retain_graph=True)
        assert gradient.abs().max() > 0
    sum(own.values()).backward()
    assert all(g is None for g in gradients(adversary))
    prediction.ab.grad = None
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        terms = adversary.discriminator_terms(prediction, batch)
    assert all(term.dtype == torch.float32 and term.ndim == 0 for term in (*own.values(), *terms.values()))
    terms["loss_D"].backward()
    assert prediction.ab.grad is None
    assert all(g is not None and torch.isfinite(g).all() for g in gradients(adversary))


def test_loss_is_the_game_and_its_weighted_penalties() -> None:
    """loss_D of wgan-gp with R1 adds up from its parts."""
    adversary = Adversary(recipe(mode="wgan-gp", gradient_penalty=7.0, r1=3.0))
    terms = adversary.discriminator_terms(*pictures())
    parts = terms["loss_D_real"] + terms["loss_D_fake"]
    penalties = 7 * terms["loss_D_gradient_penalty"] + 3 * terms["loss_D_r1"]
    torch.testing.assert_close(terms["loss_D"], parts + penalties)


def test_no_penalty_unasked() -> None:
    """Without R1 and wgan-gp there are three terms."""
    assert set(Adversary(recipe()).discriminator_terms(*pictures())) == {"loss_D_real", "loss_D_fake", "loss_D"}


@pytest.mark.parametrize("unit", [AB_SCALE, 30.0])
def test_what_the_discriminator_is_shown(unit: float) -> None:
    """Undamaged grey, true and made ab, all at the prediction's size and in the recipe's unit."""
    adversary = Adversary(replace(recipe(), ab_unit=unit))
    shown: list[tuple[Tensor, ...]] = []
    adversary.discriminator.register_forward_pre_hook(lambda _, inputs: shown.append(inputs))
    prediction, batch = pictures()
    adversary.discriminator_terms(prediction, batch)
    small = torch.nn.functional.avg_pool2d
    torch.testing.assert_close(shown[0][0], small(batch.clean_grey, 2))
    torch.testing.assert_close(shown[0][1], small(batch.ab, 2) / unit)
    torch.testing.assert_close(shown[1][1], prediction.ab.detach() / unit)


def test_a_perfect_prediction_matches_all_features() -> None:
    """Where made and true ab are the same, feature matching is nothing; elsewhere it is."""
    adversary = Adversary(recipe()).eval()
    prediction, batch = pictures()
    perfect = replace(prediction, ab=batch.ab_like(prediction))
    assert adversary.generator_terms(perfect, batch)["feature_matching"] == 0
    assert adversary.generator_terms(prediction, batch)["feature_matching"] > 0
    assert set(adversary.generator_terms(prediction, batch, feature_matching=False)) == {"adversarial"}


def test_the_condition_is_frozen() -> None:
    """Its encoder stays in eval mode, has no gradient, and keeps its statistics; the discriminator needs it."""
    encoder = ENCODERS["efficientnet_lite0"]()
    adversary = Adversary(recipe(mode="wgan-gp"), encoder).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    prediction, batch = pictures()
    with torch.autocast("cpu", torch.bfloat16):
        terms = adversary.discriminator_terms(prediction, batch)
        own = adversary.generator_terms(prediction, batch)
    (terms["loss_D"] + sum(own.values())).backward()
    assert adversary.condition is encoder
    assert not encoder.training
    assert adversary.discriminator.training
    assert not any(p.requires_grad for p in encoder.parameters())
    assert all(g is None for g in gradients(encoder))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(g is not None for g in gradients(adversary.discriminator))


@pytest.mark.slow
def test_the_discriminator_learns_to_tell() -> None:
    """After a few steps on one batch it knows true from made."""
    torch.manual_seed(0)
    adversary = Adversary(recipe(channels=8))
    prediction, batch = pictures()
    optimizer = torch.optim.Adam(adversary.discriminator.parameters(), lr=2e-3)
    losses = []
    for _ in range(30):
        terms = adversary.discriminator_terms(prediction, batch)
        optimizer.zero_grad()
        terms["loss_D"].backward()
        optimizer.step()
        losses.append(terms["loss_D"].item())
    assert losses[-1] < 0.8 * losses[0]


def test_what_does_not_fit_together() -> None:
    """An unknown discriminator, and batch norms under wgan-gp, are refused."""
    with pytest.raises(OptionError, match=r"unknown discriminator\.name 'pixelgan'; there are: patchgan"):
        Adversary(recipe(name="pixelgan"))
    with pytest.raises(OptionError, match="wgan-gp needs norm none"):
        Adversary(recipe(mode="wgan-gp", norm="batch"))
