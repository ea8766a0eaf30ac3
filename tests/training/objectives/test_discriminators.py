"""Discriminators: what a logit sees, what they are made of, and what their condition does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vidcolor_training.objectives.discriminators import DISCRIMINATORS, PatchGAN


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_receptive_field(layers: int, field: int) -> None:
    """One logit in the middle depends on exactly so many pixels: 70 × 70 with three strided layers."""
    torch.manual_seed(0)
    network = PatchGAN(channels=4, layers=layers, spectral_norm=False)
    grey, ab = torch.rand(1, 1, 160, 160), torch.zeros(1, 2, 160, 160, requires_grad=True)
    logits, _ = network(grey, ab)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], ab)
    rows, columns = gradient[0].abs().sum(dim=0).nonzero(as_tuple=True)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (field, field)


def test_shapes_of_logits_and_maps() -> None:
    """Channels double up to eightfold, sizes halve; the logits are what the docstring says."""
    network = DISCRIMINATORS["patchgan"](channels=4, layers=5, norm="batch")
    logits, maps = network(torch.rand(2, 1, 128, 128), torch.rand(2, 2, 128, 128))
    assert logits.shape == (2, 1, 128 // 32 - 2, 2)
    assert [m.shape[1:] for m in maps] == [(4, 64, 64), (8, 32, 32), (16, 16, 16), (32, 8, 8), (32, 4, 4), (32, 3, 3)]


def test_published_size() -> None:
    """The PatchGAN of the paper, with batch norms: 2.77 million parameters with a picture of three channels."""
    with torch.device("meta"):
        network = PatchGAN(channels=64, layers=3, norm="batch", spectral_norm=False)
    convolutions = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d))
    assert convolutions == 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 3
    assert sum(p.numel() for p in network.parameters()) == convolutions + 2 * (128 + 256 + 512) + 64 + 1


def test_spectral_norm_bounds_every_convolution() -> None:
    """With it, after some passes, the largest singular value of each weight is 1."""
    torch.manual_seed(0)
    network = PatchGAN(channels=4, layers=2)
    for _ in range(30):
        network(torch.rand(1, 1, 32, 32), torch.rand(1, 2, 32, 32))
    network.eval()
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(weights) == 4
    for weight in weights:
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("changed", range(5))
def test_every_map_of_a_condition_counts(changed: int) -> None:
    """Another value in any of the encoder's maps, whatever its size, is another answer."""
    torch.manual_seed(0)
    network = PatchGAN(channels=4, layers=3, condition_channels=(2, 3, 4, 5, 6)).eval()
    picture = torch.rand(1, 1, 64, 64), torch.rand(1, 2, 64, 64)
    condition = [torch.rand(1, channels, 64 >> i, 64 >> i) for i, channels in enumerate((2, 3, 4, 5, 6))]
    before, maps = network(*picture, condition)
    condition[changed] = condition[changed] + 1
    after, _ = network(*picture, condition)
    assert before.shape == (1, 1, 6, 6)
    assert [m.shape[1] for m in maps] == [4, 8, 16, 32]
    assert not torch.allclose(before, after)


def test_what_makes_no_discriminator() -> None:
    """An unknown norm and too few maps are refused."""
    with pytest.raises(ValueError, match="expected the norm none or batch, got 'instance'"):
        PatchGAN(norm="instance")
    with pytest.raises(ValueError, match="expected at least 3 maps of a condition, got 2"):
        PatchGAN(layers=3, condition_channels=(8, 8))
