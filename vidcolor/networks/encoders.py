"""The encoders that a generator can stand on, under one interface.

An encoder takes grey (N, 1, H, W) in [0, 1] and returns five maps at strides 2, 4, 8, 16 and 32 with ``channels``
channels. It does its own ImageNet normalisation. R'G'B' (N, 3, H, W) will do as well: grey stands for three equal
channels.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.networks.efficientnet_lite import SCALING, EfficientNetLite

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def imagenet_normalised(picture: Tensor) -> Tensor:
    """Grey or R'G'B' (N, 1 or 3, H, W) in [0, 1] to (N, 3, H, W), as torchvision's ImageNet networks expect it."""
    mean, std = picture.new_tensor(IMAGENET_MEAN), picture.new_tensor(IMAGENET_STD)
    return (picture - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016) up to layer3; the stride-32 map is layer3, max-pooled."""

    channels = (64, 64, 128, 256, 256)

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18

        body = resnet18(weights=None)
        self.stem = nn.Sequential(body.conv1, body.bn1, body.relu)
        self.pool = body.maxpool
        self.layers = nn.ModuleList([body.layer1, body.layer2, body.layer3])

    def forward(self, picture: Tensor) -> list[Tensor]:
        maps = [self.stem(imagenet_normalised(picture))]
        x = self.pool(maps[0])
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return [*maps, F.max_pool2d(x, 2, ceil_mode=True)]


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) without its last 1×1 convolution."""

    channels = (16, 24, 32, 96, 320)
    taps = (1, 3, 6, 13, 17)

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2

        self.layers = mobilenet_v2(weights=None).features[: self.taps[-1] + 1]

    def forward(self, picture: Tensor) -> list[Tensor]:
        x, maps = imagenet_normalised(picture), []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taps:
                maps.append(x)
        return maps


def encode_two_sizes(encoder: nn.Module, grey: Tensor) -> list[Tensor]:
    """What an encoder sees in grey (N, 1, H, W) and in the same at half size, where the scene is easier to grasp.

    Six maps: at strides 4, 8, 16 and 32 and, from half size, at 32 and 64 of the picture.
    """
    _, s4, s8, s16, s32 = encoder(grey)
    *_, half16, half32 = encoder(F.avg_pool2d(grey, 2))
    return [s4, s8, s16, s32, half16, half32]


ENCODERS: dict[str, Any] = {
    "resnet18": ResNet18,
    "mobilenet_v2": MobileNetV2,
    **{name: (lambda name=name: EfficientNetLite(name)) for name in SCALING},
}
"""Name to a function of no arguments that builds the encoder with random parameters."""
