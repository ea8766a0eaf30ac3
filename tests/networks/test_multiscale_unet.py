"""The multiscale U-Net: shapes, hints, sizes, folding."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.support.samples import small_generator
from vidcolor.inference.folding import fold_batch_norm
from vidcolor.networks import NETWORKS, build
from vidcolor.networks.efficientnet_lite import scaled_stages
from vidcolor.networks.encoders import ENCODERS
from vidcolor.networks.multiscale_unet import MultiscaleUNet


@pytest.fixture(scope="module")
def generator() -> MultiscaleUNet:
    """A small network with random parameters whose output is not constant."""
    network = small_generator()
    with torch.no_grad():  # batch norms that are not the identity, so that folding has something to fold
        network.train()(torch.rand(4, 1, 64, 64))
    return network.eval()


def test_default_generator_fits_the_budget() -> None:
    """At most 20 million parameters, so that fp16 weights stay under 40 MB."""
    with torch.device("meta"):
        assert sum(p.numel() for p in build("multiscale_unet", {}).parameters()) <= 20_000_000


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_every_encoder_gives_five_strides(encoder: str) -> None:
    """An encoder returns maps at strides 2 to 32 with its ``channels``."""
    network = ENCODERS[encoder]().eval()
    with torch.inference_mode():
        maps = network(torch.rand(1, 1, 64, 96))
    expected = [(1, c, 64 >> i, 96 >> i) for i, c in enumerate(network.channels, start=1)]
    assert [tuple(m.shape) for m in maps] == expected


def test_lite2_has_the_published_shape() -> None:
    """Width 1.1 and depth 1.2 round to the channels and repeats of the published checkpoint."""
    stages = scaled_stages("efficientnet_lite2")
    assert [s.channels for s in stages] == [16, 24, 48, 88, 120, 208, 352]
    assert [s.repeats for s in stages] == [1, 3, 3, 4, 4, 5, 1]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (160, 32)])
def test_any_multiple_of_32_will_do(generator: MultiscaleUNet, height: int, width: int) -> None:
    """The ab planes have the size of the input, in Lab units within the scale."""
    with torch.inference_mode():
        ab = generator(torch.rand(2, 1, height, width))
    assert ab.shape == (2, 2, height, width)
    assert ab.abs().max() <= 110


def test_hints_of_no_confidence_are_no_hints(generator: MultiscaleUNet) -> None:
    """A hint map of zeros equals none; a confident one changes the color."""
    grey = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        plain = generator(grey)
        assert torch.equal(generator(grey, torch.zeros(1, 3, 64, 64)), plain)
        assert not torch.allclose(generator(grey, torch.ones(1, 3, 64, 64)), plain)


def test_folding_changes_nothing(generator: MultiscaleUNet) -> None:
    """With batch norms folded into the convolutions the colors stay the same, up to rounding."""
    folded = fold_batch_norm(copy.deepcopy(generator))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    grey = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(folded(grey), generator(grey), atol=1e-2, rtol=1e-3)


def test_config_rebuilds_the_network(generator: MultiscaleUNet) -> None:
    """The configuration of a network builds an equal one."""
    again = NETWORKS["multiscale_unet"](**generator.config)
    again.load_state_dict(generator.state_dict(), strict=True)
