"""The transfer functions PQ and HLG of HDR films, and tone mapping of HDR luma for networks trained on sRGB.

Light is display light in units of diffuse white, :data:`DIFFUSE_WHITE` cd/m², which ITU-R BT.2408 (2.1, table 1) puts
at 58 % of PQ and at 75 % of HLG. SDR film that is converted to HDR by that report has its white there.

Grey is the level that a black-and-white sRGB picture would store. Up to :data:`KNEE`, 60 % of diffuse white, it has
the same light as the film. Above it approaches 1 asymptotically: 0.9 for diffuse white, 0.97 for 1000 cd/m². So
diffusely lit areas look to the network as in SDR, and highlights keep their order.

Sources: SMPTE ST 2084 and ITU-R BT.2100-2, table 4 (PQ); BT.2100-2, table 5 (HLG with its display of 1000 cd/m² and its
system gamma of 1.2); IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vidcolor.color.lab import AnyFloat, linear_to_srgb
from vidcolor.frames import FloatArray

PQ, HLG = 16, 18
"""ITU-T H.273 TransferCharacteristics."""
HDR_NAMES = {PQ: "PQ", HLG: "HLG"}
DIFFUSE_WHITE = 203.0
"""Light of diffuse white, cd/m²."""
PEAKS = {PQ: 10_000.0, HLG: 1000.0}
"""Light of signal 1, cd/m²."""

PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
HLG_GAMMA = 1.2
BT2020_LUMINANCE = (0.2627, 0.6780, 0.0593)

KNEE = 0.8
"""Grey level above which highlights are compressed."""
TONE_CURVE_STEPS = 4096
"""Intervals of the table of the tone curve."""


def is_hdr(transfer: int) -> bool:
    """Return whether an H.273 transfer code is PQ or HLG; all others are treated as sRGB's."""
    return transfer in HDR_NAMES


def light_to_signal(light: AnyFloat, transfer: int) -> AnyFloat:
    """Convert linear R, G, B (3, ...), with 1 as diffuse white, to R', G', B' of PQ or HLG.

    Colors outside the gamut have negative light, for which PQ and HLG are undefined and infinitely steep at zero.
    sRGB's function is used there, so that such colors are about as far outside the gamut as in SDR.
    """
    if transfer == PQ:
        ratio = (np.maximum(light, 0) * (DIFFUSE_WHITE / PEAKS[PQ])) ** PQ_M1
        signal = ((PQ_C1 + PQ_C2 * ratio) / (1 + PQ_C3 * ratio)) ** PQ_M2
        below = _pq_of_white() * linear_to_srgb(light)
    else:
        scene = _display_to_scene(light)
        bright = HLG_A * np.log(np.maximum(12 * scene - HLG_B, 1e-9)) + HLG_C
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * np.maximum(scene, 0)), bright)
        below = linear_to_srgb(scene)
    return np.where(light > 0, signal, below)


def _pq_of_white() -> float:
    """Return the PQ signal of diffuse white."""
    ratio = (DIFFUSE_WHITE / PEAKS[PQ]) ** PQ_M1
    return float(((PQ_C1 + PQ_C2 * ratio) / (1 + PQ_C3 * ratio)) ** PQ_M2)


def _display_to_scene(light: AnyFloat) -> AnyFloat:
    """Apply the inverse OOTF of HLG to display light (3, ...): a power of luminance at constant chromaticity."""
    display = light * (DIFFUSE_WHITE / PEAKS[HLG])
    luminance = np.tensordot(np.array(BT2020_LUMINANCE, light.dtype), display, axes=1)
    scene: AnyFloat = display * np.maximum(luminance, 1e-9) ** (1 / HLG_GAMMA - 1)
    return scene


def neutral_signal_to_light(signal: AnyFloat, transfer: int) -> AnyFloat:
    """Convert neutral signals of PQ or HLG, R' = G' = B' in [0, 1], any shape, to light, with 1 as diffuse white."""
    if transfer == PQ:
        root = signal ** (1 / PQ_M2)
        light = (np.maximum(root - PQ_C1, 0) / (PQ_C2 - PQ_C3 * root)) ** (1 / PQ_M1)
    else:
        light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - HLG_C) / HLG_A) + HLG_B) / 12)
        light = light**HLG_GAMMA
    return np.asarray(light * (PEAKS[transfer] / DIFFUSE_WHITE), signal.dtype)


def signal_to_grey(signal: FloatArray, transfer: int) -> FloatArray:
    """Tone-map luma in [0, 1], any shape, to grey in [0, 1]; SDR luma is returned as it is."""
    if not is_hdr(transfer):
        return signal
    signals, greys = _tone_curve(transfer)
    return np.asarray(np.interp(signal, signals, greys), np.float32)


def grey_to_signal(grey: FloatArray, transfer: int) -> FloatArray:
    """Convert grey to luma, both in [0, 1], any shape; the inverse of :func:`signal_to_grey`."""
    if not is_hdr(transfer):
        return grey
    signals, greys = _tone_curve(transfer)
    return np.asarray(np.interp(grey, greys, signals), np.float32)


@lru_cache(maxsize=2)
def _tone_curve(transfer: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return signals from 0 to 1 and the grey of each, both ascending."""
    signals = np.linspace(0, 1, TONE_CURVE_STEPS + 1)
    encoded = linear_to_srgb(neutral_signal_to_light(signals, transfer))
    above = np.maximum(encoded - KNEE, 0) / (1 - KNEE)
    greys = np.where(encoded <= KNEE, encoded, KNEE + (1 - KNEE) * above / (1 + above))
    return signals, greys
