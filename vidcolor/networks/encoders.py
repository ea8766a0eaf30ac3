"""ImageNet encoders for generators, with a common interface.

An encoder takes grey (N, 1, H, W) in [0, 1] or R'G'B' (N, 3, H, W) and returns five maps at strides 2, 4, 8, 16 and 32
with ``channels`` channels. It normalizes its input as ImageNet networks expect it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.networks.efficientnet_lite import SCALING, EfficientNetLite

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalize_imagenet(picture: Tensor) -> Tensor:
    """Normalize grey or R'G'B', (N, 1 or 3, H, W) in [0, 1], to (N, 3, H, W) for torchvision's ImageNet networks."""
    mean, std = picture.new_tensor(IMAGENET_MEAN), picture.new_tensor(IMAGENET_STD)
    return (picture - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016) up to layer3; the map at stride 32 is that of layer3, max-pooled."""

    channels = (64, 64, 128, 256, 256)

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18

        body = resnet18(weights=None)
        self.stem = nn.Sequential(body.conv1, body.bn1, body.relu)
        self.pool = body.maxpool
        self.layers = nn.ModuleList([body.layer1, body.layer2, body.layer3])

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Compute the five maps of (N, 1 or 3, H, W) in [0, 1]."""
        maps = [self.stem(normalize_imagenet(picture))]
        x = self.pool(maps[0])
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return [*maps, F.max_pool2d(x, 2, ceil_mode=True)]


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) without its last 1×1 convolution."""

    channels = (16, 24, 32, 96, 320)
    output_layers = (1, 3, 6, 13, 17)

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2

        self.layers = mobilenet_v2(weights=None).features[: self.output_layers[-1] + 1]

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Compute the five maps of (N, 1 or 3, H, W) in [0, 1]."""
        x, maps = normalize_imagenet(picture), []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.output_layers:
                maps.append(x)
        return maps


def encode_two_sizes(encoder: nn.Module, grey: Tensor) -> list[Tensor]:
    """Run an encoder on grey (N, 1, H, W) and on the same at half size, which widens its receptive field.

    Returns:
        Six maps: at strides 4, 8, 16 and 32, and from half size at strides 32 and 64 of the picture.
    """
    _, s4, s8, s16, s32 = encoder(grey)
    *_, half16, half32 = encoder(F.avg_pool2d(grey, 2))
    return [s4, s8, s16, s32, half16, half32]


ENCODERS: dict[str, Any] = {
    "resnet18": ResNet18,
    "mobilenet_v2": MobileNetV2,
    **{name: (lambda name=name: EfficientNetLite(name)) for name in SCALING},
}
"""Name to a function without arguments that builds the encoder with random parameters."""
