"""Convert ab at render size to the Cb and Cr planes of a film, or to R'G'B' for photographs. Luma is never changed.

The steps are: reduce ab near black and white → Cb, Cr at render size (a table) → upsample to chroma size (bicubic, at
the siting of the format) → limit to the gamut at the full luma → code values. Converting before upsampling is as exact
as the other order and takes a quarter of the time. Bicubic upsampling has 27 % less error than bilinear; guided and
joint bilateral filters have more (``benchmarks/upsampling.py``).

In HDR films (PQ and HLG) the color is that of the same light in SDR (:mod:`vidcolor.color.transfer`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.color.chroma_table import ChromaTable, chroma_table
from vidcolor.color.luma import expand_range
from vidcolor.color.luma_weights import BT601, LumaWeights, luma_weights
from vidcolor.frames import ChromaFormat, FloatArray, Picture, Plane, VideoSpec

BLACK_FADE, WHITE_FADE = 0.065, 0.028
"""Distance from black and from white, in luma 0 to 1, at which :func:`fade` reaches 1 − 1/e.

Predicted color is coarser than the picture and spills into dark or bright areas beside it. The values fit the factors
that minimize the error on 483 photographs (``docs/steady.md``).
"""
FADE_STEPS = 1024
"""Intervals of the table of :func:`fade`."""
PHOTOGRAPH_BAND_PIXELS = 1 << 20
"""Pixels of a photograph that are converted at a time."""
BAND_ROWS = 64
"""Rows of chroma that are converted at a time, so that temporary arrays 1000 wide fit into the second-level cache."""


def to_codes(
    luma: Plane, chroma: FloatArray, spec: VideoSpec, bit_depth: int, weights: LumaWeights
) -> tuple[Plane, Plane]:
    """Limit Cb and Cr to the gamut and quantize them, in bands of :data:`BAND_ROWS` rows.

    Args:
        luma: (H, W), code values of the film.
        chroma: Cb and Cr, (2, H, W), in [-0.5, 0.5] and beyond.
        spec: gives the range and the bit depth of the luma.
        bit_depth: of the result.
        weights: of the film's matrix.

    Returns:
        Cb and Cr, (H, W) each, code values: uint8 up to 8 bits, otherwise uint16.
    """
    cb, cr = (np.empty(luma.shape, np.uint8 if bit_depth <= 8 else np.uint16) for _ in range(2))
    code_band = codes_of_8_bits if luma.dtype == np.uint8 and bit_depth == 8 else codes_of_any_depth
    for top in range(0, len(luma), BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        cb[rows], cr[rows] = code_band(luma[rows], chroma[:, rows], spec, bit_depth, weights)
    return cb, cr


def codes_of_any_depth(
    luma: Plane, chroma: FloatArray, spec: VideoSpec, bit_depth: int, weights: LumaWeights
) -> list[Plane]:
    """Limit all colors and quantize them; arguments as for :func:`to_codes`."""
    limited = limit_to_gamut(expand_range(luma, spec), chroma, weights)
    return [quantize(plane, bit_depth, spec.full_range) for plane in limited]


def codes_of_8_bits(
    luma: Plane, chroma: FloatArray, spec: VideoSpec, bit_depth: int, weights: LumaWeights
) -> list[Plane]:
    """Quantize, and limit only those colors whose code values are near the edge of the gamut, which is faster.

    The result is the same as that of :func:`codes_of_any_depth`.
    """
    codes = [quantize(plane, bit_depth, spec.full_range) for plane in chroma]
    steps = _chroma_steps(bit_depth, spec.full_range)
    furthest = np.maximum(*(cv2.convertScaleAbs(plane, alpha=steps) for plane in chroma))
    near_edge = np.flatnonzero(furthest > cv2.LUT(luma, _safe_codes(spec, weights)))
    if len(near_edge):
        some = chroma.reshape(2, -1)[:, near_edge, None]
        exact = codes_of_any_depth(luma.reshape(-1)[near_edge, None], some, spec, bit_depth, weights)
        for plane, limited in zip(codes, exact, strict=True):
            plane.reshape(-1)[near_edge] = limited[:, 0]
    return codes


@lru_cache(maxsize=4)
def _safe_codes(spec: VideoSpec, weights: LumaWeights) -> Plane:
    """Return for each 8-bit luma code how many codes Cb and Cr may differ from neutral and be within the gamut.

    Up to there neither B' nor R' leaves [0, 1], and neither does G', in which both have smaller factors. A color that
    rounds to neutral may always stay, because limiting brings colors closer to neutral.
    """
    luma = expand_range(np.arange(256, dtype=np.uint8)[None], spec)[0]
    room = np.minimum(luma, 1 - luma) * _chroma_steps(8, spec.full_range)
    safe: Plane = np.clip(np.floor(room / (2 - 2 * min(weights.kb, weights.kr)) - 0.5), 0, 255).astype(np.uint8)
    return safe


def colorize_grey(grey: FloatArray, ab: FloatArray, *, saturation: float) -> FloatArray:
    """Color a photograph.

    Args:
        grey: (H, W), gamma-encoded, in [0, 1].
        ab: (2, h, w), Lab units, of any size.
        saturation: factor on ab.

    Returns:
        sRGB, (H, W, 3) in [0, 1], whose BT.601 luma is ``grey``.
    """
    return np.concatenate(list(colorize_bands(grey, ab, saturation=saturation)))


def colorize_bands(grey: FloatArray, ab: FloatArray, *, saturation: float) -> Iterator[FloatArray]:
    """Color a photograph as :func:`colorize_grey` does, and yield it in bands of rows, from top to bottom."""
    table = chroma_table(BT601)
    small_grey = resize(grey, (ab.shape[2], ab.shape[1]), cv2.INTER_AREA)
    small = ab_to_chroma(small_grey, ab * (fade(small_grey) * np.float32(saturation)), table)
    height, width = grey.shape
    wide = np.stack([resize(plane, (width, small.shape[1]), cv2.INTER_CUBIC) for plane in small])
    step = max(1, PHOTOGRAPH_BAND_PIXELS // width)
    for top in range(0, height, step):
        band = grey[top : top + step]
        full = _cubic_rows(wide, np.arange(top, top + len(band)), height)
        offsets = channel_offsets(limit_to_gamut(band, full, BT601), BT601)
        yield np.clip(np.stack([band + offset for offset in offsets], axis=-1), 0, 1)  # only rounding is clipped


def _cubic_rows(planes: FloatArray, rows: npt.NDArray[np.intp], height: int) -> FloatArray:
    """Return some rows of planes (N, h, W) resized to ``height``, bicubically as OpenCV does (a = −0.75)."""
    num_rows = planes.shape[1]
    positions = (rows + 0.5) * (num_rows / height) - 0.5
    first = np.floor(positions).astype(np.intp)
    near = (positions - first).astype(np.float32)
    a = np.float32(-0.75)
    far, rest = near + 1, 1 - near
    before = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    here = ((a + 2) * near - (a + 3)) * near * near + 1
    after = ((a + 2) * rest - (a + 3)) * rest * rest + 1
    weights = (before, here, after, 1 - before - here - after)
    resized = np.zeros((len(planes), len(rows), planes.shape[2]), np.float32)
    for step, weight in enumerate(weights):
        resized += planes[:, np.clip(first + step - 1, 0, num_rows - 1)] * weight[:, None]
    return resized


def film_to_rgb(picture: Picture, cb: Plane, cr: Plane, spec: VideoSpec, bit_depth: int) -> FloatArray:
    """Convert a picture of a film and its chroma planes to R'G'B' (ITU-T H.273, 8.3).

    Args:
        picture: gives the luma, (H, W).
        cb: (H, W), code values of ``bit_depth``.
        cr: likewise.
        spec: of the film.
        bit_depth: of the chroma planes.

    Returns:
        (H, W, 3) in [0, 1], not rotated.

    Raises:
        InputError: the film's matrix has no constant weights.
    """
    weights = luma_weights(spec)
    luma = expand_range(picture.luma, spec)
    offsets = channel_offsets(np.stack([dequantize(plane, bit_depth, spec.full_range) for plane in (cb, cr)]), weights)
    return np.clip(np.stack([luma + offset for offset in offsets], axis=-1), 0, 1)


def fade(grey: FloatArray) -> FloatArray:
    """Return the factor on predicted ab for grey (h, w) in [0, 1]: 0 at black and at white, almost 1 between."""
    factors: FloatArray = _fades()[np.rint(grey * np.float32(FADE_STEPS)).astype(np.intp)]
    return factors


@lru_cache(maxsize=1)
def _fades() -> FloatArray:
    """Return :func:`fade` at 0, 1 / FADE_STEPS, …, 1."""
    luma = np.linspace(0, 1, FADE_STEPS + 1)
    return np.asarray((1 - np.exp(-luma / BLACK_FADE)) * (1 - np.exp((luma - 1) / WHITE_FADE)), np.float32)


def ab_to_chroma(luma: FloatArray, ab: FloatArray, table: ChromaTable) -> FloatArray:
    """Convert ab (2, h, w) at luma (h, w) in [0, 1] to Cb and Cr (2, h, w), limited to the gamut."""
    return limit_to_gamut(luma, table.chroma(luma, ab), table.weights)


def channel_offsets(chroma: FloatArray, weights: LumaWeights) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Convert Cb and Cr (2, H, W) to R' − Y', G' − Y' and B' − Y', (H, W) each."""
    cb, cr = chroma
    red, blue = (2 - 2 * weights.kr) * cr, (2 - 2 * weights.kb) * cb
    kg = 1 - weights.kr - weights.kb
    green = -weights.kr / kg * red
    green -= weights.kb / kg * blue
    return red, green, blue


def limit_to_gamut(luma: FloatArray, chroma: FloatArray, weights: LumaWeights) -> FloatArray:
    """Scale Cb and Cr (2, H, W) by the largest factor up to 1 that keeps R'G'B' in [0, 1] at ``luma`` (H, W)."""
    red, green, blue = channel_offsets(chroma, weights)
    tiny = np.float32(1e-6)
    # Memory bandwidth limits this function, so arrays are reused. np.clip for bounds, because np.maximum takes six
    # times as long for a scalar as for an array.
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
    """Resize Cb and Cr (2, h, w) of a progressive picture to the size and the siting of ``layout``, bicubically."""
    step_x = layout.subsampling_x if layout.siting in ("left", "topleft") else 1
    step_y = layout.subsampling_y if layout.siting == "topleft" else 1
    # Where a sample lies on the first of its luma pixels, resize to the luma's grid and keep every second sample. One
    # axis at a time, so that no more is computed than is kept.
    wide = (spec.width if step_x > 1 else layout.width, chroma.shape[1])
    tall = (layout.width, spec.height if step_y > 1 else layout.height)
    rows = (resize(plane, wide, cv2.INTER_CUBIC)[:, ::step_x] for plane in chroma)
    return np.stack([resize(plane, tall, cv2.INTER_CUBIC)[::step_y] for plane in rows])


def upsample_field(chroma: FloatArray, spec: VideoSpec, layout: ChromaFormat, parity: int) -> FloatArray:
    """Resize Cb and Cr of one field to its lines in ``layout``, bicubically.

    Chroma lines lie where those of a progressive frame lie (ITU-T H.264, 6.2, and MPEG-2). In 4:2:0 that is a quarter
    of the distance between two luma lines of the field below the first of them in the top field, three quarters in the
    bottom field.

    Args:
        chroma: (2, h, w).
        spec: of the film.
        layout: of the chroma planes of the frame.
        parity: 0: the top field, 1: the bottom field.

    Returns:
        (2, lines, layout.width).
    """
    step_x, step_y = layout.subsampling_x, layout.subsampling_y
    first_x = (step_x - 1) / 2 if layout.siting == "center" else 0.0
    offset = 0.0 if layout.siting == "topleft" else (step_y - 1) / 2
    first_y = (step_y * parity + offset - parity) / 2
    scale_x, scale_y = chroma.shape[2] / spec.width, chroma.shape[1] / (-(-(spec.height - parity) // 2))
    transform = np.array(
        [
            [step_x * scale_x, 0, (first_x + 0.5) * scale_x - 0.5],
            [0, step_y * scale_y, (first_y + 0.5) * scale_y - 0.5],
        ]
    )
    size = (layout.width, -(-(layout.height - parity) // 2))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    planes = [cv2.warpAffine(plane, transform, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) for plane in chroma]
    return np.asarray(np.stack(planes), np.float32)


def own_chroma(planes: tuple[Plane, Plane], spec: VideoSpec, layout: ChromaFormat) -> tuple[Plane, Plane]:
    """Return the Cb and Cr planes that a film has in the format of the encoder; the same arrays if it is theirs.

    Planes of another size are averaged where they shrink and enlarged bicubically, without regard to their siting.

    Args:
        planes: Cb and Cr, code values of the film's bit depth.
        spec: of the film.
        layout: the size and the bit depth of the result.
    """
    cb, cr = (_own_plane(plane, spec, layout) for plane in planes)
    return cb, cr


def _own_plane(plane: Plane, spec: VideoSpec, layout: ChromaFormat) -> Plane:
    size = layout.width, layout.height
    if plane.shape == size[::-1] and spec.bit_depth == layout.bit_depth:
        return plane
    values = dequantize(plane, spec.bit_depth, spec.full_range)
    shrinks = plane.shape[0] >= layout.height and plane.shape[1] >= layout.width
    sized = resize(values, size, cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return quantize(sized, layout.bit_depth, spec.full_range)


def resize(plane: FloatArray, size: tuple[int, int], interpolation: int) -> FloatArray:
    """Resize (H, W) to ``size`` = (width, height)."""
    resized: FloatArray = cv2.resize(plane, size, interpolation=interpolation)  # type: ignore[assignment]
    return resized


def quantize(plane: FloatArray, bit_depth: int, full_range: bool) -> Plane:
    """Convert Cb or Cr in [-0.5, 0.5] to code values (ITU-T H.273, 8.3): uint8 up to 8 bits, otherwise uint16.

    0 becomes 2^(bit_depth − 1).
    """
    scale = _chroma_steps(bit_depth, full_range)
    middle = 2 ** (bit_depth - 1)
    if bit_depth == 8:
        return np.asarray(cv2.convertScaleAbs(plane, alpha=scale, beta=middle), np.uint8)
    codes: Plane = np.clip(np.rint(plane * np.float32(scale)) + middle, 0, 2**bit_depth - 1).astype(np.uint16)
    return codes


def _chroma_steps(bit_depth: int, full_range: bool) -> int:
    """Return the number of code values from the smallest to the largest Cb (ITU-T H.273, 8.3)."""
    return 2**bit_depth - 1 if full_range else 224 << bit_depth - 8


def dequantize(codes: Plane, bit_depth: int, full_range: bool) -> FloatArray:
    """Convert code values to Cb or Cr in [-0.5, 0.5]; the inverse of :func:`quantize`."""
    scale = _chroma_steps(bit_depth, full_range)
    return np.asarray((codes.astype(np.float32) - 2 ** (bit_depth - 1)) / np.float32(scale), np.float32)
