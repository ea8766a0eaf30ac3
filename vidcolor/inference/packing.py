"""Convolutions and linear layers the way a CPU wants them: weights laid out once, activations made part of them.

What PyTorch's compiler does when it freezes a network for a CPU, without a compiler, which few users have: oneDNN's
own layout of the weights, and a ReLU where the results of a convolution still are in registers. A linear layer in fp32
takes less than half its time with AVX-512 so, and 10 % less with AVX2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.inference.layouts import IDENTITY, Activation, Layouts
from vidcolor.inference.quantized import quantized, quantized_join
from vidcolor.networks.efficientnet_lite import SameConv2d
from vidcolor.networks.layers import DecoderBlock

Make = Callable[[nn.Module, Activation], nn.Module | None]
"""A layer and an activation after it to one packed layer; None for a layer that stays as it is."""


def pack(module: nn.Module, *, int8: bool = False) -> nn.Module:
    """Replace the convolutions and linear layers of a network for the CPU by packed ones, each with its activation.

    Works in place on a module in eval mode, folded, of its final data type, and gives it back. Nothing is done where
    this build of torch has no oneDNN, or where oneDNN has nothing for bf16 on this processor.

    Args:
        int8: in 8-bit integers what :mod:`vidcolor.inference.quantized` has for a network in fp32.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return module
    in_bf16 = any(parameter.dtype == torch.bfloat16 for parameter in module.parameters())
    if in_bf16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return module
    if int8:
        _quantize_joins(module)
    make = _quantized_or_packed if int8 else _packed_layer
    if isinstance(module, nn.Sequential):
        return _packed_sequence(module, make)
    _pack_children(module, make)
    return module


def _pack_children(module: nn.Module, make: Make) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            setattr(module, name, _packed_sequence(child, make))
        elif (packed := make(child, IDENTITY)) is not None:
            setattr(module, name, packed)
        else:
            _pack_children(child, make)


def _packed_sequence(sequence: nn.Sequential, make: Make) -> nn.Sequential:
    layers: list[nn.Module] = []
    given = list(sequence)
    while given:
        layer = given.pop(0)
        activation = _activation(given[0]) if given else None
        packed = make(layer, activation or IDENTITY)
        if packed is not None:
            layers.append(packed)
            del given[: activation is not None]
        elif isinstance(layer, nn.Sequential):
            layers.append(_packed_sequence(layer, make))
        else:
            _pack_children(layer, make)
            layers.append(layer)
    return nn.Sequential(*layers)


def _activation(layer: nn.Module) -> Activation | None:
    """None for a layer of another kind."""
    if isinstance(layer, nn.GELU):
        return "gelu", [], layer.approximate
    known: dict[type[nn.Module], Activation] = {nn.ReLU: ("relu", [], ""), nn.ReLU6: ("hardtanh", [0.0, 6.0], "")}
    return known.get(type(layer))


def _quantize_joins(module: nn.Module) -> None:
    for block in module.modules():
        if isinstance(block, DecoderBlock) and (join := quantized_join(block.join, block.joined)) is not None:
            block.concatenate, block.join = nn.Identity(), join


def _quantized_or_packed(layer: nn.Module, activation: Activation) -> nn.Module | None:
    return quantized(layer, activation) or _packed_layer(layer, activation)


def _packed_layer(layer: nn.Module, activation: Activation) -> nn.Module | None:
    """None for a layer of another kind."""
    if isinstance(layer, SameConv2d):
        return PackedSameConv2d(layer, activation)
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return PackedConv2d(layer, layer.weight, layer.padding, activation)
    if isinstance(layer, nn.Linear):
        return PackedLinear(layer, activation)
    return None


class PackedConv2d(nn.Module):
    """What ``like`` does with another ``weight`` and ``padding``, and an activation after it."""

    def __init__(self, like: nn.Conv2d, weight: Tensor, padding: Sequence[int], activation: Activation) -> None:
        super().__init__()
        self.padding, self.stride, self.dilation, self.groups = padding, like.stride, like.dilation, like.groups
        self.activation = activation
        self.weight, self.bias = weight.detach(), like.bias
        self._layouts = Layouts(self._laid_out)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x.contiguous(memory_format=torch.channels_last), self._layouts.of(x.shape[1:]), self.bias,
            self.padding, self.stride, self.dilation, self.groups, *self.activation,
        )  # fmt: skip
        return made

    def _laid_out(self, size: torch.Size) -> Tensor:
        laid_out: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            self.weight, self.padding, self.stride, self.dilation, self.groups, [1, *size]
        )
        return laid_out


class PackedLinear(nn.Module):
    """What ``like`` does with (N, places, channels), and an activation after it."""

    def __init__(self, like: nn.Linear, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.weight, self.bias = like.weight.detach(), like.bias
        self._layouts = Layouts(lambda size: torch.ops.mkldnn._reorder_linear_weight(self.weight, size[0]))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._layouts.of(x.shape[1:]), self.bias, *self.activation)
        return made


class PackedSameConv2d(nn.Module):
    """:class:`SameConv2d` without a padded copy of the picture, wherever that can be had.

    A picture of even size is padded by one pixel more behind than before. As much before, and a kernel that begins with
    a row and a column of zeros, come to the same.
    """

    def __init__(self, like: SameConv2d, activation: Activation) -> None:
        super().__init__()
        self.padded_size = like.padded
        self.any_size = PackedConv2d(like, like.weight, (0, 0), activation)
        height, width = like.kernel_size
        self.even_size = None
        if like.stride == (2, 2) and height % 2 == width % 2 == 1:
            self.even_size = PackedConv2d(
                like, F.pad(like.weight.detach(), (1, 0, 1, 0)), ((height - 1) // 2, (width - 1) // 2), activation
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.even_size is not None and x.shape[2] % 2 == x.shape[3] % 2 == 0:
            made: Tensor = self.even_size(x)
        else:
            made = self.any_size(self.padded_size(x))
        return made
