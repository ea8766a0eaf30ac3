"""EfficientNet-Lite feature extractors: semantics of a picture at strides 2, 4, 8, 16 and 32.

Architecture: Tan & Le, "EfficientNet" (2019), in the Lite variant of Google's TPU repository (2020): no
squeeze-and-excitation, ReLU6, stem and head not scaled, TensorFlow's SAME padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

BATCH_NORM_EPSILON = 1e-3  # TensorFlow's
STEM_CHANNELS = 32
EXPANSION = 6


@dataclass(frozen=True)
class StageShape:
    """One row of Table 1 of the paper: ``repeats`` blocks of kernel ``kernel``, the first with ``stride``."""

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
TAPPED_STAGES = (0, 1, 2, 4, 6)  # the last stage at each of the strides 2, 4, 8, 16, 32
SCALING = {  # width, depth
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor``, but never more than 10 % below ``channels``."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def scaled_stages(name: str) -> tuple[StageShape, ...]:
    """The stages of a Lite network; first and last keep their depth, as published."""
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
    """A convolution with TensorFlow's SAME padding: output size = ceil(input size / stride), the odd pixel last."""

    def padded(self, x: Tensor) -> Tensor:
        """(N, C, H, W) with zeros around it, as many as it takes."""
        padding = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        return F.pad(x, padding)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.padded(x))


def conv_bn(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias and its batch norm."""
    make = nn.Conv2d if stride == 1 else SameConv2d
    padding = kernel // 2 if stride == 1 else 0
    conv = make(inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON)]


class InvertedResidual(nn.Module):
    """Expand, depthwise, project (MobileNetV2), with a skip where the shape allows it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        expand = [*conv_bn(inputs, hidden, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
        depthwise = [*conv_bn(hidden, hidden, kernel, stride=stride, groups=hidden), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*expand, *depthwise, *conv_bn(hidden, outputs, 1))
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.has_skip else y


class EfficientNetLite(nn.Module):
    """Features at strides 2, 4, 8, 16 and 32 of a picture."""

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
        self.channels = tuple(shapes[i].channels for i in TAPPED_STAGES)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Grey or R'G'B' (N, 1 or 3, H, W) in [0, 1] to maps (N, channels[i], ceil(H / 2^(i+1)), ceil(W / 2^(i+1)))."""
        x = self.stem(((picture * 255 - 127) / 128).expand(-1, 3, -1, -1))
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in TAPPED_STAGES:
                maps.append(x)
        return maps
