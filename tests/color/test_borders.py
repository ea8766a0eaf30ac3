"""The borders of single pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidcolor.color.borders import Side, accepted_widths, fill_borders, find_borders, neutral_borders
from vidcolor.frames import NO_BORDERS, Borders, FloatArray

HEIGHT, WIDTH = 256, 400


def scene(height: int = HEIGHT, width: int = WIDTH, seed: int = 1) -> FloatArray:
    """Blotches of all levels."""
    noise = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 12)
    return np.asarray((smooth - smooth.min()) / np.ptp(smooth), np.float32)


def framed(level: float, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0, noise: float = 0) -> FloatArray:
    """A scene with borders of these widths."""
    picture = np.full((HEIGHT, WIDTH), level, np.float32)
    picture[top : HEIGHT - bottom, left : WIDTH - right] = scene(HEIGHT - top - bottom, WIDTH - left - right)
    grain = np.random.default_rng(0).normal(0, noise, picture.shape)
    return np.asarray((picture + grain).clip(0, 1), np.float32)


@pytest.mark.parametrize("level", [0.0, 0.09, 0.38, 0.7, 0.96])
@pytest.mark.parametrize("widths", [(50, 0, 50, 0), (0, 30, 0, 30), (20, 20, 20, 20), (60, 0, 30, 0)])
@pytest.mark.parametrize("noise", [0, 0.012])
def test_bars_are_found(level: float, widths: tuple[int, int, int, int], noise: float) -> None:
    """Bars of any level, noisy or not, are found to the pixel or two."""
    found = find_borders(framed(level, *widths, noise=noise))
    np.testing.assert_allclose(found.widths, widths, atol=2)
    assert [bool(width) for width in found.widths] == [bool(width) for width in widths]


def test_black_on_one_side() -> None:
    """A black border is accepted alone; one of another level is not, since it may be a wall or a sky."""
    assert find_borders(framed(0.03, left=40)).left == pytest.approx(40, abs=2)
    assert find_borders(framed(0.6, left=40)) == NO_BORDERS


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Side(15, 30, 0.3), Side(0, 0, 0), (16, 0)),
        (Side(14, 30, 0.3), Side(0, 0, 0), (0, 0)),
        (Side(15, 31, 0.3), Side(0, 0, 0), (0, 0)),
        (Side(15, 30, 0.29), Side(0, 0, 0), (0, 0)),
        (Side(15, 90, 0.5), Side(40, 95, 0.5), (16, 41)),
        (Side(14, 90, 0.5), Side(40, 95, 0.5), (0, 0)),
        (Side(15, 90, 0.5), Side(40, 96, 0.5), (0, 0)),
        (Side(15, 90, 0.5), Side(40, 95, 0.49), (0, 0)),
        (Side(0, 12, 0), Side(40, 12, 0.3), (0, 41)),
    ],
)
def test_which_borders_count(one: Side, other: Side, expected: tuple[int, int]) -> None:
    """Width, level and step decide at their thresholds, for black ones and for pairs; the mixed pixel is added."""
    assert accepted_widths("x", one, other, 1000) == expected


def test_bars_of_two_levels() -> None:
    """A black letterbox within grey pillars, and grey pillars within a black letterbox."""
    inner = framed(0.02, top=30, bottom=30)
    inner[:, :60] = inner[:, -60:] = 0.4
    np.testing.assert_allclose(find_borders(inner).widths, (60, 30, 60, 30), atol=2)
    outer = framed(0.4, left=60, right=60)
    outer[:30] = outer[-30:] = 0.02
    np.testing.assert_allclose(find_borders(outer).widths, (60, 30, 60, 30), atol=2)


def test_dust_on_a_bar() -> None:
    """Specks on a bar do not end it."""
    picture = framed(0.4, left=50, right=50)
    picture[100:104, 20:24] = picture[200:203, 380:383] = 1
    np.testing.assert_allclose(find_borders(picture).widths, (50, 0, 50, 0), atol=2)


def sky(level: float) -> FloatArray:
    """Level as paint, above a wavy horizon."""
    picture = np.full((HEIGHT, WIDTH), level, np.float32)
    horizon = (150 + 30 * np.sin(np.arange(WIDTH) / 40)).astype(int)
    below = np.arange(HEIGHT)[:, None] > horizon
    picture[below] = scene()[below]
    return picture


def sea() -> FloatArray:
    """A sky level as paint above a straight horizon."""
    picture = scene()
    picture[:120] = 0.7
    return picture


def studio(level: float) -> FloatArray:
    """A round thing before a ground that is level as paint."""
    picture = np.full((HEIGHT, WIDTH), level, np.float32)
    inside = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(inside, (WIDTH // 2, HEIGHT // 2), 90, 1, -1)
    picture[inside > 0] = scene()[inside > 0]
    return picture


def halves(left: float, right: float) -> FloatArray:
    """Two fields side by side."""
    picture = np.full((64, 96), left, np.float32)
    picture[:, 48:] = right
    return picture


@pytest.mark.parametrize(
    "picture",
    [scene(), sky(0.5), sky(0.9), sea(), studio(0.5), studio(0.97), studio(0.02), halves(0.0, 0.08), halves(0.4, 0.4)],
    ids=["scene", "sky", "white sky", "sea", "studio", "white studio", "black studio", "dark halves", "field"],
)
def test_what_is_no_border(picture: FloatArray) -> None:
    """Skies, seas and studios are level too, but lie on one side only or do not end at a straight line."""
    assert find_borders(picture) == NO_BORDERS


def test_borders_are_neutral_and_unseen() -> None:
    """Ab is 0 in borders and stays elsewhere; the network sees mirror images there, and the same picture within."""
    picture = framed(0.4, left=50, right=50)
    borders = find_borders(picture)
    ab = neutral_borders(np.ones((2, HEIGHT, WIDTH), np.float32), picture, borders)
    assert not ab[:, :, :50].any()
    assert not ab[:, :, -50:].any()
    assert ab[:, :, 53:-53].mean() > 0.999  # a corner may have the border's level
    shown = fill_borders(picture, borders)
    np.testing.assert_array_equal(borders.inside(shown), borders.inside(picture))
    edge = borders.left
    np.testing.assert_array_equal(shown[:, :edge], shown[:, edge : 2 * edge][:, ::-1])


def test_rounded_corners_are_neutral() -> None:
    """Corners of a film gate have the level of its border, and are neutral; those of the scene are not."""
    level, radius = 0.25, 24
    picture, inside = np.full((HEIGHT, WIDTH), level, np.float32), np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.rectangle(inside, (50 + radius, 20), (350 - radius, 236), 1, -1)
    cv2.rectangle(inside, (50, 20 + radius), (350, 236 - radius), 1, -1)
    for center in ((50 + radius, 20 + radius), (350 - radius, 20 + radius), (50 + radius, 236 - radius)):
        cv2.circle(inside, center, radius, 1, -1)
    cv2.circle(inside, (350 - radius, 236 - radius), radius, 1, -1)
    picture[inside > 0] = 0.5 + scene()[inside > 0] / 2
    borders = find_borders(picture)
    ab = neutral_borders(np.ones((2, HEIGHT, WIDTH), np.float32), picture, borders)
    assert borders
    assert not ab[0, 22:25, 52:55].any()
    outside = cv2.erode(1 - inside, np.ones((3, 3), np.uint8)) > 0
    assert not ab[:, outside].any()
    core = cv2.erode(inside, np.ones((9, 9), np.uint8)) > 0
    assert ab[:, core].all()


def test_how_far_a_corner_reaches() -> None:
    """Only what lies beyond a circle of 12 % of the short side counts as a corner, whatever has the border's level."""
    picture = framed(0.25, 50, 20, 50, 20)
    picture[20:60, 50:90] = 0.25
    borders = Borders(left=50, top=20, right=50, bottom=20, level=0.25 * 255)
    ab = neutral_borders(np.ones((2, HEIGHT, WIDTH), np.float32), picture, borders)
    radius = 26  # of 216 pixels
    y, x = np.indices((40, 40)) + 0.5
    beyond = (np.minimum(y, radius) - radius) ** 2 + (np.minimum(x, radius) - radius) ** 2 > radius**2
    np.testing.assert_array_equal(ab[0, 20:60, 50:90], ~beyond)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (5, 5), (32, 4096)])
def test_any_size(size: tuple[int, int]) -> None:
    """Pictures of a pixel, or of one side only, have no borders and raise nothing."""
    assert find_borders(np.full(size, 0.5, np.float32)) == NO_BORDERS
    assert find_borders(np.random.default_rng(0).random(size, dtype=np.float32)) == NO_BORDERS


def test_no_borders_cost_nothing() -> None:
    """Without borders the same arrays come back."""
    picture, ab = scene(), np.ones((2, HEIGHT, WIDTH), np.float32)
    assert fill_borders(picture, NO_BORDERS) is picture
    assert neutral_borders(ab, picture, Borders()) is ab
