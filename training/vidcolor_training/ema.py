"""The exponential moving average (EMA) of a network, which becomes the weights."""

from __future__ import annotations

import torch
from torch import nn

FIRST_STEPS = 10  # smaller decay at the start, so that the random parameters are forgotten quickly


def update_ema(average: nn.Module, network: nn.Module, *, decay: float, step: int) -> None:
    """Move ``average`` towards ``network`` by 1 - decay; by more in the first steps, counted from 1.

    Batch norm's statistics are averaged too: those of the newest parameters do not fit older ones.
    """
    decay = min(decay, (1 + step) / (FIRST_STEPS + step))
    floats: list[tuple[torch.Tensor, torch.Tensor]] = []
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            floats.append((old, new.detach()))
        else:
            old.copy_(new)
    torch._foreach_lerp_([old for old, _ in floats], [new for _, new in floats], 1 - decay)
