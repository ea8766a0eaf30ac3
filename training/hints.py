"""Hints as a person, a reference or a neighbouring frame would give them, made from the true colours.

Hints are (N, 3, H, W): a and b in units of AB_SCALE times the confidence, and the confidence in [0, 1] (the form that
:class:`vidcolor.networks.generator.Generator` takes). Half of the pictures get none, the others points, patches, or
whole maps that are displaced, noisy and partly wrong, with the confidence to match.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidcolor.color import AB_SCALE

MAX_POINTS = 30
POINT_RADIUS = 2  # at the half size of the targets: a 7 × 7 mean of the picture is about 4 × 4
MAX_SHIFT = 0.06  # of the picture's side
MAX_NOISE = 8.0  # Lab units


def simulate_hints(ab: Tensor, generator: torch.Generator) -> Tensor:
    """Hints for true ab (N, 2, h, w) in Lab units; at twice its size."""
    n, _, h, w = ab.shape
    kind = torch.rand(n, generator=generator)
    hints = ab.new_zeros(n, 3, h, w)
    warped = _whole_maps(ab, generator)
    for i in range(n):
        if kind[i] < 0.5:
            continue
        if kind[i] < 0.7:
            confidence = _points(h, w, generator).to(ab)
            hints[i] = _join(_local_means(ab[i]), confidence)
        elif kind[i] < 0.8:
            hints[i] = _join(ab[i], _patches(h, w, generator).to(ab))
        else:
            hints[i] = warped[i]
    return F.interpolate(hints, scale_factor=2.0, mode="nearest")


def _join(ab: Tensor, confidence: Tensor) -> Tensor:
    return torch.cat((ab / AB_SCALE * confidence, confidence))


def _local_means(ab: Tensor) -> Tensor:
    return F.avg_pool2d(ab[None], 3, stride=1, padding=1, count_include_pad=False)[0]


def _points(h: int, w: int, generator: torch.Generator) -> Tensor:
    count = int(torch.randint(1, MAX_POINTS + 1, (1,), generator=generator))
    confidence = torch.zeros(1, h, w)
    ys = torch.randint(0, h, (count,), generator=generator).tolist()
    xs = torch.randint(0, w, (count,), generator=generator).tolist()
    for y, x in zip(ys, xs, strict=True):
        confidence[:, max(y - POINT_RADIUS, 0) : y + POINT_RADIUS, max(x - POINT_RADIUS, 0) : x + POINT_RADIUS] = 1
    return confidence


def _patches(h: int, w: int, generator: torch.Generator) -> Tensor:
    confidence = torch.zeros(1, h, w)
    for _ in range(int(torch.randint(1, 4, (1,), generator=generator))):
        top, left, height, width = (torch.rand(4, generator=generator) * torch.tensor([h, w, h / 2, w / 2])).tolist()
        confidence[:, int(top) : int(top + height) + 1, int(left) : int(left + width) + 1] = 1
    return confidence


def _whole_maps(ab: Tensor, generator: torch.Generator) -> Tensor:
    """Every picture's true ab displaced smoothly, noisy, and with a part that belongs to another picture."""
    n, _, h, w = ab.shape
    coarse = (torch.rand(n, 2, 4, 4, generator=generator) * 2 - 1) * MAX_SHIFT * 2
    coarse *= torch.rand(n, 1, 1, 1, generator=generator)
    shift = F.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    identity = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), [n, 2, h, w], align_corners=False)
    displaced = F.grid_sample(ab, (identity + shift).to(ab), padding_mode="border", align_corners=False)
    amount = torch.rand(n, 1, 1, 1, generator=generator) * MAX_NOISE
    noise = F.interpolate(torch.randn(n, 2, h // 8, w // 8, generator=generator), size=(h, w), mode="bilinear")
    wrong = F.interpolate(torch.rand(n, 1, 4, 4, generator=generator), size=(h, w), mode="bilinear")
    is_wrong = (wrong > 0.5 + 0.5 * torch.rand(n, 1, 1, 1, generator=generator)).to(ab)
    mixed = torch.where(is_wrong.bool(), displaced.roll(1, dims=0), displaced) + (noise * amount).to(ab)
    level = 0.6 + 0.4 * torch.rand(n, 1, 1, 1, generator=generator)
    confidence = (level - is_wrong.cpu() * (0.3 + 0.4 * torch.rand(n, 1, 1, 1, generator=generator))).to(ab)
    return torch.cat((mixed / AB_SCALE * confidence, confidence), dim=1)
