"""Simulate hints of a person, a reference or a neighboring frame from the true colors.

Hints are (N, 3, H, W): a and b in units of AB_SCALE times the confidence, and the confidence in [0, 1] (the form that
:class:`vidcolor.networks.ColorNetwork` takes). Some pictures get none, the others points, patches, or whole
maps that are displaced, noisy and partly wrong, with the confidence to match.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidcolor.networks.lab import AB_SCALE

POINTS_UNTIL, PATCHES_UNTIL = 0.4, 0.6  # of the hinted pictures; the rest get whole maps
TINY = 1e-9
MAX_POINTS = 30
POINT_SIDE = 7  # a point is the mean over so many pixels squared, shown on all of them
MAX_PATCHES = 3
MAX_SHIFT = 0.06  # of the picture's side
MAX_NOISE = 8.0  # Lab units
NOISE_CELL = 16  # pixels


def simulate_hints(ab: Tensor, generator: torch.Generator, share: float = 0.5) -> Tensor:
    """Return hints (N, 3, H, W) for true ab, on its device.

    Args:
        ab: float32 (N, 2, H, W), Lab units; H and W at least :data:`NOISE_CELL`.
        generator: A generator on the CPU for all random choices. Only small tensors are copied to the device.
        share: Share of the pictures that get hints.
    """
    kind = (torch.rand(len(ab), generator=generator) - (1 - share)) / max(share, TINY)  # below 0: none
    hints = ab.new_zeros(len(ab), 3, *ab.shape[-2:])
    makers = ((0.0, POINTS_UNTIL, _points), (POINTS_UNTIL, PATCHES_UNTIL, _patches), (PATCHES_UNTIL, 1.0, _maps))
    for low, high, make in makers:
        chosen = torch.nonzero((kind >= low) & (kind < high))[:, 0].to(ab.device)
        if len(chosen) > 0:
            colors, confidence = make(ab, chosen, generator)
            hints.index_copy_(0, chosen, hint_map(colors, confidence))
    return hints


def hint_map(colors: Tensor, confidence: Tensor) -> Tensor:
    """Join colors (N, 2, H, W) in Lab units and confidence (N, 1, H, W) to hints (N, 3, H, W)."""
    return torch.cat((colors / AB_SCALE * confidence, confidence), dim=1)


def _points(ab: Tensor, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    counts = torch.randint(1, MAX_POINTS + 1, (len(chosen), 1), generator=generator)
    return true_points(ab[chosen], counts, generator)


def true_points(ab: Tensor, counts: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return points: small squares at random positions, filled with their mean color; later ones cover earlier ones.

    Args:
        ab: float32 (N, 2, H, W), Lab units.
        counts: int64 (N, 1) on the CPU: the number of points of each picture, at most :data:`MAX_POINTS`.
        generator: A generator on the CPU.

    Returns:
        Colors (N, 2, H, W) in Lab units, and the confidence (N, 1, H, W): 1 on the squares, 0 elsewhere.
    """
    n, height, width = len(ab), *ab.shape[-2:]
    tops = torch.randint(0, height - POINT_SIDE + 1, (n, MAX_POINTS, 1, 1), generator=generator).to(ab.device)
    lefts = torch.randint(0, width - POINT_SIDE + 1, (n, MAX_POINTS, 1, 1), generator=generator).to(ab.device)
    inside = torch.arange(POINT_SIDE, device=ab.device)
    places = ((tops + inside[:, None]) * width + lefts + inside).flatten(1)
    numbers = (torch.arange(1, MAX_POINTS + 1) * (torch.arange(MAX_POINTS) < counts)).to(ab.device)
    # Which point each pixel belongs to, 0 for none: whole numbers, so that the order of writing does not matter.
    owner = torch.zeros(n, height * width, dtype=torch.int64, device=ab.device)
    owner.scatter_reduce_(1, places, numbers.repeat_interleave(POINT_SIDE**2, 1), "amax")
    owner = owner[:, None]
    means = ab.flatten(2).gather(2, places[:, None].expand(-1, 2, -1)).view(n, 2, MAX_POINTS, -1).mean(dim=3)
    shown = F.pad(means, (1, 0)).gather(2, owner.expand(-1, 2, -1))
    return shown.view(n, 2, height, width), (owner > 0).to(ab).view(n, 1, height, width)


def _patches(ab: Tensor, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the true colors in 1 to MAX_PATCHES rectangles, up to half as high and wide as the picture."""
    n, height, width = len(chosen), *ab.shape[-2:]
    counts = torch.randint(1, MAX_PATCHES + 1, (n, 1), generator=generator)
    top, left, tall, wide = torch.rand(4, n, MAX_PATCHES, 1, generator=generator).to(ab.device)
    rows, columns = torch.arange(height, device=ab.device), torch.arange(width, device=ab.device)
    on_rows = (rows + 1 > top * height) & (rows <= (top + tall / 2) * height)
    on_columns = (columns + 1 > left * width) & (columns <= (left + wide / 2) * width)
    on_rows &= (torch.arange(MAX_PATCHES) < counts)[..., None].to(ab.device)
    covered = (on_rows[..., None] & on_columns[..., None, :]).any(dim=1, keepdim=True)
    return ab[chosen], covered.to(ab)


def _maps(ab: Tensor, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the true colors displaced smoothly, with noise, and with a part taken from another picture."""
    n, (height, width) = len(chosen), ab.shape[-2:]

    def draw(*shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator)

    displaced = displace(ab[chosen], (draw(2, 4, 4) * 2 - 1) * MAX_SHIFT * draw(1, 1, 1))
    coarse_noise = torch.randn(n, 2, height // NOISE_CELL, width // NOISE_CELL, generator=generator)
    noise = spread(coarse_noise * draw(1, 1, 1) * MAX_NOISE, ab, "bilinear")
    is_wrong = spread(draw(1, 4, 4), ab, "bilinear") > (0.5 + 0.5 * draw(1, 1, 1)).to(ab)
    level = (0.6 + 0.4 * draw(1, 1, 1)).to(ab)
    confidence = (level - is_wrong * (0.3 + 0.4 * draw(1, 1, 1)).to(ab)).clamp_(min=0)
    return torch.where(is_wrong, ab[(chosen + 1) % len(ab)], displaced) + noise, confidence


def displace(maps: Tensor, shift: Tensor) -> Tensor:
    """Warp maps (N, C, H, W) smoothly: each pixel gets the value at distance ``shift``.

    ``shift`` is (N, 2, h, w), to the right and down, in parts of the side; it is enlarged from the small size h × w.
    """
    n = len(maps)
    identity = F.affine_grid(torch.eye(2, 3).to(maps).expand(n, 2, 3), list(maps.shape), align_corners=False)
    grid = identity + spread(shift * 2, maps, "bicubic").permute(0, 2, 3, 1)  # the grid's unit is half the side
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)


def spread(coarse: Tensor, like: Tensor, mode: str) -> Tensor:
    """Enlarge a coarse map (N, C, h, w) to the height and width of ``like``, on its device."""
    return F.interpolate(coarse.to(like), size=like.shape[-2:], mode=mode, align_corners=False)
