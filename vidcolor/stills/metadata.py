"""The metadata of pictures: EXIF, XMP, IPTC, comment, resolution and date, as read and as the colored picture has them.

A colored picture says that a machine has colored it: in EXIF by ``Software``, in XMP by ``CreatorTool`` and
``DigitalSourceType``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from PIL import Image
from PIL.ExifTags import IFD, Base

from vidcolor._version import __version__

SOFTWARE = f"vidcolor {__version__} (machine-colored)"
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for a picture with parts that a trained model has made."""
RDF_SPACE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP_SPACE = "http://ns.adobe.com/xap/1.0/"
IPTC_EXT_SPACE = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TIFF_SPACE = "http://ns.adobe.com/tiff/1.0/"
UNTRUE_XMP = (
    (TIFF_SPACE, "Orientation"),
    (TIFF_SPACE, "Software"),
    (XMP_SPACE, "CreatorTool"),
    (XMP_SPACE, "Thumbnails"),
    (IPTC_EXT_SPACE, "DigitalSourceType"),
    ("http://ns.adobe.com/photoshop/1.0/", "ICCProfile"),
)
"""Properties that are not true of the colored picture, or that are set anew."""
EMPTY_XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF_SPACE}"/></x:xmpmeta>'.encode()
XMP_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode()
XMP_END = b'<?xpacket end="w"?>'

STORAGE_TAGS = frozenset((*range(254, 267), 273, *range(277, 285), *range(288, 293), 296, 301, *range(317, 326), 330))
STORAGE_TAGS |= {*range(332, 348), *range(512, 533), 700, 33723, 34377, 34675}
"""Tags of a TIFF that describe how this file stores its picture (TIFF 6.0), give its resolution (which has a field of
its own) or hold XMP, IPTC, Photoshop or ICC blocks. They are not copied to the EXIF data of the output.
"""
LAYOUT_DESCRIPTIONS = ('{"shape"', "ImageJ=", "<?xml", "<OME")
"""Beginnings of an ``ImageDescription`` in which tifffile, ImageJ or OME say how the samples of this file lie."""
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations with width and height exchanged."""
CM_PER_INCH = 2.54
MAX_DPI = 1_000_000
IPTC_RESOURCE = 1028
"""Number of the Photoshop resource that holds IPTC data."""
UNREADABLE = (
    OSError,
    SyntaxError,
    LookupError,
    ValueError,
    EOFError,
    struct.error,
    ArithmeticError,
    RuntimeError,
    TypeError,
    AttributeError,
)
"""What Pillow raises for damaged EXIF data: AttributeError for a number in place of a text."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a picture says about itself, apart from its pixels."""

    exif: bytes | None = None
    """EXIF data without orientation, resolution and thumbnail, starting with ``Exif``; None: there is none."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch, horizontally and vertically; None: unknown."""
    xmp: bytes | None = None
    """An XMP packet."""
    iptc: bytes | None = None
    """IPTC-IIM data sets."""
    comment: str | None = None
    """Comment of a JPEG, GIF or PNG."""
    modified_ns: int | None = None
    """When the file was last changed, in ns since 1970; None: it is no file."""


def orientation_and_exif(exif: Image.Exif, size: tuple[int, int]) -> tuple[int, bytes | None]:
    """Return the orientation (1 to 8, EXIF 2.32) and the EXIF data for the output, which is upright and in sRGB.

    EXIF data that cannot be parsed or written again is treated as missing.

    Args:
        exif: as read.
        size: width and height, as stored.
    """
    try:
        orientation = int(exif.get(Base.Orientation, 1))
        kept = Image.Exif()
        for tag in exif.keys() - STORAGE_TAGS - {Base.Orientation, IFD.Exif, IFD.GPSInfo}:
            if tag != Base.ImageDescription or not str(exif[tag]).startswith(LAYOUT_DESCRIPTIONS):
                kept[tag] = exif[tag]
        details = _corrected(exif.get_ifd(IFD.Exif), size[::-1] if orientation in SIDEWAYS else size)
        for ifd, content in ((IFD.Exif, details), (IFD.GPSInfo, exif.get_ifd(IFD.GPSInfo))):
            if content:
                kept[ifd] = content
        return orientation, kept.tobytes() if kept else None
    except UNREADABLE:
        return 1, None


def _corrected(details: dict[int, Any], size: tuple[int, int]) -> dict[int, Any]:
    """Return the Exif directory with color space and size of the output, where they are present."""
    truth: dict[int, Any] = {Base.ColorSpace: 1, Base.ExifImageWidth: size[0], Base.ExifImageHeight: size[1]}
    return {tag: truth.get(tag, value) for tag, value in details.items()}


def resolution(info: Mapping[Any, Any], exif: Image.Exif, *, is_jpeg: bool) -> tuple[float, float] | None:
    """Return pixels per inch; None if the file gives none, or one without a unit, or an implausible one.

    Args:
        info: Pillow's, of the picture.
        exif: EXIF data, or the tags of a TIFF.
        is_jpeg: do not use ``dpi`` of ``info``, since Pillow invents 72 for a JPEG that gives none.
    """
    if info.get("dpi") and not is_jpeg:
        return _plausible(*info["dpi"])
    scale = {1: 1.0, 2: CM_PER_INCH}.get(info.get("jfif_unit", 0))
    if scale is not None and (found := _plausible(*(value * scale for value in info["jfif_density"]))):
        return found
    try:
        scale = {2: 1.0, 3: CM_PER_INCH}.get(int(exif.get(Base.ResolutionUnit, 2)))
        if scale is None:
            return None
        return _plausible(*(float(exif[tag]) * scale for tag in (Base.XResolution, Base.YResolution)))
    except UNREADABLE:
        return None


def _plausible(across: float, down: float) -> tuple[float, float] | None:
    across, down = float(across), float(down)
    return (across, down) if 1 < across < MAX_DPI and 1 < down < MAX_DPI else None


def marked_exif(exif: bytes | None) -> bytes:
    """Return EXIF data whose ``Software`` says that a machine has colored the picture, and names the earlier."""
    marked = Image.Exif()
    marked.load(exif or b"")
    before = str(marked.get(Base.Software, "")).strip("\0 ")
    marked[Base.Software] = f"{SOFTWARE}, from {before}" if before else SOFTWARE
    return marked.tobytes()


def marked_xmp(xmp: bytes | None) -> bytes:
    """Return an XMP packet that says that a machine has colored the picture; what cannot be parsed is left out."""
    document = (parse_xmp(xmp) if xmp else None) or minidom.parseString(EMPTY_XMP)
    for element in document.getElementsByTagName("*"):
        for space, name in UNTRUE_XMP:
            if element.hasAttributeNS(space, name):
                element.removeAttributeNS(space, name)
            if (element.namespaceURI, element.localName) == (space, name) and element.parentNode is not None:
                element.parentNode.removeChild(element)
    rdf = document.getElementsByTagNameNS(RDF_SPACE, "RDF")[0]
    others = rdf.getElementsByTagNameNS(RDF_SPACE, "Description")
    description = document.createElementNS(RDF_SPACE, "rdf:Description")
    for name, value in (
        ("xmlns:rdf", RDF_SPACE),
        ("xmlns:xmp", XMP_SPACE),
        ("xmlns:Iptc4xmpExt", IPTC_EXT_SPACE),
        ("rdf:about", others[0].getAttributeNS(RDF_SPACE, "about") if others else ""),
        ("xmp:CreatorTool", SOFTWARE),
        ("Iptc4xmpExt:DigitalSourceType", DIGITAL_SOURCE_TYPE),
    ):
        description.setAttribute(name, value)
    rdf.appendChild(description)
    assert document.documentElement is not None  # every parsed document has one
    return XMP_BEGIN + document.documentElement.toxml("utf-8") + XMP_END


def parse_xmp(xmp: bytes) -> minidom.Document | None:
    """Parse an XMP packet; return None if it is damaged."""
    try:
        document = minidom.parseString(xmp.strip(b"\0 \t\r\n"))
    except (ExpatError, ValueError, LookupError):  # LookupError: an unknown encoding
        return None
    return document if document.getElementsByTagNameNS(RDF_SPACE, "RDF") else None


def photoshop_block(iptc: bytes) -> bytes:
    """Return a Photoshop resource block that holds IPTC data, as JPEG stores it in APP13."""
    padded = iptc + bytes(len(iptc) % 2)
    return b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", IPTC_RESOURCE, 0, len(iptc)) + padded
