"""From the decoded luma plane to the small upright grey picture that the network and the optical flow see."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np

from vidcolor.color.transfer import signal_to_grey
from vidcolor.frames import FloatArray, Frame, Picture, Plane, VideoSpec

AnyPlane = TypeVar("AnyPlane", Plane, FloatArray)

MIN_SHORT_SIDE = 32  # optical flow and the network's strides need this much; smaller sources are enlarged
NETWORK_STEP = 32  # networks work on multiples of this, and others are padded
MAX_STRETCH = 0.04  # of the long side, to spare the padding
HALVE_FROM = 3  # times the size wanted; half of that is the least that two steps are as good as one for
MAX_ASPECT = 4  # a 10,000 × 2 banner would otherwise become 160,000 × 32


def shrink(pictures: Iterator[Picture], spec: VideoSpec, render_size: int) -> Iterator[Frame]:
    """Give every picture its grey copy at render size, upright, range-expanded to [0, 1].

    The network knows upright pictures only, so the film's rotation is undone here; the planes themselves stay as they
    are stored, and :func:`vidcolor.render.render` turns the color back. It knows sRGB's greys only, so PQ and HLG are
    shown to it as those (:mod:`vidcolor.color.transfer`).
    """
    size = stored_render_size(spec, render_size)
    for picture in pictures:
        yield Frame(picture, seen(moment(picture), size, spec))


def moment(picture: Picture, *, second: bool = False) -> Plane:
    """The luma of one moment: the whole plane, or (h, W) one field of an interlaced picture."""
    if picture.first_field is None:
        return picture.luma
    return picture.luma[int((picture.first_field == "bottom") != second) :: 2]


def seen(luma: Plane, size: tuple[int, int], spec: VideoSpec) -> FloatArray:
    """A plane of luma as the network sees it: (h, w) grey in [0, 1], upright; ``size`` = (width, height) as stored."""
    grey = signal_to_grey(expand_range(resize_plane(luma, size), spec), spec.transfer)
    return np.ascontiguousarray(np.rot90(grey, quarter_turns(spec)))


def quarter_turns(spec: VideoSpec) -> int:
    """Counter-clockwise quarter turns, 0 to 3, that put a stored plane upright; odd angles go to the nearest."""
    return round(spec.rotation / 90) % 4


def stored_render_size(spec: VideoSpec, render_size: int) -> tuple[int, int]:
    """(width, height) of the render-size copy as stored, before it is turned upright.

    Square pixels, or nearly: the sample aspect ratio is worked in, and the long side becomes a multiple of
    ``NETWORK_STEP`` if that takes no more than ``MAX_STRETCH``. The short side is ``render_size``, or the source's own
    where that is smaller, but at least ``MIN_SHORT_SIDE``; the long side is at most ``MAX_ASPECT`` times the short one.
    """
    width, height = spec.width * float(spec.sample_aspect_ratio or 1), float(spec.height)
    short = max(min(render_size, round(min(width, height))), MIN_SHORT_SIDE)
    long = _spared_of_padding(min(round(max(width, height) * short / min(width, height)), MAX_ASPECT * short))
    return (long, short) if width >= height else (short, long)


def _spared_of_padding(length: int) -> int:
    multiple = round(length / NETWORK_STEP) * NETWORK_STEP
    return multiple if abs(multiple - length) <= MAX_STRETCH * length else length


def resize_plane(plane: AnyPlane, size: tuple[int, int]) -> AnyPlane:
    """(H, W) to ``size`` = (width, height): the mean over the area where it shrinks, linear where it grows.

    The mean over other areas than whole pixels is slow, and the mean of four pixels has a fast way of its own. So a
    plane is halved for as long as it is large, then brought to twice the size wanted, linearly, and halved again:
    within rounding (.3 code values) of the slow way, in a third to a fifth of its time.
    """
    while all(length % 2 == 0 and ratio >= HALVE_FROM for length, ratio in _ratios(plane, size)):
        plane = _resized(plane, (plane.shape[1] // 2, plane.shape[0] // 2), cv2.INTER_AREA)
    if all(HALVE_FROM / 2 <= ratio < HALVE_FROM for _, ratio in _ratios(plane, size)):
        plane = _resized(plane, (2 * size[0], 2 * size[1]), cv2.INTER_LINEAR)
    shrinks = all(ratio >= 1 for _, ratio in _ratios(plane, size))
    return _resized(plane, size, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _ratios(plane: AnyPlane, size: tuple[int, int]) -> list[tuple[int, float]]:
    """Width and height, each with how many times what is wanted it is."""
    return [(length, length / wanted) for length, wanted in zip(plane.shape[::-1], size, strict=True)]


def _resized(plane: AnyPlane, size: tuple[int, int], interpolation: int) -> AnyPlane:
    if plane.shape[::-1] == size:
        return plane
    resized: AnyPlane = cv2.resize(plane, size, interpolation=interpolation)  # type: ignore[assignment]
    return resized


def expand_range(plane: Plane, spec: VideoSpec) -> FloatArray:
    """Luma code values to [0, 1]; what lies below black or above white is clipped (ITU-T H.273, 8.3)."""
    if plane.dtype == np.uint8:
        levels: FloatArray = cv2.LUT(plane, _levels(spec.bit_depth, spec.full_range))  # type: ignore[assignment]
        return levels
    return _expanded(plane, spec.bit_depth, spec.full_range)


@lru_cache(maxsize=4)
def _levels(bit_depth: int, full_range: bool) -> FloatArray:
    """Of each code value of 8 bits or fewer."""
    return _expanded(np.arange(256, dtype=np.uint8), bit_depth, full_range)


def _expanded(codes: Plane, bit_depth: int, full_range: bool) -> FloatArray:
    step = 2 ** (bit_depth - 8)
    black, white = (0, 2**bit_depth - 1) if full_range else (16 * step, 235 * step)
    levels: FloatArray = np.subtract(codes, black, dtype=np.float32)
    levels /= white - black
    return np.clip(levels, 0, 1, out=levels)
