"""PNG in bands; Pillow and OpenCV read it back."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest

from vidcolor.stills.png_writer import write_png

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("heights", [(40,), (1, 39), (13, 13, 14)])
def test_any_bands_give_the_same_pixels(dtype: type, channels: int, heights: tuple[int, ...]) -> None:
    """Every sample comes back, wherever the bands end, whatever filter a row has."""
    noise = RNG.integers(0, np.iinfo(dtype).max, (40, 31, channels), endpoint=True).astype(dtype)
    smooth = np.add.outer(np.arange(40) ** 2, np.arange(31) * 9)[..., None].repeat(channels, axis=2).astype(dtype)
    steps = np.add.outer(np.zeros(40), RNG.integers(0, 250, 31))[..., None].repeat(channels, axis=2).astype(dtype)
    for picture in (noise, smooth, steps):
        handle = BytesIO()
        write_png(handle, iter(np.split(picture, np.cumsum(heights)[:-1])), (40, 31), [])
        decoded = cv2.imdecode(np.frombuffer(handle.getvalue(), np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(decoded[..., [2, 1, 0, 3][:channels]], picture)


def test_filters_make_it_small() -> None:
    """A picture of equal rows or of a gradient takes a small part of its bytes."""
    rows = RNG.integers(0, 255, (1, 100, 3), dtype=np.uint8).repeat(100, axis=0)
    gradient = np.add.outer(np.arange(100), 2 * np.arange(100))[..., None].repeat(3, axis=2).astype(np.uint8)
    for picture in (rows, gradient):
        handle = BytesIO()
        write_png(handle, iter([picture]), (100, 100), [])
        assert handle.tell() < 0.05 * picture.size
