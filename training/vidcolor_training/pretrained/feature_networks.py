"""Frozen feature networks: R'G'B' to a list of feature maps.

The encoders of :mod:`vidcolor.networks.encoders` have the same interface, with maps at strides 2 to 32.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vidcolor.errors import OptionError
from vidcolor.networks.encoders import ENCODERS, normalize_imagenet

M = TypeVar("M", bound=nn.Module)

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))  # channels, with max pooling between blocks


class TappedFeatures(nn.Module):
    """A sequential network ``features`` that returns the outputs of the layers ``taps``.

    The parameters have the names of torchvision's class, up to the last tap.
    """

    def __init__(self, features: nn.Sequential, taps: tuple[int, ...]) -> None:
        super().__init__()
        self.features = features
        self.taps = taps

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """Map R'G'B' (N, 3, H, W), in [0, 1] except for colors outside sRGB, to a map for every tap, finest first."""
        x, maps = normalize_imagenet(rgb), []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                maps.append(x)
        return maps


class VGG16Features(TappedFeatures):
    """VGG-16 (Simonyan & Zisserman 2015): relu1_2, relu2_2, relu3_3 and relu4_3, as in Johnson et al. 2016.

    64, 128, 256 and 512 channels at strides 1, 2, 4 and 8.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        taps, inputs = [], 3
        for block in VGG16_BLOCKS:
            layers += [nn.MaxPool2d(2)] if layers else []
            for outputs in block:
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
            taps.append(len(layers) - 1)
        super().__init__(nn.Sequential(*layers), tuple(taps))


class AlexNetFeatures(TappedFeatures):
    """AlexNet (Krizhevsky 2014): its five ReLUs, which LPIPS compares (Zhang et al. 2018).

    64, 192, 384, 256 and 256 channels; strides 4, 8, 16, 16 and 16.
    """

    def __init__(self) -> None:
        layers = [
            *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
        ]
        super().__init__(nn.Sequential(*layers), taps=(1, 4, 7, 9, 11))


FEATURE_NETWORKS: dict[str, Any] = {"vgg16": VGG16Features, "alexnet": AlexNetFeatures, **ENCODERS}
"""Name to a function of no arguments that builds the network with random parameters."""


def build_features(name: str) -> nn.Module:
    """Build the network ``name`` with random parameters, frozen, in eval mode.

    Raises:
        OptionError: The name is unknown.
    """
    if name not in FEATURE_NETWORKS:
        known = ", ".join(sorted(FEATURE_NETWORKS))
        raise OptionError(f"unknown feature network {name!r}; there are: {known}")
    network: nn.Module = FEATURE_NETWORKS[name]()
    return network.requires_grad_(False).eval()


def to_device(network: M, device: torch.device) -> M:
    """Move a network to a device, with its parameters in channels-last order; return it."""
    return network.to(device=device).to(memory_format=torch.channels_last)
