"""The losses of generator and discriminator, and the penalties on the discriminator's gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class GanMode:
    """The losses of one kind of GAN, as functions of logits of any shape; all are means over the logits.

    Attributes:
        real: The discriminator's loss on true pictures.
        fake: The discriminator's loss on generated pictures.
        generator: The generator's loss.
        share: Factor of the sum of ``real`` and ``fake``.
    """

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    share: float

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Return the scalars ``loss_D_real`` and ``loss_D_fake``, and ``loss_D``, ``share`` times their sum."""
        real, fake = self.real(real_logits), self.fake(fake_logits)
        return {"loss_D_real": real, "loss_D_fake": fake, "loss_D": self.share * (real + fake)}


def _cross_entropy_with(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


VANILLA = GanMode(
    real=_cross_entropy_with(1.0), fake=_cross_entropy_with(0.0), generator=_cross_entropy_with(1.0), share=0.5
)
"""Goodfellow et al. 2014, with the generator's loss that does not saturate, −log D(fake); the discriminator's sum is
halved as in Isola et al. 2017, §3.3."""
LSGAN = GanMode(
    real=lambda logits: (logits - 1).square().mean(),
    fake=lambda logits: logits.square().mean(),
    generator=lambda logits: (logits - 1).square().mean() / 2,
    share=0.5,
)
"""Mao et al. 2017, eq. (9): a = 0, b = c = 1, with the halves of that equation."""
HINGE = GanMode(
    real=lambda logits: F.relu(1 - logits).mean(),
    fake=lambda logits: F.relu(1 + logits).mean(),
    generator=lambda logits: -logits.mean(),
    share=1.0,
)
"""Lim & Ye 2017; Miyato et al. 2018, eq. (16) and (17)."""
WGAN_GP = GanMode(
    real=lambda logits: -logits.mean(),
    fake=lambda logits: logits.mean(),
    generator=lambda logits: -logits.mean(),
    share=1.0,
)
"""Gulrajani et al. 2017, eq. (3), without its last term: :func:`gradient_penalty`. ``loss_D`` is minus the estimated
Wasserstein distance."""

GAN_MODES: dict[str, GanMode] = {"vanilla": VANILLA, "lsgan": LSGAN, "hinge": HINGE, "wgan-gp": WGAN_GP}


def gradient_penalty(discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """E[(‖∇D(x)‖₂ − 1)²] on straight lines between true and made pictures (Gulrajani et al. 2017, eq. 3).

    D is the mean of a picture's logits. It is computed in fp32, under autocast too; the places on the lines come from
    torch's global generator of the device.

    Args:
        discriminate: Function of (N, C, H, W) to logits (N, ...); they may not depend on other pictures.
        real: True pictures (N, C, H, W); no gradient goes to them.
        fake: Generated pictures, likewise.

    Returns:
        A scalar whose gradient reaches the parameters of ``discriminate``; its weight, λ, is 10 in the paper.
    """
    with torch.autocast(real.device.type, enabled=False):
        real, fake = real.detach().float(), fake.detach().float()
        place = torch.rand(len(real), *(1,) * (real.ndim - 1), device=real.device)
        between = torch.lerp(fake, real, place).requires_grad_()
        values = discriminate(between).reshape(len(real), -1).mean(dim=1)
        penalty: Tensor = (_gradients(values, between).norm(dim=1) - 1).square().mean()
        return penalty


def r1_penalty(real_logits: Tensor, real_input: Tensor) -> Tensor:
    """½ E‖∇D(x)‖² on true pictures (Mescheder et al. 2018, eq. 9); its weight is γ.

    Of P logits for a picture it is the mean of what each would have, as if their patches did not overlap:
    ‖∇(sum of the logits)‖² / P. So γ means the same for every size of picture.

    Args:
        real_logits: (N, ...), computed in fp32 from ``real_input``.
        real_input: (N, C, H, W), with ``requires_grad``.

    Returns:
        A scalar whose gradient reaches the parameters of the discriminator.
    """
    logits = real_logits.reshape(len(real_logits), -1)
    return _gradients(logits.sum(dim=1), real_input).square().sum(dim=1).mean() / (2 * logits.shape[1])


def _gradients(values: Tensor, inputs: Tensor) -> Tensor:
    """Of one value for each picture (N,) with respect to it: (N, C·H·W), with a graph of its own."""
    (gradients,) = torch.autograd.grad(values.sum(), inputs, create_graph=True)
    return gradients.flatten(1)
