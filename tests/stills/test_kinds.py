"""Pictures and films, told by their first bytes; HEIC and JPEG XL with and without their decoders."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.clips import Clip, make_clip
from vidcolor.errors import InputError
from vidcolor.stills import pillow_decoder
from vidcolor.stills.kinds import is_picture
from vidcolor.stills.reader import read_picture

LEVELS = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)


def brand(major: bytes, *compatible: bytes) -> bytes:
    """The first box of an ISO base media file."""
    box = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 4 + len(box)) + box + bytes(64)


CONTENT = {
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(60), True),
    "HEIC": (brand(b"heic", b"mif1", b"heic"), True),
    "HEIF": (brand(b"mif1", b"heic"), True),
    "AVIF": (brand(b"mif1", b"avif"), True),
    "CR3": (brand(b"crx ", b"crx "), True),
    "JPEG XL": (b"\xff\x0a" + bytes(60), True),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), True),
    "PBM": (b"P4\n8 8\n" + bytes(60), True),
    "BMP": (b"BM" + bytes(60), True),
    "WebP": (b"RIFF\0\0\0\0WEBPVP8 " + bytes(60), True),
    "PDF": (b"%PDF-1.7\n" + bytes(60), True),
    "MP4": (brand(b"isom", b"mp41"), False),
    "HEVC sequence": (brand(b"hevc", b"msf1"), False),
    "MOV": (b"\0\0\0\x08wide" + bytes(60), False),
    "Matroska": (b"\x1a\x45\xdf\xa3" + bytes(60), False),
    "AVI": (b"RIFF\0\0\0\0AVI LIST" + bytes(60), False),
}


@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize("suffix", ["", ".jpg", ".bin"])
def test_content_tells(tmp_path: Path, kind: str, suffix: str) -> None:
    """A file whose first bytes tell what it is needs no suffix, and a wrong one does not matter."""
    content, expected = CONTENT[kind]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert is_picture(path) is expected


def test_suffix_tells_where_the_content_does_not(tmp_path: Path) -> None:
    """Targa has no signature, and a missing file none either; a JPEG may be a film of one picture by its name."""
    (tmp_path / "a.tga").write_bytes(bytes(64))
    (tmp_path / "a.mkv").write_bytes(bytes(64))
    (tmp_path / "a.mjpeg").write_bytes(CONTENT["JPEG"][0])
    assert is_picture(tmp_path / "a.tga")
    assert not is_picture(tmp_path / "a.mkv")
    assert not is_picture(tmp_path / "a.mjpeg")
    assert is_picture(tmp_path / "nowhere.JPG")
    assert is_picture(tmp_path / "nowhere.nef")
    assert not is_picture(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_animations_are_films(tmp_path: Path, suffix: str) -> None:
    """A GIF or PNG of several pictures is a film, one of a single picture is none."""
    first, second = Image.fromarray(LEVELS), Image.fromarray(255 - LEVELS)
    first.save(tmp_path / f"moving{suffix}", save_all=True, append_images=[second])
    first.save(tmp_path / f"still{suffix}")
    assert not is_picture(tmp_path / f"moving{suffix}")
    assert is_picture(tmp_path / f"still{suffix}")


def test_a_film_named_as_a_picture(tmp_path: Path) -> None:
    """Content decides."""
    path = make_clip(tmp_path / "a.mp4", Clip(frames=2)).rename(tmp_path / "a.jpg")
    assert not is_picture(path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.nef", b"II*\0" + bytes(60), "is the raw file of a camera; develop it first"),
        ("a.jpg", b"FUJIFILMCCD-RAW" + bytes(60), "is the raw file of a camera; develop it first"),
        ("a.cr3", brand(b"crx "), "is the raw file of a camera; develop it first"),
        ("a.tif", b"II*\0\x10\0\0\0CR\2\0" + bytes(60), "is the raw file of a camera; develop it first"),
        ("a.jpg", b"8BPS\0\1" + bytes(60), "is a Photoshop document; save it flattened"),
        ("a.pdf", b"%PDF-1.4\n" + bytes(60), "is a PDF document; extract its pictures"),
    ],
)
def test_refused_by_name(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    """What is not read is named, with what to do."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_picture(tmp_path / name)


def test_a_jpeg_with_the_suffix_of_a_raw_file(tmp_path: Path) -> None:
    """It is read as what it is."""
    path = tmp_path / "a.nef"
    Image.fromarray(LEVELS).save(path, "JPEG")
    assert read_picture(path).grey.shape == LEVELS.shape


@pytest.mark.parametrize(
    ("kind", "module", "line"),
    [
        ("HEIC", "pillow_heif", "is a HEIC picture, which needs pillow-heif: pip install"),
        ("JPEG XL", "pillow_jxl", "is a JPEG XL picture, which needs pillow-jxl-plugin: pip install"),
    ],
)
def test_without_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str, line: str) -> None:
    """Without the package that decodes it, the message names the package."""
    monkeypatch.setitem(sys.modules, module, None)
    for load in (pillow_decoder.load_heif, pillow_decoder.load_jxl):
        load.cache_clear()
    (tmp_path / "a.heic").write_bytes(CONTENT[kind][0])
    with pytest.raises(InputError, match=line):
        read_picture(tmp_path / "a.heic")


def test_jpeg_xl(tmp_path: Path) -> None:
    """A lossless JPEG XL is read level by level."""
    pytest.importorskip("pillow_jxl")
    Image.fromarray(LEVELS).save(tmp_path / "a.jxl", lossless=True)
    np.testing.assert_allclose(read_picture(tmp_path / "a.jxl").grey, LEVELS / 255, atol=1e-6)


@pytest.fixture
def heif() -> object:
    """The package that reads and writes HEIC."""
    module = pytest.importorskip("pillow_heif")
    module.register_heif_opener()
    return module


def test_heic(tmp_path: Path, heif: object) -> None:
    """A HEIC is read by its content, whatever its suffix."""
    Image.fromarray(LEVELS).save(tmp_path / "a.heic", quality=95)
    path = (tmp_path / "a.heic").rename(tmp_path / "a.mp4")
    assert is_picture(path)
    np.testing.assert_allclose(read_picture(path).grey, LEVELS / 255, atol=0.02)


def test_heic_of_several_pictures(tmp_path: Path, heif: object) -> None:
    """The main picture is read, with a note."""
    file = heif.from_pillow(Image.fromarray(LEVELS))
    file.add_from_pillow(Image.fromarray(255 - LEVELS))
    file.save(tmp_path / "a.heic", quality=95, primary_index=1)
    picture = read_picture(tmp_path / "a.heic")
    np.testing.assert_allclose(picture.grey, 1 - LEVELS / 255, atol=0.02)
    assert picture.notes == ("of the 2 pictures in the file the main one is colored",)


def test_heic_of_ten_bits(tmp_path: Path, heif: object) -> None:
    """More than 8 bits are rounded, with a note."""
    deep = np.dstack([LEVELS.astype(np.uint16) * 257] * 3)
    heif.encode("RGB;16", (64, 48), deep.tobytes(), tmp_path / "a.heic", quality=95)
    picture = read_picture(tmp_path / "a.heic")
    np.testing.assert_allclose(picture.grey, LEVELS / 255, atol=0.02)
    assert picture.notes == ("its 10 bits are rounded to 8",)


def test_heic_of_tiles() -> None:
    """The tiles of a telephone's picture are joined."""
    pytest.importorskip("pillow_heif")
    path = Path(__file__).parents[3] / "shared" / "reports" / "IMG_tiled.heic"
    if not path.exists():
        pytest.skip("needs ../shared/reports")
    assert is_picture(path)
    assert read_picture(path).grey.shape == (1031, 1300)
