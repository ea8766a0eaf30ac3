"""Simulate the next frame of a film on a still picture: it moves, flickers and gets other grain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_TURN = math.radians(2)
MAX_ZOOM = 0.03
MAX_SHIFT = 0.04  # of half the picture's width and height
MAX_GAIN = 0.25
MAX_LIFT = 0.03  # of white
MAX_GRAIN = 0.02  # standard deviation, of white


@dataclass(frozen=True)
class FrameDegradation:
    """One small movement, gain, lift and grain for each of N pictures.

    ``theta``: (N, 2, 3), where each place of the moved picture comes from, as ``affine_grid`` has it. ``gain``,
    ``lift`` and ``grain``: (N, 1, 1, 1). ``random`` makes the grain itself.
    """

    theta: Tensor
    gain: Tensor
    lift: Tensor
    grain: Tensor
    random: torch.Generator

    def move(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Move ``maps`` (N, C, h, w) differentiably; also return a mask (N, 1, h, w): 1 inside the old picture.

        The movement is the same at every size of the maps.
        """
        grid = self._grid(maps)
        inside = (grid.abs() <= 1).all(dim=-1)[:, None]
        return F.grid_sample(maps, grid, padding_mode="border", align_corners=False), inside.to(maps)

    def move_hints(self, hints: Tensor) -> Tensor:
        """Move hints (N, C, H, W) by whole pixels: a point stays a point."""
        return F.grid_sample(hints, self._grid(hints), mode="nearest", align_corners=False)

    def film(self, grey: Tensor) -> Tensor:
        """Move grey (N, 1, H, W) in [0, 1] and apply gain, lift and grain; the result is in [0, 1]."""
        noise = torch.randn(grey.shape, generator=self.random, device=self.random.device).to(grey)
        gain, lift, grain = (value.to(grey) for value in (self.gain, self.lift, self.grain))
        moved = F.grid_sample(grey, self._grid(grey), padding_mode="reflection", align_corners=False)
        return (gain * moved + lift + grain * noise).clamp(0, 1)

    def _grid(self, maps: Tensor) -> Tensor:
        n, _, h, w = maps.shape
        with torch.autocast(maps.device.type, enabled=False):  # bf16 would be wrong by up to a pixel
            return F.affine_grid(self.theta.to(maps), [n, 1, h, w], align_corners=False)


def draw_frame_degradation(pictures: int, random: torch.Generator) -> FrameDegradation:
    """Draw an independent degradation for each of ``pictures`` pictures, uniformly between the bounds."""

    def draw(most: float) -> Tensor:
        return most * (2 * torch.rand(pictures, generator=random, device=random.device) - 1)

    turn, zoom = draw(MAX_TURN), 1 + draw(MAX_ZOOM)
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    across = torch.stack((cos, -sin, draw(MAX_SHIFT)), dim=1)
    down = torch.stack((sin, cos, draw(MAX_SHIFT)), dim=1)
    gain, lift, grain = 1 + draw(MAX_GAIN), draw(MAX_LIFT), draw(MAX_GRAIN).abs()
    single = (pictures, 1, 1, 1)
    return FrameDegradation(
        torch.stack((across, down), dim=1), gain.view(single), lift.view(single), grain.view(single), random
    )
