"""Convolutions and linear layers in 8-bit integers, for processors that multiply those faster than anything else.

Weights are rounded once, with a scale for each output channel; what comes in is rounded for every picture, between its
own least and greatest value, so that no calibration is needed and any network's weights will do. Sums are exact 32-bit
integers and what comes out is fp32 (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", with the ranges found at run time).

Only layers with much work for each number read are worth it: see :func:`quantized`.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from itertools import accumulate
from typing import TypeGuard

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from vidcolor.inference.layouts import IDENTITY, Activation, Layouts

LEVELS = 255
"""Steps between the least and the greatest value of what comes in."""
SMALLEST = 32  # channels in and out: below, rounding costs more time than it saves


def quantized(layer: nn.Module, activation: Activation) -> nn.Module | None:
    """The layer and an activation after it in 8 bits, or None for one that had better stay as it is.

    Taken are linear layers and dense 3×3 convolutions. 1×1 convolutions of an encoder do too little with what they
    read, and their narrow signed maps lose too much: in 8 bits, colors moved by another .6 Lab units with VNNI and by
    1.7 without (root mean square; the others move them by .06 and .09).
    """
    if isinstance(layer, nn.Linear) and min(layer.in_features, layer.out_features) >= SMALLEST:
        return Int8Linear(layer, activation)
    return Int8Conv2d(layer, activation) if _is_large(layer) else None


def quantized_join(join: nn.Module, inputs: Sequence[int]) -> nn.Module | None:
    """The same for a convolution and a ReLU, given several maps of so many channels instead of one of all."""
    match join:
        case nn.Sequential() if [type(layer) for layer in join] == [nn.Conv2d, nn.ReLU] and _is_large(join[0]):
            return Int8Join(join[0], inputs, ("relu", [], ""))
    return None


def _is_large(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        type(layer) is nn.Conv2d
        and layer.kernel_size == (3, 3)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and min(layer.in_channels, layer.out_channels) >= SMALLEST
    )


@cache
def greatest_weight() -> int:
    """127, or 63 on x86 processors without VNNI: they add pairs of products in 16 bits, which 8-bit weights overflow.

    Found out by trying. With 63 the greatest pair, 2 · 255 · 63, fits.

    Raises:
        RuntimeError: this build of torch has no such layers for this processor.
    """
    weights = torch.full((SMALLEST, SMALLEST), 127, dtype=torch.int8)
    picture = torch.full((1, 1, SMALLEST), LEVELS, dtype=torch.uint8)
    ones, zeros = torch.ones(SMALLEST), torch.zeros(SMALLEST, dtype=torch.int32)
    packed = torch.ops.onednn.qlinear_prepack(weights, [1, 1, SMALLEST])
    sums = torch.ops.onednn.qlinear_pointwise(
        picture, 1.0, 0, packed, ones, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return 127 if bool((sums == SMALLEST * LEVELS * 127).all()) else 63


class _Int8Layer(nn.Module):
    """Rounded weights, their scales, and what an input of zeros adds to the sums."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        rows = weight.detach().flatten(1)
        scales = (rows.abs().amax(1) / greatest_weight()).clamp_min(torch.finfo(torch.float32).tiny)
        rounded = (rows / scales[:, None]).round()
        self.weight = rounded.to(torch.int8).view(weight.shape)
        self.weight_scales = scales
        self.weight_zeros = torch.zeros(len(rows), dtype=torch.int32)
        self.bias = torch.zeros(len(rows)) if bias is None else bias.detach()
        self.zero_adds = rounded.sum(1) * scales
        self._layouts = Layouts(self._laid_out)

    def forward(self, x: Tensor) -> Tensor:
        # Each picture has its own range, so that a batch does not decide what a picture gets.
        return torch.cat([self._one(x[i : i + 1]) for i in range(len(x))]) if len(x) > 1 else self._one(x)

    def _one(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _laid_out(self, size: torch.Size) -> Tensor:
        raise NotImplementedError

    def _bias(self, scale: float, zero: int) -> Tensor:
        """The bias for an input whose 0.0 is ``zero``: handed to oneDNN, a zero takes up to half as long again."""
        return self.bias - scale * zero * self.zero_adds if zero else self.bias


class Int8Linear(_Int8Layer):
    """What ``like`` does with (N, places, channels), and an activation after it."""

    def __init__(self, like: nn.Linear, activation: Activation) -> None:
        super().__init__(like.weight, like.bias, activation)

    def _one(self, x: Tensor) -> Tensor:
        rows = x[0].contiguous().numpy()
        scale, zero = _range(rows)
        levels = torch.from_numpy(_rounded(rows, scale, zero, np.empty(rows.shape, np.uint8)))[None]
        name, numbers, algorithm = self.activation
        made: Tensor = torch.ops.onednn.qlinear_pointwise(
            levels, scale, 0, self._layouts.of(x.shape[1:]), self.weight_scales, self.weight_zeros,
            self._bias(scale, zero), 1.0, 0, torch.float32, name, numbers, algorithm,
        )  # fmt: skip
        return made

    def _laid_out(self, size: torch.Size) -> Tensor:
        laid_out: Tensor = torch.ops.onednn.qlinear_prepack(self.weight, [1, *size])
        return laid_out


class Int8Conv2d(_Int8Layer):
    """What ``like`` does, padding with zeros included, and an activation after it."""

    def __init__(self, like: nn.Conv2d, activation: Activation) -> None:
        super().__init__(like.weight, like.bias, activation)
        assert not isinstance(like.padding, str)
        self.stride, self.dilation, self.padding = list(like.stride), list(like.dilation), like.padding

    def _one(self, x: Tensor) -> Tensor:
        levels, scale, zero = self._levels(x)
        made: Tensor = torch.ops.onednn.qconv_pointwise(
            levels, scale, 0, self._layouts.of(levels.shape[1:]), self.weight_scales, self.weight_zeros,
            self._bias(scale, zero), self.stride, [0, 0], self.dilation, 1, 1.0, 0, torch.float32, *self.activation,
        )  # fmt: skip
        return made

    def add_to(self, others: Tensor, x: Tensor) -> Tensor:
        """The activation of what comes of one picture ``x``, and ``others``, which is overwritten."""
        levels, scale, zero = self._levels(x)
        made: Tensor = torch.ops.onednn.qconv2d_pointwise.binary(
            levels, scale, 0, self._layouts.of(levels.shape[1:]), self.weight_scales, self.weight_zeros, others,
            self._bias(scale, zero), self.stride, [0, 0], self.dilation, 1, 1.0, 0, torch.float32, 1.0, 0, "sum", 1.0,
            *self.activation,
        )  # fmt: skip
        return made

    def _levels(self, x: Tensor) -> tuple[Tensor, float, int]:
        """A picture's levels with a border of zeros as wide as the padding, their scale, and the level of 0.0."""
        _, c, h, w = x.shape
        top, left = self.padding
        rows = x[0].movedim(0, -1).contiguous().numpy().reshape(h, w * c)
        scale, zero = _range(rows)
        padded = np.full((h + 2 * top, (w + 2 * left) * c), zero, np.uint8)
        _rounded(rows, scale, zero, padded[top : top + h, left * c : (left + w) * c])
        return torch.from_numpy(padded.reshape(1, h + 2 * top, w + 2 * left, c)).movedim(-1, 1), scale, zero

    def _laid_out(self, size: torch.Size) -> Tensor:
        laid_out: Tensor = torch.ops.onednn.qconv_prepack(
            self.weight, self.weight_scales, 1.0, 0, self.stride, [0, 0], self.dilation, 1, [1, *size]
        )
        return laid_out


class Int8Join(nn.Module):
    """What ``like`` does with several maps, one after the other, and an activation after it.

    Each map has a range of its own: with one for all of them, features of an encoder, up to ±50, would leave five
    levels to the decoder's, which are within ±1, and all colors would move by .27 Lab units instead of .06.

    Args:
        inputs: channels of each map.
    """

    def __init__(self, like: nn.Conv2d, inputs: Sequence[int], activation: Activation) -> None:
        super().__init__()
        last = len(inputs) - 1
        ends = list(accumulate(inputs))
        self.parts = [
            Int8Conv2d(
                _part_of(like, end - channels, end, has_bias=number == 0), activation if number == last else IDENTITY
            )
            for number, (channels, end) in enumerate(zip(inputs, ends, strict=True))
        ]

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (N, C, h, w), of as many channels each as is expected."""
        pictures = [self._one([each[i : i + 1] for each in maps]) for i in range(len(maps[0]))]
        return torch.cat(pictures) if len(pictures) > 1 else pictures[0]

    def _one(self, maps: Sequence[Tensor]) -> Tensor:
        first, *others = self.parts
        x: Tensor = first(maps[0])
        for part, each in zip(others, maps[1:], strict=True):
            x = part.add_to(x, each)
        return x


def _part_of(like: nn.Conv2d, start: int, stop: int, *, has_bias: bool) -> nn.Conv2d:
    """The same convolution of some channels only; all parts together add up to it."""
    part = deepcopy(like)
    part.in_channels, part.weight = stop - start, nn.Parameter(like.weight.detach()[:, start:stop])
    if not has_bias:
        part.bias = None
    return part


def _range(rows: np.ndarray) -> tuple[float, int]:
    """The scale and the level of 0.0, so that both ends of ``rows`` (2-D, float32) and 0.0 have a level."""
    least, greatest, _, _ = cv2.minMaxLoc(rows)
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    scale = max((greatest - least) / LEVELS, float(np.finfo(np.float32).tiny))
    return scale, round(-least / scale)


def _rounded(rows: np.ndarray, scale: float, zero: int, levels: np.ndarray) -> np.ndarray:
    """Values to their levels, in one pass; none is below half a level under 0, so nothing is lost by the absolute."""
    return cv2.convertScaleAbs(rows, dst=levels, alpha=1 / scale, beta=zero)
