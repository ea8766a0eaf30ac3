"""int8 layers are as exact as quantization allows and independent of the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.inference.folding import fold_batch_norm
from vidcolor.inference.layouts import NO_ACTIVATION, Activation
from vidcolor.inference.packing import PackedConv2d, PackedLinear, pack
from vidcolor.inference.quantized import Int8Conv2d, Int8Join, Int8Linear, max_weight, quantize
from vidcolor.networks.layers import DecoderBlock

RELU: Activation = ("relu", [], "")


def has_int8() -> bool:
    """Return whether torch has int8 layers for this processor."""
    try:
        return max_weight() > 0
    except (RuntimeError, AttributeError):
        return False


pytestmark = pytest.mark.skipif(not has_int8(), reason="this build of torch has no layers in 8-bit integers")


def conv(inputs: int = 40, outputs: int = 48, **keywords: object) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, **{"padding": 1, **keywords}).to(memory_format=torch.channels_last)


def values(*shape: int, least: float) -> Tensor:
    """Return random values from ``least`` to 5, none of them halfway between two levels."""
    scale = (5 - min(least, 0)) / 255
    first = round(least / scale)
    levels = torch.randint(first, first + round((5 - least) / scale) + 1, shape).float()
    levels.view(-1)[:2] = torch.tensor([first, first + round((5 - least) / scale)])
    inside = torch.empty(shape).uniform_(-0.4, 0.4)
    inside.view(-1)[:2] = 0
    return (levels + inside) * scale


def picture(n: int = 1, channels: int = 40, least: float = -3.0) -> Tensor:
    return values(n, channels, 12, 18, least=least).contiguous(memory_format=torch.channels_last)


def rounded(x: Tensor) -> Tensor:
    """Round values to 256 levels from their minimum to their maximum, with 0 among them."""
    least, greatest = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    scale = (greatest - least) / 255
    zero = round(-least / scale)
    return ((x / scale).round() + zero).clamp(0, 255).sub(zero).mul(scale)


def rounded_weights(weight: Tensor) -> Tensor:
    """Round weights to the levels of each output channel."""
    rows = weight.detach().flatten(1)
    scales = rows.abs().amax(1, keepdim=True) / max_weight()
    return ((rows / scales).round() * scales).view(weight.shape)


@pytest.mark.parametrize("least", [-3.0, 0.0, 1.0])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("keywords", [{}, {"padding": 0}, {"stride": 2}, {"dilation": 2, "padding": 2}])
def test_a_convolution_loses_what_rounding_loses(least: float, bias: bool, keywords: dict[str, object]) -> None:
    """A convolution loses only what rounding its input and weights loses, also at the padded border."""
    torch.manual_seed(1)
    layer = conv(bias=bias, **keywords)
    x = picture(least=least)
    with torch.inference_mode():
        expected = F.conv2d(
            rounded(x), rounded_weights(layer.weight), layer.bias, layer.stride, layer.padding, layer.dilation
        )
        found = Int8Conv2d(layer, RELU)(x)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected.relu(), atol=1e-4 * float(expected.abs().max()))
    assert float(found.std()) > 0


@pytest.mark.parametrize("least", [-3.0, 0.0])
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_loses_what_rounding_loses(least: float, bias: bool) -> None:
    """A linear layer with GELU loses only what rounding its input and weights loses."""
    torch.manual_seed(1)
    layer = nn.Linear(48, 96, bias=bias)
    x = values(1, 20, 48, least=least)
    with torch.inference_mode():
        expected = F.gelu(F.linear(rounded(x), rounded_weights(layer.weight), layer.bias))
        found = Int8Linear(layer, ("gelu", [], "none"))(x)
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("inputs", [(40, 24, 8), (72,)])
def test_a_join_of_maps_of_very_different_ranges(inputs: tuple[int, ...], bias: bool) -> None:
    """Each of several maps is rounded within its own range."""
    torch.manual_seed(1)
    layer = conv(sum(inputs), bias=bias)
    with torch.inference_mode():
        maps = [values(2, channels, 12, 18, least=-3.0) * 50**number for number, channels in enumerate(inputs)]
        parts = layer.weight.split(inputs, dim=1)
        sums = [
            torch.cat([F.conv2d(rounded(one), rounded_weights(part), padding=1) for one in each.split(1)])
            for each, part in zip(maps, parts, strict=True)
        ]
        expected = sum(sums) + (0 if layer.bias is None else layer.bias[:, None, None])
        found = Int8Join(layer, inputs, RELU)(maps)
    assert torch.allclose(found, expected.relu(), atol=1e-4 * float(expected.abs().max()))


def test_decoder_blocks_join_in_8_bits() -> None:
    """The join of a decoder block is quantized if it has enough channels."""
    torch.manual_seed(1)
    for outputs, kind in ((48, Int8Join), (16, nn.Sequential)):
        block = fold_batch_norm(DecoderBlock(32, (24, 8), outputs).eval())
        maps = torch.randn(1, 32, 6, 8), [50 * torch.randn(1, 24, 12, 16), torch.randn(1, 8, 12, 16)]
        with torch.inference_mode():
            expected = block(*maps)
            packed = pack(nn.ModuleList([block]), int8=True)[0]
            found = packed(*maps)
        assert isinstance(packed.join, kind)
        assert float((found - expected).abs().max()) < 0.03 * float(expected.abs().max())


def test_the_greatest_sums_do_not_overflow() -> None:
    """The sum of the largest levels and weights is exact."""
    layer = nn.Linear(512, 32)
    with torch.inference_mode():
        layer.weight.fill_(1.0)
        layer.bias.zero_()
        found = Int8Linear(layer, NO_ACTIVATION)(torch.ones(1, 4, 512))
    assert torch.allclose(found, torch.full_like(found, 512.0), rtol=1e-5)


@pytest.mark.parametrize("kind", ["convolution", "linear"])
def test_a_batch_decides_nothing(kind: str) -> None:
    """The result for a picture does not depend on the others in its batch."""
    torch.manual_seed(1)
    layer = Int8Conv2d(conv(), RELU) if kind == "convolution" else Int8Linear(nn.Linear(40, 64), NO_ACTIVATION)
    x = picture(3) if kind == "convolution" else torch.randn(3, 30, 40)
    x[1] *= 100
    with torch.inference_mode():
        together = layer(x)
        alone = torch.cat([layer(one) for one in x.split(1)])
    assert torch.equal(together, alone)


def test_nothing_comes_of_nothing() -> None:
    """Inputs and weights of zeros give the bias."""
    layer = conv()
    with torch.inference_mode():
        layer.weight[0] = 0
        found = Int8Conv2d(layer, NO_ACTIVATION)(torch.zeros(1, 40, 8, 8))
        assert layer.bias is not None
        assert torch.allclose(found, layer.bias[:, None, None].expand_as(found[0])[None])


@pytest.mark.parametrize(
    "layer",
    [
        conv(31, 48),
        conv(48, 31),
        conv(48, 48, groups=48),
        conv(48, 48, padding_mode="reflect"),
        conv(48, 48, padding="same"),
        nn.Conv2d(48, 48, 1),
        nn.Linear(31, 64),
        nn.Linear(64, 31),
        nn.ReLU(),
    ],
)
def test_what_stays_as_it_is(layer: nn.Module) -> None:
    """Small, grouped and unusual layers are not quantized."""
    assert quantize(layer, NO_ACTIVATION) is None


@pytest.mark.parametrize("layer", [conv(32, 32), nn.Linear(32, 32)])
def test_layers_from_32_channels_on_are_quantized(layer: nn.Module) -> None:
    """Layers with the smallest number of channels are quantized, smaller ones are not."""
    assert quantize(layer, NO_ACTIVATION) is not None


def test_a_network_with_both() -> None:
    """Large layers are quantized, the others packed, both with their activations."""
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), conv(32, 64), nn.ReLU(), nn.Conv2d(64, 2, 1)
    ).eval()
    x = torch.rand(1, 1, 16, 24)
    with torch.inference_mode():
        expected = network(x)
        packed = pack(network, int8=True)
        found = packed(x)
    assert [type(layer) for layer in packed] == [PackedConv2d, Int8Conv2d, PackedConv2d]
    assert 0 < float((found - expected).abs().max()) < 0.03 * float(expected.abs().max())
    linear = pack(nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 8)).eval(), int8=True)
    assert [type(layer) for layer in linear] == [Int8Linear, PackedLinear]
