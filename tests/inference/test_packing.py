"""Packed networks predict what they predicted before."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vidcolor.inference.folding import fold_batch_norm
from vidcolor.inference.layouts import LayoutCache
from vidcolor.inference.packing import PackedConv2d, PackedLinear, PackedSameConv2d, pack
from vidcolor.networks import NETWORKS, build
from vidcolor.networks.efficientnet_lite import SameConv2d

QUICK = {"autoencoder", "multiscale_unet", "pretrained_unet", "residual"}
"""Networks that are small or the default; the others are tested with ``-m slow``."""
pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN")


def same(ours: Tensor, theirs: Tensor) -> bool:
    """Return whether two results are equal except for rounding."""
    return torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in sorted(NETWORKS)]
)
def test_every_network_predicts_as_before(name):
    torch.manual_seed(1)
    network = fold_batch_norm(build(name, {}).eval()).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)  # biases and last layers begin at zero
        short, long = max(64, network.multiple), max(64, network.multiple) + network.multiple
        pictures = [torch.rand(2, 1, short, long), torch.rand(1, 1, long, short)]
        before = [network(grey) for grey in pictures]
        packed = pack(network)
        after = [packed(grey) for grey in pictures]
    assert any(isinstance(layer, PackedConv2d) for layer in packed.modules())
    assert not any(type(layer) in (nn.Conv2d, nn.Linear) for layer in packed.modules())
    assert all(same(ours, theirs) for ours, theirs in zip(after, before, strict=True))
    assert all(float(theirs.std()) > 0 for theirs in before)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(16, 24), (15, 24), (16, 23), (7, 9)])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_without_a_copy(kernel, size, stride):
    layer = SameConv2d(6, 6, kernel, stride=stride, groups=6).eval()
    packed = pack(nn.Sequential(layer, nn.ReLU6()))
    assert [type(part) for part in packed] == [PackedSameConv2d]
    x = 5 * torch.randn(1, 6, *size)
    with torch.inference_mode():
        assert same(packed(x), nn.functional.relu6(layer(x)))


def test_activation_is_part_of_the_convolution_before_it_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Sigmoid(), nn.ReLU6(), nn.Conv2d(4, 2, 1), nn.Tanh())
    x = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        expected = network(x)
        packed = pack(network)
        assert [type(part) for part in packed] == [PackedConv2d, nn.Sigmoid, nn.ReLU6, PackedConv2d, nn.Tanh]
        assert same(packed(x), expected)


def test_weights_are_laid_out_for_few_sizes_at_once():
    """The layouts of the last two sizes are kept, those of earlier sizes made again."""
    made = []

    def reorder(size: torch.Size) -> Tensor:
        made.append(size[-1])
        return torch.zeros(1)

    layouts = LayoutCache(reorder)
    for width in (8, 9, 8, 9, 10, 9, 10, 8):
        layouts.get(torch.Size((3, 8, width)))
    assert made == [8, 9, 10, 8]


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers_and_their_activation(approximate, bias):
    network = nn.Sequential(nn.Linear(24, 40, bias=bias), nn.GELU(approximate), nn.Linear(40, 8, bias=bias))
    x = torch.randn(2, 15, 24)
    with torch.inference_mode():
        expected = network(x)
        packed = pack(network)
        assert [type(part) for part in packed] == [PackedLinear, PackedLinear]
        assert same(packed(x), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["convolution", "linear"])
def test_the_first_batch_decides_nothing(dtype, kind):
    """Results do not depend on the size of the first batch, because resumed films start with other batches."""
    if dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN has nothing for bf16 on this processor, and nothing is packed")
    torch.manual_seed(1)
    layer = nn.Conv2d(48, 96, 3, padding=1) if kind == "convolution" else nn.Linear(48, 96)
    after_one, after_four = (pack(nn.Sequential(layer.to(dtype))) for _ in range(2))
    x = torch.randn(4, 48, 16, 24, dtype=dtype) if kind == "convolution" else torch.randn(4, 384, 48, dtype=dtype)
    with torch.inference_mode():
        after_one(x[:1]), after_four(x)
        assert torch.equal(after_one(x), after_four(x))
        assert torch.equal(after_one(x[1:2]), after_four(x[1:2]))
