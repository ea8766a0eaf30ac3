"""Replace convolutions and linear layers by oneDNN calls with reordered weights and fused activations, for CPUs.

This is what ``torch.compile`` does when it freezes a network for a CPU, without the compiler, which few users have. A
linear layer in fp32 takes less than half the time with AVX-512, and 10 % less with AVX2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.inference.layouts import NO_ACTIVATION, Activation, LayoutCache
from vidcolor.inference.quantized import quantize, quantize_join
from vidcolor.networks.efficientnet_lite import SameConv2d
from vidcolor.networks.layers import DecoderBlock

PackLayer = Callable[[nn.Module, Activation], nn.Module | None]
"""Takes a layer and the activation after it; returns one packed layer, or None for a layer that is not packed."""


def pack(module: nn.Module, *, int8: bool = False) -> nn.Module:
    """Replace the convolutions and linear layers of a network by packed ones, each with the activation after it.

    The network stays as it is where this build of torch has no oneDNN, or where oneDNN does not support bf16 on this
    processor and the network is in bf16.

    Args:
        module: a network on the CPU, in eval mode, with folded batch norm, in its final data type; it is modified.
        int8: whether to compute large layers in int8 (:mod:`vidcolor.inference.quantized`); for networks in fp32.

    Returns:
        The same network, or a new sequence if it is an ``nn.Sequential``.
    """
    if not torch.backends.mkldnn.is_available():
        return module
    in_bf16 = any(parameter.dtype == torch.bfloat16 for parameter in module.parameters())
    if in_bf16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return module
    if int8:
        _quantize_joins(module)
    pack_layer = _quantize_or_pack if int8 else _pack_layer
    if isinstance(module, nn.Sequential):
        return _pack_sequence(module, pack_layer)
    _pack_children(module, pack_layer)
    return module


def _pack_children(module: nn.Module, pack_layer: PackLayer) -> None:
    """Replace the layers below ``module`` in place."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            setattr(module, name, _pack_sequence(child, pack_layer))
        elif (packed := pack_layer(child, NO_ACTIVATION)) is not None:
            setattr(module, name, packed)
        else:
            _pack_children(child, pack_layer)


def _pack_sequence(sequence: nn.Sequential, pack_layer: PackLayer) -> nn.Sequential:
    """Return a new sequence in which layers are packed together with the activations that follow them."""
    layers: list[nn.Module] = []
    rest = list(sequence)
    while rest:
        layer = rest.pop(0)
        activation = _activation(rest[0]) if rest else None
        packed = pack_layer(layer, activation or NO_ACTIVATION)
        if packed is not None:
            layers.append(packed)
            del rest[: activation is not None]
        elif isinstance(layer, nn.Sequential):
            layers.append(_pack_sequence(layer, pack_layer))
        else:
            _pack_children(layer, pack_layer)
            layers.append(layer)
    return nn.Sequential(*layers)


def _activation(layer: nn.Module) -> Activation | None:
    """Return what oneDNN calls an activation, or None for any other layer."""
    if isinstance(layer, nn.GELU):
        return "gelu", [], layer.approximate
    known: dict[type[nn.Module], Activation] = {nn.ReLU: ("relu", [], ""), nn.ReLU6: ("hardtanh", [0.0, 6.0], "")}
    return known.get(type(layer))


def _quantize_joins(module: nn.Module) -> None:
    """Replace the first convolution of every decoder block, which takes several maps, by an int8 one in place."""
    for block in module.modules():
        if isinstance(block, DecoderBlock) and (join := quantize_join(block.join, block.join_inputs)) is not None:
            block.concatenate, block.join = nn.Identity(), join


def _quantize_or_pack(layer: nn.Module, activation: Activation) -> nn.Module | None:
    return quantize(layer, activation) or _pack_layer(layer, activation)


def _pack_layer(layer: nn.Module, activation: Activation) -> nn.Module | None:
    """Pack a convolution or a linear layer; return None for any other layer."""
    if isinstance(layer, SameConv2d):
        return PackedSameConv2d(layer, activation)
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return PackedConv2d(layer, layer.weight, layer.padding, activation)
    if isinstance(layer, nn.Linear):
        return PackedLinear(layer, activation)
    return None


class PackedConv2d(nn.Module):
    """A convolution with a fused activation.

    Args:
        like: gives stride, dilation, groups and bias.
        weight: (outputs, inputs / groups, height, width); replaces that of ``like``.
        padding: zeros above and below, and left and right; replaces that of ``like``.
        activation: is applied to the result.
    """

    def __init__(self, like: nn.Conv2d, weight: Tensor, padding: Sequence[int], activation: Activation) -> None:
        super().__init__()
        self.padding, self.stride, self.dilation, self.groups = padding, like.stride, like.dilation, like.groups
        self.activation = activation
        self.weight, self.bias = weight.detach(), like.bias
        self._layouts = LayoutCache(self._reorder)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x.contiguous(memory_format=torch.channels_last),
            self._layouts.get(x.shape[1:]),
            self.bias,
            self.padding,
            self.stride,
            self.dilation,
            self.groups,
            *self.activation,
        )
        return result

    def _reorder(self, size: torch.Size) -> Tensor:
        """Return the weights in the layout for one picture of ``size``, (C, H, W)."""
        reordered: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            self.weight, self.padding, self.stride, self.dilation, self.groups, [1, *size]
        )
        return reordered


class PackedLinear(nn.Module):
    """A linear layer with a fused activation, with the parameters of ``like``."""

    def __init__(self, like: nn.Linear, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.weight, self.bias = like.weight.detach(), like.bias
        self._layouts = LayoutCache(lambda size: torch.ops.mkldnn._reorder_linear_weight(self.weight, size[0]))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to (N, positions, channels)."""
        weight = self._layouts.get(x.shape[1:])
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, self.bias, *self.activation)
        return result


class PackedSameConv2d(nn.Module):
    """:class:`SameConv2d` with a fused activation, without a padded copy of the picture where possible.

    With stride 2 and even size, SAME pads one pixel more at the end than at the start. Symmetric padding gives the same
    result if the kernel is extended by a row and a column of zeros at its start.
    """

    def __init__(self, like: SameConv2d, activation: Activation) -> None:
        super().__init__()
        self.pad = like.pad
        self.any_size = PackedConv2d(like, like.weight, (0, 0), activation)
        height, width = like.kernel_size
        self.even_size = None
        if like.stride == (2, 2) and height % 2 == width % 2 == 1:
            self.even_size = PackedConv2d(
                like, F.pad(like.weight.detach(), (1, 0, 1, 0)), ((height - 1) // 2, (width - 1) // 2), activation
            )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        if self.even_size is not None and x.shape[2] % 2 == x.shape[3] % 2 == 0:
            result: Tensor = self.even_size(x)
        else:
            result = self.any_size(self.pad(x))
        return result
