"""Conversions to and from Lab, compared with scikit-image."""

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from vidcolor.color import lab as of_arrays
from vidcolor.networks.lab import (
    grey_to_lightness,
    lab_to_linear_rgb,
    lab_to_rgb,
    lightness_to_grey,
    linear_to_srgb,
    rgb_to_lab,
    srgb_to_linear,
)


def random_rgb(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_rgb_to_lab_matches_skimage():
    """Lab of random colors is scikit-image's."""
    rgb = random_rgb(3, 40, 50)
    expected = rgb2lab(rgb.permute(1, 2, 0).numpy())
    np.testing.assert_allclose(rgb_to_lab(rgb).permute(1, 2, 0).numpy(), expected, atol=1e-3)


def test_lab_to_rgb_matches_skimage():
    """R'G'B' of Lab colors inside the gamut is scikit-image's."""
    lab = rgb2lab(random_rgb(40, 50, 3).numpy())
    found = lab_to_rgb(torch.from_numpy(lab).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, lab2rgb(lab), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_keeps_shape_and_dtype(dtype):
    """Lab and back is the identity for any leading dimensions."""
    rgb = random_rgb(2, 4, 3, 8, 9).to(dtype)
    back = lab_to_rgb(rgb_to_lab(rgb))
    assert back.shape == rgb.shape
    assert back.dtype == dtype
    torch.testing.assert_close(back, rgb, atol=1e-4, rtol=0)


def test_arrays_and_tensors_are_converted_alike():
    """The functions of arrays give what those of tensors give, also for colors outside the gamut."""
    lab = 100 * (2 * random_rgb(3, 40, 50) - 1)
    lab[0].abs_()
    linear = of_arrays.lab_to_linear_rgb(lab.numpy())
    np.testing.assert_allclose(linear, lab_to_linear_rgb(lab).numpy(), atol=1e-9)
    np.testing.assert_allclose(of_arrays.linear_to_srgb(linear), linear_to_srgb(torch.from_numpy(linear)), atol=1e-9)


def test_transfer_curve_is_odd_and_invertible():
    """Negative light, outside the gamut, survives the transfer function and its inverse."""
    linear = torch.linspace(-2, 2, 1001, dtype=torch.float64)
    torch.testing.assert_close(srgb_to_linear(linear_to_srgb(linear)), linear, atol=1e-6, rtol=0)
    torch.testing.assert_close(linear_to_srgb(-linear), -linear_to_srgb(linear))


def test_grey_has_the_lightness_of_neutral_rgb():
    """The L of a grey level is that of the neutral color, and converts back to the level."""
    grey = torch.linspace(0, 1, 256, dtype=torch.float64)
    L = grey_to_lightness(grey)
    expected = rgb2lab(np.repeat(grey.numpy()[:, None], 3, axis=1))[:, 0]
    np.testing.assert_allclose(L.numpy(), expected, atol=1e-3)
    torch.testing.assert_close(lightness_to_grey(L), grey, atol=1e-9, rtol=0)


def test_gradients_are_finite_everywhere():
    """The conversions have finite gradients, also for black and for colors outside the gamut."""
    lab = torch.tensor([[0.0, 50.0, 100.0], [0.0, -120.0, 90.0], [0.0, 110.0, -110.0]], requires_grad=True)
    lab_to_rgb(lab[:, None]).sum().backward()
    assert torch.isfinite(lab.grad).all()
