"""The networks: shapes, gradients, hints, files, folding; the bins of ab, HSL, and what the recipes build."""

from __future__ import annotations

import colorsys
import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.samples import SMALL_CONFIG
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.folding import fold_batch_norm
from vidcolor.inference.weights import load_generator, save_generator
from vidcolor.networks import NETWORKS, ColorNetwork, build
from vidcolor.networks.cnn4 import hsl_to_rgb
from vidcolor.networks.color_bins import SOFT_BINS, annealed_mean, bins, nearest_bins, soft_encode
from vidcolor.networks.lab import AB_SCALE, rgb_to_lab
from vidcolor.networks.pretrained_unet import UpsampleBlock
from vidcolor_training.recipes.toml import load_recipe, recipe_names

PYRAMID: dict[str, Any] = {
    "encoder": "efficientnet_lite0",
    "width": 40,
    "attention_layers": [1, 1],
    "decoder_channels": [32, 16, 16, 8],
    "detail_channels": [8, 8, 8, 8, 8],
}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "autoencoder": ("autoencoder", {"filters": 8, "downs": 2}),
    "bin_pyramid": ("bin_pyramid", {**PYRAMID, "decoder_channels": [32, 16, 16]}),
    "cnn4 rgb": ("cnn4", {"space": "rgb"}),
    "cnn4 hsl": ("cnn4", {"space": "hsl", "stride": 2, "filters": 16}),
    "eccv16": ("eccv16", {"filters": 4}),
    "multiscale_unet": ("multiscale_unet", SMALL_CONFIG),
    "pretrained_unet shuffle": ("pretrained_unet", {"decoder_channels": [16, 16, 8, 8, 8]}),
    "pretrained_unet resize": ("pretrained_unet", {"encoder": "efficientnet_lite0", "upsampling": "resize"}),
    "pyramid": ("pyramid", PYRAMID),
    "residual": ("residual", {"filters": 8, "blocks": 2}),
    "residual_unet transposed": ("residual_unet", {"filters": 4, "downs": 3, "upsampling": "transposed"}),
    "residual_unet resize": ("residual_unet", {"filters": 4, "downs": 3, "upsampling": "resize"}),
    "siggraph17": ("siggraph17", {"filters": 4}),
    "siggraph17 classes": ("siggraph17", {"filters": 4, "classification": True}),
    "unet": ("unet", {"downs": 6, "filters": 4}),
}
"""Every network, small."""
FOLD_WHOLLY = {"autoencoder", "residual", "residual_unet"}


def lively(case: str) -> ColorNetwork:
    """A network in eval mode whose batch norms have statistics."""
    torch.manual_seed(0)
    name, config = CASES[case]
    network = build(name, config)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=0.5, std=0.3)  # biases and scales that are not 0 and 1
        elif not parameter.any():
            nn.init.normal_(parameter, std=0.1)  # heads that begin silent
    with torch.no_grad():
        for _ in range(3):
            network.train()(*inputs(network))
    return network.eval()


def inputs(network: ColorNetwork) -> tuple[Tensor, Tensor | None]:
    """Two grey pictures, and hints if the network takes them."""
    height = -(-64 // network.multiple) * network.multiple
    grey = torch.rand(2, 1, height, height + network.multiple)
    hints = torch.rand(2, 3, *grey.shape[-2:]) if network.takes_hints else None
    return grey, hints


@pytest.fixture(scope="module", params=CASES)
def network(request: pytest.FixtureRequest) -> ColorNetwork:
    """Each of the small networks; not to be changed."""
    return lively(request.param)


def test_every_network_is_tried() -> None:
    """No network of the registry is missing above."""
    assert {name for name, _ in CASES.values()} == set(NETWORKS)


def test_prediction(network: ColorNetwork) -> None:
    """The ab planes are finite Lab values at a size that divides the picture's; logits and R'G'B' have their shapes."""
    grey, hints = inputs(network)
    with torch.inference_mode():
        prediction = network.predict(grey, hints)
        whole = network(grey, hints)
    n, channels, h, w = prediction.ab.shape
    stride = grey.shape[-1] // w
    assert (n, channels, h * stride, w * stride) == (2, 2, *grey.shape[-2:])
    assert prediction.ab.dtype == torch.float32
    assert prediction.ab.isfinite().all()
    assert prediction.ab.abs().max() <= AB_SCALE
    assert prediction.ab.std() > 0.1
    assert whole.shape == (2, 2, *grey.shape[-2:])
    if prediction.logits is not None:
        assert prediction.logits.shape == (2, len(bins()), grey.shape[-2] // 4, grey.shape[-1] // 4)
    if prediction.rgb is not None:
        assert prediction.rgb.shape == (2, 3, *grey.shape[-2:])
        assert 0 <= prediction.rgb.min() <= prediction.rgb.max() <= 1


@pytest.mark.slow
def test_gradient_reaches_every_parameter(network: ColorNetwork) -> None:
    """A loss on ab and logits has a gradient for every parameter."""
    network = copy.deepcopy(network).train()
    prediction = network.predict(*inputs(network))
    loss = (prediction.ab / AB_SCALE * torch.randn_like(prediction.ab)).sum()
    if prediction.logits is not None:
        loss = loss + prediction.logits.log_softmax(dim=1)[:, ::7].sum()
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.slow
def test_hints_count_where_they_are_taken(network: ColorNetwork) -> None:
    """Hints of zeros change nothing; confident ones change the color exactly if the network takes hints."""
    grey, _ = inputs(network)
    hints = torch.ones(2, 3, *grey.shape[-2:])
    with torch.inference_mode():
        plain = network(grey)
        assert torch.equal(network(grey, torch.zeros_like(hints)), plain)
        assert torch.equal(network(grey, hints), plain) != network.takes_hints


def test_cached_features_give_the_same(network: ColorNetwork) -> None:
    """Features computed beforehand give the same prediction; a network without an encoder has none."""
    grey, _ = inputs(network)
    if network.encoder is None:
        with pytest.raises(NotImplementedError, match="has no encoder"):
            network.encode(grey)
        return
    with torch.inference_mode():
        assert torch.equal(network.predict(grey, features=network.encode(grey)).ab, network.predict(grey).ab)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_weights_file(case: str, tmp_path: Path) -> None:
    """A network comes back from its file, through the meta device, as it was."""
    network = lively(case)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half())  # as precise as the file keeps it
    path = tmp_path / "weights.safetensors"
    name, _ = CASES[case]
    save_generator(path, network.state_dict(), network=name, config=network.config, recipe="", training={})
    again = load_generator(path)
    grey, _ = inputs(network)
    with torch.inference_mode():
        assert torch.equal(again(grey), network(grey))


@pytest.mark.slow
def test_folding_changes_nothing(network: ColorNetwork) -> None:
    """With batch norms folded into the convolutions before them the colors stay the same."""
    folded = fold_batch_norm(copy.deepcopy(network))
    left = sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    name = next(name for name, kind in NETWORKS.items() if isinstance(network, kind))
    assert left == 0 or name not in FOLD_WHOLLY
    grey, _ = inputs(network)
    with torch.inference_mode():
        torch.testing.assert_close(folded(grey), network(grey), atol=1e-2, rtol=1e-3)


@pytest.mark.slow
def test_coloring_in_bf16_at_odd_sizes(network: ColorNetwork) -> None:
    """Every network predicts ab at the size of any picture, in bf16 nearly the same as in fp32."""
    grey = np.random.default_rng(0).random((1, 37, 51), dtype=np.float32)
    full, short = (
        Colorizer(copy.deepcopy(network), device="cpu", dtype=dtype).predict(grey)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert short.shape == (1, 2, 37, 51)
    assert np.abs(short - full).mean() < 0.1 * np.abs(full).mean() + 0.5


@pytest.mark.slow
def test_autocast_leaves_conversions_alone(network: ColorNetwork) -> None:
    """Under bf16 autocast ab is float32 still, and nearly the same."""
    grey, hints = inputs(network)
    with torch.inference_mode():
        plain = network.predict(grey, hints).ab
        with torch.autocast("cpu", torch.bfloat16):
            cast = network.predict(grey, hints).ab
    assert cast.dtype == torch.float32
    assert (cast - plain).abs().mean() < 0.1 * plain.abs().mean() + 0.5


@pytest.mark.parametrize(("name", "millions"), [("unet", 54.41), ("eccv16", 32.2), ("siggraph17", 34.1)])
def test_published_sizes(name: str, millions: float) -> None:
    """The networks have as many parameters as published, apart from the number of bins."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in build(name, {}).parameters())
    assert parameters / 1e6 == pytest.approx(millions, rel=2e-3)


def test_unet_dropout() -> None:
    """Of eight levels, three have dropout: those next to the innermost."""
    with torch.device("meta"):
        up = build("unet", {}).get_submodule("up")
    assert [any(isinstance(layer, nn.Dropout) for layer in block) for block in up.children()] == [
        *[False] * 4,
        *[True] * 3,
        False,
    ]


def test_unet_trains_on_one_picture() -> None:
    """A batch of one picture, whose innermost map is one pixel, can be trained on."""
    network = build("unet", {"downs": 6, "filters": 4}).train()
    assert network.predict(torch.rand(1, 1, 64, 64)).ab.isfinite().all()


def test_pixel_shuffle_begins_smooth() -> None:
    """Initially each position becomes a square of four equal pixels."""
    enlarge = UpsampleBlock(8, 1, 4, "pixel_shuffle").enlarge.eval()
    x = torch.randn(1, 8, 5, 6)
    large = enlarge(x)
    assert large.shape == (1, 4, 10, 12)
    assert torch.equal(large, large[..., ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("residual_unet", {"upsampling": "x"}),
        ("pretrained_unet", {"upsampling": "x"}),
        ("pretrained_unet", {"decoder_channels": [8, 8]}),
        ("cnn4", {"space": "x"}),
    ],
)
def test_configs_are_checked(name: str, config: dict[str, Any]) -> None:
    """Unsupported configurations raise ValueError."""
    with pytest.raises(ValueError, match=r"there are|argument"):
        build(name, config)


def test_bins_are_those_of_srgb() -> None:
    """Every 8-bit color is nearest to a bin at most half a side away, and no bin is without one."""
    centers = bins()
    assert centers.shape == (261, 2)
    assert torch.equal(centers, torch.unique(centers, dim=0))
    levels = torch.arange(256).float() / 255
    hits = torch.zeros(len(centers), dtype=torch.bool)
    for red in levels[::5]:
        rest = torch.stack(torch.meshgrid(levels[::5], levels[::5], indexing="ij"))
        ab = rgb_to_lab(torch.cat((red.expand(1, *rest.shape[1:]), rest)).double())[1:].flatten(1).T
        distance, index = torch.cdist(ab.float(), centers, p=torch.inf).min(dim=1)
        assert distance.max() < 5.01
        hits[index] = True
    assert hits.sum() > 0.97 * len(centers)  # a fifth of the levels misses some that hold a few colors alone


def test_soft_encoding() -> None:
    """It is a Gaussian of the 5 nearest bins that adds up to 1, and most in the nearest."""
    ab = torch.rand(2, 2, 6, 7) * 80 - 40
    encoded = soft_encode(ab)
    assert encoded.shape == (2, 261, 6, 7)
    torch.testing.assert_close(encoded.sum(dim=1), torch.ones(2, 6, 7))
    assert ((encoded > 0).sum(dim=1) == SOFT_BINS).all()
    distance = (bins() - ab[1, :, 2, 3]).norm(dim=1)
    nearest = distance.argsort()[:5]
    gauss = torch.exp(-(distance[nearest].double() ** 2) / (2 * 5**2))
    torch.testing.assert_close(encoded[1, nearest, 2, 3].double(), gauss / gauss.sum(), atol=1e-5, rtol=1e-4)


def test_nearest_bins_are_those_of_the_soft_encoding() -> None:
    """Indices and weights give the distributions of soft_encode for whole ab; others are rounded, far ones clamped."""
    torch.manual_seed(0)
    ab = torch.randint(-128, 129, (2, 2, 6, 5)).float()
    index, weights = nearest_bins(ab + 0.3)
    dense = torch.zeros(2, len(bins()), 6, 5).scatter_(1, index, weights)
    torch.testing.assert_close(dense, soft_encode(ab))
    assert torch.equal(
        nearest_bins(torch.full((1, 2, 1, 1), 500.0))[0], nearest_bins(torch.full((1, 2, 1, 1), 128.0))[0]
    )


def test_annealed_mean() -> None:
    """The only bin's center for one, the mean at temperature 1, and near the mode at a low one."""
    one_each = torch.eye(261)[None].mul(1e3).unsqueeze(-1)  # (1, Q, Q, 1)
    torch.testing.assert_close(annealed_mean(one_each)[0, :, :, 0].T, bins())
    probabilities = torch.rand(1, 261, 1, 1).softmax(dim=1)
    mean = (probabilities[0, :, 0, 0, None] * bins()).sum(dim=0)
    torch.testing.assert_close(annealed_mean(probabilities.log(), 1.0)[0, :, 0, 0], mean, atol=1e-3, rtol=1e-4)
    two = torch.full((1, 261, 1, 1), -1e3)
    two[0, 7], two[0, 200] = 1.0, 0.0
    torch.testing.assert_close(annealed_mean(two, 0.05)[0, :, 0, 0], bins()[7])


def test_bins_do_not_depend_on_who_asks_first() -> None:
    """Bins created on the meta device and in inference mode are real and can be trained with."""
    bins.cache_clear()
    with torch.device("meta"), torch.inference_mode():
        first = bins()
    assert first.device.type == "cpu"
    assert not first.is_inference()
    assert first.isfinite().all()


def test_hsl_is_colorsys_hsl() -> None:
    """The conversion agrees with Python's own, for hues of any number of turns."""
    hsl = torch.rand(3, 1, 10, 10, dtype=torch.float64)
    rgb = hsl_to_rgb(hsl[0] + torch.randint(-3, 4, (1, 10, 10)), hsl[1], hsl[2])
    expected = [colorsys.hls_to_rgb(h, v, s) for h, s, v in hsl.flatten(1).T.tolist()]
    np.testing.assert_allclose(rgb[0].flatten(1).T.numpy(), expected, atol=1e-9)


def test_gradient_is_finite_where_color_ends() -> None:
    """Black, white, grey and full colors, and hues where two of R, G and B are equal, have finite slopes."""
    hue = torch.arange(13.0).view(1, 13, 1).div(12).expand(1, 13, 9).clone().requires_grad_()
    saturation = torch.tensor([0.0, 0.5, 1.0]).repeat(3).expand(1, 13, 9).clone().requires_grad_()
    lightness = torch.tensor([0.0, 0.5, 1.0]).repeat_interleave(3).expand(1, 13, 9).clone().requires_grad_()
    rgb_to_lab(hsl_to_rgb(hue, saturation, lightness))[:, 1:].square().sum().backward()
    for part in (hue, saturation, lightness):
        assert part.grad is not None
        assert part.grad.isfinite().all()
        assert part.grad.any()


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_build_what_they_train(name: str) -> None:
    """A recipe's network exists, supports the sizes of its stages, and has the outputs that its losses need."""
    recipe = load_recipe(name)
    with torch.device("meta"):
        network = recipe.network.build()
    assert all(stage.size % network.multiple == 0 for stage in recipe.stages)
    assert network.encoder is not None or not any(stage.frozen_encoder for stage in recipe.stages)
    losses = {loss for stage in recipe.stages for loss in stage.losses}
    assert ("rebalanced_classification" in losses) == (recipe.network.name in ("eccv16", "siggraph17"))
    assert ("rgb_mse" in losses) == (recipe.network.name == "cnn4")
