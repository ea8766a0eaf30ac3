"""The small upright grey picture."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.support import samples
from vidcolor.color.luma import expand_range, shrink, stored_render_size
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
        ((160, 120), None, (160, 120)),
        ((1, 1), None, (32, 32)),
        ((2000, 2), None, (128, 32)),
    ],
)
def test_render_size(size, aspect, expected):
    """Short side 256 with nearly square pixels; small sources keep their size, tiny and extreme ones stay workable."""
    spec = replace(SPEC, width=size[0], height=size[1], sample_aspect_ratio=aspect)
    assert stored_render_size(spec, 256) == expected


def test_rotated_film_is_seen_upright():
    """A film whose display matrix asks for 90° counter-clockwise is turned that way for the network."""
    luma = np.full((480, 640), 16, np.uint8)
    luma[:, 320:] = 235  # the right half is bright: turned counter-clockwise, it is on top
    frame = next(shrink(iter([Picture(0, 1, luma)]), replace(SPEC, rotation=90), 64))
    assert frame.grey.shape == (85, 64)
    assert frame.grey[:40].min() > 0.99
    assert frame.grey[45:].max() < 0.01


def test_the_source_plane_is_left_alone():
    """Shrinking does not write to the luma, even where nothing has to be resized."""
    luma = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
    before = luma.copy()
    luma.flags.writeable = False
    spec = replace(SPEC, width=64, height=48)
    frame = next(shrink(iter([Picture(7, 1, luma)]), spec, 256))
    np.testing.assert_array_equal(frame.picture.luma, before)
    np.testing.assert_allclose(frame.grey, np.clip((before - 16.0) / 219, 0, 1), atol=1e-6)
