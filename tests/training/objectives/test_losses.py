"""Losses against what can be computed by hand, numpy or scikit-image; gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.errors import OptionError
from vidcolor.networks import ColorNetwork, Prediction
from vidcolor.networks.color_bins import bins, class_weights, soft_encode
from vidcolor.networks.lab import lab_to_rgb
from vidcolor_training.data.batch import Batch, cat_lab
from vidcolor_training.objectives.losses import ab_prior, build_losses
from vidcolor_training.recipes.recipe import LOSSES


class Painter(ColorNetwork):
    """Asks ``paint`` for the ab of a grey picture and its hints, and remembers what it was asked."""

    def __init__(self, paint: Callable[[Tensor, Tensor | None], Tensor], logits: Tensor | None = None) -> None:
        super().__init__({})
        self.paint, self.logits = paint, logits
        self.asked: list[tuple[Tensor, Tensor | None]] = []

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, semantics: Sequence[Tensor] | None = None
    ) -> Prediction:
        """What ``paint`` says."""
        self.asked.append((grey, hints))
        return Prediction(self.paint(grey, hints), logits=self.logits)


class RandomFeatures(nn.Module):
    """Two maps of random, smooth, fixed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList([nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, stride=2)]).requires_grad_(False)

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """R'G'B' (N, 3, H, W) to two maps."""
        first = torch.tanh(self.layers[0](rgb))
        return [first, torch.tanh(self.layers[1](first))]


def term(name: str, **changes: Any) -> Callable[[Prediction, Batch], Tensor]:
    """One loss."""
    given = {"predict": Painter(lambda grey, hints: grey).predict, "features": None, "class_weights": None}
    return build_losses([name], random=torch.Generator().manual_seed(0), **{**given, **changes})[name]


def pictures(size: int = 32) -> Batch:
    """Three pictures of mild colors, all of them inside sRGB."""
    random = torch.Generator().manual_seed(0)
    grey = 0.3 + 0.4 * torch.rand(3, 1, size, size, generator=random)
    ab = 24 * torch.rand(3, 2, size, size, generator=random) - 12
    return Batch(grey=grey * 0.9, clean_grey=grey, ab=ab)


def guess(batch: Batch, stride: int = 1, **changes: Any) -> Prediction:
    """Some mild color at a size of its own, with a gradient."""
    random = torch.Generator().manual_seed(1)
    n, _, h, w = batch.ab.shape
    ab = 24 * torch.rand(n, 2, h // stride, w // stride, generator=random) - 12
    return Prediction(**{"ab": ab.requires_grad_(), **changes})


def cells(ab: Tensor, stride: int) -> Tensor:
    """Means over cells, by reshaping."""
    n, c, h, w = ab.shape
    return ab.view(n, c, h // stride, stride, w // stride, stride).mean(dim=(3, 5))


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_losses_on_ab(stride: int) -> None:
    """L1, L2 and Huber of the error at the prediction's size."""
    batch = pictures()
    prediction = guess(batch, stride)
    error = (prediction.ab - cells(batch.ab, stride)).abs()
    huber = torch.where(error < 5, error.square() / 10, error - 2.5)
    torch.testing.assert_close(term("l1")(prediction, batch), error.mean())
    torch.testing.assert_close(term("mse")(prediction, batch), error.square().mean())
    torch.testing.assert_close(term("smooth_l1")(prediction, batch), huber.mean())


def test_rgb_mse_agrees_with_scikit_image() -> None:
    """Ab goes to R'G'B' with the luma of the undamaged picture."""
    batch = pictures()
    prediction = guess(batch)
    ours, truth = (
        lab2rgb(cat_lab(batch.clean_grey, ab.detach()).permute(0, 2, 3, 1).numpy().astype(np.float64))
        for ab in (prediction.ab, batch.ab)
    )
    assert term("rgb_mse")(prediction, batch).item() == pytest.approx(np.square(ours - truth).mean(), rel=1e-3)


def test_rgb_mse_takes_a_networks_own_rgb() -> None:
    """A network that speaks in R'G'B' is compared as it speaks."""
    batch = pictures()
    prediction = guess(batch, rgb=batch.rgb() + 0.5)
    torch.testing.assert_close(term("rgb_mse")(prediction, batch), torch.tensor(0.25))


@pytest.mark.parametrize("name", ["rgb_mse", "colorfulness", "smooth_l1"])
def test_autocast_rounds_nothing(name: str) -> None:
    """Under bf16 autocast a loss has the same digits."""
    batch = pictures()
    prediction = guess(batch, 2)
    plain = term(name)(prediction, batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(term(name)(prediction, batch), plain)


def hasler_suesstrunk(rgb: np.ndarray) -> float:
    """Of one picture (H, W, 3) in 8-bit levels, with signed opponents."""
    rg, yb = rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def test_colorfulness_is_hasler_and_suesstrunks() -> None:
    """1 − CF / 100, mean over the pictures; scikit-image makes the pictures."""
    batch = pictures()
    prediction = guess(batch)
    lab = cat_lab(batch.clean_grey, prediction.ab.detach()).permute(0, 2, 3, 1).numpy().astype(np.float64)
    expected = np.mean([1 - hasler_suesstrunk(255 * lab2rgb(picture)) / 100 for picture in lab])
    assert term("colorfulness")(prediction, batch).item() == pytest.approx(expected, abs=1e-3)


def test_grey_has_no_color_and_a_finite_gradient() -> None:
    """CF of grey is 0, and its gradient, where a square root has none, is finite."""
    batch = pictures()
    ab = torch.zeros_like(batch.ab, requires_grad=True)
    loss = term("colorfulness")(Prediction(ab), batch)
    loss.backward()
    assert loss.item() == pytest.approx(1, abs=1e-3)
    assert ab.grad is not None
    assert torch.isfinite(ab.grad).all()


def test_colorfulness_has_a_bound() -> None:
    """A color that no screen shows is not pushed further."""
    batch = pictures()
    ab = torch.full_like(batch.ab, 400.0).requires_grad_()
    term("colorfulness")(Prediction(ab), batch).backward()
    assert ab.grad is not None
    assert (ab.grad == 0).all()


def test_colorfulness_leaves_hinted_pictures_alone() -> None:
    """Where colors are told there is nothing to push; where all are, the loss is nothing."""
    batch = pictures()
    hints = torch.zeros(3, 3, 32, 32)
    hints[1, :, 5:9, 5:9] = 0.5
    prediction = guess(batch)
    loss = term("colorfulness")(prediction, replace(batch, hints=hints))
    (gradient,) = torch.autograd.grad(loss, prediction.ab)
    assert (gradient[1] == 0).all()
    assert all(gradient[i].abs().sum() > 0 for i in (0, 2))
    others = replace(batch, clean_grey=batch.clean_grey[::2], grey=batch.grey[::2], ab=batch.ab[::2])
    torch.testing.assert_close(loss, term("colorfulness")(Prediction(prediction.ab[::2]), others))
    assert term("colorfulness")(prediction, replace(batch, hints=torch.ones(3, 3, 32, 32))) == 0


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("scale", [1.0, 10.0])
@pytest.mark.parametrize("name", ["perceptual", "feature_distance"])
def test_perceptual_gradient_is_that_of_finite_differences(name: str, stride: int, scale: float) -> None:
    """The way from ab through R'G'B' and the features keeps the gradient, inside sRGB and far outside."""
    batch = pictures(16)
    loss = term(name, features=RandomFeatures())
    ab = (scale * guess(batch, stride).ab.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(Prediction(ab), batch), ab)
    assert (gradient.abs() > 0).float().mean() > 0.99
    way = gradient / gradient.norm()
    step = 0.3  # Lab units, shared out among all the numbers of ab
    with torch.no_grad():
        above, below = (loss(Prediction(ab + sign * step * way), batch) for sign in (1, -1))
    assert ((above - below) / (2 * step)).item() == pytest.approx((gradient * way).sum().item(), rel=0.02)


def test_feature_distance_is_that_of_unit_vectors() -> None:
    """The truth has none; a map twice as loud counts as much, and maps add up."""
    batch = pictures()
    prediction = guess(batch)
    features = RandomFeatures()
    assert term("feature_distance", features=features)(Prediction(batch.ab), batch) == 0

    def loud(rgb: Tensor) -> list[Tensor]:
        first, second = features(rgb)
        return [2 * first, 5 * second]

    found = term("feature_distance", features=loud)(prediction, batch)
    ours, truth = (features(lab_to_rgb(cat_lab(batch.clean_grey, ab))) for ab in (prediction.ab, batch.ab))
    # |u - v|² of unit vectors is twice one minus their cosine
    cosines = [torch.cosine_similarity(mine, true).mean() for mine, true in zip(ours, truth, strict=True)]
    torch.testing.assert_close(found, 2 * (2 - sum(cosines)))


def test_features_are_compared_at_their_stride() -> None:
    """A coarse prediction is enlarged to the size at which the features look."""
    batch = pictures()
    shown: list[Tensor] = []
    features = RandomFeatures()

    def look(rgb: Tensor) -> list[Tensor]:
        shown.append(rgb)
        return features(rgb)

    term("feature_distance", features=look, feature_stride=2)(guess(batch, 8), batch)
    assert [rgb.shape[-2:] for rgb in shown] == [(16, 16), (16, 16)]
    small = torch.nn.functional.avg_pool2d
    torch.testing.assert_close(shown[1], lab_to_rgb(cat_lab(small(batch.clean_grey, 2), small(batch.ab, 2))))


def test_perceptual_distance() -> None:
    """The truth has none; otherwise it is the mean squared distance of the maps, mean over the maps."""
    batch = pictures()
    prediction = guess(batch)
    features = RandomFeatures()
    loss = term("perceptual", features=features)
    assert loss(Prediction(batch.ab), batch) == 0
    ours, truth = (features(lab_to_rgb(cat_lab(batch.clean_grey, ab))) for ab in (prediction.ab, batch.ab))
    expected = sum((mine - true).square().mean() for mine, true in zip(ours, truth, strict=True)) / 2
    torch.testing.assert_close(loss(prediction, batch), expected)


def test_rebalanced_classification() -> None:
    """Cross-entropy with the soft-encoded truth at the logits' size, weighted by the dominant bin."""
    batch = pictures(16)
    torch.manual_seed(0)
    logits = torch.randn(3, len(bins()), 4, 4)
    weights = torch.rand(len(bins()))
    prediction = guess(batch, 2, logits=logits)
    total = 0.0
    truth = soft_encode(cells(batch.ab, 4))
    for n, y, x in np.ndindex(3, 4, 4):
        true, said = truth[n, :, y, x], logits[n, :, y, x].log_softmax(dim=0)
        total -= (weights[true.argmax()] * (true * said).sum()).item()
    loss = term("rebalanced_classification", class_weights=weights)
    assert loss(prediction, batch).item() == pytest.approx(total / 48, rel=1e-5)


def test_a_network_without_bins_does_not_classify() -> None:
    """A prediction without logits is refused in one line."""
    batch = pictures()
    with pytest.raises(OptionError, match="needs a network that classifies"):
        term("rebalanced_classification", class_weights=torch.ones(len(bins())))(guess(batch), batch)


def test_classification() -> None:
    """Cross-entropy with the soft-encoded truth at the logits' size, rounded to whole Lab units."""
    batch = pictures(16)
    torch.manual_seed(0)
    logits = torch.randn(3, len(bins()), 4, 4)
    truth = soft_encode(cells(batch.ab, 4).round())
    expected = -(truth * logits.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(term("classification")(guess(batch, 2, logits=logits), batch), expected)


@pytest.mark.parametrize("name", ["classification", "divergence"])
def test_losses_on_distributions_need_logits(name: str) -> None:
    """A prediction without logits raises OptionError with the name of the loss."""
    batch = pictures()
    with pytest.raises(OptionError, match=f"loss {name}: it needs a network that classifies"):
        term(name)(guess(batch), batch)


def uniform(*peaks: int) -> Tensor:
    """Logits of three pictures, each the same distribution everywhere: all bins, or mostly one."""
    logits = torch.zeros(3, len(bins()), 8, 8)
    for picture, peak in enumerate(peaks):
        logits[picture, peak] = 8
    return logits


def test_divergence_compares_distributions() -> None:
    """The divergence is zero for the same distributions, Jeffreys' for others, and quadratic where they are close."""
    batch = pictures()
    first = uniform(0, 1, 2)
    same, other = (Painter(lambda grey, hints: batch.ab, logits) for logits in (first, uniform(3, 4, 5)))
    prediction = guess(batch, logits=first)
    assert term("divergence", predict=same.predict)(prediction, batch).item() == pytest.approx(0, abs=1e-5)
    p, r = first[0, :, 0, 0].softmax(0), uniform(3)[0, :, 0, 0].softmax(0)
    expected = ((p - r) * (p / r).log()).sum().item()
    assert term("divergence", predict=other.predict)(prediction, batch).item() == pytest.approx(expected, rel=1e-3)
    near, nearer = (Painter(lambda grey, hints: batch.ab, first * factor) for factor in (1.02, 1.01))
    ratio = term("divergence", predict=near.predict)(prediction, batch) / term("divergence", predict=nearer.predict)(
        prediction, batch
    )
    assert ratio.item() == pytest.approx(4, rel=0.1)


def test_prior_and_weights() -> None:
    """The prior is a smoothed count; the weights have an expectation of 1 and are largest where colors are rare."""
    centers = bins()
    ab = torch.zeros(2, 2, 8, 8)
    ab[1, :, :4] = torch.tensor((40.0, 50.0))[:, None, None]
    prior = ab_prior(ab)
    assert prior.sum().item() == pytest.approx(1, abs=1e-6)
    at = {place: int((centers == torch.tensor(place)).all(dim=1).nonzero()) for place in ((0, 0), (10, 0), (40, 50))}
    assert prior.argmax() == at[0, 0]
    assert (prior[at[0, 0]] / prior[at[40, 50]]).item() == pytest.approx(3, rel=0.1)
    # One bin away the Gaussian of σ 5 has e^(−100 / 50) of its height.
    assert (prior[at[10, 0]] / prior[at[0, 0]]).item() == pytest.approx(np.exp(-2), rel=0.05)
    weights = class_weights(prior)
    assert (prior * weights).sum().item() == pytest.approx(1, abs=1e-5)
    assert weights.argmin() == at[0, 0]
    expected = 1 / (0.5 * prior + 0.5 / len(prior))
    torch.testing.assert_close(weights / weights[0], expected / expected[0])
    torch.testing.assert_close(class_weights(prior, 1.0), torch.ones(len(prior)))


def smooth_batch(size: int = 64) -> Batch:
    """Pictures that a small movement changes little, with hints all over them."""
    batch = pictures(8)
    grey, ab = (F.interpolate(m, size=(size, size), mode="bicubic") for m in (batch.clean_grey, batch.ab))
    hints = torch.cat((ab, torch.ones_like(grey)), dim=1)
    return Batch(grey=grey, clean_grey=grey, ab=ab, hints=hints)


def test_temporal_asks_for_the_moved_picture() -> None:
    """A network whose color is moved with the hints is steady; one whose color stays in its place is not."""
    batch = smooth_batch(128)
    assert batch.hints is not None
    steady, fixed = Painter(lambda grey, hints: hints[:, :2]), Painter(lambda grey, hints: batch.ab)
    losses = [term("temporal", predict=network.predict)(Prediction(batch.ab), batch) for network in (steady, fixed)]
    assert losses[0] < 0.4 * losses[1]
    grey, hints = steady.asked[0]
    assert grey.shape == batch.grey.shape
    assert 0.005 < (grey - batch.grey).abs().mean() < 0.1
    assert hints is not None
    assert not torch.equal(hints, batch.hints)


def test_temporal_hears_flicker() -> None:
    """Color that follows the brightness of the film costs; the gradient reaches both answers."""
    batch = replace(smooth_batch(), hints=None)
    gain = torch.ones((), requires_grad=True)
    network = Painter(lambda grey, hints: gain * 40 * grey.expand(-1, 2, -1, -1))
    first = network.predict(batch.grey)
    assert first.ab.grad_fn is not None
    loss = term("temporal", predict=network.predict)(first, batch)
    assert loss > 0.5
    loss.backward()
    torch.testing.assert_close(gain.grad, loss.detach())  # the loss is proportional to the gain
    even = Painter(lambda grey, hints: torch.full((3, 2, 32, 32), 7.0))
    assert term("temporal", predict=even.predict)(even.predict(batch.grey), batch) < 1e-5


def test_temporal_draws_from_its_generator() -> None:
    """The same seed, the same disturbance, and the next time another one."""
    batch = smooth_batch()
    asked = []
    for _ in range(2):
        network = Painter(lambda grey, hints: grey.expand(-1, 2, -1, -1))
        loss = term("temporal", predict=network.predict)
        loss(Prediction(batch.ab), batch)
        loss(Prediction(batch.ab), batch)
        asked.append(network.asked)
    assert torch.equal(asked[0][0][0], asked[1][0][0])
    assert not torch.equal(asked[0][0][0], asked[0][1][0])


def test_every_loss_of_the_recipes_is_there() -> None:
    """All but the adversary's can be built, and each gives a scalar with a finite gradient."""
    names = set(LOSSES) - {"adversarial", "feature_matching"}
    batch = pictures()
    random = torch.Generator().manual_seed(2)
    prediction = guess(batch, 2, logits=torch.randn(3, len(bins()), 8, 8, generator=random).requires_grad_())
    network = Painter(lambda grey, hints: prediction.ab, prediction.logits)
    losses = build_losses(
        names,
        predict=network.predict,
        features=RandomFeatures(),
        class_weights=torch.ones(len(bins())),
        random=torch.Generator(),
    )
    assert set(losses) == names
    for name, loss in losses.items():
        value = loss(prediction, batch)
        classifies = name in ("classification", "rebalanced_classification", "divergence")
        given = prediction.logits if classifies else prediction.ab
        (gradient,) = torch.autograd.grad(value, given)
        assert value.ndim == 0, name
        assert torch.isfinite(gradient).all(), name
        assert gradient.abs().max() > 0, name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("l3", "loss l3: no such loss; there are: .*l1, mse"),
        ("perceptual", "loss perceptual: it needs a feature network"),
        ("feature_distance", "loss feature_distance: it needs a feature network"),
        ("rebalanced_classification", "loss rebalanced_classification: it needs class weights"),
    ],
)
def test_losses_that_cannot_be_built(name: str, message: str) -> None:
    """One line says what is missing."""
    with pytest.raises(OptionError, match=message):
        term(name)
