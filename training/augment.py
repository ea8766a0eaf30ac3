"""What old film does to a picture, done to the grey that the network sees; the colours to be found stay true."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_GAMMA = 0.25  # exponent 2^±this
MAX_FADE = 0.15  # of the range lost at black and at white
MAX_GRAIN = 0.06  # standard deviation


def damage(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Gamma, fading, blur and grain, each by a random amount for each picture, for half of the pictures each.

    Args:
        grey: (N, 1, H, W) in [0, 1].
        generator: on the CPU; decides every random amount.
    """
    n = grey.shape[0]

    def amount(limit: float) -> Tensor:
        used = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
        return (torch.rand(n, 1, 1, 1, generator=generator) * limit * used).to(grey)

    sign = (torch.rand(n, 1, 1, 1, generator=generator) < 0.5).to(grey) * 2 - 1
    grey = grey ** (2 ** (sign * amount(MAX_GAMMA)))
    black, white = amount(MAX_FADE), 1 - amount(MAX_FADE)
    grey = black + grey * (white - black)
    soft = F.avg_pool2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    grey = grey + (soft - grey) * amount(1.0)
    size = 1 + int(torch.randint(0, 2, (1,), generator=generator))  # grain of one or two pixels
    grain = torch.randn(n, 1, *(-(-s // size) for s in grey.shape[-2:]), generator=generator)
    grain = grain.repeat_interleave(size, -1).repeat_interleave(size, -2)[..., : grey.shape[-2], : grey.shape[-1]]
    return (grey + grain.to(grey) * amount(MAX_GRAIN)).clamp(0, 1)
