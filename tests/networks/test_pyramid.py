"""The pyramid generator: levels that add up, and hints by confidence."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests.networks.test_networks import CASES
from vidcolor.networks import build
from vidcolor.networks.lab import AB_SCALE
from vidcolor.networks.pyramid import Pyramid, known_colors
from vidcolor_training.recipes.toml import load_recipe
from vidcolor_training.state import State


def small(finest: int = 2) -> Pyramid:
    """A small network in eval mode with random parameters whose output is not constant."""
    torch.manual_seed(0)
    name, config = CASES["pyramid"]
    network = build(name, {**config, "finest": finest})
    assert isinstance(network, Pyramid)
    with torch.no_grad():
        for to_ab in network.to_ab:
            to_ab.weight.normal_(std=0.2)  # type: ignore[operator, union-attr]
        network.train()(torch.rand(4, 1, 64, 64))
    return network.eval()


def test_default_fits_the_budget() -> None:
    """At most 20 million parameters, so that fp16 weights stay under 40 MB."""
    with torch.device("meta"):
        assert sum(p.numel() for p in build("pyramid", {}).parameters()) <= 20_000_000


@pytest.mark.parametrize("finest", Pyramid.strides)
def test_predicts_at_every_stride(finest: int) -> None:
    """The prediction has the stride ``finest``, and ``forward`` full size."""
    network = small(finest)
    grey = torch.rand(2, 1, 64, 96)
    with torch.inference_mode():
        assert network.predict(grey).ab.shape == (2, 2, 64 // finest, 96 // finest)
        assert network(grey).shape == (2, 2, 64, 96)
    assert network.config["finest"] == finest


def test_finer_levels_add_to_coarser_ones() -> None:
    """If finer levels predict zero, the fine prediction is the coarse one, upsampled."""
    network = small()
    with torch.no_grad():
        for to_ab in network.to_ab[1:]:
            to_ab.weight.zero_()  # type: ignore[operator, union-attr]
    grey = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        fine = network.predict(grey).ab
        network.finest = 16
        coarse = network.predict(grey).ab
    assert coarse.abs().max() > 1
    enlarged = (coarse / AB_SCALE).atanh()
    for _ in range(3):
        enlarged = F.interpolate(enlarged, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(fine, enlarged.tanh() * AB_SCALE, atol=0.05, rtol=1e-3)


def test_refuses_other_strides() -> None:
    """Another stride raises ValueError, with the possible ones."""
    with pytest.raises(ValueError, match=r"predicts at strides \(16, 8, 4, 2\), not at 3"):
        small().finest = 3


@pytest.mark.parametrize(("stage", "expected"), [("coarse", 16), ("fine", 4)])
def test_a_stage_that_names_no_stride_has_the_recipes(stage: str, expected: int) -> None:
    """The finest level of a stage is its own, else that of the recipe's network."""
    recipe = load_recipe("default").starting_at(stage)
    state = State.of(small(), None)
    state.begin_stage(recipe.stages[0], recipe)
    assert state.generator.finest == state.ema.finest == expected


def test_known_colors_are_means_of_what_is_known() -> None:
    """Cells with a known part give nearly its color, however small it is; cells without any give 0."""
    cells = torch.tensor([[0.3, -0.2, 1.0], [0.03, -0.02, 0.1], [0.0, 0.0, 0.0]]).T[None, :, None]
    known = known_colors(cells)[0, :, 0].T
    torch.testing.assert_close(known[0], torch.tensor([0.3, -0.2, 1.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(known[1], torch.tensor([0.3, -0.2, 1.0]), atol=0.1, rtol=0)
    assert not known[2].any()


def test_hints_of_no_confidence_are_no_hints() -> None:
    """A hint map of zeros equals none; a confident one changes the color."""
    network, grey = small(), torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        plain = network(grey)
        assert torch.equal(network(grey, torch.zeros(1, 3, 64, 64)), plain)
        assert not torch.allclose(network(grey, torch.ones(1, 3, 64, 64)), plain)
