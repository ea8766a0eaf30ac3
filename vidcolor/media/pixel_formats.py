"""Pixel formats: where the luma of a decoded frame lies, and what a planar Y'CbCr name says. Layouts only, no files.

Luma is read in place wherever plane 0 is the luma in the low bits of little-endian words: planar Y'CbCr, grey, NV12
and its 8-bit kin. P010 and its kin, what hardware decodes to, have it in the high bits, and it is shifted down. Other
Y'CbCr layouts (packed, big-endian) are rearranged into the planar format with the same sub-sampling and depth, which
keeps every code value. R'G'B' (also palettes, Bayer and XYZ) becomes full-range Y'CbCr 4:4:4 with the BT.709 matrix, so
that a grey R = G = B keeps its code value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace

from vidcolor.frames import Plane

MATRIX_RGB = 0  # H.273: no luma of its own; PNG says so of its grey pictures, too
MATRIX_BT709 = 1
RANGE_LIMITED = 1  # AVCOL_RANGE_MPEG
RANGE_FULL = 2  # AVCOL_RANGE_JPEG

_PLANAR = re.compile(r"yuv(?P<kind>[aj]?)(?P<sampling>420|422|444|440|411|410)p(?P<depth>9|10|12|14|16)?(?:le)?")
_LUMA_FIRST = re.compile(r"yuv[aj]?4\d\dp(?:(?:9|10|12|14|16)le)?|gray(?:(?:9|10|12|14|16)le)?|nv(?:12|16|21|24|42)")
_SUBSAMPLING = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "440": (1, 2), "411": (4, 1), "410": (4, 4)}
_DEPTHS = (8, 9, 10, 12, 14, 16)
PLANAR_KIN = {
    "nv12": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p",
    "p010le": "yuv420p10le", "p210le": "yuv422p10le", "p410le": "yuv444p10le",
    "p012le": "yuv420p12le", "p212le": "yuv422p12le", "p412le": "yuv444p12le",
    "p016le": "yuv420p16le", "p216le": "yuv422p16le", "p416le": "yuv444p16le",
}  # fmt: skip
"""Semi-planar formats, with Cb and Cr by turns in one plane and code values in the high bits, and the planar ones that
hold the same code values."""


@dataclass(frozen=True)
class PlanarFormat:
    """A pixel format of three planes, Y', Cb and Cr."""

    name: str
    bit_depth: int
    subsampling_x: int
    subsampling_y: int

    @classmethod
    def parse(cls, name: str) -> PlanarFormat | None:
        """``yuv420p10le`` and the like; None for any other layout, big-endian and alpha included."""
        match = _PLANAR.fullmatch(name)
        if match is None or match["kind"] == "a":
            return None
        return cls(name, int(match["depth"] or 8), *_SUBSAMPLING[match["sampling"]])


def planar_name(sampling: str, bit_depth: int) -> str:
    """The little-endian planar format: ``("420", 10)`` gives ``yuv420p10le``."""
    return f"yuv{sampling}p" + (f"{bit_depth}le" if bit_depth > 8 else "")


RAW_PIXEL_FORMATS = [planar_name(sampling, depth) for depth in _DEPTHS for sampling in ("420", "422", "444")]
"""What is offered to an encoder that takes whatever it is given; YUV4MPEG2 has names for all of these."""


@dataclass(frozen=True)
class LumaLayout:
    """How the luma of one pixel format is reached."""

    bit_depth: int
    from_rgb: bool = False
    """Converted from colors without a luma of their own: full range, BT.709 matrix."""
    is_grey: bool = False
    convert_to: str | None = None
    """The planar format to convert to first; None where plane 0 is the luma already."""
    shift: int = 0
    """How many bits of a word lie below the luma."""


def luma_layout(pixel_format: VideoFormat) -> LumaLayout:
    """How to reach the luma of any pixel format a decoder may deliver."""
    name = pixel_format.name
    bits = [component.bits for component in pixel_format.components if not component.is_alpha]
    # Bayer formats spread the bits of a pixel over three components.
    depth = _depth_for(sum(bits) if pixel_format.is_bayer else max(bits))
    is_grey = len(bits) == 1
    if _LUMA_FIRST.fullmatch(name):
        return LumaLayout(depth, is_grey=is_grey)
    if name in PLANAR_KIN:
        return LumaLayout(depth, shift=16 - depth)
    if pixel_format.is_rgb or pixel_format.has_palette or pixel_format.is_bayer or name.startswith("xyz"):
        return LumaLayout(depth, from_rgb=True, convert_to=planar_name("444", depth))
    if is_grey:
        return LumaLayout(depth, is_grey=True, convert_to="gray" if depth == 8 else f"gray{depth}le")
    return LumaLayout(depth, convert_to=planar_name(_sampling_of(pixel_format), depth))


def _depth_for(bits: int) -> int:
    return next((depth for depth in _DEPTHS if depth >= bits), _DEPTHS[-1])


def _sampling_of(pixel_format: VideoFormat) -> str:
    whole = 16  # a multiple of every sub-sampling
    steps = whole // pixel_format.chroma_width(whole), whole // pixel_format.chroma_height(whole)
    return next(name for name, subsampling in _SUBSAMPLING.items() if subsampling == steps)


def read_luma(frame: VideoFrame, layout: LumaLayout) -> Plane:
    """The luma of a frame: (H, W), uint8 or uint16, read-only; mostly a view, which keeps the frame alive."""
    if layout.convert_to is not None:
        frame = _convert(frame, layout.convert_to, from_rgb=layout.from_rgb)
    luma = plane_view(frame.planes[0], layout.bit_depth)
    if layout.shift:
        luma = np.right_shift(luma, np.uint16(layout.shift))
    luma.flags.writeable = False
    return luma


def as_planar(frame: VideoFrame) -> VideoFrame:
    """The same code values in a planar format, where the frame is semi-planar; else the frame itself."""
    name = PLANAR_KIN.get(frame.format.name)
    return frame if name is None else _convert(frame, name, from_rgb=False)


def _convert(frame: VideoFrame, name: str, *, from_rgb: bool) -> VideoFrame:
    # The same range on both sides: where there is luma already, nothing but the arrangement may change. One thread:
    # with several, a frame of P010 in thousands has the first luma of a slice overwritten (libswscale 9).
    same = ColorRange.JPEG if from_rgb else ColorRange.MPEG
    matrix = Colorspace.ITU709 if from_rgb else None
    return frame.reformat(format=name, src_color_range=same, dst_color_range=same, dst_colorspace=matrix, threads=1)


def fill(frame: VideoFrame, planes: tuple[Plane, Plane, Plane], bit_depth: int) -> None:
    """Write code values of Y', Cb and Cr into a planar or semi-planar frame of that depth.

    Semi-planar ones are not left to libswscale: it loses the last chroma column of P010 where the width is odd.
    """
    if frame.format.name not in PLANAR_KIN:
        for plane, values in zip(frame.planes, planes, strict=True):
            plane_view(plane, bit_depth)[...] = values
        return
    luma, cb, cr = (values << (16 - bit_depth if bit_depth > 8 else 0) for values in planes)
    plane_view(frame.planes[0], bit_depth)[...] = luma
    both = _lines(frame.planes[1], bit_depth)[:, : 2 * frame.planes[1].width]
    both[:, 0::2], both[:, 1::2] = cb, cr


def plane_view(plane: VideoPlane, bit_depth: int) -> Plane:
    """(height, width) over the plane's own memory, without the padding at the end of its lines."""
    return _lines(plane, bit_depth)[:, : plane.width]


def _lines(plane: VideoPlane, bit_depth: int) -> Plane:
    memory = memoryview(plane)
    values: Plane = np.frombuffer(memory, np.uint8) if bit_depth <= 8 else np.frombuffer(memory, np.uint16)
    rows = values.reshape(plane.height, -1)
    return rows[::-1] if plane.line_size < 0 else rows  # stored bottom-up
