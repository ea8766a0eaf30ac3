"""Colors of a picture's own, beside tints."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.color_films import texture
from vidcolor.color.own_color import GREY, ColorEvidence, color_evidence, rgb_evidence, thumbnail_band
from vidcolor.frames import FloatArray
from vidcolor.options import KeepColor
from vidcolor.stills.bands import row_ranges


def tinted(*tint: float, noise: float = 0.0) -> FloatArray:
    """A texture in one color, R'G'B' (h, w, 3), with noise of R, G and B."""
    rgb = texture(3, 64, 96)[..., None] * np.asarray(tint, np.float32)
    return np.asarray(rgb + np.random.default_rng(0).normal(0, noise, rgb.shape), np.float32).clip(0, 1)


def toned() -> FloatArray:
    """A print whose shadows are blue and whose lights are yellow."""
    grey = texture(3, 64, 96)
    lights = np.array((1.0, 0.9, 0.6), np.float32)
    shadows = np.array((0.0, 0.05, 0.25), np.float32)
    return np.asarray(shadows + grey[..., None] * (lights - shadows), np.float32)


def colored(strength: float = 1.0) -> FloatArray:
    """A texture whose left half is red and whose right half is green."""
    rgb = tinted(1, 1, 1)
    rgb[:, :48] *= 1 + strength * (np.array((1.1, 0.6, 0.5), np.float32) - 1)
    rgb[:, 48:] *= 1 + strength * (np.array((0.6, 1.0, 0.5), np.float32) - 1)
    return rgb.clip(0, 1)


@pytest.mark.parametrize(
    "rgb",
    [
        tinted(1, 1, 1),
        tinted(1, 1, 1, noise=0.01),
        tinted(1, 0.72, 0.35),
        tinted(0.35, 0.55, 1),
        tinted(1, 0.9, 0.7, noise=0.01),
        toned(),
    ],
    ids=["grey", "noise of chroma", "amber", "blue night", "noisy sepia", "toned"],
)
def test_tints_are_no_colors_of_its_own(rgb: FloatArray) -> None:
    """Grey, one tint of any strength, and a tint that depends on the luma do not count."""
    assert not rgb_evidence(rgb).has_own


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_colors_of_its_own(strength: float) -> None:
    """Two colors at the same luma count, also faint ones; beside a strong tint as well."""
    assert rgb_evidence(colored(strength)).has_own
    assert rgb_evidence(colored(strength) * np.array((1, 0.8, 0.6), np.float32)).has_own


def test_something_small_is_no_color_picture() -> None:
    """A yellow subtitle in a grey picture does not make it one."""
    rgb = tinted(1, 1, 1)
    rgb[52:58, 20:76] = (0.9, 0.9, 0.1)
    assert not rgb_evidence(rgb).has_own
    assert rgb_evidence(rgb).has_any


def test_the_same_in_chroma_planes() -> None:
    """R'G'B' and Y'CbCr of one picture say the same."""
    rgb = colored()
    luma = rgb @ np.array((0.299, 0.587, 0.114), np.float32)
    chroma = np.stack(((rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402)).astype(np.float32)
    one, other = rgb_evidence(rgb), color_evidence(luma, chroma)
    assert (one.left, one.chroma) == pytest.approx((other.left, other.chroma), rel=1e-4)


def test_dark_pictures_say_nothing() -> None:
    """A picture is judged only if enough of it is lit."""
    assert rgb_evidence(colored()).is_lit
    assert not rgb_evidence(colored() * np.float32(0.05)).is_lit


@pytest.mark.parametrize(
    ("evidence", "keeps"),
    [
        (GREY, {"auto": False, "always": False, "never": False}),
        (ColorEvidence(left=1, chroma=30, is_lit=True), {"auto": False, "always": True, "never": False}),
        (ColorEvidence(left=9, chroma=20, is_lit=True), {"auto": True, "always": True, "never": False}),
    ],
    ids=["grey", "tint", "own"],
)
def test_what_is_kept(evidence: ColorEvidence, keeps: dict[KeepColor, bool]) -> None:
    """By default colors of its own, on request also tints, or nothing."""
    assert {keep: evidence.says_keep(keep) for keep in keeps} == keeps


def test_what_denies_a_decision() -> None:
    """Only a clear contrary does: what lies between tint and color agrees with either."""
    clear, unclear, tint = (ColorEvidence(left=left, chroma=9, is_lit=True) for left in (12, 5, 1))
    assert [evidence.denies(True, "auto") for evidence in (clear, unclear, tint)] == [False, False, True]
    assert [evidence.denies(False, "auto") for evidence in (clear, unclear, tint)] == [True, False, False]
    assert [evidence.denies(False, "always") for evidence in (clear, unclear, tint)] == [True] * 3


@pytest.mark.parametrize("size", [(1, 1), (2, 500), (500, 2), (640, 480)])
def test_any_size(size: tuple[int, int]) -> None:
    """Thumbnails of any picture can be judged; a plain red field is a tint."""
    red = np.zeros((*size, 3), np.float32)
    red[..., 0] = 1
    assert not rgb_evidence(thumbnail_band(red, size)).has_own


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 256), (64, 256)),
        ((127, 508), (127, 508)),
        ((480, 640), (69, 91)),
        ((100, 100_000), (100, 256)),
        ((100_000, 100), (257, 100)),
        ((1, 4_000_000), (1, 256)),
        ((200, 1), (200, 1)),
    ],
)
def test_size_of_thumbnails(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The long side is bounded too, so a strip needs no more memory than other pictures."""
    row = np.zeros((1, size[1], 3), np.float32)
    bands = (np.broadcast_to(row, (bottom - top, size[1], 3)) for top, bottom in row_ranges(*size))
    assert np.concatenate([thumbnail_band(band, size) for band in bands]).shape == (*expected, 3)
