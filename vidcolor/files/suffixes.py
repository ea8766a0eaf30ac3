"""File name suffixes: picture or film, and the suffix of the colored version."""

from __future__ import annotations

from pathlib import Path

KEPT_FILM_SUFFIXES = frozenset((".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mts", ".ts"))
"""Containers for arbitrary timestamps and the default codec. Films in others are written as ``.mkv``."""
FILM_SUFFIXES = KEPT_FILM_SUFFIXES | frozenset(
    (".3gp", ".asf", ".avi", ".dv", ".flv", ".mpeg", ".mpg", ".mxf", ".ogv", ".vob", ".webm", ".wmv")
)
"""Suffixes of films in a folder."""
KEPT_PICTURE_SUFFIXES = frozenset((".avif", ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
"""Pictures that are written in their own format; others are written as ``.png``."""
READ_ONLY_SUFFIXES = frozenset((".gif", ".jp2", ".pgm", ".ppm", ".tga"))
"""Pictures that are read but not written; in a folder they are written as ``.png``."""


def is_picture(path: Path) -> bool:
    """Return whether the suffix is that of a picture that vidcolor reads."""
    suffix = path.suffix.lower()
    return suffix in KEPT_PICTURE_SUFFIXES or suffix in READ_ONLY_SUFFIXES


def output_name(name: Path) -> Path:
    """Return the name of the colored version: the same, or with ``.png`` or ``.mkv`` if the format is not written."""
    kept, otherwise = (KEPT_PICTURE_SUFFIXES, ".png") if is_picture(name) else (KEPT_FILM_SUFFIXES, ".mkv")
    return name if name.suffix.lower() in kept else name.with_suffix(otherwise)
