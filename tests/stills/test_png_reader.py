"""Color PNG of 16 bits, decoded a band at a time, against OpenCV's decoder of whole files."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vidcolor.stills import bands
from vidcolor.stills.png_reader import deep_png_bands

ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row and column, steps of rows and columns of each pass (PNG specification, 8.2)."""


@pytest.fixture(autouse=True)
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bands of five rows."""
    monkeypatch.setattr(bands, "BAND_PIXELS", 5 * 37)


def picture(channels: int, height: int = 23, width: int = 37) -> npt.NDArray[np.uint16]:
    """Ramps with noise, for which encoders choose different filters."""
    ramps = np.linspace(0, 60000, height * width * channels).reshape(height, width, channels)
    return (ramps + np.random.default_rng(0).integers(0, 5000, ramps.shape)).astype(np.uint16)


def chunk(name: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(samples: npt.NDArray[np.uint16], *, interlaced: bool = False, before: bytes = b"", piece: int = 300) -> bytes:
    """A file without filters, its samples in several chunks."""
    height, width, channels = samples.shape
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    big = samples.astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for y, x, dy, dx in passes for row in big[y::dy, x::dx] if row.size)
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, interlaced)
    packed = zlib.compress(raw)
    parts = [chunk(b"IDAT", packed[at : at + piece]) for at in range(0, len(packed), piece)]
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + b"".join(parts) + chunk(b"IEND", b"")


def read(data: bytes) -> npt.NDArray[Any]:
    """All bands."""
    return np.concatenate(list(deep_png_bands(io.BytesIO(data))))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("filters", ["NONE", "SUB", "UP", "AVG", "PAETH", "ALL"])
def test_every_filter(filters: str, channels: int) -> None:
    """The samples are those that were written, across the edges of bands."""
    rgb = picture(channels)
    bgr = np.ascontiguousarray(rgb[..., [2, 1, 0, 3][:channels]])
    # Each filter's mask, as libpng defines it: 8 for none, 16 for Sub ...
    mask = {"NONE": 8, "SUB": 16, "UP": 32, "AVG": 64, "PAETH": 128, "ALL": 248}[filters]
    done, data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_FILTER, mask])
    assert done
    assert np.array_equal(read(data.tobytes()), rgb)


@pytest.mark.parametrize("interlaced", [False, True])
def test_transparent_color(interlaced: bool) -> None:
    """It becomes alpha, as in the decoder of whole files; other chunks and interlacing do not matter."""
    rgb = picture(3)
    key = rgb[7, 7].astype(">u2").tobytes()
    data = png(rgb, interlaced=interlaced, before=chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tRNS", key))
    found = read(data)
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert whole is not None
    assert np.array_equal(found[..., :3], rgb)
    assert np.array_equal(found, whole[..., [2, 1, 0, 3][: whole.shape[2]]])


def test_a_file_without_its_last_chunk() -> None:
    """All samples are there, and so they are read."""
    assert np.array_equal(read(png(picture(3))[:-12]), picture(3))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("where", [0.02, 0.3, 0.8, 0.99])
def test_a_file_that_is_cut_off(where: float, interlaced: bool) -> None:
    """It raises ValueError."""
    data = png(picture(3), interlaced=interlaced)
    with pytest.raises(ValueError, match="cut off"):
        read(data[: int(len(data) * where)])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.replace(b"IDAT", b"iDAT"), "holds no samples"),
        (lambda data: data[:120] + bytes([data[120] ^ 1]) + data[121:], r"checksum|Error -3"),
        (lambda data: data[:-17] + bytes([data[-17] ^ 1]) + data[-16:], r"checksum|Error -3"),
        (lambda data: png(picture(3, height=20)).replace(struct.pack(">I", 20), struct.pack(">I", 23), 1), "missing"),
    ],
)
def test_damage(damage: Any, message: str) -> None:
    """Samples that are not there, a bit that has flipped, and rows that are missing raise ValueError or zlib.error."""
    with pytest.raises((ValueError, zlib.error), match=message):
        read(damage(png(picture(3))))


def test_a_claimed_length_is_not_allocated(tmp_path: Path) -> None:
    """A chunk that claims two gigabytes is read as far as it goes."""
    data = png(picture(3), piece=1 << 20)
    at = data.index(b"IDAT")
    with pytest.raises(ValueError, match=r"cut off|missing"):
        read(data[: at - 4] + struct.pack(">I", 1 << 31) + data[at : at + 100])
