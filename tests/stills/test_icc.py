"""ICC profiles, compared with LittleCMS."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support import icc_profiles
from vidcolor.stills import icc

RELATIVE = ImageCms.Intent.RELATIVE_COLORIMETRIC
CURVES = {
    "gamma": icc_profiles.gamma_curve(1.8),
    "table": icc_profiles.table_curve(2.4),
    "parametric 0": icc_profiles.parametric_curve(0, 2.2),
    "parametric 1": icc_profiles.parametric_curve(1, 2.2, 1.05, -0.05),
    "parametric 2": icc_profiles.parametric_curve(2, 2.2, 1.001, 0.0, -0.002),
    "parametric 3": icc_profiles.parametric_curve(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "parametric 4": icc_profiles.parametric_curve(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, -0.002, -0.002),
}


def lcms(levels: np.ndarray, mode: str, profile: bytes) -> np.ndarray:
    """Convert 8-bit levels by LittleCMS, relative colorimetric, to sRGB in [0, 1]."""
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", RELATIVE)
    return np.asarray(ImageCms.applyTransform(Image.fromarray(levels), transform)) / 255


@pytest.mark.parametrize("name", CURVES)
def test_deep_grey_agrees_with_littlecms(name: str) -> None:
    """A grey ramp is converted like by LittleCMS for each type of tone curve."""
    ramp = np.arange(256, dtype=np.uint8)[None]
    profile = icc_profiles.grey_profile(CURVES[name])
    ours = icc.deep_to_srgb(ramp.astype(np.float32) / 255, profile)
    np.testing.assert_allclose(ours, lcms(ramp, "L", profile)[..., 1], atol=1.5 / 255)


@pytest.mark.parametrize("name", CURVES)
def test_deep_color_agrees_with_littlecms(name: str) -> None:
    """Random colors of a wide gamut are converted like by LittleCMS, clipped to sRGB."""
    colors = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    profile = icc_profiles.rgb_profile(CURVES[name])
    ours = icc.deep_to_srgb(colors.astype(np.float32) / 255, profile)
    np.testing.assert_allclose(ours, lcms(colors, "RGB", profile), atol=2.5 / 255)


def test_own_profile_is_srgb_and_always_the_same() -> None:
    """The embedded profile is recognized as sRGB and has no current date."""
    assert icc.is_srgb(icc.srgb_profile())
    assert icc.srgb_profile()[24:36] == icc.PROFILE_DATE


def test_other_profiles_are_not_srgb() -> None:
    """A wide gamut, a grey profile and garbage are not sRGB."""
    assert not icc.is_srgb(icc_profiles.rgb_profile(icc_profiles.gamma_curve(2.2)))
    assert not icc.is_srgb(icc_profiles.grey_profile(icc_profiles.gamma_curve(2.2)))
    assert not icc.is_srgb(b"garbage")


def test_deep_color_refuses_tables() -> None:
    """A profile without matrix raises instead of being approximated."""
    with pytest.raises(icc.UnsupportedProfileError, match="neither curves"):
        icc.deep_to_srgb(np.zeros((1, 1, 3), np.float32), icc_profiles.cmyk_profile())


def test_cut_profile_is_refused() -> None:
    """A profile that ends in its header raises."""
    with pytest.raises(icc.UnsupportedProfileError, match="cut short"):
        icc.deep_to_srgb(np.zeros((1, 1), np.float32), bytes(100))


def test_foreign_profile_is_ignored() -> None:
    """A CMYK profile on an RGB picture changes nothing."""
    image = Image.new("RGB", (2, 2), (10, 120, 240))
    assert icc.to_srgb(image, icc_profiles.cmyk_profile()).getpixel((0, 0)) == (10, 120, 240)
