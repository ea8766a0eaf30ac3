"""What moves a still picture as a film would: the same for all sizes, small, and within the picture."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from vidcolor_training.objectives.frame_degradation import FrameDegradation, draw_frame_degradation


def shifted(pixels: int, size: int) -> FrameDegradation:
    """Everything comes from so many pixels further right, and nothing else happens."""
    theta = torch.tensor([[[1.0, 0.0, 2 * pixels / size], [0.0, 1.0, 0.0]]])
    one, none = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    return FrameDegradation(theta, gain=one, lift=none, grain=none, random=torch.Generator())


def test_a_shift_is_a_shift() -> None:
    """Maps, hints and film move by whole pixels; what comes from outside is marked."""
    maps = torch.rand(1, 3, 16, 16)
    disturb = shifted(3, 16)
    moved, inside = disturb.move(maps)
    torch.testing.assert_close(moved[..., :13], maps[..., 3:], atol=1e-5, rtol=0)
    assert inside[0, 0, 0].tolist() == [1.0] * 13 + [0.0] * 3
    torch.testing.assert_close(disturb.move_hints(maps)[..., :13], maps[..., 3:])
    assert (disturb.move_hints(maps)[..., 13:] == 0).all()
    torch.testing.assert_close(disturb.film(maps[:, :1])[..., :13], maps[:, :1, :, 3:], atol=1e-5, rtol=0)


def test_the_same_movement_at_every_size() -> None:
    """Moving and shrinking can be exchanged, on a smooth picture."""
    coarse = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    picture = F.interpolate(coarse, size=(64, 64), mode="bicubic")
    disturb = draw_frame_degradation(2, torch.Generator().manual_seed(0))
    first, inside = disturb.move(picture)
    second, inside_small = disturb.move(F.avg_pool2d(picture, 4))
    certain = (F.avg_pool2d(inside, 4) == 1) & (inside_small == 1)
    difference = (F.avg_pool2d(first, 4) - second)[certain].abs().mean()
    assert difference < 0.4 * (F.avg_pool2d(picture, 4) - second)[certain].abs().mean()
    assert certain.float().mean() > 0.7


def test_autocast_does_not_move_pixels() -> None:
    """Under bf16 autocast the movement has the same digits."""
    disturb, picture = draw_frame_degradation(2, torch.Generator().manual_seed(0)), torch.rand(2, 1, 64, 64)
    plain, _ = disturb.move(picture)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(disturb.move(picture)[0], plain)


def test_film_flickers_and_stays_in_range() -> None:
    """Gain, lift and grain differ from picture to picture; white stays white at most."""
    grey = torch.full((64, 1, 16, 16), 0.5)
    film = draw_frame_degradation(64, torch.Generator().manual_seed(0)).film(grey)
    levels = film.mean(dim=(1, 2, 3))
    assert 0.5 * 0.75 - 0.03 < levels.min() < 0.42
    assert 0.58 < levels.max() < 0.5 * 1.25 + 0.03
    grain = film.std(dim=(1, 2, 3))
    assert grain.max().item() == pytest.approx(0.02, rel=0.2)
    white = draw_frame_degradation(64, torch.Generator().manual_seed(0)).film(torch.ones_like(grey))
    assert white.max() == 1
