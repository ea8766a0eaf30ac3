"""The bits of a JPEG XL picture, from its header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidcolor.stills import pillow_decoder
from vidcolor.stills.jxl import bits_per_sample
from vidcolor.stills.reader import read_picture

SMALL = "1 00111 001"
"""A picture of 64x64: sides of 8 times (7 + 1), lowest bits last, and a ratio of 1."""
LARGE = "0 01 1001110001111 000 0 00 100000000"
"""One whose sides have 13 and 9 bits."""


def header(*fields: str) -> bytes:
    """A codestream that begins with these fields, each with its highest bit first."""
    value, place = 0, 0
    for field in " ".join(fields).split():
        value |= int(field, 2) << place
        place += len(field)
    return b"\xff\x0a" + value.to_bytes(40, "little")


@pytest.mark.parametrize("size", [SMALL, LARGE.replace("000 0 00", "000 00")])
@pytest.mark.parametrize(
    ("rest", "bits"),
    [
        ("1", 8),  # everything has its default
        ("0 0 0 00", 8),
        ("0 0 0 01", 10),
        ("0 0 0 10", 12),
        ("0 0 0 11 001111", 16),
        ("0 0 1 01", 16),  # floats
        ("0 0 1 00", 32),
        ("0 1 101 0 0 0 0 11 001101", 14),  # with an orientation
        (f"0 1 000 1 {SMALL} 0 0 0 10", 12),  # with an intrinsic size
        ("0 1 000 0 1 111111 111111", 8),  # with a preview, which is not read
    ],
)
def test_bits(size: str, rest: str, bits: int) -> None:
    """They are those of the fields, alone and in a container."""
    data = header(size, rest)
    assert bits_per_sample(data) == bits
    box = b"\0\0\0\x0cJXL \r\n\x87\n"
    assert bits_per_sample(box + b"\0\0\0\x40jxlc" + data) == bits
    assert bits_per_sample(box + b"\0\0\0\x40jxlp\0\0\0\0" + data) == bits
    assert bits_per_sample(box + b"\0\0\0\x40Exif" + data[2:]) == 8


def test_what_is_rounded_has_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder gives colors of 8 bits whatever the file holds."""
    pytest.importorskip("pillow_jxl")
    source = tmp_path / "a.jxl"
    pillow_decoder.load_jxl()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(source, lossless=True)
    assert read_picture(source).notes == ()
    monkeypatch.setattr(pillow_decoder, "jxl_bits", lambda head: 16)
    assert read_picture(source).notes == ("its 16 bits are rounded to 8",)
