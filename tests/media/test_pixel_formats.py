"""Where luma lies. The oracle is libav's own conversion from a planar frame that the test has filled itself."""

from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcolor.media.pixel_formats import (
    PLANAR_FORMS,
    PlanarFormat,
    as_planar,
    fill,
    luma_layout,
    planar_name,
    plane_view,
    read_luma,
)
from vidcolor.media.reader import VideoReader

SIZE = (37, 22)
LIMITED = 1


def random_frame(name: str, depth: int, seed: int = 0, size: tuple[int, int] = SIZE) -> av.VideoFrame:
    """A frame of noise in a planar format."""
    frame = av.VideoFrame(*size, name)
    for plane in frame.planes:
        view = plane_view(plane, depth)
        view[...] = np.random.default_rng(seed).integers(0, 2**depth, view.shape)
    frame.color_range = LIMITED
    return frame


@pytest.mark.parametrize(
    "name",
    ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuvj420p", "yuva420p", "gray", "nv12"]
    + [f"{name}{bits}le" for name in ("yuv420p", "yuv422p", "yuv444p", "gray") for bits in (9, 10, 12, 14, 16)],
)
def test_luma_is_read_in_place(name: str) -> None:
    """Luma of planar formats is a read-only view of the frame's own memory, padding cut off."""
    bits = av.VideoFormat(name).components[0].bits
    frame = random_frame(name, bits)
    layout = luma_layout(frame.format)
    luma = read_luma(frame, layout)
    assert (layout.bit_depth, layout.convert_to) == (bits, None)
    assert luma.shape == SIZE[::-1]
    assert luma.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert luma.ctypes.data == frame.planes[0].buffer_ptr
    assert not luma.flags.writeable


@pytest.mark.parametrize(
    ("planar", "packed"),
    [
        ("yuv422p", "yuyv422"),
        ("yuv422p", "uyvy422"),
        ("yuv420p10le", "yuv420p10be"),
        ("yuv422p10le", "y210le"),
        ("yuv422p10le", "nv20le"),
        ("yuv444p", "vuya"),
        ("yuv444p12le", "xv36le"),
        ("gray", "ya8"),
        ("gray16le", "gray16be"),
    ],
)
def test_other_layouts_keep_every_code_value(planar: str, packed: str) -> None:
    """Luma out of packed, big-endian and high-aligned formats equals the planar luma they were made from."""
    bits = av.VideoFormat(planar).components[0].bits
    frame = random_frame(planar, bits)
    arranged = frame.reformat(format=packed, src_color_range=LIMITED, dst_color_range=LIMITED, threads=1)
    layout = luma_layout(arranged.format)
    assert layout.convert_to == planar
    np.testing.assert_array_equal(read_luma(arranged, layout), plane_view(frame.planes[0], bits))


def semi_planar_frame(planar: av.VideoFrame, name: str) -> av.VideoFrame:
    """The code values of a planar frame in another arrangement: Cb and Cr by turns, in the high bits of words."""
    bits = planar.format.components[0].bits
    frame = av.VideoFrame(planar.width, planar.height, name)
    luma, cb, cr = (plane_view(plane, bits) for plane in planar.planes)
    both = np.stack((cb, cr), axis=-1).reshape(len(cb), -1)
    for plane, values in zip(frame.planes, (luma, both), strict=True):
        rows = np.frombuffer(memoryview(plane), values.dtype).reshape(plane.height, -1)
        rows[:, : values.shape[1]] = values << (16 - bits if bits > 8 else 0)
    frame.color_range = LIMITED
    frame.pts = 7
    return frame


@pytest.mark.parametrize("name", PLANAR_FORMS)
@pytest.mark.parametrize("size", [(37, 22), (64, 48), (5, 3)])
def test_what_hardware_gives(name: str, size: tuple[int, int]) -> None:
    """Semi-planar pictures: the luma, and all planes where they are rearranged, are those that were put in."""
    planar = random_frame(PLANAR_FORMS[name], av.VideoFormat(name).components[0].bits, size=size)
    bits = planar.format.components[0].bits
    frame = semi_planar_frame(planar, name)
    layout = luma_layout(frame.format)
    assert (layout.bit_depth, layout.convert_to) == (bits, None)
    luma = read_luma(frame, layout)
    np.testing.assert_array_equal(luma, plane_view(planar.planes[0], bits))
    assert not luma.flags.writeable
    rearranged = as_planar(frame)
    assert (rearranged.format.name, rearranged.pts) == (planar.format.name, 7)
    for found, expected in zip(rearranged.planes, planar.planes, strict=True):
        np.testing.assert_array_equal(plane_view(found, bits), plane_view(expected, bits))
    assert as_planar(planar) is planar


@pytest.mark.parametrize("name", [*PLANAR_FORMS, "yuv420p", "yuv422p10le"])
@pytest.mark.parametrize("size", [(37, 22), (64, 48), (5, 3)])
def test_what_encoders_get(name: str, size: tuple[int, int]) -> None:
    """Three planes in one frame of any of these formats: nothing is lost, nor written beside its place."""
    bits = av.VideoFormat(name).components[0].bits
    planar = random_frame(PLANAR_FORMS.get(name, name), bits, size=size)
    filled = av.VideoFrame(*size, name)
    fill(filled, tuple(plane_view(plane, bits) for plane in planar.planes), bits)
    expected = semi_planar_frame(planar, name) if name in PLANAR_FORMS else planar
    assert filled.format.name == expected.format.name
    for found, wanted in zip(as_planar(filled).planes, as_planar(expected).planes, strict=True):
        np.testing.assert_array_equal(plane_view(found, bits), plane_view(wanted, bits))


def test_grey_rgb_keeps_its_code_values() -> None:
    """R = G = B = v becomes luma v: full range, and nothing lost."""
    frame = av.VideoFrame(256, 2, "rgb24")
    plane_view(frame.planes[0], 8)
    rows = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(2, -1)
    rows[:, : 3 * 256] = np.repeat(np.arange(256), 3)
    layout = luma_layout(frame.format)
    assert layout.from_rgb
    np.testing.assert_array_equal(read_luma(frame, layout)[0], np.arange(256))


LINEAR = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64)
SRGB = np.where(LINEAR <= 0.0031308, 12.92 * LINEAR, 1.055 * LINEAR ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(("codec", "format_"), [("exr", "grayf32le"), ("exr", "gbrpf32le"), ("pfm", "grayf32le")])
def test_linear_light_is_gamma_encoded(tmp_path: Path, codec: str, format_: str) -> None:
    """The floating-point samples of OpenEXR and PFM are linear light; the film is tagged as sRGB then."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = 64, 48, format_, Fraction(1, 24)
    samples = LINEAR if format_.startswith("gray") else np.dstack((LINEAR, LINEAR, LINEAR))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(samples), format=format_)
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    path = tmp_path / f"1.{codec}"
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
    with VideoReader(path) as reader:
        (picture,) = reader.pictures()
        assert (reader.spec.bit_depth, reader.spec.full_range, reader.spec.transfer) == (16, True, 13)
    np.testing.assert_allclose(picture.luma / 65535, SRGB, atol=1e-4)


def test_numbers_beyond_white_and_no_numbers() -> None:
    """Brighter than white is white, and what is no number is black."""
    frame = av.VideoFrame.from_ndarray(np.array([[2, -1], [np.nan, np.inf]], np.float32), format="grayf32le")
    luma = read_luma(frame, luma_layout(frame.format))
    np.testing.assert_array_equal(luma, [[65535, 0], [0, 65535]])


def test_a_view_keeps_its_frame_alive() -> None:
    """Luma stays what it was when nobody holds the frame any more and new ones are made."""
    frame = random_frame("yuv420p", 8)
    luma = read_luma(frame, luma_layout(frame.format))
    expected = luma.copy()
    del frame
    gc.collect()
    others = [random_frame("yuv420p", 8, seed) for seed in range(1, 30)]
    np.testing.assert_array_equal(luma, expected)
    assert len(others) == 29


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yuv420p", (8, 2, 2)),
        ("yuvj422p", (8, 2, 1)),
        ("yuv444p12le", (12, 1, 1)),
        ("yuv440p", (8, 1, 2)),
        ("yuv410p", (8, 4, 4)),
        ("yuva420p", None),
        ("yuv420p10be", None),
        ("nv12", None),
        ("rgb24", None),
    ],
)
def test_parse(name: str, expected: tuple[int, int, int] | None) -> None:
    """Planar Y'CbCr names say their depth and sub-sampling; any other name is none."""
    planar = PlanarFormat.parse(name)
    found = planar and (planar.bit_depth, planar.subsampling_x, planar.subsampling_y)
    assert found == expected


def test_planar_name() -> None:
    """Names are those of libav."""
    names = [planar_name("420", 8), planar_name("444", 10)]
    assert names == ["yuv420p", "yuv444p10le"]
    assert all(av.VideoFormat(name).name == name for name in names)
