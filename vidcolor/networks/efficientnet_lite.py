"""EfficientNet-Lite as a feature extractor: maps at strides 2, 4, 8, 16 and 32.

Tan & Le, "EfficientNet" (2019), in the Lite variant of Google's TPU repository (2020): no squeeze-and-excitation,
ReLU6, stem and head not scaled, TensorFlow's SAME padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

BATCH_NORM_EPSILON = 1e-3
"""TensorFlow's default."""
STEM_CHANNELS = 32
EXPANSION = 6
"""Ratio of hidden to input channels of an inverted residual."""


@dataclass(frozen=True)
class StageShape:
    """A row of Table 1 of the paper: ``repeats`` blocks with kernel size ``kernel``, the first with ``stride``."""

    repeats: int
    kernel: int
    stride: int
    channels: int


BASE_STAGES = (
    StageShape(1, 3, 1, 16),
    StageShape(2, 3, 2, 24),
    StageShape(2, 5, 2, 40),
    StageShape(3, 3, 2, 80),
    StageShape(3, 5, 1, 112),
    StageShape(4, 5, 2, 192),
    StageShape(1, 3, 1, 320),
)
OUTPUT_STAGES = (0, 1, 2, 4, 6)
"""The last stage at each of the strides 2, 4, 8, 16 and 32."""
SCALING = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
"""Factors on the channels and on the repeats of :data:`BASE_STAGES`."""


def round_channels(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of ``divisor`` that is at most 10 % below ``channels``."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def scaled_stages(name: str) -> tuple[StageShape, ...]:
    """Return the stages of a network of :data:`SCALING`; the first and the last are not repeated more, as published."""
    width, depth = SCALING[name]
    last = len(BASE_STAGES) - 1
    return tuple(
        StageShape(
            repeats=s.repeats if i in (0, last) else math.ceil(s.repeats * depth),
            kernel=s.kernel,
            stride=s.stride,
            channels=round_channels(s.channels * width),
        )
        for i, s in enumerate(BASE_STAGES)
    )


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: output size ceil(input / stride), odd padding at the end."""

    def pad(self, x: Tensor) -> Tensor:
        """Pad (N, C, H, W) by zeros as SAME requires."""
        padding = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = (-(-size // stride) - 1) * stride + kernel - size  # never negative: kernels are wider than strides
            padding += [total // 2, total - total // 2]
        return F.pad(x, padding)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        return super().forward(self.pad(x))


def conv_bn(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Build a convolution without bias and a batch norm."""
    make = nn.Conv2d if stride == 1 else SameConv2d
    padding = kernel // 2 if stride == 1 else 0
    conv = make(inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON)]


class InvertedResidual(nn.Module):
    """Inverted residual of MobileNetV2: expand, depthwise, project; with a skip connection if the shapes are equal."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        expand = [*conv_bn(inputs, hidden, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
        depthwise = [*conv_bn(hidden, hidden, kernel, stride=stride, groups=hidden), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*expand, *depthwise, *conv_bn(hidden, outputs, 1))
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to (N, inputs, H, W)."""
        y: Tensor = self.layers(x)
        return x + y if self.has_skip else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite without its head.

    Args:
        name: a key of :data:`SCALING`.

    Attributes:
        channels: of the five maps.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        shapes = scaled_stages(name)
        self.stem = nn.Sequential(*conv_bn(3, STEM_CHANNELS, 3, stride=2), nn.ReLU6(inplace=True))
        stages, inputs = [], STEM_CHANNELS
        for index, shape in enumerate(shapes):
            blocks = []
            for repeat in range(shape.repeats):
                stride = shape.stride if repeat == 0 else 1
                blocks.append(
                    InvertedResidual(inputs, shape.channels, shape.kernel, stride, 1 if index == 0 else EXPANSION)
                )
                inputs = shape.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(shapes[i].channels for i in OUTPUT_STAGES)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Compute the maps at strides 2, 4, 8, 16 and 32.

        Args:
            picture: grey or R'G'B', (N, 1 or 3, H, W) in [0, 1].

        Returns:
            Five maps, (N, channels[i], ceil(H / 2^(i + 1)), ceil(W / 2^(i + 1))).
        """
        x = self.stem(((picture * 255 - 127) / 128).expand(-1, 3, -1, -1))
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in OUTPUT_STAGES:
                maps.append(x)
        return maps
