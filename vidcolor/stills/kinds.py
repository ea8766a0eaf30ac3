"""Tell pictures from films by the first bytes of a file, and name the pictures that cannot be read."""

from __future__ import annotations

import re
from pathlib import Path

from vidcolor.files.paths import is_file
from vidcolor.files.suffixes import FILM_SUFFIXES, RAW_REFUSAL, REFUSALS, has_picture_suffix

HEAD_BYTES = 64
"""Bytes of a file that tell its kind."""
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JXL_MAGIC = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
RAW_MAGIC = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb")
"""Raw files of Fujifilm, Olympus, Panasonic, Minolta and Sigma; those of others look like TIFF."""
OTHER_MAGIC = {b"8BPS": ".psd", b"%PDF": ".pdf", b"%!PS": ".eps", b"II\xbc\x01": ".jxr", b"AT&TFORM": ".djvu"}
"""First bytes of what is not read, and a suffix of :data:`REFUSALS`."""
STILL_MAGIC = (
    *(*TIFF_MAGIC, *JXL_MAGIC, *RAW_MAGIC, *OTHER_MAGIC),
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"),
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),  # JPEG 2000: file, codestream
)
FILM_MAGIC = (b"\x1a\x45\xdf\xa3", b"FLV\1", b"OggS", b"\0\0\1\xba", b"\0\0\1\xb3", b"\x30\x26\xb2\x75", b"YUV4MPEG2")
"""Matroska, FLV, Ogg, MPEG program stream and video, ASF, YUV4MPEG2."""
STILL_PATTERN = re.compile(
    rb"RIFF....WEBP|P[1-6]\s|BM....\0\0\0\0|\x01\xda[\0\1][\1\2]\0|\n[\0\2\3\4\5][\0\1][\1\2\4\x08]", re.DOTALL
)
"""WebP, Netpbm, BMP, SGI, PCX."""
FILM_PATTERN = re.compile(rb"RIFF....AVI |....(moov|mdat|wide|free|skip)", re.DOTALL)
HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf"))
AVIF_BRANDS = frozenset((b"avif", b"avis"))
RAW_BRAND = b"crx "
"""Canon's CR3."""


def read_head(path: Path) -> bytes:
    """Return the first bytes of a regular file; none if it cannot be read."""
    if not is_file(path):
        return b""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def is_picture(path: Path) -> bool:
    """Return whether a file is colored as a picture: by its first bytes, where they tell, otherwise by its suffix.

    A picture with the suffix of a film is a film of one picture, and so are an animated GIF and PNG. A picture that
    cannot be read is one too.
    """
    head, suffix = read_head(path), path.suffix.lower()
    if is_heif(head) or is_avif(head):
        return True
    if _is_still(head):
        return suffix not in FILM_SUFFIXES and not _is_animated(path, head)
    if head.startswith(FILM_MAGIC) or FILM_PATTERN.match(head) or head[4:8] == b"ftyp":
        return False
    return has_picture_suffix(path) or suffix in REFUSALS


def is_heif(head: bytes) -> bool:
    """Return whether a file is a still HEIF, such as HEIC."""
    return not is_avif(head) and not HEIF_BRANDS.isdisjoint(_brands(head)[:1])


def is_avif(head: bytes) -> bool:
    """Return whether a file is an AVIF."""
    brands = _brands(head)
    if not AVIF_BRANDS.isdisjoint(brands[:1]):
        return True
    return not HEIF_BRANDS.isdisjoint(brands[:1]) and not AVIF_BRANDS.isdisjoint(brands)


def is_jxl(head: bytes) -> bool:
    """Return whether a file is a JPEG XL."""
    return head.startswith(JXL_MAGIC)


def refusal(head: bytes, suffix: str) -> str | None:
    """Return why a picture is not read and what to do; None: it may be readable.

    Args:
        head: the first bytes of the file.
        suffix: of its name, in lower case.
    """
    if head.startswith(RAW_MAGIC) or _brands(head)[:1] == [RAW_BRAND] or head[8:10] == b"CR":
        return RAW_REFUSAL
    for magic, name in OTHER_MAGIC.items():
        if head.startswith(magic):
            return REFUSALS[name]
    return REFUSALS.get(suffix) if head.startswith(TIFF_MAGIC) or not _is_still(head) else None


def _is_still(head: bytes) -> bool:
    if _brands(head):
        return is_heif(head) or is_avif(head) or _brands(head)[0] == RAW_BRAND
    return head.startswith(STILL_MAGIC) or STILL_PATTERN.match(head) is not None


def _brands(head: bytes) -> list[bytes]:
    """Return the major and the first compatible brands of an ISO base media file (ISO/IEC 14496-12, 4.3)."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4]), len(head))
    return [head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))]


def _is_animated(path: Path, head: bytes) -> bool:
    """Return whether a GIF or PNG has several pictures; damaged ones count as one."""
    if not head.startswith((b"GIF8", b"\x89PNG")):
        return False
    from PIL import Image  # the command line starts without Pillow

    from vidcolor.stills.pillow_limits import pillow_without_limits

    try:
        with pillow_without_limits(), Image.open(path, formats=("GIF", "PNG")) as image:
            return bool(getattr(image, "is_animated", False))
    except (OSError, SyntaxError, ValueError, EOFError, LookupError):
        return False
