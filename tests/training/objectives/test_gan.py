"""GAN modes against torch's own losses and the papers' equations; penalties against gradients that are known."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor_training.objectives.gan import GAN_MODES, gradient_penalty, r1_penalty
from vidcolor_training.recipes.recipe import DiscriminatorRecipe

REAL, FAKE = torch.tensor([[2.0, -0.5], [0.3, 4.0]]), torch.tensor([[-3.0, 0.25], [1.5, -0.1]])


def expected(mode: str) -> dict[str, Tensor]:
    """The four losses of REAL and FAKE, by torch or written out."""
    ones, zeros = torch.ones_like(REAL), torch.zeros_like(REAL)
    if mode == "vanilla":
        real, fake = F.binary_cross_entropy(REAL.sigmoid(), ones), F.binary_cross_entropy(FAKE.sigmoid(), zeros)
        return {"real": real, "fake": fake, "D": (real + fake) / 2, "G": -FAKE.sigmoid().log().mean()}
    if mode == "lsgan":
        real, fake = F.mse_loss(REAL, ones), F.mse_loss(FAKE, zeros)
        return {"real": real, "fake": fake, "D": (real + fake) / 2, "G": F.mse_loss(FAKE, ones) / 2}
    if mode == "hinge":
        real, fake = torch.tensor((0 + 1.5 + 0.7 + 0) / 4), torch.tensor((0 + 1.25 + 2.5 + 0.9) / 4)
    else:
        real, fake = torch.tensor(-5.8 / 4), torch.tensor(-1.35 / 4)
    return {"real": real, "fake": fake, "D": real + fake, "G": torch.tensor(1.35 / 4)}


def test_every_mode_of_the_recipes_is_there() -> None:
    """What a recipe may name can be played."""
    assert set(GAN_MODES) == set(get_args(get_type_hints(DiscriminatorRecipe)["mode"]))


@pytest.mark.parametrize("mode", sorted(GAN_MODES))
def test_losses_of_both_sides(mode: str) -> None:
    """Each mode has the losses of its paper."""
    terms, oracle = GAN_MODES[mode].discriminator(REAL, FAKE), expected(mode)
    for name, key in (("loss_D_real", "real"), ("loss_D_fake", "fake"), ("loss_D", "D")):
        torch.testing.assert_close(terms[name], oracle[key])
    torch.testing.assert_close(GAN_MODES[mode].generator(FAKE), oracle["G"])


@pytest.mark.parametrize("mode", sorted(GAN_MODES))
def test_both_sides_pull_apart(mode: str) -> None:
    """The discriminator raises true logits and lowers made ones, the generator raises made ones."""
    real, fake = (torch.full((2, 1, 3, 3), 0.5, requires_grad=True) for _ in range(2))
    to_real, to_fake = torch.autograd.grad(GAN_MODES[mode].discriminator(real, fake)["loss_D"], (real, fake))
    (to_generator,) = torch.autograd.grad(GAN_MODES[mode].generator(fake), fake)
    assert (to_real < 0).all()
    assert (to_fake > 0).all()
    assert (to_generator < 0).all()


def linear_critic() -> tuple[nn.Linear, Tensor]:
    """X ↦ w·x on 12 numbers, and ‖w‖."""
    torch.manual_seed(0)
    critic = nn.Linear(12, 1, bias=False)
    return critic, critic.weight.detach().norm()


def test_gradient_penalty_of_a_linear_critic() -> None:
    """Its gradient is w everywhere: the penalty is (‖w‖ − 1)², and its own gradient 2 (‖w‖ − 1) w / ‖w‖."""
    critic, norm = linear_critic()
    penalty = gradient_penalty(lambda x: critic(x.flatten(1)), torch.rand(5, 3, 2, 2), torch.rand(5, 3, 2, 2))
    torch.testing.assert_close(penalty.detach(), (norm - 1).square())
    penalty.backward()
    assert critic.weight.grad is not None
    torch.testing.assert_close(critic.weight.grad, 2 * (norm - 1) * critic.weight.detach() / norm)


def test_gradient_penalty_looks_between_the_pictures() -> None:
    """It is taken on the line from made to true, at a place of its own for every picture."""
    seen: list[Tensor] = []

    def discriminate(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum(dim=(1, 2, 3))

    real, fake = torch.full((64, 1, 2, 2), 3.0), torch.full((64, 1, 2, 2), 1.0)
    gradient_penalty(discriminate, real, fake)
    places = seen[0].flatten(1)
    torch.testing.assert_close(places, places[:, :1].expand(-1, 4))
    assert 1 <= places.min() < 1.3
    assert 2.7 < places.max() <= 3


def test_gradient_penalty_is_exact_under_autocast() -> None:
    """Autocast neither rounds it nor breaks its second derivative."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(2, 8, 3), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3))
    real, fake = torch.rand(2, 2, 8, 8), torch.rand(2, 2, 8, 8)
    found = []
    for autocast in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            penalty = gradient_penalty(critic, real, fake)
        found.append(torch.autograd.grad(penalty, critic[0].weight)[0])
    assert found[0].abs().max() > 0
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-7)


def test_r1_of_a_linear_critic() -> None:
    """It is ‖w‖² / 2, and its gradient is w."""
    critic, norm = linear_critic()
    pictures = torch.rand(5, 3, 2, 2, requires_grad=True)
    penalty = r1_penalty(critic(pictures.flatten(1)), pictures)
    torch.testing.assert_close(penalty.detach(), norm.square() / 2)
    penalty.backward()
    assert critic.weight.grad is not None
    torch.testing.assert_close(critic.weight.grad, critic.weight.detach())


@pytest.mark.parametrize("side", [4, 8, 16])
def test_r1_of_patches_does_not_depend_on_the_size(side: int) -> None:
    """Patches that do not overlap have each ‖w‖² / 2, however many there are."""
    torch.manual_seed(0)
    critic = nn.Conv2d(2, 1, 4, stride=4)
    pictures = torch.rand(3, 2, side, side, requires_grad=True)
    penalty = r1_penalty(critic(pictures), pictures)
    torch.testing.assert_close(penalty.detach(), critic.weight.detach().square().sum() / 2)
