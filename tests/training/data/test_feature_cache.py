"""Features of a frozen encoder, kept on disk."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vidcolor.networks import ColorNetwork
from vidcolor_training.data.feature_cache import FeatureCache, frozen_encode
from vidcolor_training.data.pictures import PictureSet, load_pictures

CPU = torch.device("cpu")


class TwoMaps(ColorNetwork):
    """An encoder of two maps, with batch norm, that counts how often it is asked."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__({})
        torch.manual_seed(seed)
        self.encoder = nn.Sequential(nn.Conv2d(1, 5, 8, stride=8), nn.BatchNorm2d(5))
        self.head = nn.Linear(2, 2)
        self.asked: list[int] = []

    def encode(self, grey: Tensor) -> list[Tensor]:
        """Maps at strides 8 and 16."""
        self.asked.append(len(grey))
        assert self.encoder is not None
        fine = self.encoder(grey)
        return [fine, nn.functional.avg_pool2d(fine, 2)]


class NoEncoder(ColorNetwork):
    """A network that has none."""


@pytest.fixture
def pictures(photographs: Path, tmp_path: Path) -> PictureSet:
    """Four pictures of 64 × 64."""
    return load_pictures([photographs], size=64, cache=tmp_path / "cache")


def test_features_are_those_of_the_encoder_in_use(pictures: PictureSet) -> None:
    """Every map of every picture, whatever mode the network is in, and the mode and its statistics stay."""
    network = TwoMaps().train()
    statistics = network.encoder[1].running_mean.clone()  # type: ignore[index, union-attr]
    cache = FeatureCache(network, pictures, device=CPU, autocast=nullcontext)
    assert network.encoder is not None
    assert network.encoder.training
    assert torch.equal(network.encoder[1].running_mean, statistics)  # type: ignore[index]
    assert cache.strides == [8, 16]
    assert cache.dtype == torch.float32
    with torch.inference_mode():
        expected = network.eval().encode(torch.from_numpy(pictures.grey[:, None] / np.float32(255)))
    for found, m in zip(cache.maps, expected, strict=True):
        assert found.dtype == np.float16
        torch.testing.assert_close(
            torch.from_numpy(np.array(found)).permute(0, 3, 1, 2).float(), m, rtol=1e-3, atol=1e-3
        )
    assert cache.nbytes == sum(m.numel() * 2 for m in expected)


def test_a_frozen_encoder_is_that_of_the_network_in_use(pictures: PictureSet) -> None:
    """Its maps in eval mode, without gradient; the network's own mode, statistics and layers stay."""
    network = TwoMaps().train()
    assert isinstance(network.encoder, nn.Sequential)
    network.encoder(torch.rand(2, 1, 64, 64))  # statistics that are not those of the beginning
    grey = torch.from_numpy(pictures.grey[:, None] / np.float32(255))
    found = frozen_encode(network)(grey)
    assert network.training
    assert [type(layer) for layer in network.encoder] == [nn.Conv2d, nn.BatchNorm2d]
    for m, expected in zip(found, network.eval().encode(grey), strict=True):
        assert not m.requires_grad
        torch.testing.assert_close(m, expected)


def test_features_are_computed_once(pictures: PictureSet) -> None:
    """A second network with the same encoder finds them whatever its head; another encoder does not."""
    FeatureCache(TwoMaps(), pictures, device=CPU, autocast=nullcontext)
    same = TwoMaps()
    nn.init.zeros_(same.head.weight)
    FeatureCache(same, pictures, device=CPU, autocast=nullcontext)
    assert len(same.asked) == 1  # one picture, for the shapes of the maps
    other = TwoMaps(seed=1)
    FeatureCache(other, pictures, device=CPU, autocast=nullcontext)
    assert len(other.asked) > 1


def test_an_interrupted_cache_is_made_again(pictures: PictureSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stopped run left behind is not taken for the whole."""
    network = TwoMaps()
    with monkeypatch.context() as patch:

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(Path, "touch", stop)
        with pytest.raises(KeyboardInterrupt):
            FeatureCache(network, pictures, device=CPU, autocast=nullcontext)
    asked = len(network.asked)
    FeatureCache(network, pictures, device=CPU, autocast=nullcontext)
    assert len(network.asked) == 2 * asked


def test_the_dtype_is_that_of_autocast(pictures: PictureSet) -> None:
    """Features are to be handed to the network in what it computes in."""
    cache = FeatureCache(TwoMaps(), pictures, device=CPU, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    assert cache.dtype == torch.bfloat16
    disabled = FeatureCache(
        TwoMaps(), pictures, device=CPU, autocast=lambda: torch.autocast("cpu", torch.bfloat16, enabled=False)
    )
    assert disabled.dtype == torch.float32


def test_a_network_without_an_encoder(pictures: PictureSet) -> None:
    """There is nothing to keep, and it says so."""
    with pytest.raises(NotImplementedError, match="NoEncoder has no encoder"):
        FeatureCache(NoEncoder({}), pictures, device=CPU, autocast=nullcontext)
