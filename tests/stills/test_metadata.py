"""What a colored picture keeps of its source's metadata, and what it says about itself."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base

from vidcolor.stills import writer as picture_writer
from vidcolor.stills.metadata import DIGITAL_SOURCE_TYPE, SOFTWARE, Metadata, marked_xmp, photoshop_block
from vidcolor.stills.reader import SourcePicture, read_picture
from vidcolor.stills.writer import lost_metadata, write_picture

GREY = np.linspace(0, 1, 12 * 10, dtype=np.float32).reshape(12, 10)
RGB = np.dstack([GREY] * 3)
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
TOOL = "{http://ns.adobe.com/xap/1.0/}CreatorTool"
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="uuid:7" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmp:Rating="5" tiff:Orientation="6" '
    b'xmp:CreatorTool="Scanner 2"><ext:DigitalSourceType>negativeFilm</ext:DigitalSourceType></rdf:Description>'
    b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
IPTC = b"\x1c\x02x\x00\x05Nets!"
FULL = Metadata(xmp=XMP, iptc=IPTC, comment="scan 17/204", modified_ns=10**18)


def source(metadata: Metadata) -> SourcePicture:
    """A grey picture with metadata."""
    return SourcePicture(path=Path("a.tif"), grey=GREY, bit_depth=8, alpha=None, metadata=metadata)


def properties(xmp: bytes) -> dict[str, str]:
    """The simple properties of an XMP packet."""
    descriptions = ElementTree.fromstring(xmp).iter(f"{RDF}Description")
    return {name: value for item in descriptions for name, value in item.attrib.items()}


@pytest.mark.parametrize("suffix", sorted(picture_writer.PICTURE_ENCODERS))
def test_what_a_format_keeps(tmp_path: Path, suffix: str) -> None:
    """XMP, IPTC, comment and date are kept, or named as lost."""
    path = tmp_path / f"b{suffix}"
    write_picture(path, [RGB], source(FULL))
    assert path.stat().st_mtime_ns == 10**18
    again = read_picture(path).metadata
    lost = " ".join(lost_metadata(suffix, FULL))
    assert ("XMP" in lost) != bool(again.xmp)
    assert ("IPTC" in lost) != (again.iptc == IPTC)
    assert suffix in (".tif", ".tiff") or ("comment" in lost) != (again.comment == "scan 17/204")
    if suffix in (".tif", ".tiff"):  # the description is its place for comments
        exif = Image.Exif()
        exif.load(again.exif)
        assert exif[Base.ImageDescription] == "scan 17/204"
    if again.xmp:
        kept = properties(again.xmp)
        assert kept["{http://ns.adobe.com/xap/1.0/}Rating"] == "5"
        assert kept[f"{EXT}DigitalSourceType"] == DIGITAL_SOURCE_TYPE


def test_everything_of_a_jpeg(tmp_path: Path) -> None:
    """What a catalogue writes into a JPEG is in its colored version."""
    block = photoshop_block(IPTC)
    marker = b"\xff\xed" + struct.pack(">H", 2 + len(block)) + block
    path = tmp_path / "a.jpg"
    Image.fromarray((GREY * 255).astype(np.uint8)).save(path, xmp=XMP, comment="scan 17/204", extra=marker)
    os.utime(path, ns=(10**18, 10**18))
    assert read_picture(path).metadata == FULL


def test_a_colored_picture_says_so(tmp_path: Path) -> None:
    """Software in EXIF and properties in XMP say that a machine has colored a picture without any metadata."""
    write_picture(tmp_path / "b.jpg", [RGB], source(Metadata()))
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.getexif()[Base.Software] == SOFTWARE
        found = properties(image.info["xmp"])
        assert (found[TOOL], found[f"{EXT}DigitalSourceType"]) == (SOFTWARE, DIGITAL_SOURCE_TYPE)
        assert image.info["jfif_unit"] == 0
    assert read_picture(tmp_path / "b.jpg").metadata.dpi is None


def test_software_before_is_named(tmp_path: Path) -> None:
    """The software that made the source stays named in EXIF."""
    exif = Image.Exif()
    exif[Base.Software] = "VueScan 9"
    write_picture(tmp_path / "b.png", [RGB], source(Metadata(exif=exif.tobytes())))
    with Image.open(tmp_path / "b.png") as image:
        assert image.getexif()[Base.Software] == f"{SOFTWARE}, from VueScan 9"


def test_xmp_is_true_of_the_copy() -> None:
    """Orientation, tool and source type of the old file are replaced; the rest and the subject stay."""
    found = properties(marked_xmp(XMP))
    assert "{http://ns.adobe.com/tiff/1.0/}Orientation" not in found
    assert found[TOOL] == SOFTWARE
    assert found[f"{RDF}about"] == "uuid:7"
    assert b"negativeFilm" not in marked_xmp(XMP)


@pytest.mark.parametrize(
    "damaged", [b"<x", b"\xff\xfe\x00", b"<a/>", XMP[:200], b'<?xml version="1.0" encoding="no"?><a/>']
)
def test_damaged_xmp(damaged: bytes) -> None:
    """XMP that cannot be parsed is left out with a line, and a new packet is written."""
    assert properties(marked_xmp(damaged))[TOOL] == SOFTWARE
    assert lost_metadata(".png", Metadata(xmp=damaged)) == ("the XMP data is damaged and is left out",)


def test_long_xmp_in_a_jpeg(tmp_path: Path) -> None:
    """More XMP than a JPEG holds is left out with a line, and does not end the work."""
    long = XMP.replace(b"Scanner 2", b"S").replace(b'xmp:Rating="5"', b'xmp:Rating="' + b"5" * 70_000 + b'"')
    assert lost_metadata(".jpg", Metadata(xmp=long)) == ("the XMP data is left out: '.jpg' holds 65504 bytes of it",)
    write_picture(tmp_path / "b.jpg", [RGB], source(Metadata(xmp=long)))
    assert properties(read_picture(tmp_path / "b.jpg").metadata.xmp)[TOOL] == SOFTWARE


def test_comment_of_a_png(tmp_path: Path) -> None:
    """A text chunk named Comment is read."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "glass plate")
    Image.fromarray((GREY * 255).astype(np.uint8)).save(tmp_path / "a.png", pnginfo=text)
    assert read_picture(tmp_path / "a.png").metadata.comment == "glass plate"


@pytest.mark.parametrize("unit", [0, 1])
def test_no_invented_resolution(tmp_path: Path, unit: int) -> None:
    """A resolution without a unit, and one of a single pixel per inch, are none."""
    exif = Image.Exif()
    exif[Base.XResolution] = exif[Base.YResolution] = 1.0 if unit else 300.0
    exif[Base.ResolutionUnit] = 1 + unit
    path = tmp_path / "a.jpg"
    Image.fromarray((GREY * 255).astype(np.uint8)).save(path, exif=exif)
    assert read_picture(path).metadata.dpi is None


def test_resolution_per_centimeter(tmp_path: Path) -> None:
    """A resolution in EXIF per centimeter is converted."""
    exif = Image.Exif()
    exif[Base.XResolution] = exif[Base.YResolution] = 100.0
    exif[Base.ResolutionUnit] = 3
    path = tmp_path / "a.jpg"
    Image.fromarray((GREY * 255).astype(np.uint8)).save(path, exif=exif)
    assert read_picture(path).metadata.dpi == pytest.approx((254, 254))


@pytest.mark.parametrize(
    ("text", "kept"), [('{"shape": [12, 10]}', False), ("ImageJ=1.11a", False), ("Nets, 1931", True)]
)
def test_descriptions_of_the_layout(tmp_path: Path, text: str, kept: bool) -> None:
    """A description for programs, of samples that the colored picture has not, is left out; a person's is kept."""
    tifffile.imwrite(tmp_path / "a.tif", (GREY * 255).astype(np.uint8), description=text, metadata=None, software=False)
    exif = Image.Exif()
    exif.load(read_picture(tmp_path / "a.tif").metadata.exif or b"")
    assert exif.get(Base.ImageDescription) == (text if kept else None)
