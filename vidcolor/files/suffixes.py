"""File name suffixes: pictures, films, what cannot be read, and the suffix of the colored version."""

from __future__ import annotations

from pathlib import Path

KEPT_FILM_SUFFIXES = frozenset((".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mts", ".ts"))
"""Containers for arbitrary timestamps and the default codec. Films in others are written as one of these."""
OTHER_FILM_SUFFIXES = (".mkv", ".mov", ".mp4")
"""Suffixes for films whose own is not kept, or cannot hold all of their streams; the first that can is used."""
FILM_SUFFIXES = KEPT_FILM_SUFFIXES | frozenset(
    (
        *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2v", ".mjpeg", ".mjpg", ".mk3d", ".mpe"),
        *(".mpeg", ".mpg", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".vob", ".webm", ".wmv", ".wtv"),
        ".y4m",
    )
)
"""Suffixes of films in a folder."""
KEPT_PICTURE_SUFFIXES = frozenset((".avif", ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
"""Pictures that are written in their own format; others are written as ``.png``."""
READ_ONLY_SUFFIXES = frozenset(
    (
        *(".apng", ".dib", ".gif", ".heic", ".heif", ".hif", ".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx", ".jxl"),
        *(".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".sgi", ".tga"),
    )
)
"""Pictures that are read but not written; in a folder they are written as ``.png``."""

RAW_SUFFIXES = frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"),
        *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    )
)
RAW_REFUSAL = "is the raw file of a camera; develop it first, into a TIFF of 16 bits"
REFUSALS = dict.fromkeys(RAW_SUFFIXES, RAW_REFUSAL) | {
    ".djvu": "is a DjVu document; convert its pages to TIFF first",
    ".eps": "is a PostScript document; convert it to TIFF first",
    ".jxr": "is a JPEG XR picture; convert it to TIFF first",
    ".pdf": "is a PDF document; extract its pictures first (pdfimages -all)",
    ".psb": "is a Photoshop document; save it flattened, as TIFF, first",
    ".psd": "is a Photoshop document; save it flattened, as TIFF, first",
    ".svg": "is a vector graphic; export it as PNG first",
    ".wdp": "is a JPEG XR picture; convert it to TIFF first",
    ".xcf": "is a GIMP document; export it as TIFF first",
}
"""Suffixes of pictures that are not read, with the reason and what to do."""


def has_picture_suffix(path: Path) -> bool:
    """Return whether the suffix is that of a picture that vidcolor reads."""
    suffix = path.suffix.lower()
    return suffix in KEPT_PICTURE_SUFFIXES or suffix in READ_ONLY_SUFFIXES


def picture_name(name: Path) -> Path:
    """Return the name of a colored picture: the same, or with ``.png`` if its format is not written."""
    return name if name.suffix.lower() in KEPT_PICTURE_SUFFIXES else name.with_suffix(".png")


def film_suffixes(name: Path) -> tuple[str, ...]:
    """Return the suffixes that a colored film may get, its own first if it is kept."""
    own = name.suffix.lower()
    return tuple(dict.fromkeys((*([own] if own in KEPT_FILM_SUFFIXES else []), *OTHER_FILM_SUFFIXES)))


def film_name(name: Path, suffix: str) -> Path:
    """Return the name of a colored film with a suffix: the same if it has that one already."""
    return name if name.suffix.lower() == suffix else name.with_suffix(suffix)
