"""One step's pictures on the device: what networks see and what losses compare with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidcolor.color.lab import grey_to_lightness, lab_to_rgb
from vidcolor.networks import Prediction


@dataclass(frozen=True)
class Batch:
    """Pictures of side S.

    ``grey``: (N, 1, S, S) in [0, 1], as the network sees it: perhaps damaged. ``clean_grey``: the same, undamaged.
    ``ab``: (N, 2, S, S), the true one, Lab units. ``hints``: (N, 3, S, S), or None for networks that take none.
    ``semantics``: the encoder's cached features where it is frozen.
    """

    grey: Tensor
    clean_grey: Tensor
    ab: Tensor
    hints: Tensor | None = None
    semantics: list[Tensor] | None = None

    def ab_like(self, prediction: Prediction) -> Tensor:
        """The true ab at the size of ``prediction.ab``: means over whole cells."""
        return shrink_to(self.ab, prediction.ab)

    def rgb(self) -> Tensor:
        """The true R'G'B' (N, 3, S, S); outside [0, 1] by rounding alone."""
        return join_rgb(self.clean_grey, self.ab)


def shrink_to(maps: Tensor, like: Tensor) -> Tensor:
    """``maps`` (N, C, H, W) at the height and width of ``like``, a divisor of its own: means over whole cells."""
    stride = maps.shape[-1] // like.shape[-1]
    return maps if stride == 1 else F.avg_pool2d(maps, stride)


def join_rgb(grey: Tensor, ab: Tensor) -> Tensor:
    """Grey (N, 1, H, W) in [0, 1] and ab (N, 2, h, w) to R'G'B' (N, 3, H, W), differentiable in ab.

    ab is enlarged bilinearly where it is smaller. Colors outside sRGB leave [0, 1]: clipping would hide them from the
    gradient.
    """
    if ab.shape[-2:] != grey.shape[-2:]:
        ab = F.interpolate(ab, size=grey.shape[-2:], mode="bilinear", align_corners=False)
    return lab_to_rgb(cat_lab(grey, ab))


def cat_lab(grey: Tensor, ab: Tensor) -> Tensor:
    """Grey (N, 1, H, W) in [0, 1] and ab (N, 2, H, W) to Lab (N, 3, H, W)."""
    return torch.cat((grey_to_lightness(grey.float()), ab.float()), dim=1)
