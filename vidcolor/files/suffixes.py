"""What the ending of a name says: picture or film, and in which kind of file its colored version is kept."""

from __future__ import annotations

from pathlib import Path

KEPT_FILM_SUFFIXES = frozenset((".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mts", ".ts"))
"""Containers that hold any frame times and what the default encoder makes. Films in others become ``.mkv``."""
FILM_SUFFIXES = KEPT_FILM_SUFFIXES | frozenset(
    (".3gp", ".asf", ".avi", ".dv", ".flv", ".mpeg", ".mpg", ".mxf", ".ogv", ".vob", ".webm", ".wmv")
)
"""What counts as a film in a folder."""
KEPT_PICTURE_SUFFIXES = frozenset((".avif", ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
"""Pictures that are written in the format that they were read in; those in other formats become ``.png``."""
READ_ONLY_SUFFIXES = frozenset((".gif", ".jp2", ".pgm", ".ppm", ".tga"))
"""Pictures that are read but never written; in a folder they become PNG."""


def is_picture(path: Path) -> bool:
    """Whether the suffix is that of a picture that vidcolor reads."""
    suffix = path.suffix.lower()
    return suffix in KEPT_PICTURE_SUFFIXES or suffix in READ_ONLY_SUFFIXES


def output_name(name: Path) -> Path:
    """The same name, with another suffix where the colored version needs another kind of file."""
    kept, otherwise = (KEPT_PICTURE_SUFFIXES, ".png") if is_picture(name) else (KEPT_FILM_SUFFIXES, ".mkv")
    return name if name.suffix.lower() in kept else name.with_suffix(otherwise)
