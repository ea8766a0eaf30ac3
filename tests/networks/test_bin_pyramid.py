"""The bin pyramid: levels of logits that add up, and the decision between colors."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.networks.test_networks import CASES
from vidcolor.networks import build
from vidcolor.networks.bin_pyramid import BinPyramid
from vidcolor.networks.color_bins import annealed_mean, bins, class_weights


def small(**changes: float) -> BinPyramid:
    """A small network in eval mode with random parameters."""
    torch.manual_seed(0)
    name, config = CASES["bin_pyramid"]
    network = build(name, {**config, **changes})
    assert isinstance(network, BinPyramid)
    for layer in network.to_logits:
        assert isinstance(layer, nn.Conv2d)
        nn.init.normal_(layer.weight, std=0.1)
    with torch.no_grad():
        network.train()(torch.rand(4, 1, 64, 64))
    return network.eval()


def test_untrained_predicts_the_prior() -> None:
    """Before training every pixel has the frequencies of the training pictures."""
    name, config = CASES["bin_pyramid"]
    network = build(name, config).eval()
    assert isinstance(network, BinPyramid)
    torch.manual_seed(1)
    prior = torch.rand(len(bins()))
    prior /= prior.sum()
    network.set_prior(prior)
    with torch.inference_mode():
        logits = network.predict(torch.rand(1, 1, 64, 64)).logits
    assert logits is not None
    torch.testing.assert_close(logits.softmax(dim=1), prior[:, None, None].expand(1, -1, 16, 16))


@pytest.mark.parametrize("finest", BinPyramid.strides)
def test_levels_of_logits_add_up(finest: int) -> None:
    """The logits have the stride ``finest``; without finer layers they are those of the coarser level, upsampled."""
    network = small(finest=finest)
    grey = torch.rand(2, 1, 64, 96)
    with torch.inference_mode():
        logits = network.predict(grey).logits
        for layer in network.to_logits[1:]:
            layer.weight.zero_()  # type: ignore[operator, union-attr]
        alone = network.predict(grey).logits
        network.finest = 16
        coarse = network.predict(grey).logits
    assert logits is not None
    assert alone is not None
    assert coarse is not None
    assert logits.shape == (2, len(bins()), 64 // finest, 96 // finest)
    enlarged = coarse
    while enlarged.shape[-1] < alone.shape[-1]:
        enlarged = F.interpolate(enlarged, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(alone, enlarged)
    assert finest == 16 or not torch.allclose(logits, alone, atol=0.01)


def test_decides_by_weights_and_temperature() -> None:
    """Ab is the annealed mean of the distribution times the weights of its bins; 1 and 1 give the plain mean."""
    grey = torch.rand(1, 1, 64, 64)
    prior = torch.linspace(1, 100, len(bins()))
    prior /= prior.sum()
    found = {}
    for lambda_, temperature in ((1.0, 1.0), (0.5, 0.3)):
        network = small(lambda_=lambda_, temperature=temperature)
        network.prior.copy_(prior)
        with torch.inference_mode():
            prediction = network.predict(grey)
        assert prediction.logits is not None
        weighted = prediction.logits + class_weights(prior, lambda_).log()[:, None, None]
        expected = annealed_mean(weighted, temperature)
        torch.testing.assert_close(prediction.ab, expected)
        found[lambda_] = prediction
    mean = torch.einsum("nqhw,qc->nchw", found[1.0].logits.softmax(dim=1), bins())  # type: ignore[union-attr]
    torch.testing.assert_close(found[1.0].ab, mean, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(found[0.5].ab, mean, atol=1)
