"""The pictures of one training step, on the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidcolor.networks import Prediction
from vidcolor.networks.lab import grey_to_lightness, lab_to_rgb


@dataclass(frozen=True)
class Batch:
    """Pictures of side S.

    Attributes:
        grey: float32 (N, 1, S, S) in [0, 1], the network's input, perhaps degraded.
        clean_grey: The same without degradation.
        ab: float32 (N, 2, S, S), the true ab, Lab units.
        hints: float32 (N, 3, S, S), or None for networks that take none.
        semantics: The cached features of a frozen encoder, or None.
    """

    grey: Tensor
    clean_grey: Tensor
    ab: Tensor
    hints: Tensor | None = None
    semantics: list[Tensor] | None = None

    def ab_like(self, prediction: Prediction) -> Tensor:
        """Return the true ab at the size of ``prediction.ab``, as means over cells of pixels."""
        return shrink_to(self.ab, prediction.ab)

    def rgb(self) -> Tensor:
        """Return the true R'G'B' (N, 3, S, S); values leave [0, 1] only by rounding."""
        return join_rgb(self.clean_grey, self.ab)


def shrink_to(maps: Tensor, like: Tensor) -> Tensor:
    """Reduce ``maps`` (N, C, H, W) to the height and width of ``like``, which divide H and W, as means over cells."""
    stride = maps.shape[-1] // like.shape[-1]
    return maps if stride == 1 else F.avg_pool2d(maps, stride)


def join_rgb(grey: Tensor, ab: Tensor) -> Tensor:
    """Convert grey (N, 1, H, W) in [0, 1] and ab (N, 2, h, w) to R'G'B' (N, 3, H, W), differentiable in ab.

    A smaller ab is enlarged bilinearly. Colors outside sRGB leave [0, 1]: clipped colors would have no gradient.
    """
    if ab.shape[-2:] != grey.shape[-2:]:
        ab = F.interpolate(ab, size=grey.shape[-2:], mode="bilinear", align_corners=False)
    return lab_to_rgb(cat_lab(grey, ab))


def cat_lab(grey: Tensor, ab: Tensor) -> Tensor:
    """Join grey (N, 1, H, W) in [0, 1] and ab (N, 2, H, W) to Lab (N, 3, H, W)."""
    return torch.cat((grey_to_lightness(grey.float()), ab.float()), dim=1)
