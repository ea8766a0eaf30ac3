"""Convert decoded luma planes to upright grey pictures at render size, the input of network and optical flow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np

from vidcolor.color.transfer import signal_to_grey
from vidcolor.frames import FloatArray, Frame, Picture, Plane, VideoSpec

AnyPlane = TypeVar("AnyPlane", Plane, FloatArray)

MIN_SHORT_SIDE = 32
"""Smallest short side at render size in pixels, which optical flow and network need; smaller films are enlarged."""
NETWORK_STEP = 32
"""Multiple of pixels to which the network would pad other sizes."""
MAX_STRETCH = 0.04
"""Largest relative change of the long side to make it a multiple of :data:`NETWORK_STEP`."""
HALVE_FROM = 3
"""Ratio of the size to the target size from which on :func:`resize_plane` first halves the plane."""
MIN_PICTURE_SIDE = 32
"""Short side in pixels to which smaller photographs are enlarged; fewer pixels show nothing that can be recognized."""
MAX_PICTURE_SIDE = 4096
"""Long side of a photograph in pixels; bounds the work for a very long panorama or strip of film."""
MAX_ASPECT = 4
"""Largest ratio of the sides at render size; a film of 10,000 × 2 would otherwise become 160,000 × 32."""


def shrink(pictures: Iterator[Picture], spec: VideoSpec, render_size: int) -> Iterator[Frame]:
    """Add to each picture its grey copy at render size.

    Networks are trained on upright pictures in sRGB. So the copy is rotated as the film asks, and PQ and HLG are
    tone-mapped (:mod:`vidcolor.color.transfer`); the luma itself stays as stored, and :func:`vidcolor.render.render`
    rotates the color back.

    Args:
        pictures: of a film.
        spec: of the film.
        render_size: short side in pixels, see :func:`stored_render_size`.
    """
    size = stored_render_size(spec, render_size)
    for picture in pictures:
        yield Frame(picture, luma_to_grey(field_luma(picture), size, spec))


def field_luma(picture: Picture, *, second: bool = False) -> Plane:
    """Return the luma of a progressive picture, (H, W), or of one field of an interlaced picture, (h, W)."""
    if picture.first_field is None:
        return picture.luma
    return picture.luma[int((picture.first_field == "bottom") != second) :: 2]


def luma_to_grey(luma: Plane, size: tuple[int, int], spec: VideoSpec) -> FloatArray:
    """Convert a luma plane (H, W), code values, to upright grey at render size.

    Args:
        luma: of a film or a field.
        size: (width, height) of the result before rotation.
        spec: of the film.

    Returns:
        (h, w) in [0, 1], contiguous.
    """
    grey = signal_to_grey(expand_range(resize_plane(luma, size), spec), spec.transfer)
    return np.ascontiguousarray(np.rot90(grey, quarter_turns(spec)))


def quarter_turns(spec: VideoSpec) -> int:
    """Return how many counter-clockwise quarter turns, 0 to 3, make a plane upright; other angles are rounded."""
    return round(spec.rotation / 90) % 4


def stored_render_size(spec: VideoSpec, render_size: int) -> tuple[int, int]:
    """Return (width, height) at render size, before rotation.

    Pixels are nearly square: the sample aspect ratio is applied, and the long side is rounded to a multiple of
    :data:`NETWORK_STEP` if that changes it by no more than :data:`MAX_STRETCH`. The short side is ``render_size``, or
    the film's own if that is smaller, but at least :data:`MIN_SHORT_SIDE`. The long side is at most :data:`MAX_ASPECT`
    times the short side.
    """
    width, height = spec.width * float(spec.sample_aspect_ratio or 1), float(spec.height)
    short = max(min(render_size, round(min(width, height))), MIN_SHORT_SIDE)
    long = _round_to_step(min(round(max(width, height) * short / min(width, height)), MAX_ASPECT * short))
    return (long, short) if width >= height else (short, long)


def _round_to_step(length: int) -> int:
    """Round to a multiple of :data:`NETWORK_STEP` if that changes the length by at most :data:`MAX_STRETCH`."""
    multiple = round(length / NETWORK_STEP) * NETWORK_STEP
    return multiple if abs(multiple - length) <= MAX_STRETCH * length else length


def at_render_size(grey: FloatArray, render_size: int) -> FloatArray:
    """Resize (H, W) grey levels in [0, 1] to what the network sees: short side ``render_size``, aspect kept."""
    height, width = grey.shape
    h, w = _picture_render_shape(height, width, render_size)
    if (h, w) == (height, width):
        return grey
    smaller = h * w < height * width
    small = cv2.resize(grey, (w, h), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.asarray(small, np.float32)


def _picture_render_shape(height: int, width: int, render_size: int) -> tuple[int, int]:
    short, long = min(height, width), max(height, width)
    wanted = min(render_size, max(short, MIN_PICTURE_SIDE))
    scale = min(wanted / short, max(MAX_PICTURE_SIDE, render_size) / long)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize_plane(plane: AnyPlane, size: tuple[int, int]) -> AnyPlane:
    """Resize (H, W) to ``size`` = (width, height): by area where it shrinks, bilinearly where it grows.

    Area interpolation is slow in OpenCV except for halving. So a large plane is halved repeatedly, then resized
    bilinearly to twice the target size, and halved again. That is within 0.3 code values of area interpolation in one
    step and takes a third to a fifth of the time.
    """
    while all(length % 2 == 0 and ratio >= HALVE_FROM for length, ratio in _ratios(plane, size)):
        plane = _resize(plane, (plane.shape[1] // 2, plane.shape[0] // 2), cv2.INTER_AREA)
    if all(HALVE_FROM / 2 <= ratio < HALVE_FROM for _, ratio in _ratios(plane, size)):
        plane = _resize(plane, (2 * size[0], 2 * size[1]), cv2.INTER_LINEAR)
    shrinks = all(ratio >= 1 for _, ratio in _ratios(plane, size))
    return _resize(plane, size, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _ratios(plane: AnyPlane, size: tuple[int, int]) -> list[tuple[int, float]]:
    """Return width and height of a plane, each with its ratio to the target size."""
    return [(length, length / wanted) for length, wanted in zip(plane.shape[::-1], size, strict=True)]


def _resize(plane: AnyPlane, size: tuple[int, int], interpolation: int) -> AnyPlane:
    """Resize unless the plane has the size already."""
    if plane.shape[::-1] == size:
        return plane
    resized: AnyPlane = cv2.resize(plane, size, interpolation=interpolation)  # type: ignore[assignment]
    return resized


def expand_range(plane: Plane | FloatArray, spec: VideoSpec) -> FloatArray:
    """Convert luma code values to float32 in [0, 1], clipped at black and white (ITU-T H.273, 8.3)."""
    if plane.dtype == np.uint8:
        levels: FloatArray = cv2.LUT(plane, _expanded_codes(spec.bit_depth, spec.full_range))  # type: ignore[assignment]
        return levels
    return _expand(plane, spec.bit_depth, spec.full_range)


@lru_cache(maxsize=4)
def _expanded_codes(bit_depth: int, full_range: bool) -> FloatArray:
    """Return :func:`expand_range` of all 256 code values of 8 bits."""
    return _expand(np.arange(256, dtype=np.uint8), bit_depth, full_range)


def _expand(codes: Plane | FloatArray, bit_depth: int, full_range: bool) -> FloatArray:
    """Compute :func:`expand_range` without a table."""
    step = 2 ** (bit_depth - 8)
    black, white = (0, 2**bit_depth - 1) if full_range else (16 * step, 235 * step)
    levels: FloatArray = np.subtract(codes, black, dtype=np.float32)
    levels /= white - black
    return np.clip(levels, 0, 1, out=levels)
