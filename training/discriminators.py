"""What tells true colour from made colour."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchGAN(nn.Module):
    """A 70 × 70 PatchGAN (Isola et al. 2017) on grey and ab, with spectral norm (Miyato et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (3, channels, 2 * channels, 4 * channels, 8 * channels)
        strides = (2, 2, 2, 1)
        layers: list[nn.Module] = []
        for inputs, outputs, stride in zip(widths[:-1], widths[1:], strides, strict=True):
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1)), nn.LeakyReLU(0.2)]
        layers.append(spectral_norm(nn.Conv2d(widths[-1], 1, 4, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, grey: Tensor, ab: Tensor) -> Tensor:
        """Grey (N, 1, H, W) in [0, 1] and ab (N, 2, H, W) in units of AB_SCALE to logits (N, 1, H/8-2, W/8-2)."""
        logits: Tensor = self.layers(torch.cat((grey * 2 - 1, ab), dim=1))
        return logits
