"""A table from luma and ab to Cb and Cr; exact conversion takes fifteen times as long per picture.

L of CIE Lab follows luminance, not luma, so the L of a pixel with given luma and ab has no closed form. For each a and
b the table is built by computing Y', Cb and Cr for a range of L, and interpolating Cb and Cr at equal steps of Y'. In
HDR films L is relative to diffuse white; above L = 100 the light increases at the chromaticity of L = 100.

Primaries are those of sRGB, BT.2020 or P3 (H.273 primaries 9, 11 and 12; the greenish white point of 11 is treated as
D65). All others, among them those of standard definition, which are close to sRGB's, are treated as sRGB's. The
transfer function is PQ, HLG or otherwise sRGB's.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache, partial

import cv2
import numpy as np

from vidcolor.color import lab as color
from vidcolor.color import transfer as transfer_curves
from vidcolor.color.lab import AnyFloat
from vidcolor.color.luma_weights import LumaWeights, luma_weights
from vidcolor.color.transfer import DIFFUSE_WHITE, PEAKS, is_hdr, light_to_signal
from vidcolor.files.cache import load_or_compute
from vidcolor.frames import FloatArray, VideoSpec

BT2020_PRIMARIES = 9
SRGB_TRANSFER = 13

BT709_TO_BT2020 = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))
"""Matrix between linear R, G, B (ITU-R BT.2087)."""
BT709_TO_P3 = ((0.8225, 0.1775, 0.0000), (0.0332, 0.9668, 0.0000), (0.0171, 0.0724, 0.9105))
"""Matrix between linear R, G, B (SMPTE EG 432-1, white point D65)."""
FROM_BT709 = {BT2020_PRIMARIES: BT709_TO_BT2020, 11: BT709_TO_P3, 12: BT709_TO_P3}
"""H.273 primaries to the matrix from those of BT.709."""

AB_SPAN = 110.0
"""Largest absolute a and b in the table, Lab units; in sRGB they range from -108 to 98."""
AB_STEP = 5 / 3
"""Distance of neighbors in the table, Lab units, up to :data:`FINE_FROM`."""
FINE_FROM = 50.0
"""Value of a, and of −b, above which the step is half as wide.

In saturated blue, red and green light is close to zero, where the transfer functions are steepest.
"""
COARSE_STEPS = round((AB_SPAN + FINE_FROM) / AB_STEP)
FINE_STEPS = round((AB_SPAN - FINE_FROM) / AB_STEP * 2)
AXIS_LENGTH = COARSE_STEPS + FINE_STEPS + 1
"""Values of a, and of b, in the table."""
LUMA_STEPS = 65
"""Values of Y' in the table."""
TILES_ACROSS = 8
"""Tiles in a row of :attr:`ChromaTable.tiles`."""
LIGHTNESS_STEPS = 128
"""Values of L from 0 to 100 for which colors are computed."""
HIGHLIGHT_STEPS = 96
"""Values of light above L = 100 for which colors are computed, in HDR."""
HIGHLIGHT_FACTOR = 4.0
"""Largest such light in units of the peak light: a saturated color of the peak's light has less luma than white."""


@dataclass(frozen=True)
class ChromaTable:
    """Cb and Cr on a grid of Y', a and b, for one matrix, one set of primaries and one transfer function."""

    weights: LumaWeights
    """Of the matrix."""
    tiles: FloatArray
    """(rows, columns, 4): a square tile for each step of Y' but the last, in rows of :data:`TILES_ACROSS`.

    In a tile, b runs down and a across along :func:`_axis`. Channels are Cb and Cr at this step of Y' and at the next.
    """

    def chroma(self, luma: FloatArray, ab: FloatArray) -> FloatArray:
        """Look up Cb and Cr, with linear interpolation.

        The error is within one code value at 8 bits for all colors of sRGB, in HDR films except for some near black.

        Args:
            luma: (h, w) in [0, 1].
            ab: (2, h, w), Lab units; beyond :data:`AB_SPAN` it is scaled down at constant hue.

        Returns:
            (2, h, w), not limited to the gamut.
        """
        span = np.float32(AB_SPAN)
        if ab.max() > span or ab.min() < -span:
            ab = ab * (span / np.clip(np.abs(ab).max(axis=0), span, np.inf))
        a, b = ab
        steps = luma * np.float32(LUMA_STEPS - 1)
        below = np.clip(steps, 0, LUMA_STEPS - 2).astype(np.uint8)
        above = steps - below
        left, bottom = (cv2.LUT(below, corners) for corners in _corners())
        positions = np.empty((*luma.shape, 2), np.float32)
        np.add(left, _axis_position(a), out=positions[..., 0])
        np.subtract(bottom, _axis_position(-b), out=positions[..., 1])
        found = cv2.remap(self.tiles, positions, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
        low_cb, low_cr, high_cb, high_cr = (found[..., channel] for channel in range(4))
        planes: FloatArray = np.stack((low_cb + above * (high_cb - low_cb), low_cr + above * (high_cr - low_cr)))
        return planes


def table_for(spec: VideoSpec) -> ChromaTable:
    """Return the table for a film.

    Raises:
        InputError: the film's matrix has no constant weights.
    """
    primaries = spec.primaries if spec.primaries in FROM_BT709 else 1
    return chroma_table(luma_weights(spec), primaries, spec.transfer if is_hdr(spec.transfer) else SRGB_TRANSFER)


@lru_cache(maxsize=4)
def chroma_table(weights: LumaWeights, primaries: int = 1, transfer: int = SRGB_TRANSFER) -> ChromaTable:
    """Return a table, from the cache folder if it has been computed before; computing it takes a second.

    Colors outside the gamut stay outside in the table.

    Args:
        weights: of the matrix.
        primaries: H.273 code; others than those of :data:`FROM_BT709` are treated as sRGB's.
        transfer: H.273 code: PQ, HLG, or any other for sRGB's.
    """
    name = f"chroma-{weights.kr:g}-{weights.kb:g}-{primaries}-{transfer}"
    sources = (sys.modules[__name__], color, transfer_curves)
    shape = (2, AXIS_LENGTH, AXIS_LENGTH, LUMA_STEPS)
    return ChromaTable(
        weights, _to_tiles(load_or_compute(name, sources, shape, partial(_compute_grid, weights, primaries, transfer)))
    )


def _compute_grid(weights: LumaWeights, primaries: int, transfer: int) -> FloatArray:
    """Compute the grid of Cb and Cr: float32 (2, B, A, Y').

    a runs along :func:`_axis`, b along it in reverse, and Y' in equal steps.
    """
    # For SDR, float32 gives the same code values.
    dtype = np.dtype(np.float64 if is_hdr(transfer) else np.float32)
    a_axis = np.asarray(_axis(), dtype)
    b_axis = -a_axis[::-1]
    lumas = np.linspace(0, 1, LUMA_STEPS, dtype=dtype)
    lightness, gain = (np.asarray(steps, dtype) for steps in _light_steps(transfer))
    a, L = np.meshgrid(a_axis, lightness, indexing="ij")
    grid = np.empty((2, AXIS_LENGTH, AXIS_LENGTH, LUMA_STEPS), np.float32)
    for index, b in enumerate(b_axis):
        light = color.lab_to_linear_rgb(np.stack((L, a, np.full_like(a, b)))) * gain
        luma, chroma = _light_to_ycbcr(light, weights, primaries, transfer)
        grid[:, index] = _interpolate_rows(luma, chroma, lumas)
    # Exact neutrals: the six digits of the sRGB matrix would be visible at 16 bits.
    grid[:, np.abs(b_axis).argmin(), np.abs(a_axis).argmin()] = 0
    return grid


def _to_tiles(grid: FloatArray) -> FloatArray:
    """Arrange a grid (2, B, A, Y') as :attr:`ChromaTable.tiles`."""
    side, steps = AXIS_LENGTH, LUMA_STEPS - 1
    tiles = np.empty((steps // TILES_ACROSS * side, TILES_ACROSS * side, 4), np.float32)
    for step in range(steps):
        row, column = divmod(step, TILES_ACROSS)
        tile = tiles[row * side : (row + 1) * side, column * side : (column + 1) * side]
        for channel, values in enumerate((*grid[..., step], *grid[..., step + 1])):
            tile[..., channel] = values
    return tiles


@lru_cache(maxsize=1)
def _corners() -> tuple[FloatArray, FloatArray]:
    """Return x of the left column and y of the bottom row of each step's tile, for 256 steps as OpenCV's LUT needs."""
    row, column = np.divmod(np.arange(256, dtype=np.float32), TILES_ACROSS)
    return column * AXIS_LENGTH, row * AXIS_LENGTH + (AXIS_LENGTH - 1)


def _axis() -> AnyFloat:
    """Return the values of a in the table, from -AB_SPAN to AB_SPAN; those of b are the same, negated."""
    coarse = np.linspace(-AB_SPAN, FINE_FROM, COARSE_STEPS + 1)[:-1]
    return np.concatenate((coarse, np.linspace(FINE_FROM, AB_SPAN, FINE_STEPS + 1)))


def _axis_position(a: FloatArray) -> FloatArray:
    """Return the positions of values of a along :func:`_axis`, from 0 to AXIS_LENGTH - 1."""
    stretched = a + np.clip(a - np.float32(FINE_FROM), 0, np.inf)
    positions: FloatArray = (stretched + np.float32(AB_SPAN)) * np.float32(1 / AB_STEP)
    return positions


def _light_steps(transfer: int) -> tuple[AnyFloat, AnyFloat]:
    """Return the values of L, and the factors on the light, (S,) each, for which colors are computed."""
    # Closer near black, where transfer functions are steep.
    lightness = 100 * np.linspace(0, 1, LIGHTNESS_STEPS) ** 1.5
    if not is_hdr(transfer):
        return lightness, np.ones_like(lightness)
    brightest = HIGHLIGHT_FACTOR * PEAKS[transfer] / DIFFUSE_WHITE
    gains = np.geomspace(1, brightest, HIGHLIGHT_STEPS + 1)[1:]
    return np.append(lightness, np.full_like(gains, 100)), np.append(np.ones_like(lightness), gains)


def _light_to_ycbcr(light: AnyFloat, weights: LumaWeights, primaries: int, transfer: int) -> tuple[AnyFloat, AnyFloat]:
    """Convert linear sRGB (3, H, W), with 1 as diffuse white, to Y' (H, W) and Cb, Cr (2, H, W)."""
    if primaries in FROM_BT709:
        light = np.einsum("ij,jhw->ihw", np.array(FROM_BT709[primaries], light.dtype), light)
    red, green, blue = light_to_signal(light, transfer) if is_hdr(transfer) else color.linear_to_srgb(light)
    luma = weights.kr * red + (1 - weights.kr - weights.kb) * green + weights.kb * blue
    return luma, np.stack(((blue - luma) / (2 - 2 * weights.kb), (red - luma) / (2 - 2 * weights.kr)))


def _interpolate_rows(luma: AnyFloat, chroma: AnyFloat, targets: AnyFloat) -> AnyFloat:
    """Interpolate chroma linearly at given luma, row by row; beyond a row's ends its first and last values.

    Args:
        luma: (N, S), ascending in each row; where it is not, near black and in highlights of colors that no display
            has, the last place below a target counts, before the maximum of the row.
        chroma: (2, N, S).
        targets: (W,) luma.

    Returns:
        (2, N, W).
    """
    rows = np.arange(len(luma))[:, None]
    apart = 2 * (float(luma.max()) - float(luma.min()) + 1) * rows  # so that all rows together ascend
    highest = luma.argmax(axis=1)[:, None]
    up_to_highest = np.where(np.arange(luma.shape[1]) < highest, luma, luma.max(axis=1, keepdims=True))
    ascending = np.minimum.accumulate(up_to_highest[:, ::-1], axis=1)[:, ::-1] + apart
    found = np.searchsorted(ascending.ravel(), (targets + apart).ravel()).reshape(len(luma), -1)
    after = np.clip(found - rows * luma.shape[1], 1, luma.shape[1] - 1)
    low, high = np.take_along_axis(luma, after - 1, 1), np.take_along_axis(luma, after, 1)
    weight = np.clip((targets - low) / (high - low), 0, 1)
    before, behind = (np.take_along_axis(chroma, index[None], 2) for index in (after - 1, after))
    return np.asarray(before + weight * (behind - before), chroma.dtype)
