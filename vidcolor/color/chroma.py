"""From ab at render size to the Cb and Cr planes of the film, and to R'G'B' for photographs. Luma is never changed.

The way is: ab at render size, weaker where it is nearly black or white → Cb, Cr at render size (one table look-up) →
chroma size (bicubic, at the place where the format has its samples) → scaled into the gamut of the full luma → codes.

Why in this order: against the true chroma of 17 color clips, converting first and enlarging then is as exact as
enlarging ab and converting at chroma size, and costs a quarter. Bicubic has 27 % less error than bilinear;
guided and joint bilateral filters have more than bilinear (``benchmarks/upsampling.py``).

HDR films (PQ and HLG) get the color that the same light has in SDR; see :mod:`vidcolor.color.transfer` for what counts
as white there.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from vidcolor.color.chroma_table import ChromaTable, chroma_table
from vidcolor.color.luma import expand_range
from vidcolor.color.luma_weights import BT601, LumaWeights, luma_weights
from vidcolor.frames import ChromaFormat, FloatArray, Picture, Plane, VideoSpec

BLACK_FADE, WHITE_FADE = 0.065, 0.028
"""How far from black and from white, in [0, 1] of luma, chroma has risen to 1 − 1/e of its strength.

Predicted color is coarser than the picture and spills into what is dark or bright beside it. The factor on Cb and Cr
that leaves the least error, by luma, on 483 photographs: .17 below .01, .35 at .025, .50 at .05, .70 at .09, .87 at
.135, .96 at .6, .82 at .95, .68 at .97, .38 above .99. These two exponentials follow it within .1, but for what is all
but white, where they leave less."""
FADE_STEPS = 1024
BAND_ROWS = 64
"""Of chroma that are made at once: five arrays of so many, 1000 wide, fit a second-level cache."""


def codes(
    luma: Plane, chroma: FloatArray, spec: VideoSpec, bit_depth: int, weights: LumaWeights
) -> tuple[Plane, Plane]:
    """Cb, Cr (2, H, W) within the gamut of ``luma``, code values (H, W), as code values themselves.

    A band of rows after the other, so that all that is made on the way stays in the processor's cache.
    """
    cb, cr = (np.empty(luma.shape, np.uint8 if bit_depth <= 8 else np.uint16) for _ in range(2))
    code_band = _codes_of_8_bits if luma.dtype == np.uint8 and bit_depth == 8 else _codes_of_any_depth
    for top in range(0, len(luma), BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        cb[rows], cr[rows] = code_band(luma[rows], chroma[:, rows], spec, bit_depth, weights)
    return cb, cr


def _codes_of_any_depth(
    luma: Plane, chroma: FloatArray, spec: VideoSpec, bit_depth: int, weights: LumaWeights
) -> list[Plane]:
    limited = limit_to_gamut(expand_range(luma, spec), chroma, weights)
    return [quantize(plane, bit_depth, spec.full_range) for plane in limited]


def _codes_of_8_bits(
    luma: Plane, chroma: FloatArray, spec: VideoSpec, bit_depth: int, weights: LumaWeights
) -> list[Plane]:
    """The same, sooner: only the colors that their code shows to be near the end of the gamut are limited."""
    codes = [quantize(plane, bit_depth, spec.full_range) for plane in chroma]
    steps = _chroma_steps(bit_depth, spec.full_range)
    furthest = np.maximum(*(cv2.convertScaleAbs(plane, alpha=steps) for plane in chroma))
    places = np.flatnonzero(furthest > cv2.LUT(luma, _safe_codes(spec, weights)))
    if len(places):
        some = chroma.reshape(2, -1)[:, places, None]
        exact = _codes_of_any_depth(luma.reshape(-1)[places, None], some, spec, bit_depth, weights)
        for code, right in zip(codes, exact, strict=True):
            code.reshape(-1)[places] = right[:, 0]
    return codes


@lru_cache(maxsize=4)
def _safe_codes(spec: VideoSpec, weights: LumaWeights) -> Plane:
    """By 8-bit luma code, how many steps from 0 Cb and Cr may be, rounded, and surely are within the gamut.

    Up to there neither B' nor R' leaves [0, 1], and G', which has a smaller part of both, does not either. What rounds
    to 0 may always stay: to be limited is to come nearer to it.
    """
    luma = expand_range(np.arange(256, dtype=np.uint8)[None], spec)[0]
    room = np.minimum(luma, 1 - luma) * _chroma_steps(8, spec.full_range)
    safe: Plane = np.clip(np.floor(room / (2 - 2 * min(weights.kb, weights.kr)) - 0.5), 0, 255).astype(np.uint8)
    return safe


def colorize_grey(grey: FloatArray, ab: FloatArray, *, saturation: float) -> FloatArray:
    """Color a photograph: (H, W) grey in [0, 1] and (2, h, w) ab to (H, W, 3) sRGB in [0, 1].

    The BT.601 luma of the result is ``grey``. ``saturation`` is a factor on ab.
    """
    table = chroma_table(BT601)
    small_grey = resize(grey, (ab.shape[2], ab.shape[1]), cv2.INTER_AREA)
    small = ab_to_chroma(small_grey, ab * (fade(small_grey) * np.float32(saturation)), table)
    full = np.stack([resize(plane, (grey.shape[1], grey.shape[0]), cv2.INTER_CUBIC) for plane in small])
    red, green, blue = channel_offsets(limit_to_gamut(grey, full, BT601), BT601)
    return np.clip(np.stack((grey + red, grey + green, grey + blue), axis=-1), 0, 1)  # for the last bit: limited before


def film_to_rgb(picture: Picture, cb: Plane, cr: Plane, spec: VideoSpec, bit_depth: int) -> FloatArray:
    """A picture of a film with Cb and Cr of its own size, code values of ``bit_depth``, to (H, W, 3) R'G'B' in [0, 1].

    Not turned upright. The other way round as :func:`render` (ITU-T H.273, 8.3).
    """
    weights = luma_weights(spec)
    luma = expand_range(picture.luma, spec)
    offsets = channel_offsets(np.stack([dequantize(plane, bit_depth, spec.full_range) for plane in (cb, cr)]), weights)
    return np.clip(np.stack([luma + offset for offset in offsets], axis=-1), 0, 1)


def fade(grey: FloatArray) -> FloatArray:
    """How much of a predicted color remains at grey levels (h, w) in [0, 1]: none on black and on white."""
    factors: FloatArray = _fades()[np.rint(grey * np.float32(FADE_STEPS)).astype(np.intp)]
    return factors


@lru_cache(maxsize=1)
def _fades() -> FloatArray:
    """:func:`fade` at 0, 1 / FADE_STEPS, … 1."""
    luma = np.linspace(0, 1, FADE_STEPS + 1)
    return np.asarray((1 - np.exp(-luma / BLACK_FADE)) * (1 - np.exp((luma - 1) / WHITE_FADE)), np.float32)


def ab_to_chroma(luma: FloatArray, ab: FloatArray, table: ChromaTable) -> FloatArray:
    """(h, w) luma in [0, 1] and (2, h, w) ab to Cb, Cr (2, h, w) inside the gamut; see :meth:`ChromaTable.chroma`."""
    return limit_to_gamut(luma, table.chroma(luma, ab), table.weights)


def channel_offsets(chroma: FloatArray, weights: LumaWeights) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cb, Cr (2, H, W) to R' - Y', G' - Y' and B' - Y', (H, W) each."""
    cb, cr = chroma
    red, blue = (2 - 2 * weights.kr) * cr, (2 - 2 * weights.kb) * cb
    kg = 1 - weights.kr - weights.kb
    green = -weights.kr / kg * red
    green -= weights.kb / kg * blue
    return red, green, blue


def limit_to_gamut(luma: FloatArray, chroma: FloatArray, weights: LumaWeights) -> FloatArray:
    """Scale Cb, Cr (2, H, W) by the largest factor up to 1 that keeps R', G' and B' in [0, 1] at ``luma`` (H, W)."""
    red, green, blue = channel_offsets(chroma, weights)
    tiny = np.float32(1e-6)
    # Into arrays that are there already: the way to memory is what takes time here. And np.clip for bounds, because
    # np.maximum takes six times as long for a number as for an array.
    highest = np.maximum(red, blue)
    np.maximum(highest, green, out=highest)
    lowest = np.minimum(red, blue, out=red)
    np.minimum(lowest, green, out=lowest)
    room = np.subtract(np.float32(1), luma, out=blue)
    highest /= np.clip(room, tiny, np.inf, out=room)
    lowest /= np.clip(luma, tiny, np.inf, out=room)
    excess = np.maximum(highest, np.negative(lowest, out=lowest), out=highest)
    return np.divide(chroma, np.clip(excess, 1, np.inf, out=excess), dtype=np.float32)


def upsample(chroma: FloatArray, spec: VideoSpec, layout: ChromaFormat) -> FloatArray:
    """Cb, Cr (2, h, w) of the stored picture to the size and the siting of ``layout``, bicubic."""
    step_x = layout.subsampling_x if layout.siting in ("left", "topleft") else 1
    step_y = layout.subsampling_y if layout.siting == "topleft" else 1
    # A sample on the first of its luma pixels: resize to the luma's own grid, and keep the first of every two. One axis
    # after the other, as bicubic does it anyway, so that no more is made than is kept.
    wide = (spec.width if step_x > 1 else layout.width, chroma.shape[1])
    tall = (layout.width, spec.height if step_y > 1 else layout.height)
    rows = (resize(plane, wide, cv2.INTER_CUBIC)[:, ::step_x] for plane in chroma)
    return np.stack([resize(plane, tall, cv2.INTER_CUBIC)[::step_y] for plane in rows])


def upsample_field(chroma: FloatArray, spec: VideoSpec, layout: ChromaFormat, parity: int) -> FloatArray:
    """Cb, Cr (2, h, w) of the top (0) or bottom field (1) to its lines of ``layout``, (2, H / 2, W), bicubic.

    Chroma lines lie where those of a progressive frame lie (ITU-T H.264, 6.2; MPEG-2 likewise). Among the lines of its
    own field that is, in 4:2:0, a quarter below the first of two in the top field and three quarters in the bottom one.
    """
    step_x, step_y = layout.subsampling_x, layout.subsampling_y
    first_x = (step_x - 1) / 2 if layout.siting == "center" else 0.0
    offset = 0.0 if layout.siting == "topleft" else (step_y - 1) / 2
    first_y = (step_y * parity + offset - parity) / 2
    scale_x, scale_y = chroma.shape[2] / spec.width, chroma.shape[1] / (-(-(spec.height - parity) // 2))
    places = np.array(
        [
            [step_x * scale_x, 0, (first_x + 0.5) * scale_x - 0.5],
            [0, step_y * scale_y, (first_y + 0.5) * scale_y - 0.5],
        ]
    )
    size = (layout.width, -(-(layout.height - parity) // 2))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    planes = [cv2.warpAffine(plane, places, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) for plane in chroma]
    return np.asarray(np.stack(planes), np.float32)


def resize(plane: FloatArray, size: tuple[int, int], interpolation: int) -> FloatArray:
    """(H, W) to ``size`` = (width, height)."""
    resized: FloatArray = cv2.resize(plane, size, interpolation=interpolation)  # type: ignore[assignment]
    return resized


def quantize(plane: FloatArray, bit_depth: int, full_range: bool) -> Plane:
    """Cb or Cr in [-0.5, 0.5] to code values (ITU-T H.273, 8.3), uint8 up to 8 bits, else uint16; zero to 2^(d-1)."""
    scale = _chroma_steps(bit_depth, full_range)
    middle = 2 ** (bit_depth - 1)
    if bit_depth == 8:
        return np.asarray(cv2.convertScaleAbs(plane, alpha=scale, beta=middle), np.uint8)  # all of it in one pass
    codes: Plane = np.clip(np.rint(plane * np.float32(scale)) + middle, 0, 2**bit_depth - 1).astype(np.uint16)
    return codes


def _chroma_steps(bit_depth: int, full_range: bool) -> int:
    """Code values from the least to the greatest Cb (ITU-T H.273, 8.3)."""
    return 2**bit_depth - 1 if full_range else 224 << bit_depth - 8


def dequantize(codes: Plane, bit_depth: int, full_range: bool) -> FloatArray:
    """The other way round as :func:`quantize`."""
    scale = _chroma_steps(bit_depth, full_range)
    return np.asarray((codes.astype(np.float32) - 2 ** (bit_depth - 1)) / np.float32(scale), np.float32)
