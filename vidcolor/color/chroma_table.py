"""Which Cb and Cr a color has at a given luma, as a table: exact conversion costs fifteen times as much per picture.

Wanted are a and b of CIE Lab. Lab's L follows luminance, not luma, so which L a colored pixel has is only known once
its color is. For every a and b the table therefore runs through L, notes Y', Cb and Cr, and reads Cb and Cr off where
Y' is the one that the picture has. In HDR films L is that relative to diffuse white; above L = 100 the light rises at
the chromaticity of L = 100.

Primaries are those of sRGB, BT.2020 or P3 (H.273 primaries 9, 11 and 12; the greenish white of 11 is taken for white);
those of standard definition, which are close to sRGB's, are taken for them. Transfer is PQ, HLG, or else sRGB's.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache, partial

import cv2
import numpy as np
import torch
from torch import Tensor

from vidcolor.color import lab as color
from vidcolor.color import transfer as transfer_curves
from vidcolor.color.luma_weights import LumaWeights, luma_weights
from vidcolor.color.transfer import DIFFUSE_WHITE, PEAKS, is_hdr, light_to_signal
from vidcolor.files.cache import remembered
from vidcolor.frames import FloatArray, VideoSpec

BT2020_PRIMARIES = 9
SRGB_TRANSFER = 13

BT709_TO_BT2020 = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))
"""Linear light (ITU-R BT.2087)."""
BT709_TO_P3 = ((0.8225, 0.1775, 0.0000), (0.0332, 0.9668, 0.0000), (0.0171, 0.0724, 0.9105))
"""Linear light (SMPTE EG 432-1, white D65)."""
FROM_BT709 = {BT2020_PRIMARIES: BT709_TO_BT2020, 11: BT709_TO_P3, 12: BT709_TO_P3}

AB_SPAN = 110.0  # Lab units; sRGB reaches from -108 to 98
AB_STEP = 5 / 3  # Lab units
FINE_FROM = 50.0
"""From here to positive a and to negative b the step is half as wide: in strong blue the light of red and green hardly
leaves zero, and their curves bend most there."""
COARSE_STEPS = round((AB_SPAN + FINE_FROM) / AB_STEP)
FINE_STEPS = round((AB_SPAN - FINE_FROM) / AB_STEP * 2)
AXIS_LENGTH = COARSE_STEPS + FINE_STEPS + 1
LUMA_STEPS = 65
TILES_ACROSS = 8
LIGHTNESS_STEPS = 128
HIGHLIGHT_STEPS = 96
HIGHLIGHTS = 4.0  # how far beyond the peak of neutral light: a strong color has less luma


@dataclass(frozen=True)
class ChromaTable:
    """Cb and Cr for every (Y', a, b) on a lattice, for one matrix, one set of primaries and one transfer curve."""

    weights: LumaWeights
    tiles: FloatArray
    """(B, A, 4): squares of b (down) and a (across) along :func:`_axis`, side by side in rows of :data:`TILES_ACROSS`,
    one for each step of Y' but the last: Cb and Cr at this step, and at the next one."""

    def chroma(self, luma: FloatArray, ab: FloatArray) -> FloatArray:
        """(h, w) luma in [0, 1] and (2, h, w) ab to Cb, Cr (2, h, w), not limited to the gamut.

        Within 1 code value at 8 bits of the exact color for all colors of sRGB, in HDR films for all but some
        that are next to black.
        """
        span = np.float32(AB_SPAN)
        if ab.max() > span or ab.min() < -span:  # what leaves the table keeps its hue
            ab = ab * (span / np.clip(np.abs(ab).max(axis=0), span, np.inf))
        a, b = ab
        steps = luma * np.float32(LUMA_STEPS - 1)
        below = np.clip(steps, 0, LUMA_STEPS - 2).astype(np.uint8)
        above = steps - below
        left, bottom = (cv2.LUT(below, corners) for corners in _corners())
        places = np.empty((*luma.shape, 2), np.float32)
        np.add(left, _place(a), out=places[..., 0])
        np.subtract(bottom, _place(-b), out=places[..., 1])
        found = cv2.remap(self.tiles, places, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
        low_cb, low_cr, high_cb, high_cr = (found[..., channel] for channel in range(4))
        planes: FloatArray = np.stack((low_cb + above * (high_cb - low_cb), low_cr + above * (high_cr - low_cr)))
        return planes


def table_for(spec: VideoSpec) -> ChromaTable:
    """The film's own. Raises InputError where its matrix is not one of R'G'B' weights."""
    primaries = spec.primaries if spec.primaries in FROM_BT709 else 1
    return chroma_table(luma_weights(spec), primaries, spec.transfer if is_hdr(spec.transfer) else SRGB_TRANSFER)


@lru_cache(maxsize=4)
def chroma_table(weights: LumaWeights, primaries: int = 1, transfer: int = SRGB_TRANSFER) -> ChromaTable:
    """The table; ``primaries`` and ``transfer`` as in H.273. Out-of-gamut colors stay out of gamut in it.

    To make it takes a second; from then on it is read from the cache folder.
    """
    name = f"chroma-{weights.kr:g}-{weights.kb:g}-{primaries}-{transfer}"
    sources = (sys.modules[__name__], color, transfer_curves)
    shape = (2, AXIS_LENGTH, AXIS_LENGTH, LUMA_STEPS)
    return ChromaTable(
        weights, _tiled(remembered(name, sources, shape, partial(_lattice, weights, primaries, transfer)))
    )


def _lattice(weights: LumaWeights, primaries: int, transfer: int) -> FloatArray:
    """Cb and Cr, float32 (2, B, A, Y'), for b along :func:`_axis` backwards, a along it, and luma in equal steps."""
    dtype = torch.float64 if is_hdr(transfer) else torch.float32  # SDR's light spans less: no code value differs
    a_axis = _axis().to(dtype)
    b_axis = -a_axis.flip(0)
    lumas = torch.linspace(0, 1, LUMA_STEPS, dtype=dtype)
    lightness, gain = (steps.to(dtype) for steps in _light_steps(transfer))
    slices = []
    for b in b_axis:
        a, L = torch.meshgrid(a_axis, lightness, indexing="ij")
        light = color.lab_to_linear_rgb(torch.stack((L, a, b.expand_as(a)))) * gain
        luma, chroma = _light_to_ycbcr(light, weights, primaries, transfer)
        slices.append(_read_off(luma, chroma, lumas))
    lattice: FloatArray = torch.stack(slices, dim=1).float().numpy()
    # The sRGB matrix has six digits only, which shows in 16-bit neutrals.
    lattice[:, b_axis.abs().argmin(), a_axis.abs().argmin()] = 0
    return lattice


def _tiled(lattice: FloatArray) -> FloatArray:
    """(2, B, A, Y') to :attr:`ChromaTable.tiles`."""
    side, steps = AXIS_LENGTH, LUMA_STEPS - 1
    tiles = np.empty((steps // TILES_ACROSS * side, TILES_ACROSS * side, 4), np.float32)
    for step in range(steps):
        row, column = divmod(step, TILES_ACROSS)
        tile = tiles[row * side : (row + 1) * side, column * side : (column + 1) * side]
        for channel, values in enumerate((*lattice[..., step], *lattice[..., step + 1])):
            tile[..., channel] = values
    return tiles


@lru_cache(maxsize=1)
def _corners() -> tuple[FloatArray, FloatArray]:
    """By step of Y', of which there could be 256: x of the left and y of the lowest places in its tile."""
    row, column = np.divmod(np.arange(256, dtype=np.float32), TILES_ACROSS)
    return column * AXIS_LENGTH, row * AXIS_LENGTH + (AXIS_LENGTH - 1)


def _axis() -> Tensor:
    """a on the lattice, from -AB_SPAN to AB_SPAN; b is the same backwards, with the other sign."""
    return torch.cat((
        torch.linspace(-AB_SPAN, FINE_FROM, COARSE_STEPS + 1, dtype=torch.float64)[:-1],
        torch.linspace(FINE_FROM, AB_SPAN, FINE_STEPS + 1, dtype=torch.float64),
    ))  # fmt: skip


def _place(a: FloatArray) -> FloatArray:
    """Where values of a lie along :func:`_axis`, from 0 to AXIS_LENGTH - 1."""
    stretched = a + np.clip(a - np.float32(FINE_FROM), 0, np.inf)
    placed: FloatArray = (stretched + np.float32(AB_SPAN)) * np.float32(1 / AB_STEP)
    return placed


def _light_steps(transfer: int) -> tuple[Tensor, Tensor]:
    """L and a factor on the light, (S,) each, through which the table runs."""
    lightness = (
        100 * torch.linspace(0, 1, LIGHTNESS_STEPS, dtype=torch.float64) ** 1.5
    )  # closer where signals are steep
    if not is_hdr(transfer):
        return lightness, torch.ones_like(lightness)
    brightest = torch.log10(torch.tensor(HIGHLIGHTS * PEAKS[transfer] / DIFFUSE_WHITE, dtype=torch.float64))
    gains = torch.logspace(0, float(brightest), HIGHLIGHT_STEPS + 1, dtype=torch.float64)[1:]
    return torch.cat((lightness, torch.full_like(gains, 100))), torch.cat((torch.ones_like(lightness), gains))


def _light_to_ycbcr(light: Tensor, weights: LumaWeights, primaries: int, transfer: int) -> tuple[Tensor, Tensor]:
    """Linear sRGB (3, H, W), diffuse white as 1, to Y' (H, W) and Cb, Cr (2, H, W)."""
    if primaries in FROM_BT709:
        light = torch.einsum("ij,jhw->ihw", light.new_tensor(FROM_BT709[primaries]), light)
    red, green, blue = light_to_signal(light, transfer) if is_hdr(transfer) else color.linear_to_srgb(light)
    luma = weights.kr * red + (1 - weights.kr - weights.kb) * green + weights.kb * blue
    return luma, torch.stack(((blue - luma) / (2 - 2 * weights.kb), (red - luma) / (2 - 2 * weights.kr)))


def _read_off(luma: Tensor, chroma: Tensor, wanted: Tensor) -> Tensor:
    """The chroma (2, N, W) at the ``wanted`` (W,) luma, linearly from rows of rising ``luma`` (N, S) and ``chroma``
    (2, N, S).
    """
    after = torch.searchsorted(luma, wanted.expand(len(luma), -1).contiguous()).clamp(1, luma.shape[1] - 1)
    low, high = luma.gather(1, after - 1), luma.gather(1, after)
    weight = ((wanted - low) / (high - low)).clamp(0, 1)
    return torch.stack([torch.lerp(plane.gather(1, after - 1), plane.gather(1, after), weight) for plane in chroma])
