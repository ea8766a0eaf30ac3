"""Losses, as pure functions of predictions and truth; a recipe names them and gives each its weight."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

SMOOTH_L1_BETA = 5.0  # Lab units: below, errors count squared


def l1(pred_ab: Tensor, true_ab: Tensor) -> Tensor:
    """Mean absolute error; both (N, 2, H, W) in Lab units."""
    return F.l1_loss(pred_ab, true_ab)


def smooth_l1(pred_ab: Tensor, true_ab: Tensor) -> Tensor:
    """Huber's loss (Girshick 2015) with its bend at SMOOTH_L1_BETA; both (N, 2, H, W) in Lab units."""
    return F.smooth_l1_loss(pred_ab, true_ab, beta=SMOOTH_L1_BETA)


def mse(pred_ab: Tensor, true_ab: Tensor) -> Tensor:
    """Mean squared error; both (N, 2, H, W) in Lab units."""
    return F.mse_loss(pred_ab, true_ab)


PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1, "smooth_l1": smooth_l1, "mse": mse}


def discriminator_hinge(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """Hinge loss of the discriminator (Lim & Ye 2017), its two halves and their mean."""
    real, fake = F.relu(1 - real_logits).mean(), F.relu(1 + fake_logits).mean()
    return {"loss_D_real": real, "loss_D_fake": fake, "loss_D": (real + fake) / 2}


def generator_hinge(fake_logits: Tensor) -> Tensor:
    """What the generator pays for being found out."""
    return -fake_logits.mean()
