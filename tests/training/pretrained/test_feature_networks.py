"""Feature networks have torchvision's layers, and take R'G'B' as they take grey."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from vidcolor.errors import OptionError
from vidcolor.networks.efficientnet_lite import EfficientNetLite
from vidcolor.networks.encoders import ENCODERS, IMAGENET_MEAN, IMAGENET_STD
from vidcolor_training.pretrained.feature_networks import FEATURE_NETWORKS, build_features


def torchvision_features(name: str) -> nn.Sequential:
    """The stack of convolutions of torchvision's class; without its large classifier, which takes seconds to make."""
    if name == "alexnet":
        with torch.device("meta"):
            features: nn.Sequential = torchvision.models.alexnet(weights=None).features
        return features.to_empty(device="cpu")
    stack: nn.Sequential = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    return stack


def tapped(features: nn.Sequential, rgb: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
    """The maps after the layers ``taps`` of a normalized picture."""
    transform = torchvision.transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
    return [features[: tap + 1](transform(rgb)) for tap in taps]


@pytest.mark.parametrize(
    ("name", "taps", "channels"),
    [("vgg16", (3, 8, 15, 22), (64, 128, 256, 512)), ("alexnet", (1, 4, 7, 9, 11), (64, 192, 384, 256, 256))],
)
def test_the_maps_are_torchvisions(name: str, taps: tuple[int, ...], channels: tuple[int, ...]) -> None:
    """With torchvision's parameters under torchvision's names the maps are those of its layers."""
    torch.manual_seed(0)
    published = torchvision_features(name)
    with torch.no_grad():
        for parameter in published.parameters():
            parameter.normal_(std=0.05)
    network = build_features(name)
    state = {f"features.{key}": value for key, value in published.state_dict().items()}
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    rgb = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        maps, expected = network(rgb), tapped(published, rgb, taps)
    assert tuple(m.shape[1] for m in maps) == channels
    for ours, theirs in zip(maps, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_grey_is_three_equal_channels(name: str) -> None:
    """An encoder answers a grey picture and the same as R'G'B' bit for bit alike, and color otherwise."""
    torch.manual_seed(0)
    network, grey = build_features(name), torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        one, three, color = network(grey), network(grey.repeat(1, 3, 1, 1)), network(torch.rand(1, 3, 64, 64))
    assert len(one) == 5
    for a, b, c in zip(one, three, color, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


@pytest.mark.parametrize("name", sorted(FEATURE_NETWORKS))
def test_features_are_frozen_and_pass_gradients(name: str) -> None:
    """Parameters stay, the picture learns."""
    network = build_features(name)
    rgb = torch.rand(1, 3, 64, 64, requires_grad=True)
    sum(m.square().mean() for m in network(rgb)).backward()
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    assert rgb.grad is not None
    assert rgb.grad.abs().max() > 0


@pytest.mark.parametrize(("number", "parameters"), [(0, 4_652_008), (1, 5_416_680), (2, 6_092_072)])
def test_efficientnet_lite_has_the_published_size(number: int, parameters: int) -> None:
    """With the head (a 1×1 convolution to 1280, its batch norm, 1000 classes): 4.7, 5.4 and 6.1 million parameters."""
    with torch.device("meta"):
        network = EfficientNetLite(f"efficientnet_lite{number}")
    head = 1280 * network.channels[-1] + 2 * 1280 + 1000 * (1280 + 1)
    assert sum(p.numel() for p in network.parameters()) + head == parameters


def test_an_unknown_network() -> None:
    """One line names what there is."""
    with pytest.raises(OptionError, match=r"unknown feature network 'vgg11'; there are: alexnet, .*vgg16"):
        build_features("vgg11")
