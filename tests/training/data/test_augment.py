"""Damage to the grey picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import uniform_filter
from torch import Tensor

from vidcolor_training.data import augment
from vidcolor_training.data.augment import damage, dust, grain, jpeg, quantization, scratches, soften


@pytest.fixture
def grey() -> Tensor:
    """Sixteen pictures (16, 1, 64, 64): a ramp with fine texture."""
    texture = torch.rand(16, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    return texture.mul(0.2) + torch.linspace(0, 0.8, 64)


def test_damage_is_old_film_not_another_picture(grey: Tensor) -> None:
    """Damage keeps the range and the picture recognizable, is repeatable, and leaves what it is given alone."""
    before = grey.clone()
    damaged = damage(grey, torch.Generator().manual_seed(0))
    assert 0 <= damaged.min() <= damaged.max() <= 1
    assert torch.equal(grey, before)
    assert torch.equal(damaged, damage(grey, torch.Generator().manual_seed(0)))
    assert not torch.equal(damaged, damage(grey, torch.Generator().manual_seed(1)))
    assert np.corrcoef(grey.flatten(), damaged.flatten())[0, 1] > 0.9


def test_some_pictures_stay_untouched(grey: Tensor) -> None:
    """About a quarter of the pictures comes through as it is."""
    random = torch.Generator().manual_seed(0)
    many = grey.repeat(16, 1, 1, 1)
    untouched = (damage(many, random) == many).flatten(1).all(dim=1).float().mean()
    assert 0.15 < untouched < 0.35


def test_a_batch_that_no_damage_hits() -> None:
    """One picture alone is left as it is for some seeds and damaged for others."""
    one = torch.rand(1, 1, 16, 16)
    unchanged = [torch.equal(damage(one, torch.Generator().manual_seed(seed)), one) for seed in range(20)]
    assert 0 < sum(unchanged) < 20


@pytest.mark.parametrize("quality", [20, 50, 75, 90])
def test_jpeg_is_that_of_pillow(quality: int) -> None:
    """The error of a JPEG is Pillow's: within 2 % in size, and nearly all of it at the same places."""
    random = np.random.default_rng(0)
    waves = 128 + 60 * np.sin(np.arange(96) / 5)[:, None] * np.cos(np.arange(64) / 3)
    levels = (waves + random.normal(0, 10, (96, 64))).clip(0, 255).astype(np.uint8)
    stored = io.BytesIO()
    Image.fromarray(levels).save(stored, "JPEG", quality=quality)
    expected = np.asarray(Image.open(stored)).astype(float) - levels
    grey = torch.from_numpy(levels).float()[None, None] / 255
    found = (jpeg(grey, torch.tensor([quality]))[0, 0].numpy() * 255) - levels
    assert np.square(found).mean() == pytest.approx(np.square(expected).mean(), rel=0.02)
    assert np.square(found - expected).mean() < 0.05 * np.square(expected).mean()


def test_jpeg_quantizes_as_pillow_does() -> None:
    """Every quality has the table that Pillow writes into its files."""
    qualities = [1, 20, 49, 50, 90, 100]
    for quality, table in zip(qualities, quantization(torch.tensor(qualities)), strict=True):
        stored = io.BytesIO()
        Image.new("L", (8, 8)).save(stored, "JPEG", quality=quality)
        with Image.open(stored) as image:
            assert image.quantization[0] == table.flatten().tolist()  # type: ignore[attr-defined]


def test_jpeg_takes_any_size_and_a_quality_for_each_picture(grey: Tensor) -> None:
    """Sizes that are no multiples of eight keep their shape; each picture has its own quality."""
    odd = grey[:2, :, :13, :21]
    both = jpeg(odd, torch.tensor([20, 90]))
    assert both.shape == odd.shape
    torch.testing.assert_close(both[1:], jpeg(odd[1:], torch.tensor([90])))
    error = (both - odd).square().mean(dim=(1, 2, 3))
    assert error[0] > 2 * error[1]


@pytest.mark.parametrize("radius", [1, 2])
def test_softening_is_a_mean(radius: int, grey: Tensor) -> None:
    """At full amount it is SciPy's uniform filter; at none nothing happens."""
    amount = torch.ones(16, 1, 1, 1)
    amount[3] = 0
    soft = soften(grey, radius, amount)
    expected = uniform_filter(grey[0, 0].double().numpy(), 2 * radius + 1, mode="nearest")
    np.testing.assert_allclose(soft[0, 0], expected, atol=1e-6)
    assert torch.equal(soft[3], grey[3])


def test_grain_has_the_strength_that_is_asked(grey: Tensor) -> None:
    """The standard deviation is that of each picture."""
    amount = torch.linspace(0, 0.06, 16).view(16, 1, 1, 1)
    noise = grain(grey, amount, torch.Generator().manual_seed(0))
    torch.testing.assert_close(noise.std(dim=(1, 2, 3)), amount.flatten(), rtol=0.1, atol=1e-6)


def test_dust_and_scratches_are_few(grey: Tensor) -> None:
    """Dust covers the share that is asked; a scratch is a whole column, and there are at most two."""
    random = torch.Generator().manual_seed(0)
    specks = dust(grey, torch.full((16, 1, 1, 1), 0.02), random)
    assert set(specks.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert 0.015 < specks.abs().mean() < 0.025
    lines = scratches(grey, torch.full((16, 1, 1, 1), 0.4), random)
    assert lines.shape == (16, 1, 1, 64)
    assert ((lines != 0).sum(dim=-1) <= augment.SCRATCHES).all()
    assert lines.abs().max() <= 0.4
