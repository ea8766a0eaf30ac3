"""Layers that several networks share.

A convolution and its batch norm are neighbors in one ``nn.Sequential``, so that they can be folded
(:mod:`vidcolor.inference.folding`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.networks.lab import AB_SCALE
from vidcolor.networks.network import Prediction


def conv_bn_relu(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """Build a 3×3 convolution, batch norm and ReLU."""
    conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016), which is a 1×1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.layers = nn.Sequential(conv_bn_relu(inputs, outputs, stride=stride), second, nn.BatchNorm2d(outputs))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential() if same else _projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to (N, inputs, H, W)."""
        return F.relu(self.shortcut(x) + self.layers(x))


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Build a 1×1 convolution of every ``stride``-th pixel, and batch norm.

    The pixels are picked before the convolution, because the gradient of a strided 1×1 convolution of few channels
    writes out of bounds (oneDNN in torch 2.15, on processors with AVX-512 and without bf16).
    """
    convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
    layers: list[tuple[str, nn.Module]] = [("0", convolution), ("1", nn.BatchNorm2d(outputs))]
    return nn.Sequential(OrderedDict([("pick", nn.MaxPool2d(1, stride)), *layers] if stride > 1 else layers))


MAX_EXPLICIT_POSITIONS = 1024
"""Positions of a map up to which :func:`attend` may compute the attention matrix, which grows with their square."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute scaled dot-product attention of (N, heads, positions, channels).

    On a CPU, two matrix products take half the time of the fused kernel in bf16 as long as the attention matrix of one
    picture fits into the cache. With gradients, the fused kernel's backward pass takes three to five times as long in
    any data type.
    """
    fused_is_faster = q.dtype != torch.bfloat16 and not torch.is_grad_enabled()
    if q.device.type != "cpu" or q.shape[2] > MAX_EXPLICIT_POSITIONS or fused_is_faster:
        return F.scaled_dot_product_attention(q, k, v)
    if torch.is_grad_enabled():
        return _attend_explicitly(q, k, v)
    return torch.stack([_attend_explicitly(*picture) for picture in zip(q, k, v, strict=True)])


def _attend_explicitly(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute attention by way of the whole attention matrix."""
    weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(dim=-1)
    return torch.matmul(weights, v)


class SelfAttention(nn.Module):
    """Pre-norm transformer layer over all positions of a map (Vaswani et al. 2017), for maps of any size.

    Positions are encoded by a depthwise convolution before it (Chu et al. 2021).

    Args:
        channels: of the map; a multiple of ``heads``.
        heads: of the attention.
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
        """Apply the layer to (N, channels, h, w)."""
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
    """Concatenation of maps along the channels, as a module that can be replaced."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Concatenate maps (N, C, h, w) along C."""
        return torch.cat(tuple(maps), dim=1)


class DecoderBlock(nn.Module):
    """Decoder level of a U-Net: reduce channels, upsample, join with skip connections, refine by residuals.

    Args:
        below: channels of the coarser level.
        skips: channels of each skip connection.
        outputs: channels of this level.
    """

    def __init__(self, below: int, skips: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(below, outputs, 1)  # before upsampling, where it is a quarter of the work
        self.join_inputs = (outputs, *skips)
        self.concatenate: nn.Module = Concatenate()
        self.join: nn.Module = conv_bn_relu(sum(self.join_inputs), outputs)
        self.refine = nn.Sequential(
            conv_bn_relu(outputs, outputs),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, below: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Return (N, outputs, H, W) from the coarser level (N, below, h, w) and skips (N, skips[i], H, W)."""
        below = F.interpolate(self.narrow(below), size=skips[0].shape[-2:], mode="bilinear", align_corners=False)
        x = self.join(self.concatenate((below, *skips)))
        return F.relu(x + self.refine(x))


def conv_to_ab(inputs: int, kernel: int) -> nn.Conv2d:
    """Build the last convolution, initialized so that the first predictions are nearly grey."""
    conv = nn.Conv2d(inputs, 2, kernel, padding=kernel // 2)
    nn.init.normal_(conv.weight, std=0.01)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def bounded_ab(x: Tensor) -> Prediction:
    """Convert the unbounded output of the last layer, (N, 2, h, w), to ab within ±AB_SCALE, by tanh."""
    return Prediction(x.tanh().float() * AB_SCALE)
