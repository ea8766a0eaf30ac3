"""Read the luma of decoded frames in every pixel format, and write planes into frames for encoders.

Luma is read in place wherever plane 0 holds it in the low bits of little-endian words: planar Y'CbCr, grey, NV12 and
other 8-bit semi-planar formats. P010 and similar formats, which hardware decodes to, hold it in the high bits; it is
shifted down. Other Y'CbCr layouts (packed, big-endian) are converted to the planar format with the same sub-sampling
and depth, which keeps every code value. R'G'B' (also palettes, Bayer and XYZ) is converted to full-range Y'CbCr 4:4:4
with the BT.709 matrix, so that a grey R = G = B keeps its code value. Floating-point samples, as OpenEXR and PFM hold
them, are linear light unless the frame says otherwise; they are gamma-encoded as sRGB, and clipped to [0, 1].
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace

from vidcolor.color.luma_weights import BT709
from vidcolor.frames import FloatArray, Plane
from vidcolor.stills.icc import encode_srgb

MATRIX_RGB = 0  # H.273: R'G'B'; the PNG decoder sets it for grey pictures, too
MATRIX_BT709 = 1
TRANSFER_SRGB = 13
LINEAR_TRANSFERS = frozenset((2, 8))  # H.273: unspecified, linear
RANGE_LIMITED = 1  # AVCOL_RANGE_MPEG
RANGE_FULL = 2  # AVCOL_RANGE_JPEG

_PLANAR = re.compile(r"yuv(?P<kind>[aj]?)(?P<sampling>420|422|444|440|411|410)p(?P<depth>9|10|12|14|16)?(?:le)?")
_LUMA_FIRST = re.compile(r"yuv[aj]?4\d\dp(?:(?:9|10|12|14|16)le)?|gray(?:(?:9|10|12|14|16)le)?|nv(?:12|16|21|24|42)")
_FLOAT = re.compile(r"(?P<kind>gray|gbrp|gbrap|rgb|rgba)f(?P<bits>16|32)le")
_SUBSAMPLING = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "440": (1, 2), "411": (4, 1), "410": (4, 4)}
_DEPTHS = (8, 9, 10, 12, 14, 16)
PLANAR_FORMS = {
    "nv12": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    **{
        f"p{digit}{depth}le": f"yuv{sampling}p{depth}le"
        for depth in (10, 12, 16)
        for digit, sampling in ((0, "420"), (2, "422"), (4, "444"))
    },
}
"""For each semi-planar format (Cb and Cr interleaved in one plane, code values in the high bits) the planar format of
the same code values."""


@dataclass(frozen=True)
class PlanarFormat:
    """A pixel format of three planes, Y', Cb and Cr."""

    name: str
    bit_depth: int
    subsampling_x: int
    subsampling_y: int

    @classmethod
    def parse(cls, name: str) -> PlanarFormat | None:
        """Parse a name such as ``yuv420p10le``; return None for any other layout, also for big-endian and alpha."""
        match = _PLANAR.fullmatch(name)
        if match is None or match["kind"] == "a":
            return None
        return cls(name, int(match["depth"] or 8), *_SUBSAMPLING[match["sampling"]])


def planar_name(sampling: str, bit_depth: int) -> str:
    """Return the name of a little-endian planar format: ``("420", 10)`` gives ``yuv420p10le``."""
    return f"yuv{sampling}p" + (f"{bit_depth}le" if bit_depth > 8 else "")


RAW_PIXEL_FORMATS = [planar_name(sampling, depth) for depth in _DEPTHS for sampling in ("420", "422", "444")]
"""The formats for an encoder without a list of its own; YUV4MPEG2 has names for all of them."""


@dataclass(frozen=True)
class LumaLayout:
    """Where the luma is in frames of one pixel format."""

    bit_depth: int
    from_rgb: bool = False
    """Whether the format is not Y'CbCr and is converted: full range, BT.709 matrix."""
    is_grey: bool = False
    convert_to: str | None = None
    """The planar format to convert to first; None if plane 0 is the luma already."""
    shift: int = 0
    """The number of unused low bits in each word."""
    is_float: bool = False
    """Whether samples are floating-point numbers, which become 16 bits."""


def luma_layout(pixel_format: VideoFormat) -> LumaLayout:
    """Return where the luma is in frames of a pixel format of any decoder."""
    name = pixel_format.name
    bits = [component.bits for component in pixel_format.components if not component.is_alpha]
    # Bayer formats spread the bits of a pixel over three components.
    depth = _depth_for(sum(bits) if pixel_format.is_bayer else max(bits))
    is_grey = len(bits) == 1
    if _FLOAT.fullmatch(name):
        return LumaLayout(depth, from_rgb=not is_grey, is_grey=is_grey, is_float=True)
    if _LUMA_FIRST.fullmatch(name):
        return LumaLayout(depth, is_grey=is_grey)
    if name in PLANAR_FORMS:
        return LumaLayout(depth, shift=16 - depth)
    if pixel_format.is_rgb or pixel_format.has_palette or pixel_format.is_bayer or name.startswith("xyz"):
        return LumaLayout(depth, from_rgb=True, convert_to=planar_name("444", depth))
    if is_grey:
        return LumaLayout(depth, is_grey=True, convert_to="gray" if depth == 8 else f"gray{depth}le")
    return LumaLayout(depth, convert_to=planar_name(_sampling_of(pixel_format), depth))


def _depth_for(bits: int) -> int:
    return next((depth for depth in _DEPTHS if depth >= bits), _DEPTHS[-1])


def _sampling_of(pixel_format: VideoFormat) -> str:
    size = 16  # a multiple of every sub-sampling
    steps = size // pixel_format.chroma_width(size), size // pixel_format.chroma_height(size)
    return next(name for name, subsampling in _SUBSAMPLING.items() if subsampling == steps)


def read_luma(frame: VideoFrame, layout: LumaLayout) -> Plane:
    """Return the luma of a frame: (H, W), uint8 or uint16, read-only; where possible a view that keeps the frame alive.

    Raises:
        av.FFmpegError: the frame cannot be converted.
    """
    return read_planes(frame, layout)[0]


def read_planes(frame: VideoFrame, layout: LumaLayout) -> tuple[Plane, tuple[Plane, Plane] | None]:
    """Return the luma of a frame as :func:`read_luma` does, and its Cb and Cr planes; None for grey.

    Raises:
        av.FFmpegError: the frame cannot be converted.
    """
    if layout.is_float:
        return _luma_of_floats(frame), None
    if layout.convert_to is not None:
        frame = _convert(frame, layout.convert_to, from_rgb=layout.from_rgb)
    depth, shift = layout.bit_depth, layout.shift
    luma = _low_bits(plane_view(frame.planes[0], depth), shift)
    if layout.is_grey:
        return luma, None
    if len(frame.planes) == 2:  # Cb and Cr interleaved; in NV21 and NV42 Cr comes first
        pairs = _lines(frame.planes[1], depth)[:, : 2 * frame.planes[1].width]
        first, second = (_low_bits(pairs[:, start::2], shift) for start in (0, 1))
        return luma, (second, first) if frame.format.name in ("nv21", "nv42") else (first, second)
    cb, cr = (_low_bits(plane_view(plane, depth), 0) for plane in frame.planes[1:3])
    return luma, (cb, cr)


def _low_bits(plane: Plane, shift: int) -> Plane:
    """Return read-only code values, shifted down from the high bits of their words."""
    if shift:
        plane = np.right_shift(plane, np.uint16(shift))
    plane.flags.writeable = False
    return plane


def _luma_of_floats(frame: VideoFrame) -> Plane:
    """Return the full-range luma of floating-point samples, (H, W), uint16; what is no number is black."""
    levels = np.nan_to_num(_float_channels(frame), nan=0, posinf=1, neginf=0).clip(0, 1)
    if frame.color_trc in LINEAR_TRANSFERS:
        levels = encode_srgb(levels)
    rgb_weights = (BT709.kr, 1 - BT709.kr - BT709.kb, BT709.kb)
    weights = np.array(rgb_weights if levels.shape[2] == 3 else (1,), np.float32)
    luma: Plane = np.rint(levels @ weights * np.float32(65535)).astype(np.uint16)
    luma.flags.writeable = False
    return luma


def _float_channels(frame: VideoFrame) -> FloatArray:
    """Return the samples of a floating-point frame, grey or R, G, B, without alpha: (H, W, 1 or 3)."""
    match = _FLOAT.fullmatch(frame.format.name)
    assert match is not None  # luma_layout
    kind, dtype = match["kind"], np.dtype(f"f{int(match['bits']) // 8}")
    planes = [_rows(plane, dtype) for plane in frame.planes]
    if kind.startswith("gbr"):
        green, blue, red = (plane[:, : frame.width] for plane in planes[:3])
        channels = np.stack((red, green, blue), axis=2)
    else:
        count = {"gray": 1, "rgb": 3, "rgba": 4}[kind]
        channels = planes[0][:, : count * frame.width].reshape(frame.height, frame.width, count)[..., :3]
    return channels.astype(np.float32)


def as_planar(frame: VideoFrame) -> VideoFrame:
    """Return a semi-planar frame with the same code values in a planar format; any other frame is returned itself."""
    name = PLANAR_FORMS.get(frame.format.name)
    return frame if name is None else _convert(frame, name, from_rgb=False)


def _convert(frame: VideoFrame, name: str, *, from_rgb: bool) -> VideoFrame:
    # The same range on both sides, so that only the arrangement of luma changes. One thread, because with several
    # libswscale 9 overwrites the first luma of a slice in one of some thousand P010 frames.
    same = ColorRange.JPEG if from_rgb else ColorRange.MPEG
    matrix = Colorspace.ITU709 if from_rgb else None
    return frame.reformat(format=name, src_color_range=same, dst_color_range=same, dst_colorspace=matrix, threads=1)


def fill(frame: VideoFrame, planes: tuple[Plane, Plane, Plane], bit_depth: int) -> None:
    """Write code values into a planar or semi-planar frame.

    Semi-planar frames are not converted by libswscale, which loses the last chroma column of P010 if the width is odd.

    Args:
        frame: the frame to write to.
        planes: Y', Cb and Cr, each (height, width), uint8, or uint16 above 8 bits.
        bit_depth: of the code values and of the frame's format.
    """
    if frame.format.name not in PLANAR_FORMS:
        for plane, values in zip(frame.planes, planes, strict=True):
            plane_view(plane, bit_depth)[...] = values
        return
    luma, cb, cr = (values << (16 - bit_depth if bit_depth > 8 else 0) for values in planes)
    plane_view(frame.planes[0], bit_depth)[...] = luma
    both = _lines(frame.planes[1], bit_depth)[:, : 2 * frame.planes[1].width]
    both[:, 0::2], both[:, 1::2] = cb, cr


def plane_view(plane: VideoPlane, bit_depth: int) -> Plane:
    """Return a (height, width) view of a plane's memory, without the padding at the end of its lines."""
    return _lines(plane, bit_depth)[:, : plane.width]


def _lines(plane: VideoPlane, bit_depth: int) -> Plane:
    lines: Plane = _rows(plane, np.dtype(np.uint8 if bit_depth <= 8 else np.uint16))
    return lines


def _rows(plane: VideoPlane, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return a view of a plane's memory, one line a row, with the padding at their ends."""
    rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
    return rows[::-1] if plane.line_size < 0 else rows  # a negative line size means bottom-up
