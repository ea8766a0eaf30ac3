"""What several networks are made of. Convolutions stand before their batch norm in one sequence, so that they fold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.color.lab import AB_SCALE
from vidcolor.networks.network import Prediction


def conv_bn_relu(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution, batch norm, ReLU."""
    conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016), with a 1×1 convolution in it where the shape changes."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.layers = nn.Sequential(conv_bn_relu(inputs, outputs, stride=stride), second, nn.BatchNorm2d(outputs))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential() if same else _projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.layers(x))


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A 1×1 convolution of every ``stride``-th place, and batch norm.

    The places are picked first: the gradient of a strided 1×1 convolution of few channels writes beyond its memory
    (oneDNN in torch 2.15; a processor with AVX-512 and without bf16 ends in a crash).
    """
    convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
    layers: list[tuple[str, nn.Module]] = [("0", convolution), ("1", nn.BatchNorm2d(outputs))]
    return nn.Sequential(OrderedDict([("pick", nn.MaxPool2d(1, stride)), *layers] if stride > 1 else layers))


MAX_WEIGHED = 1024
"""Places of a picture up to which the weights between all of them are cheap to make: they grow with the square."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention of (N, heads, places, channels).

    On a CPU, two matrix products take half the time of the fused kernel in bf16 as long as a picture's weights stay in
    the cache; where gradients are needed, its backward pass takes three to five times theirs in any type.
    """
    fused_is_faster = q.dtype != torch.bfloat16 and not torch.is_grad_enabled()
    if q.device.type != "cpu" or q.shape[2] > MAX_WEIGHED or fused_is_faster:
        return F.scaled_dot_product_attention(q, k, v)
    if torch.is_grad_enabled():
        return _weigh(q, k, v)
    return torch.stack([_weigh(*picture) for picture in zip(q, k, v, strict=True)])


def _weigh(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(dim=-1)
    return torch.matmul(weights, v)


class SelfAttention(nn.Module):
    """A pre-norm transformer layer over all places of a map (Vaswani et al. 2017).

    A depthwise convolution before it tells the places apart (Chu et al. 2021), so that any size will do.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm_attention = nn.LayerNorm(channels)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.norm_mlp = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        tokens = (x + self.position(x)).flatten(2).transpose(1, 2)
        qkv = self.to_qkv(self.norm_attention(tokens)).view(n, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = attend(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        tokens = tokens + self.project(attended)
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        restored: Tensor = tokens.transpose(1, 2).reshape(n, c, h, w)
        return restored


class Concatenate(nn.Module):
    """Maps (N, C, h, w), one after the other along C."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return torch.cat(tuple(maps), dim=1)


class DecoderBlock(nn.Module):
    """Narrow what comes from below, enlarge it, join it with the skips, and refine it with a residual pair.

    ``skips``: channels of each of them.
    """

    def __init__(self, below: int, skips: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(below, outputs, 1)  # before the enlargement: a quarter of the work
        self.joined = (outputs, *skips)
        self.concatenate: nn.Module = Concatenate()
        self.join: nn.Module = conv_bn_relu(sum(self.joined), outputs)
        self.refine = nn.Sequential(
            conv_bn_relu(outputs, outputs), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, below: Tensor, skips: Sequence[Tensor]) -> Tensor:
        below = F.interpolate(self.narrow(below), size=skips[0].shape[-2:], mode="bilinear", align_corners=False)
        x = self.join(self.concatenate((below, *skips)))
        return F.relu(x + self.refine(x))


def conv_to_ab(inputs: int, kernel: int) -> nn.Conv2d:
    """The last convolution, which begins near grey: training need not first take back wild colors."""
    conv = nn.Conv2d(inputs, 2, kernel, padding=kernel // 2)
    nn.init.normal_(conv.weight, std=0.01)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def bounded_ab(x: Tensor) -> Prediction:
    """The last layer's (N, 2, h, w), without bounds, as ab within ±AB_SCALE."""
    return Prediction(x.tanh().float() * AB_SCALE)
