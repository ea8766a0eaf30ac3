"""Discriminators of true and generated colors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

KERNEL = 4
WIDEST = 8  # times the channels of the first layer
LEAK = 0.2


class PatchGAN(nn.Module):
    """Isola et al. 2017, §6.1.2: one logit for every patch of a picture, as a plain stack of 4×4 convolutions.

    With 3 strided layers a logit depends on 70 × 70 pixels; with 1, 2 and 4 on 16, 34 and 142.

    With ``condition_channels`` its inputs are also maps of a frozen encoder, finest first: the output of each strided
    layer is joined with one of them, that of the last one with all remaining maps.

    Args:
        channels: after the first layer; they double with every layer, up to eightfold.
        layers: how many have stride 2; two of stride 1 follow.
        norm: ``none``, or ``batch`` for batch norms on all layers but the first and the last.
        spectral_norm: of all convolutions (Miyato et al. 2018).
        condition_channels: of the condition's maps; at least ``layers`` of them, or none.

    Raises:
        ValueError: an unknown norm, or fewer maps than layers.
    """

    def __init__(
        self,
        *,
        channels: int = 64,
        layers: int = 3,
        norm: str = "none",
        spectral_norm: bool = True,
        condition_channels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if norm not in ("none", "batch"):
            raise ValueError(f"expected the norm none or batch, got {norm!r}")
        if condition_channels and len(condition_channels) < layers:
            raise ValueError(f"expected at least {layers} maps of a condition, got {len(condition_channels)}")
        self.joined = _shared_out(range(len(condition_channels)), layers)
        inputs = 3
        blocks: list[nn.Module] = []
        for index in range(layers + 1):
            outputs = channels * min(2**index, WIDEST)
            stride = 2 if index < layers else 1
            has_norm = norm == "batch" and index > 0
            blocks.append(_block(inputs, outputs, stride, batch_norm=has_norm, spectral_norm=spectral_norm))
            inputs = outputs + sum(condition_channels[i] for i in self.joined[index])
        self.blocks = nn.ModuleList(blocks)
        self.to_logits = _convolution(inputs, 1, 1, bias=True, spectral_norm=spectral_norm)

    def forward(
        self, grey: Tensor, ab: Tensor, condition: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of patches, and the hidden maps that they were made from.

        Args:
            grey: (N, 1, H, W) in [0, 1].
            ab: (N, 2, H, W) in units of AB_SCALE.
            condition: maps (N, condition_channels[i], h, w) of any size; resized bilinearly.

        Returns:
            Logits (N, 1, H / 2^layers − 2, W / 2^layers − 2), and the maps after every layer but the last.
        """
        x = torch.cat((grey * 2 - 1, ab), dim=1)
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            maps.append(x)
            if condition is not None:
                x = _join(x, [condition[i] for i in self.joined[index]])
        return self.to_logits(x), maps


DISCRIMINATORS: dict[str, type[PatchGAN]] = {"patchgan": PatchGAN}
"""A recipe's ``discriminator.name`` to its class."""


def _shared_out(maps: range, layers: int) -> list[range]:
    """Return which maps join the output of each layer: one for each strided layer, all remaining ones for the last."""
    return [*(maps[i : i + 1] for i in range(layers - 1)), maps[layers - 1 :], maps[:0]]


def _join(x: Tensor, condition: Sequence[Tensor]) -> Tensor:
    size = x.shape[-2:]
    return torch.cat((x, *(F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in condition)), 1)


def _convolution(inputs: int, outputs: int, stride: int, *, bias: bool, spectral_norm: bool) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, KERNEL, stride=stride, padding=1, bias=bias)
    return parametrizations.spectral_norm(convolution) if spectral_norm else convolution


def _block(inputs: int, outputs: int, stride: int, *, batch_norm: bool, spectral_norm: bool) -> nn.Sequential:
    convolution = _convolution(inputs, outputs, stride, bias=not batch_norm, spectral_norm=spectral_norm)
    norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
    return nn.Sequential(convolution, *norm, nn.LeakyReLU(LEAK))
