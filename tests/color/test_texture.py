"""The measure of whether a picture shows anything that has a color to be known."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from vidcolor.color.texture import BLANK, TEXTURED, texture, texture_factor
from vidcolor.frames import FloatArray

HEIGHT, WIDTH = 256, 384


def grain(deviation: float) -> FloatArray:
    """Gaussian noise."""
    noise = np.random.default_rng(0).normal(0, deviation, (HEIGHT, WIDTH))
    return noise.astype(np.float32)


def field(level: float) -> FloatArray:
    """One level everywhere."""
    return np.full((HEIGHT, WIDTH), level, np.float32)


def gradient(low: float, high: float, axis: int) -> FloatArray:
    """From the one level to the other."""
    ramp = np.linspace(low, high, (HEIGHT, WIDTH)[axis], dtype=np.float32)
    return np.broadcast_to(np.expand_dims(ramp, 1 - axis), (HEIGHT, WIDTH)).copy()


def vignette(low: float, high: float) -> FloatArray:
    """Bright in the middle, dark in the corners."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    return (high - (high - low) * (x**2 + y**2) / 2).astype(np.float32)


def writing(paper: float, ink: float, size: float = 0.6) -> FloatArray:
    """Lines of text."""
    page = np.zeros((HEIGHT, WIDTH), np.uint8)
    for row in range(40, HEIGHT - 10, round(45 * size)):
        cv2.putText(page, "and so, after many years", (30, row), cv2.FONT_HERSHEY_COMPLEX, size, 255, 1)
    return (paper + (ink - paper) * page / 255).astype(np.float32)


def things(contrast: float) -> FloatArray:
    """Some disks of different levels before a grey ground."""
    picture = field(0.5)
    random = np.random.default_rng(1)
    for _ in range(12):
        center = random.integers(0, (WIDTH, HEIGHT)).tolist()
        level = 0.5 + contrast * random.uniform(-0.5, 0.5)
        cv2.circle(picture, center, int(random.integers(15, 60)), level, -1)
    return picture


def sky_with_a_hill() -> FloatArray:
    """A sky without a cloud, which fills most of the picture, above a hill."""
    picture = gradient(0.55, 0.75, 0)
    cv2.circle(picture, (200, 420), 240, 0.3, -1)
    return picture


@pytest.mark.parametrize("level", [0.0, 0.1, 0.35, 0.5, 0.8, 0.95, 1.0])
def test_fields_show_nothing(level: float) -> None:
    """A field of one level, with and without grain, shows nothing."""
    assert texture_factor(field(level)) == 0
    assert texture_factor((field(level) + grain(0.04)).clip(0, 1)) == 0


@pytest.mark.parametrize(
    "picture",
    [
        gradient(0.2, 0.8, 0),
        gradient(0.9, 0.3, 1),
        vignette(0.3, 0.6),
        writing(0.95, 0.1),
        writing(0.75, 0.3),
        writing(0.95, 0.1) * vignette(0.7, 1.0),
        writing(0.12, 0.9, size=1.1),
        (writing(0.15, 0.8) + grain(0.03)).clip(0, 1),
    ],
    ids=["down", "across", "vignette", "page", "grey page", "page in uneven light", "title", "grainy title"],
)
def test_what_has_no_color(picture: FloatArray) -> None:
    """Gradients, pages of text and title cards show nothing, in any light."""
    assert texture_factor(picture) == 0


@pytest.mark.parametrize("picture", [things(1.0), things(0.3), things(1.0)[:, :80], sky_with_a_hill()])
def test_what_has_color(picture: FloatArray) -> None:
    """Things before a ground, also of low contrast or in a narrow picture, and a sky above a hill are pictures."""
    assert texture_factor(np.ascontiguousarray(picture)) == 1


@pytest.mark.parametrize(("width", "expected"), [(14, 0), (15, 1)])
def test_width_of_strokes(width: int, expected: float) -> None:
    """Strokes up to 6 % of the short side, less the blur of a pixel, count as writing."""
    picture = field(0.8)
    for left in range(20, WIDTH - 40, 40):
        picture[:, left : left + width] = 0.2
    assert texture_factor(picture) == expected


def test_a_fade_is_followed() -> None:
    """As contrast falls the factor falls from 1 to 0 without a jump."""
    factors = [texture_factor(things(contrast)) for contrast in np.linspace(0.3, 0, 40)]
    assert (factors[0], factors[-1]) == (1, 0)
    steps = np.diff(factors)
    assert steps.max() <= 0.02
    assert steps.min() > -0.25


@pytest.mark.parametrize("view", [np.rot90, np.flipud, np.fliplr])
def test_any_way_up(view: Callable[[FloatArray], FloatArray]) -> None:
    """The measure does not depend on how the picture is turned."""
    turned = np.ascontiguousarray(view(things(0.5)))
    assert texture(turned) == pytest.approx(texture(things(0.5)), abs=0.5)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (32, 32), (33, 4096)])
def test_any_size(size: tuple[int, int]) -> None:
    """Pictures of a pixel, or of one side only, have a measure too."""
    noise = np.random.default_rng(0).random(size, dtype=np.float32)
    assert 0 <= texture_factor(noise) <= 1
    assert texture_factor(np.full(size, 0.5, np.float32)) == 0


def test_thresholds_are_in_order() -> None:
    """The factor rises between them."""
    assert 0 < BLANK < TEXTURED
