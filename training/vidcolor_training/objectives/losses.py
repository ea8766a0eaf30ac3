"""Losses: what a generator pays for a prediction; a recipe names them and gives each its weight.

All of them are scalars, means over the batch, and are taken in fp32 under autocast too: bf16 has three digits, and the
way from Lab to R'G'B' needs more. The losses ``adversarial`` and ``feature_matching`` need an opponent:
:class:`vidcolor_training.objectives.adversary.Adversary`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.color.lab import full_precision
from vidcolor.errors import OptionError
from vidcolor.networks import Prediction
from vidcolor.networks.color_bins import bins, soft_encode
from vidcolor_training.data.batch import Batch, join_rgb, shrink_to
from vidcolor_training.objectives.frame_degradation import draw_frame_degradation

LossTerm = Callable[[Prediction, Batch], Tensor]

SMOOTH_L1_BETA = 5.0  # Lab units: below, errors count squared
COLORFULNESS_UNIT = 100.0
TINY_VARIANCE = 1e-4  # of 8-bit levels, squared: keeps the slope of a square root finite, and is far from visible
PRIOR_SIGMA = 5.0  # Lab units


def build_losses(
    names: Collection[str],
    *,
    predict: Callable[..., Prediction],
    features: nn.Module | None,
    class_weights: Tensor | None,
    random: torch.Generator,
    feature_stride: int = 0,
) -> dict[str, LossTerm]:
    """The losses ``names``, ready to be called with a prediction and its batch.

    Args:
        names: without ``adversarial`` and ``feature_matching``.
        predict: the network's, which ``temporal`` asks a second time.
        features: R'G'B' (N, 3, H, W) in [0, 1] to a list of maps, frozen; for ``perceptual``, ``feature_distance``.
        feature_stride: of the pictures that ``features`` sees; 0: the prediction's.
        class_weights: (Q,), of :func:`class_weights`, on the device; for ``rebalanced_classification``.
        random: for the disturbances of ``temporal``.

    Raises:
        OptionError: an unknown name, or one whose needs are not given.
    """
    terms: dict[str, LossTerm] = {**PLAIN_LOSSES, "temporal": partial(temporal, predict=predict, random=random)}
    if features is not None:
        terms["perceptual"] = partial(perceptual, features=features, stride=feature_stride)
        terms["feature_distance"] = partial(feature_distance, features=features, stride=feature_stride)
    if class_weights is not None:
        terms["rebalanced_classification"] = partial(rebalanced_classification, weights=class_weights)
    if missing := sorted(set(names) - set(terms)):
        needs = {
            "perceptual": "a feature network", "feature_distance": "a feature network",
            "rebalanced_classification": "class weights",
        }.get(missing[0])  # fmt: skip
        known = f"there are: {', '.join(sorted(terms))}"
        raise OptionError(f"loss {missing[0]}: {f'it needs {needs}' if needs else f'no such loss; {known}'}")
    return {name: terms[name] for name in names}


def l1(prediction: Prediction, batch: Batch) -> Tensor:
    """Mean absolute error of ab, Lab units, at the prediction's size."""
    return F.l1_loss(prediction.ab.float(), batch.ab_like(prediction))


def smooth_l1(prediction: Prediction, batch: Batch) -> Tensor:
    """Girshick 2015, eq. (3), of ab at the prediction's size, Lab units: e² / 2β for |e| < β = 5, else |e| − β / 2."""
    return F.smooth_l1_loss(prediction.ab.float(), batch.ab_like(prediction), beta=SMOOTH_L1_BETA)


def mse(prediction: Prediction, batch: Batch) -> Tensor:
    """Mean squared error of ab, Lab units squared, at the prediction's size."""
    return F.mse_loss(prediction.ab.float(), batch.ab_like(prediction))


def rgb_mse(prediction: Prediction, batch: Batch) -> Tensor:
    """Mean squared error of R'G'B' in [0, 1], at the picture's size.

    Networks that speak in R'G'B' are held to their own luma too; of others ab is joined with the picture's own.
    """
    with full_precision(prediction.ab):
        pred_rgb = prediction.rgb.float() if prediction.rgb is not None else _predicted_rgb(prediction, batch)
        return F.mse_loss(pred_rgb, batch.rgb())


def perceptual(prediction: Prediction, batch: Batch, *, features: nn.Module, stride: int = 0) -> Tensor:
    """Mean squared distance of feature maps, mean over the maps (Johnson et al. 2016, eq. 2, with equal weights).

    Both pictures have the true luma, at ``stride``, or the prediction's size; R'G'B' is not clipped on the way, so that
    every error of ab has a gradient.
    """
    pairs = _features_of_both(prediction, batch, features, stride)
    return torch.stack([F.mse_loss(pred, true) for pred, true in pairs]).mean()


def feature_distance(prediction: Prediction, batch: Batch, *, features: nn.Module, stride: int = 0) -> Tensor:
    """Squared distance of feature vectors of unit length, mean over places, sum over the maps.

    Zhang et al. 2018 (LPIPS), eq. 1, with all weights 1; for the pictures see :func:`perceptual`. Unlike there, no map
    and no loud place outweighs the others.
    """
    pairs = _features_of_both(prediction, batch, features, stride)
    unit = [(F.normalize(pred, dim=1), F.normalize(true, dim=1)) for pred, true in pairs]
    return torch.stack([(pred - true).square().sum(dim=1).mean() for pred, true in unit]).sum()


def _features_of_both(
    prediction: Prediction, batch: Batch, features: nn.Module, stride: int
) -> list[tuple[Tensor, Tensor]]:
    """float32 maps of the predicted and of the true picture, without gradient to the latter."""
    with full_precision(prediction.ab):
        grey = shrink_to(batch.clean_grey, prediction.ab) if stride == 0 else F.avg_pool2d(batch.clean_grey, stride)
        pred_rgb, true_rgb = join_rgb(grey, prediction.ab), join_rgb(grey, shrink_to(batch.ab, grey))
    pred_maps = features(pred_rgb)
    with torch.no_grad():
        true_maps = features(true_rgb)
    return [(pred.float(), true.float()) for pred, true in zip(pred_maps, true_maps, strict=True)]


def colorfulness(prediction: Prediction, batch: Batch) -> Tensor:
    """1 − CF / 100 of the predicted pictures (Kang et al. 2023, DDColor), mean over those without hints.

    It knows no truth: where colors are told, it would push beyond them.

    CF = √(σ²_rg + σ²_yb) + 0.3 √(μ²_rg + μ²_yb) with rg = R − G and yb = (R + G) / 2 − B, both signed, in 8-bit levels
    (Hasler & Süsstrunk 2003). Levels are clipped to 0 … 255, as screens do: what leaves sRGB earns nothing.
    """
    with full_precision(prediction.ab):
        red, green, blue = (255 * _predicted_rgb(prediction, batch).clamp(0, 1)).flatten(2).unbind(1)
        opponents = torch.stack((red - green, (red + green) / 2 - blue))
        spread = _safe_sqrt(opponents.var(dim=2, correction=0).sum(dim=0))
        offset = _safe_sqrt(opponents.mean(dim=2).square().sum(dim=0))
        losses = 1 - (spread + 0.3 * offset) / COLORFULNESS_UNIT
        free = torch.ones_like(losses) if batch.hints is None else (batch.hints[:, 2].amax((1, 2)) == 0).to(losses)
        return (losses * free).sum() / free.sum().clamp(min=1)


def rebalanced_classification(prediction: Prediction, batch: Batch, *, weights: Tensor) -> Tensor:
    """Multinomial cross-entropy with rare colors made dear (Zhang et al. 2016, eq. 2 and 3), mean over pixels, nats.

    −v(Z) Σ_q Z_q log Ẑ_q: Z is the soft-encoded true ab at the logits' size, v(Z) the weight of its dominant bin.

    Args:
        prediction: with logits over the bins of :mod:`vidcolor.networks.color_bins`.
        batch: the truth.
        weights: (Q,), of :func:`class_weights`.

    Raises:
        OptionError: the network gives no logits.
    """
    if prediction.logits is None:
        raise OptionError("loss rebalanced_classification: it needs a network that classifies, this one gives ab alone")
    truth = soft_encode(shrink_to(batch.ab, prediction.logits).float())
    errors = F.cross_entropy(prediction.logits.float(), truth, reduction="none")
    return (weights[truth.argmax(dim=1)] * errors).mean()


def temporal(
    prediction: Prediction, batch: Batch, *, predict: Callable[..., Prediction], random: torch.Generator
) -> Tensor:
    """Steadiness without a film: mean |f(T(x)) − T(f(x))|, Lab units (Eilertsen et al. 2019).

    T moves a picture a little, and makes it noisy and brighter or darker; colors only move. It is what happens from
    one frame to the next. Places that come from outside the picture do not count. It asks the network again, which
    costs about as much as the first time; alone it would be content with grey.
    """
    disturb = draw_frame_degradation(len(batch.grey), random)
    hints = None if batch.hints is None else disturb.move_hints(batch.hints)
    again = predict(disturb.film(batch.grey), hints).ab.float()
    moved, inside = disturb.move(prediction.ab.float())
    errors: Tensor = (again - moved).abs() * inside
    return errors.sum() / (inside.sum() * again.shape[1])


PLAIN_LOSSES: dict[str, LossTerm] = {
    "l1": l1,
    "smooth_l1": smooth_l1,
    "mse": mse,
    "rgb_mse": rgb_mse,
    "colorfulness": colorfulness,
}
"""Those that need nothing but a prediction and its batch."""


def ab_prior(ab: Tensor) -> Tensor:
    """How often each bin's colors occur (Zhang et al. 2016, §2.2): counted, then smoothed by a Gaussian of σ = 5.

    Args:
        ab: true colors (N, 2, H, W), Lab units; pictures made small serve as well.

    Returns:
        float32 (Q,) on the CPU, adding up to 1.
    """
    centres = bins().double()
    # One picture at a time: a pixel's code is as long as there are bins.
    dominant = torch.cat([soft_encode(picture[None].float()).argmax(dim=1).flatten() for picture in ab])
    counted = torch.bincount(dominant.cpu(), minlength=len(centres)).double()
    spread = torch.exp(-torch.cdist(centres, centres).square() / (2 * PRIOR_SIGMA**2))
    smoothed = (spread / spread.sum(dim=0)) @ counted
    return (smoothed / smoothed.sum()).float()


def class_weights(ab_prior: Tensor, lambda_: float = 0.5) -> Tensor:
    """Weights of the bins, w ∝ 1 / ((1 − λ) p + λ / Q), scaled so that Σ p w = 1 (Zhang et al. 2016, eq. 4).

    Args:
        ab_prior: p (Q,), of :func:`ab_prior`.
        lambda_: 1 weighs all alike; towards 0 the rarest count ever more.

    Returns:
        (Q,).
    """
    weights: Tensor = 1 / ((1 - lambda_) * ab_prior + lambda_ / len(ab_prior))
    return weights / (ab_prior * weights).sum()


def _predicted_rgb(prediction: Prediction, batch: Batch) -> Tensor:
    return join_rgb(batch.clean_grey, prediction.ab)


def _safe_sqrt(x: Tensor) -> Tensor:
    """√x whose slope is finite at 0: a grey picture has neither spread nor offset."""
    return (x + TINY_VARIANCE).sqrt()
