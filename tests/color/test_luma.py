"""The grey picture at render size."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from tests.support import samples
from vidcolor.color.luma import expand_range, field_luma, quarter_turns, resize_plane, shrink, stored_render_size
from vidcolor.frames import Picture

SPEC = replace(samples.SPEC, width=640, height=480)


@pytest.mark.parametrize(
    ("bit_depth", "full_range", "codes"),
    [(8, False, [16, 235]), (8, True, [0, 255]), (10, False, [64, 940]), (12, True, [0, 4095])],
)
def test_black_and_white_become_zero_and_one(bit_depth, full_range, codes):
    """The nominal range of H.273 is expanded to [0, 1], and what lies outside is clipped."""
    spec = replace(SPEC, bit_depth=bit_depth, full_range=full_range)
    beyond = 0 if full_range else 1
    plane = np.array([[codes[0] - beyond, *codes, codes[1] + beyond]], np.uint16)
    grey = expand_range(plane, spec)
    assert grey.dtype == np.float32
    np.testing.assert_array_equal(grey, [[0, 0, 1, 1]])


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [
        ((1920, 1080), None, (448, 256)),
        ((720, 576), Fraction(16, 15), (352, 256)),
        ((480, 640), None, (256, 352)),
        ((1309, 1000), None, (335, 256)),
        ((1301, 1000), None, (320, 256)),  # 333 by 3.9 %
        ((1305, 1000), None, (334, 256)),  # which 320 would change by 4.2 %
        ((398, 100), None, (384, 100)),
        ((160, 120), None, (160, 120)),
        ((1, 1), None, (32, 32)),
        ((2000, 2), None, (128, 32)),
    ],
)
def test_render_size(size, aspect, expected):
    """The short side is 256 with nearly square pixels; small films keep their size, within the limits."""
    spec = replace(SPEC, width=size[0], height=size[1], sample_aspect_ratio=aspect)
    assert stored_render_size(spec, 256) == expected


def test_rotated_film_is_seen_upright():
    """A film whose display matrix says 90° counter-clockwise is rotated so."""
    luma = np.full((480, 640), 16, np.uint8)
    luma[:, 320:] = 235  # the right half is bright: turned counter-clockwise, it is on top
    frame = next(shrink(iter([Picture(0, 1, luma)]), replace(SPEC, rotation=90), 64))
    assert frame.grey.shape == (85, 64)
    assert frame.grey[:40].min() > 0.99
    assert frame.grey[45:].max() < 0.01


@pytest.mark.parametrize(
    ("first_field", "second", "rows"),
    [
        (None, False, [0, 1, 2, 3, 4]),
        ("top", False, [0, 2, 4]),
        ("top", True, [1, 3]),
        ("bottom", False, [1, 3]),
        ("bottom", True, [0, 2, 4]),
    ],
)
def test_lines_of_a_field(first_field, second, rows):
    """A field has every other line: the even ones are the top field, whichever comes first."""
    luma = np.arange(5, dtype=np.uint8)[:, None].repeat(3, axis=1)
    found = field_luma(Picture(0, 1, luma, first_field=first_field), second=second)
    np.testing.assert_array_equal(found, luma[rows])


def test_the_source_plane_is_left_alone():
    """The luma is never written to, even if it has render size already."""
    luma = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
    before = luma.copy()
    luma.flags.writeable = False
    spec = replace(SPEC, width=64, height=48)
    frame = next(shrink(iter([Picture(7, 1, luma)]), spec, 256))
    np.testing.assert_array_equal(frame.picture.luma, before)
    np.testing.assert_allclose(frame.grey, np.clip((before - 16.0) / 219, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("angle", "turns"), [(0, 0), (44, 0), (46, 1), (90, 1), (180, 2), (270, 3), (-90, 3), (360, 0)]
)
def test_angles_are_rounded_to_quarter_turns(angle, turns):
    """Rotations are counter-clockwise, as in the display matrix."""
    assert quarter_turns(replace(SPEC, rotation=angle)) == turns


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((1920, 1080), (448, 256)),
        ((1440, 1080), (352, 256)),
        ((720, 576), (352, 256)),
        ((1001, 701), (334, 234)),
        ((600, 400), (400, 266)),
    ],
)
def test_shrinking_is_close_to_area_interpolation(source, target):
    """Resizing in several steps gives the result of one area resize."""
    width, height = source
    noise = np.random.default_rng(0).uniform(0, 255, (height // 24, width // 24)).astype(np.float32)
    plane = np.clip(cv2.resize(noise, source, interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
    expected = cv2.resize(plane, target, interpolation=cv2.INTER_AREA).astype(float)
    difference = resize_plane(plane, target) - expected
    assert np.abs(difference).mean() < 0.5
    assert abs(difference.mean()) < 0.2


def test_growing_is_bilinear():
    """A plane that grows in one direction is interpolated."""
    plane = np.array([[0, 100]], np.uint8)
    np.testing.assert_array_equal(resize_plane(plane, (4, 1)), [[0, 25, 75, 100]])
    assert resize_plane(plane, (2, 1)) is plane
