"""Borders through the shots of a film."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from vidcolor.frames import NO_BORDERS, FloatArray, Frame, Picture
from vidcolor.motion.borders import mark_borders, neutralize_borders

HEIGHT, WIDTH, COUNT = 128, 200, 12


def scene(step: float, height: int, width: int, seed: int = 0) -> FloatArray:
    """Blotches that move by ``step`` pixels."""
    noise = np.random.default_rng(seed).random((HEIGHT, 2 * WIDTH), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 8)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return np.asarray(smooth[:height, round(step) : round(step) + width])


def pillared(step: float, left: int = 30, right: int = 30, level: float = 0.4) -> FloatArray:
    """A scene between two bars."""
    picture = np.full((HEIGHT, WIDTH), level, np.float32)
    picture[:, left : WIDTH - right] = scene(step, HEIGHT, WIDTH - left - right)
    return picture


def film(greys: list[FloatArray], starts: tuple[int, ...] = (0,), disturbed: tuple[int, ...] = ()) -> Iterator[Frame]:
    """Frames of these pictures."""
    for index, grey in enumerate(greys):
        picture = Picture(index, 1, np.zeros((2, 2), np.uint8))
        yield Frame(picture, grey, opens_shot=index in starts, is_disturbed=index in disturbed)


def widths(greys: list[FloatArray], **marks: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """The widths of the borders in every frame."""
    return [frame.borders.widths for frame in mark_borders(film(greys, **marks))]


def test_bars_are_steady() -> None:
    """Bars that stay have one width in all frames, whatever moves between them."""
    found = widths([pillared(3 * index) for index in range(COUNT)])
    assert len(set(found)) == 1
    np.testing.assert_allclose(found[0], (30, 0, 30, 0), atol=2)


def test_bars_that_weave() -> None:
    """Bars that move by a pixel or two are followed."""
    moves = [0, 1, 2, 1, -1, -2, 0, 2, -2, 1, 0, 1]
    found = widths([pillared(3 * index, 30 + move, 30 - move) for index, move in enumerate(moves)])
    for (left, _, right, _), move in zip(found, moves, strict=True):
        assert (left, right) == pytest.approx((30 + move, 30 - move), abs=3)


def test_a_dark_scene_does_not_widen_them() -> None:
    """Where the picture beside a bar has its level, the bar stays as wide as it was."""
    greys = [pillared(3 * index, level=0.02) for index in range(COUNT)]
    for grey in greys[5:8]:
        grey[:, :70] = 0.02
    found = widths(greys)
    assert max(left for left, *_ in found) <= 30 + 0.02 * WIDTH + 2


def test_dust_in_one_frame() -> None:
    """A blot on a bar in a single frame changes nothing; a flash counts as little."""
    greys = [pillared(3 * index) for index in range(COUNT)]
    expected = widths(greys)
    greys[6][40:90, 5:20] = 1
    greys[9] = np.ones_like(greys[9])
    assert widths(greys, disturbed=(9,)) == expected


def test_what_only_looked_like_a_border() -> None:
    """A dark doorway at the edge is one while it lasts; when the camera has moved on, nothing of it stays."""
    greys = [scene(3 * index, HEIGHT, WIDTH) for index in range(COUNT)]
    for index, width in enumerate((40, 20, 0, 0)):
        greys[index][:, :width] = 0
    greys[10][:, :40] = 0
    found = widths(greys)
    assert found[0][0] == pytest.approx(40, abs=2)
    assert found[4:] == [NO_BORDERS.widths] * (COUNT - 4)


def test_a_fade_in() -> None:
    """Black frames show no border; the bars are there as soon as the picture is."""
    greys = [pillared(3 * index, level=0) * min(1, index / 6) for index in range(COUNT)]
    found = widths(greys)
    assert found[0] == NO_BORDERS.widths
    np.testing.assert_allclose(found[-6:], [(30, 0, 30, 0)] * 6, atol=2)


def test_shots_are_on_their_own() -> None:
    """What a shot has shown does not count in the next: a film that begins there has the same borders."""
    greys = [pillared(3 * index) for index in range(6)] + [scene(3 * index, HEIGHT, WIDTH) for index in range(6)]
    greys += [pillared(3 * index, 20, 40) for index in range(6)]
    found = widths(greys, starts=(0, 6, 12))
    assert found[6:12] == [NO_BORDERS.widths] * 6
    assert found[12:] == widths(greys[12:])


def test_ab_in_borders() -> None:
    """Ab is 0 there and stays elsewhere; a frame without borders is the same object."""
    bare, barred = list(mark_borders(film([scene(0, HEIGHT, WIDTH), pillared(0)], starts=(0, 1))))
    ab = np.ones((2, HEIGHT, WIDTH), np.float32)
    frames = [Frame(frame.picture, frame.grey, borders=frame.borders, ab=ab) for frame in (bare, barred)]
    first, second = neutralize_borders(iter(frames))
    assert first is frames[0]
    assert second.ab is not None
    assert not second.ab[:, :, :30].any()
    assert second.ab[:, :, 33:-33].mean() > 0.99
