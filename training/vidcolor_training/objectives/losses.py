"""The losses of the generator; a recipe names them and gives each a weight.

All of them are scalars, means over the batch, and are taken in fp32 under autocast too: bf16 has three digits, and the
way from Lab to R'G'B' needs more. The losses ``adversarial`` and ``feature_matching`` need a discriminator:
:class:`vidcolor_training.objectives.adversary.Adversary`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidcolor.errors import OptionError
from vidcolor.networks import Prediction
from vidcolor.networks.color_bins import bins, nearest_bins, soft_encode
from vidcolor.networks.lab import full_precision
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
    """Return the losses ``names`` as functions of a prediction and its batch.

    Args:
        names: Names of losses, without ``adversarial`` and ``feature_matching``.
        predict: The network's ``predict``, which ``temporal`` and ``divergence`` call once more.
        features: A frozen network from R'G'B' (N, 3, H, W) in [0, 1] to a list of maps, for ``perceptual`` and
            ``feature_distance``.
        class_weights: (Q,), of :func:`class_weights`, on the device, for ``rebalanced_classification``.
        random: The generator of the frame degradations of ``temporal`` and ``divergence``.
        feature_stride: By how much pictures are reduced for ``features``; 0: to the size of the prediction.

    Raises:
        OptionError: A name is unknown, or what its loss needs is missing.
    """
    terms: dict[str, LossTerm] = {
        **PLAIN_LOSSES,
        "temporal": partial(temporal, predict=predict, random=random),
        "divergence": partial(divergence, predict=predict, random=random),
    }
    if features is not None:
        terms["perceptual"] = partial(perceptual, features=features, stride=feature_stride)
        terms["feature_distance"] = partial(feature_distance, features=features, stride=feature_stride)
    if class_weights is not None:
        terms["rebalanced_classification"] = partial(rebalanced_classification, weights=class_weights)
    if missing := sorted(set(names) - set(terms)):
        needs = {
            "perceptual": "a feature network",
            "feature_distance": "a feature network",
            "rebalanced_classification": "class weights",
        }.get(missing[0])
        known = f"there are: {', '.join(sorted(terms))}"
        raise OptionError(f"loss {missing[0]}: {f'it needs {needs}' if needs else f'no such loss; {known}'}")
    return {name: terms[name] for name in names}


def l1(prediction: Prediction, batch: Batch) -> Tensor:
    """Compute the mean absolute error of ab, Lab units, at the prediction's size."""
    return F.l1_loss(prediction.ab.float(), batch.ab_like(prediction))


def smooth_l1(prediction: Prediction, batch: Batch) -> Tensor:
    """Compute the mean of e² / 2β for |e| < β = 5, else |e| − β / 2, of ab in Lab units (Girshick 2015, eq. 3)."""
    return F.smooth_l1_loss(prediction.ab.float(), batch.ab_like(prediction), beta=SMOOTH_L1_BETA)


def mse(prediction: Prediction, batch: Batch) -> Tensor:
    """Compute the mean squared error of ab, Lab units squared, at the prediction's size."""
    return F.mse_loss(prediction.ab.float(), batch.ab_like(prediction))


def rgb_mse(prediction: Prediction, batch: Batch) -> Tensor:
    """Compute the mean squared error of R'G'B' in [0, 1], at the picture's size.

    Networks that predict R'G'B' are compared with their own luma; the ab of others is joined with the true luma.
    """
    with full_precision(prediction.ab):
        pred_rgb = prediction.rgb.float() if prediction.rgb is not None else _predicted_rgb(prediction, batch)
        return F.mse_loss(pred_rgb, batch.rgb())


def perceptual(prediction: Prediction, batch: Batch, *, features: nn.Module, stride: int = 0) -> Tensor:
    """Compute the mean squared distance of feature maps, mean over maps (Johnson et al. 2016, eq. 2).

    Both pictures have the true luma, at ``stride``, or the prediction's size; R'G'B' is not clipped on the way, so that
    every error of ab has a gradient.
    """
    pairs = _features_of_both(prediction, batch, features, stride)
    return torch.stack([F.mse_loss(pred, true) for pred, true in pairs]).mean()


def feature_distance(prediction: Prediction, batch: Batch, *, features: nn.Module, stride: int = 0) -> Tensor:
    """Compute the squared distance of feature vectors of unit length, mean over pixels, sum over the maps.

    Zhang et al. 2018 (LPIPS), eq. 1, with all weights 1. The pictures are those of :func:`perceptual`; but here all
    maps and all pixels have the same weight.
    """
    pairs = _features_of_both(prediction, batch, features, stride)
    unit = [(F.normalize(pred, dim=1), F.normalize(true, dim=1)) for pred, true in pairs]
    return torch.stack([(pred - true).square().sum(dim=1).mean() for pred, true in unit]).sum()


def _features_of_both(
    prediction: Prediction, batch: Batch, features: nn.Module, stride: int
) -> list[tuple[Tensor, Tensor]]:
    """Return float32 maps of the predicted and of the true picture, the latter without gradient."""
    with full_precision(prediction.ab):
        grey = shrink_to(batch.clean_grey, prediction.ab) if stride == 0 else F.avg_pool2d(batch.clean_grey, stride)
        pred_rgb, true_rgb = join_rgb(grey, prediction.ab), join_rgb(grey, shrink_to(batch.ab, grey))
    pred_maps = features(pred_rgb)
    with torch.no_grad():
        true_maps = features(true_rgb)
    return [(pred.float(), true.float()) for pred, true in zip(pred_maps, true_maps, strict=True)]


def colorfulness(prediction: Prediction, batch: Batch) -> Tensor:
    """Compute 1 − CF / 100 of the predicted pictures (Kang et al. 2023, DDColor), mean over those without hints.

    It does not depend on the true colors, and would push hinted colors beyond the hints.

    CF = √(σ²_rg + σ²_yb) + 0.3 √(μ²_rg + μ²_yb) with rg = R − G and yb = (R + G) / 2 − B, both signed, in 8-bit levels
    (Hasler & Süsstrunk 2003). Levels are clipped to 0 … 255, so that colors outside sRGB do not lower the loss.
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
    """Compute the cross-entropy with larger weights for rare colors (Zhang et al. 2016, eq. 2 and 3).

    Mean over pixels of −v(Z) Σ_q Z_q log Ẑ_q, in nats: Z is the soft-encoded true ab at the logits' size, v(Z) the
    weight of its dominant bin.

    Args:
        prediction: A prediction with logits over the bins of :mod:`vidcolor.networks.color_bins`.
        batch: The true pictures.
        weights: (Q,), of :func:`class_weights`.

    Raises:
        OptionError: The network gives no logits.
    """
    logits = _logits(prediction, "rebalanced_classification")
    truth = soft_encode(shrink_to(batch.ab, logits).float())
    errors = F.cross_entropy(logits.float(), truth, reduction="none")
    return (weights[truth.argmax(dim=1)] * errors).mean()


def classification(prediction: Prediction, batch: Batch) -> Tensor:
    """Compute the cross-entropy of the distribution of colors: mean over pixels of −Σ_q Z_q log Ẑ_q, in nats.

    Z is the soft-encoded true ab at the logits' size (Zhang et al. 2016, eq. 2, without weights: a network may apply
    them to the learned distribution instead).

    Raises:
        OptionError: The network gives no logits.
    """
    logits = _logits(prediction, "classification").float()
    index, weights = nearest_bins(shrink_to(batch.ab, logits).float())
    expected = (logits.gather(1, index) * weights).sum(dim=1)
    return (logits.logsumexp(dim=1) - expected).mean()


def divergence(
    prediction: Prediction, batch: Batch, *, predict: Callable[..., Prediction], random: torch.Generator
) -> Tensor:
    """Compute the divergence of the distributions of colors in simulated frames, in nats: flicker before the decision.

    Mean over pixels of Σ_q (p_q − r_q) (log p_q − log r_q) (Jeffreys 1946) of the distributions p of the picture,
    moved, and r of the moved picture; see :func:`temporal` for the frames. It is quadratic where p and r are close, so
    it does not pull all pictures toward one color as an absolute difference of ab does.

    Raises:
        OptionError: The network gives no logits.
    """
    logits = _logits(prediction, "divergence")
    degradation = draw_frame_degradation(len(batch.grey), random)
    hints = None if batch.hints is None else degradation.move_hints(batch.hints)
    again = _logits(predict(degradation.film(batch.grey), hints), "divergence").float().log_softmax(dim=1)
    moved, inside = degradation.move(logits.float())
    before = moved.log_softmax(dim=1)
    errors: Tensor = ((again.exp() - before.exp()) * (again - before)).sum(dim=1, keepdim=True) * inside
    return errors.sum() / inside.sum()


def _logits(prediction: Prediction, loss: str) -> Tensor:
    if prediction.logits is None:
        raise OptionError(f"loss {loss}: it needs a network that classifies, this one gives ab alone")
    return prediction.logits


def temporal(
    prediction: Prediction, batch: Batch, *, predict: Callable[..., Prediction], random: torch.Generator
) -> Tensor:
    """Compute the mean of |f(T(x)) − T(f(x))|, Lab units: the flicker between simulated frames (Eilertsen et al. 2019).

    T is a :class:`FrameDegradation`: it moves a picture a little, changes its brightness and adds noise; colors are
    only moved. Pixels that T brings in from outside the picture are left out. The network runs a second time. Grey
    predictions have the smallest value, so another loss must be used beside it.
    """
    degradation = draw_frame_degradation(len(batch.grey), random)
    hints = None if batch.hints is None else degradation.move_hints(batch.hints)
    again = predict(degradation.film(batch.grey), hints).ab.float()
    moved, inside = degradation.move(prediction.ab.float())
    errors: Tensor = (again - moved).abs() * inside
    return errors.sum() / (inside.sum() * again.shape[1])


PLAIN_LOSSES: dict[str, LossTerm] = {
    "l1": l1,
    "smooth_l1": smooth_l1,
    "mse": mse,
    "rgb_mse": rgb_mse,
    "colorfulness": colorfulness,
    "classification": classification,
}
"""The losses of a prediction and its batch alone."""


def ab_prior(ab: Tensor) -> Tensor:
    """Count how often the colors of each bin occur, smoothed by a Gaussian of σ = 5 (Zhang et al. 2016, §2.2).

    Args:
        ab: True colors (N, 2, H, W), Lab units; pictures of reduced size are sufficient.

    Returns:
        float32 (Q,) on the CPU, adding up to 1.
    """
    centers = bins().double()
    # One picture at a time: a pixel's code is as long as there are bins.
    dominant = torch.cat([soft_encode(picture[None].float()).argmax(dim=1).flatten() for picture in ab])
    counted = torch.bincount(dominant.cpu(), minlength=len(centers)).double()
    spread = torch.exp(-torch.cdist(centers, centers).square() / (2 * PRIOR_SIGMA**2))
    smoothed = (spread / spread.sum(dim=0)) @ counted
    return (smoothed / smoothed.sum()).float()


def _predicted_rgb(prediction: Prediction, batch: Batch) -> Tensor:
    return join_rgb(batch.clean_grey, prediction.ab)


def _safe_sqrt(x: Tensor) -> Tensor:
    """Return √x with a finite slope at 0, the value for grey pictures."""
    return (x + TINY_VARIANCE).sqrt()
