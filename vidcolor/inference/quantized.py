"""Compute convolutions and linear layers in int8, with dynamic quantization, through oneDNN.

Weights are quantized once, with a scale for each output channel. Activations are quantized at run time, with one scale
and zero point for each picture, between its own minimum and maximum, so no calibration is needed. Sums are exact
32-bit integers and the output is fp32 (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", with ranges found at run time). :func:`quantize` says which layers are worth it.
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

from vidcolor.inference.layouts import NO_ACTIVATION, Activation, LayoutCache

LEVELS = 255
"""Quantization steps between the minimum and the maximum of the activations."""
MIN_CHANNELS = 32
"""Input and output channels below which quantization costs more time than it saves."""


def quantize(layer: nn.Module, activation: Activation) -> nn.Module | None:
    """Return an int8 layer with a fused activation, or None for a layer that should stay in fp32.

    Linear layers and dense 3×3 convolutions are quantized. 1×1 convolutions of an encoder are not: they do too few
    operations for each value read, and their signed maps lose too much. In int8 they changed ab by another 0.6 Lab
    units (root mean square) on processors with VNNI and by 1.7 without; the other layers change it by 0.06 and 0.09.
    """
    if isinstance(layer, nn.Linear) and min(layer.in_features, layer.out_features) >= MIN_CHANNELS:
        return Int8Linear(layer, activation)
    return Int8Conv2d(layer, activation) if _is_large(layer) else None


def quantize_join(join: nn.Module, inputs: Sequence[int]) -> nn.Module | None:
    """Return an int8 layer for a convolution and a ReLU on concatenated maps, or None if it should stay in fp32.

    Args:
        join: an ``nn.Sequential`` of the two; anything else gives None.
        inputs: the channels of each map.
    """
    match join:
        case nn.Sequential() if [type(layer) for layer in join] == [nn.Conv2d, nn.ReLU] and _is_large(join[0]):
            return Int8Join(join[0], inputs, ("relu", [], ""))
    return None


def _is_large(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether a layer is a dense 3×3 convolution of enough channels, with padding by zeros."""
    return (
        type(layer) is nn.Conv2d
        and layer.kernel_size == (3, 3)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and min(layer.in_channels, layer.out_channels) >= MIN_CHANNELS
    )


@cache
def max_weight() -> int:
    """Return the largest weight that int8 layers can use on this processor: 127, or 63 on x86 without VNNI.

    Without VNNI, pairs of products are added in saturating 16 bits; 2 · 255 · 63 is the largest pair that fits. The
    result is found by running a layer with the largest weights.

    Raises:
        RuntimeError: this build of torch has no int8 layers for this processor.
    """
    weights = torch.full((MIN_CHANNELS, MIN_CHANNELS), 127, dtype=torch.int8)
    picture = torch.full((1, 1, MIN_CHANNELS), LEVELS, dtype=torch.uint8)
    ones, zeros = torch.ones(MIN_CHANNELS, dtype=torch.float32), torch.zeros(MIN_CHANNELS, dtype=torch.int32)
    packed = torch.ops.onednn.qlinear_prepack(weights, [1, 1, MIN_CHANNELS])
    sums = torch.ops.onednn.qlinear_pointwise(
        picture, 1.0, 0, packed, ones, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return 127 if bool((sums == MIN_CHANNELS * LEVELS * 127).all()) else 63


class _Int8Layer(nn.Module):
    """The quantized weights of a layer, their scales, and the correction for the zero point of the input.

    Args:
        weight: (outputs, …), fp32.
        bias: (outputs,) or None.
        activation: is fused into the layer.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        rows = weight.detach().flatten(1)
        scales = (rows.abs().amax(1) / max_weight()).clamp_min(torch.finfo(torch.float32).tiny)
        rounded = (rows / scales[:, None]).round()
        self.weight = rounded.to(torch.int8).view(weight.shape)
        self.weight_scales = scales
        self.weight_zeros = torch.zeros(len(rows), dtype=torch.int32)
        self.bias = torch.zeros(len(rows), dtype=torch.float32) if bias is None else bias.detach()
        self.zero_correction = rounded.sum(1) * scales
        self._layouts = LayoutCache(self._reorder)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to each picture with a range of its own, so that results do not depend on the batch."""
        if len(x) == 1:
            return self._apply_one(x)
        return torch.cat([self._apply_one(x[i : i + 1]) for i in range(len(x))])

    def _apply_one(self, x: Tensor) -> Tensor:
        """Apply the layer to a batch of one."""
        raise NotImplementedError

    def _reorder(self, size: torch.Size) -> Tensor:
        """Return the weights in the layout for one picture of ``size``, a shape without the batch dimension."""
        raise NotImplementedError

    def _corrected_bias(self, scale: float, zero_point: int) -> Tensor:
        """Return the bias corrected for the zero point; oneDNN's own correction takes up to 1.5 times as long."""
        return self.bias - scale * zero_point * self.zero_correction if zero_point else self.bias


class Int8Linear(_Int8Layer):
    """A linear layer in int8 with a fused activation, for (N, positions, channels); ``like`` gives the parameters."""

    def __init__(self, like: nn.Linear, activation: Activation) -> None:
        super().__init__(like.weight, like.bias, activation)

    def _apply_one(self, x: Tensor) -> Tensor:
        rows = x[0].contiguous().numpy()
        scale, zero_point = _quantization_range(rows)
        levels = torch.from_numpy(_quantize_rows(rows, scale, zero_point, np.empty(rows.shape, np.uint8)))[None]
        result: Tensor = torch.ops.onednn.qlinear_pointwise(
            levels,
            scale,
            0,  # zero point of the input: it is in the bias
            self._layouts.get(x.shape[1:]),
            self.weight_scales,
            self.weight_zeros,
            self._corrected_bias(scale, zero_point),
            1.0,  # scale and zero point of the output, which is fp32
            0,
            torch.float32,
            *self.activation,
        )
        return result

    def _reorder(self, size: torch.Size) -> Tensor:
        reordered: Tensor = torch.ops.onednn.qlinear_prepack(self.weight, [1, *size])
        return reordered


class Int8Conv2d(_Int8Layer):
    """A dense convolution in int8 with a fused activation, for (N, C, H, W); ``like`` gives all parameters."""

    def __init__(self, like: nn.Conv2d, activation: Activation) -> None:
        super().__init__(like.weight, like.bias, activation)
        assert not isinstance(like.padding, str)
        self.stride, self.dilation, self.padding = list(like.stride), list(like.dilation), like.padding

    def _apply_one(self, x: Tensor) -> Tensor:
        levels, scale, zero_point = self._quantize_padded(x)
        result: Tensor = torch.ops.onednn.qconv_pointwise(
            levels,
            scale,
            0,  # zero point of the input: it is in the bias
            self._layouts.get(levels.shape[1:]),
            self.weight_scales,
            self.weight_zeros,
            self._corrected_bias(scale, zero_point),
            self.stride,
            [0, 0],  # the input is padded already
            self.dilation,
            1,  # groups
            1.0,  # scale and zero point of the output, which is fp32
            0,
            torch.float32,
            *self.activation,
        )
        return result

    def add_to(self, total: Tensor, x: Tensor) -> Tensor:
        """Convolve one picture, add ``total``, and apply the activation to the sum; ``total`` is overwritten."""
        levels, scale, zero_point = self._quantize_padded(x)
        result: Tensor = torch.ops.onednn.qconv2d_pointwise.binary(
            levels,
            scale,
            0,  # zero point of the input: it is in the bias
            self._layouts.get(levels.shape[1:]),
            self.weight_scales,
            self.weight_zeros,
            total,
            self._corrected_bias(scale, zero_point),
            self.stride,
            [0, 0],  # the input is padded already
            self.dilation,
            1,  # groups
            1.0,  # scale and zero point of the output, which is fp32
            0,
            torch.float32,
            1.0,  # scale and zero point of ``total``
            0,
            "sum",
            1.0,
            *self.activation,
        )
        return result

    def _quantize_padded(self, x: Tensor) -> tuple[Tensor, float, int]:
        """Quantize one picture and pad it by the level of 0.0.

        Returns:
            uint8 levels (1, C, H + 2 · padding, W + 2 · padding), their scale, and the zero point.
        """
        _, c, h, w = x.shape
        top, left = self.padding
        rows = x[0].movedim(0, -1).contiguous().numpy().reshape(h, w * c)
        scale, zero_point = _quantization_range(rows)
        padded = np.full((h + 2 * top, (w + 2 * left) * c), zero_point, np.uint8)
        _quantize_rows(rows, scale, zero_point, padded[top : top + h, left * c : (left + w) * c])
        return torch.from_numpy(padded.reshape(1, h + 2 * top, w + 2 * left, c)).movedim(-1, 1), scale, zero_point

    def _reorder(self, size: torch.Size) -> Tensor:
        reordered: Tensor = torch.ops.onednn.qconv_prepack(
            self.weight, self.weight_scales, 1.0, 0, self.stride, [0, 0], self.dilation, 1, [1, *size]
        )
        return reordered


class Int8Join(nn.Module):
    """A dense convolution in int8 of several concatenated maps, with a fused activation.

    Each map is quantized with a range of its own. With a common range, features of an encoder, up to ±50, would leave
    five levels to those of a decoder, within ±1, and ab would change by 0.27 Lab units instead of 0.06.

    Args:
        like: the convolution of the concatenated maps.
        inputs: channels of each map.
        activation: is applied to the sum.
    """

    def __init__(self, like: nn.Conv2d, inputs: Sequence[int], activation: Activation) -> None:
        super().__init__()
        last = len(inputs) - 1
        ends = list(accumulate(inputs))
        self.parts = [
            Int8Conv2d(
                _part_of(like, end - channels, end, has_bias=number == 0),
                activation if number == last else NO_ACTIVATION,
            )
            for number, (channels, end) in enumerate(zip(inputs, ends, strict=True))
        ]

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Convolve maps (N, C, h, w) of the expected channels, each picture by itself."""
        pictures = [self._apply_one([each[i : i + 1] for each in maps]) for i in range(len(maps[0]))]
        return torch.cat(pictures) if len(pictures) > 1 else pictures[0]

    def _apply_one(self, maps: Sequence[Tensor]) -> Tensor:
        """Convolve maps (1, C, h, w) and add them up."""
        first, *others = self.parts
        x: Tensor = first(maps[0])
        for part, each in zip(others, maps[1:], strict=True):
            x = part.add_to(x, each)
        return x


def _part_of(like: nn.Conv2d, start: int, stop: int, *, has_bias: bool) -> nn.Conv2d:
    """Return the convolution of the input channels ``start`` to ``stop`` alone; all parts add up to the whole."""
    part = deepcopy(like)
    part.in_channels, part.weight = stop - start, nn.Parameter(like.weight.detach()[:, start:stop])
    if not has_bias:
        part.bias = None
    return part


def _quantization_range(rows: np.ndarray) -> tuple[float, int]:
    """Return the scale and the zero point for 2-D float32 values, such that 0.0 is exactly a level."""
    minimum, maximum, _, _ = cv2.minMaxLoc(rows)
    minimum, maximum = min(minimum, 0.0), max(maximum, 0.0)
    scale = max((maximum - minimum) / LEVELS, float(np.finfo(np.float32).tiny))
    return scale, round(-minimum / scale)


def _quantize_rows(rows: np.ndarray, scale: float, zero_point: int, levels: np.ndarray) -> np.ndarray:
    """Quantize 2-D float32 values into ``levels``, uint8, in one pass, and return it.

    OpenCV takes the absolute value, which changes nothing: no level is below −0.5 before rounding.
    """
    return cv2.convertScaleAbs(rows, dst=levels, alpha=1 / scale, beta=zero_point)
