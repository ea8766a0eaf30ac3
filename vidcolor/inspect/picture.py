"""Describe a photograph, and find out what of it will be kept, by writing one corner of it.

The corner is written as the whole picture would be, to the user's temporary folder, and read back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from vidcolor.errors import OutputError
from vidcolor.media.outcomes import Outcome, Rehearsal
from vidcolor.options import ColorizeOptions
from vidcolor.stills import icc
from vidcolor.stills.metadata import Metadata
from vidcolor.stills.own_colors import KEPT, keeps_color
from vidcolor.stills.reader import PictureHeader, SourcePicture, count_pages, read_header, read_picture
from vidcolor.stills.writer import check_output, check_pages, check_transparency, write_picture

CORNER = 16  # pixels


@dataclass(frozen=True, kw_only=True)
class PictureFileInfo:
    """The properties of a photograph."""

    path: Path
    bytes: int
    format: str
    mode: str
    """Pillow's name of the channels, such as ``RGB`` or ``I;16``."""
    width: int
    """Of the upright picture, as is the height."""
    height: int
    pages: int
    """Of a TIFF; 1 for other pictures. All else is about the first."""
    bit_depth: int
    orientation: int
    """1 to 8 (EXIF 2.32); 1 is stored upright."""
    alpha: bool
    profile: str | None
    """The description of the color profile."""
    exif_tags: int
    """The number of tags that describe the picture rather than how this file stores it."""
    dpi: tuple[float, float] | None


def inspect_picture(
    path: Path, dest: Path, options: ColorizeOptions, *, overwrite: bool
) -> tuple[PictureFileInfo, Rehearsal]:
    """Describe a photograph, of several pages the first, and write a corner of it; a refusal is a result, not an error.

    Raises:
        InputError: the picture cannot be read.
    """
    header, pages = read_header(path), count_pages(path)
    picture = read_picture(path, 0)
    if keeps_color(picture, options):
        color = Outcome("color", "kept", KEPT)
    else:
        why = f"the colors are the network's, whatever was there ({header.mode} becomes RGB)"
        color = Outcome("color", "changed", why)
    return _describe(header, picture, pages), _rehearse(header, picture, pages, dest, color, overwrite=overwrite)


def _describe(header: PictureHeader, picture: SourcePicture, pages: int) -> PictureFileInfo:
    height, width = picture.grey.shape
    return PictureFileInfo(
        path=picture.path,
        bytes=picture.path.stat().st_size,
        format=header.format,
        mode=header.mode,
        width=width,
        height=height,
        pages=pages,
        bit_depth=picture.bit_depth,
        orientation=header.orientation,
        alpha=picture.alpha is not None,
        profile=_profile_name(header.profile),
        exif_tags=_count_tags(picture.metadata.exif),
        dpi=picture.metadata.dpi,
    )


def _rehearse(
    header: PictureHeader, picture: SourcePicture, pages: int, dest: Path, color: Outcome, *, overwrite: bool
) -> Rehearsal:
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        stage = Path(folder) / f"rehearsal{dest.suffix}"
        try:
            check_output(dest, picture.path, overwrite=overwrite)
            check_pages(dest, picture.path, pages)
            check_transparency(dest, picture)
            corner = _corner(picture)
            write_picture(stage, [np.dstack([corner.grey] * 3)], corner)
        except OutputError as exc:
            return Rehearsal(output=dest, outcomes=(), warnings=(), refused=str(exc).replace(str(stage), str(dest)))
        arrived = _compared(header, picture, read_header(stage), read_picture(stage))
        own = (*_page_outcomes(header, pages), color, *arrived)
        return Rehearsal(output=dest, outcomes=own, warnings=(), refused=None)


def _corner(picture: SourcePicture) -> SourcePicture:
    alpha = picture.alpha
    return replace(
        picture, grey=picture.grey[:CORNER, :CORNER], alpha=None if alpha is None else alpha[:CORNER, :CORNER]
    )


def _page_outcomes(header: PictureHeader, pages: int) -> Iterator[Outcome]:
    if pages > 1:
        yield Outcome("pages", "kept", f"all {pages}")
    yield Outcome("luma", "kept", "the BT.601 luma of its sRGB values")
    if header.orientation != 1:
        why = f"the EXIF orientation {header.orientation} is applied: the picture is stored upright"
        yield Outcome("orientation", "changed", why)


def _compared(
    header: PictureHeader, picture: SourcePicture, copy_header: PictureHeader, copy: SourcePicture
) -> Iterator[Outcome]:
    """Yield an outcome for each property of the picture, found by comparing it with the copy."""
    target = copy_header.format
    if copy.bit_depth == picture.bit_depth:
        yield Outcome("bit depth", "kept", f"{picture.bit_depth}")
    else:
        why = f"{picture.bit_depth} bits are rounded to {copy.bit_depth}: {target} holds no more here"
        yield Outcome("bit depth", "changed", why)
    if picture.alpha is not None and copy.alpha is not None:
        yield Outcome("transparency", "kept", "as it is")
    elif picture.alpha is not None:
        yield Outcome("transparency", "dropped", f"every pixel is opaque; {target} has no transparency")
    yield from _profile_outcome(header, copy_header)
    yield from _metadata_outcomes(picture.metadata, copy.metadata, target)
    for note in picture.notes:
        yield Outcome("samples", "changed", note)


def _profile_outcome(header: PictureHeader, copy: PictureHeader) -> Iterator[Outcome]:
    if header.profile is None:
        return
    name = _profile_name(header.profile)
    if icc.is_srgb(header.profile):
        if copy.profile:
            yield Outcome("color profile", "kept", "sRGB")
        else:
            yield Outcome("color profile", "dropped", f"{copy.format} has no place for the color profile; it was sRGB")
    else:
        yield Outcome("color profile", "changed", f"the picture is converted from {name} to sRGB")


def _metadata_outcomes(before: Metadata, after: Metadata, target: str) -> Iterator[Outcome]:
    found = (
        ("EXIF", before.exif, after.exif, "without orientation and thumbnail; Software names vidcolor"),
        ("XMP", before.xmp, after.xmp, "with a note that a machine has colored the picture"),
        ("IPTC", before.iptc, after.iptc, "as it is"),
        ("comment", before.comment, after.comment, "as it is"),
    )
    for what, old, new, how in found:
        if old and new:
            yield Outcome(what, "kept", how)
        elif old:
            yield Outcome(what, "dropped", f"{target} has no place for it")
    if before.dpi and after.dpi:
        yield Outcome("resolution", "kept", f"{before.dpi[0]:g}×{before.dpi[1]:g} pixels per inch")
    elif before.dpi:
        yield Outcome("resolution", "dropped", f"{target} has no place for the resolution")


def _count_tags(data: bytes | None) -> int:
    exif = Image.Exif()
    exif.load(data or b"")
    return len(exif)


def _profile_name(profile: bytes | None) -> str | None:
    parsed = icc.parse_profile(profile) if profile else None
    if parsed is None:
        return "an unreadable profile" if profile else None
    return ImageCms.getProfileDescription(parsed).strip() or "a profile without a name"
