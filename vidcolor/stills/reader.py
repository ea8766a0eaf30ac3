"""Read a picture, upright and in sRGB, as grey levels or as colors.

TIFF is decoded by :mod:`vidcolor.stills.tiff`, everything else by :mod:`vidcolor.stills.pillow_decoder`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from vidcolor.color.own_color import GREY, ColorEvidence, rgb_evidence, thumbnail_band
from vidcolor.errors import InputError, ResourceError, one_line
from vidcolor.frames import FloatArray, Plane
from vidcolor.stills import icc
from vidcolor.stills.bands import Band
from vidcolor.stills.doubts import doubts_about
from vidcolor.stills.kinds import HEAD_BYTES, TIFF_MAGIC, refusal
from vidcolor.stills.metadata import IPTC_RESOURCE, SIDEWAYS, Metadata, orientation_and_exif, resolution
from vidcolor.stills.pillow_decoder import (
    MissingDecoderError,
    UndefinedWhiteError,
    bands_of_8_bits,
    bands_of_16_bits,
    is_deep,
    luma,
    open_image,
    stored_bits,
)
from vidcolor.stills.pillow_limits import pillow_without_limits
from vidcolor.stills.tiff import TiffFile, TiffPage, UnsupportedTiffError, parse_tiff

Rgb = npt.NDArray[np.uint8]
"""R'G'B' (H, W, 3)."""

JPEG_FORMATS = ("JPEG", "MPO")
MAX_PICTURE_PIXELS = 500_000_000
"""Pixels above which a picture is refused, to bound the memory that a malicious file can take (2 GB of grey levels).

Pillow's own limit, 179 million, is too small for scans of large-format film.
"""
WITH_MAIN_PICTURE = ("MPO", "HEIF")
"""Formats in which one of several pictures is the main one, which is read."""
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    EOFError,
    struct.error,
    zlib.error,
    ArithmeticError,
    RuntimeError,
    TypeError,
    AttributeError,
)
"""What decoders raise for damaged files: RuntimeError for AVIF, TypeError for TIFF without valid sizes."""


@dataclass(frozen=True, kw_only=True)
class SourcePicture:
    """A decoded picture, upright, and the metadata that its colored version keeps."""

    path: Path
    grey: FloatArray
    """(H, W) in [0, 1]: the gamma-encoded BT.601 luma of its sRGB values. Read-only by convention."""
    bit_depth: int
    """Bits per channel in the file, 8 or 16; fewer than 8 count as 8."""
    alpha: Plane | None
    """(H, W) code values, uint8 or uint16 by ``bit_depth``; None: the picture has no alpha."""
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    """What of the file is not used, and what is doubtful about it: one line each, for a person."""
    colors: ColorEvidence = GREY
    """What the colors of the file say."""
    page: int | None = None
    """Of a TIFF, counted from 0; None: the only one."""


@dataclass(frozen=True, kw_only=True)
class PictureHeader:
    """The header of a picture file, before the EXIF orientation is applied."""

    format: str
    """Pillow's name: ``JPEG``, ``PNG``, ``TIFF``."""
    mode: str
    """Pillow's mode: ``L``, ``RGB``, ``P``, ``CMYK``; color of 16 bits is ``RGB`` too. For a TIFF in a layout that
    Pillow does not read, the kind of its samples.
    """
    width: int
    height: int
    orientation: int
    """1 to 8, EXIF 2.32; 1 is upright."""
    profile: bytes | None
    """The ICC profile; None: there is none."""


@dataclass(frozen=True, kw_only=True)
class _OpenPicture:
    """A picture whose header is parsed; its rows are decoded as ``bands`` are taken."""

    header: PictureHeader
    bit_depth: int
    metadata: Metadata
    bands: Iterator[Band]
    notes: tuple[str, ...]


def read_picture(path: Path, page: int | None = None) -> SourcePicture:
    """Read a picture.

    Color is dropped: sepia prints and color photographs alike are reduced to the gamma-encoded BT.601 luma of their
    sRGB values, ``0.299 R' + 0.587 G' + 0.114 B'``, which in a JPEG in sRGB is the stored Y plane. ICC profiles are
    converted to sRGB; without a profile the picture is assumed to be sRGB. The EXIF orientation is applied. Channels
    that are neither color nor alpha, such as a scanner's infrared, are left out.

    Args:
        path: of the file.
        page: of a TIFF, counted from 0; None: the only one. Smaller copies and masks are no pages.

    Raises:
        InputError: the file is missing, damaged, not a picture, larger than :data:`MAX_PICTURE_PIXELS`, in a layout
            that is not supported, or, without ``page``, holds several pictures (an animation, pages).
        ResourceError: memory does not suffice.
    """
    with _reading(path), _open_file(path) as file, _open_picture(path, file, page, as_grey=True) as opened:
        width, height = opened.header.width, opened.header.height
        grey = np.empty((height, width), np.float32)
        alphas = []
        thumbnail = []
        for rows, band in _rows(opened):
            grey[rows] = luma(band.levels)
            thumbnail += [thumbnail_band(band.levels, (height, width))] if band.levels.ndim == 3 else []
            alphas += [] if band.alpha is None else [band.alpha]
        modified_ns = path.stat().st_mtime_ns
        if not thumbnail and opened.header.format in JPEG_FORMATS and opened.header.mode == "RGB":
            thumbnail = [_jpeg_thumbnail(file)]
    orientation = opened.header.orientation
    return SourcePicture(
        path=path,
        grey=np.ascontiguousarray(_upright(grey, orientation)),
        bit_depth=opened.bit_depth,
        alpha=np.ascontiguousarray(_upright(np.concatenate(alphas), orientation)) if alphas else None,
        metadata=replace(opened.metadata, modified_ns=modified_ns),
        notes=(*opened.notes, *doubts_about(grey, opened.bit_depth)),
        colors=rgb_evidence(np.concatenate(thumbnail)) if thumbnail else GREY,
        page=page,
    )


def read_colors(picture: SourcePicture) -> Plane:
    """Read a picture again, in color.

    Returns:
        (H, W, 3) R'G'B' in sRGB, upright: code values of the picture's bit depth.

    Raises:
        InputError: as :func:`read_picture`.
    """
    path = picture.path
    dtype, white = (np.uint16, 65535) if picture.bit_depth == 16 else (np.uint8, 255)
    with _reading(path), _open_file(path) as file, _open_picture(path, file, picture.page, as_grey=False) as opened:
        rgb = np.empty((opened.header.height, opened.header.width, 3), dtype)
        for rows, band in _rows(opened):
            levels = np.rint(band.levels * np.float32(white))
            rgb[rows] = levels[..., None] if levels.ndim == 2 else levels
    return np.ascontiguousarray(_upright(rgb, opened.header.orientation))


def _jpeg_thumbnail(file: BinaryIO) -> FloatArray:
    """Decode a JPEG in color at an eighth of its size: (h, w, 3) in [0, 1]."""
    file.seek(0)
    with open_image(file, file.read(HEAD_BYTES)) as image:
        image.draft("RGB", (max(1, image.width // 8), max(1, image.height // 8)))
        rgb = np.asarray(image.convert("RGB")).astype(np.float32) / np.float32(255)
    return thumbnail_band(rgb, (rgb.shape[0], rgb.shape[1]))


def read_rgb(data: bytes, name: Path | str) -> Rgb:
    """Read a picture in color, as training and evaluation need it.

    Formats, color profiles, orientation and limits are those of :func:`read_picture`. Alpha is dropped, 16 bits are
    rounded to 8, and a grey picture has three equal channels. Several threads may decode at the same time.

    Args:
        data: the bytes of the file.
        name: of the file, for messages.

    Returns:
        uint8 (H, W, 3): R'G'B' in sRGB, upright.

    Raises:
        InputError: as :func:`read_picture`.
    """
    with _reading(name), _open_picture(name, BytesIO(data), None, as_grey=False) as opened:
        rgb = np.empty((opened.header.height, opened.header.width, 3), np.uint8)
        for rows, band in _rows(opened):
            levels = np.rint(band.levels * np.float32(255))
            rgb[rows] = levels[..., None] if levels.ndim == 2 else levels
    return np.ascontiguousarray(_upright(rgb, opened.header.orientation))


def read_header(path: Path) -> PictureHeader:
    """Read the header without decoding pixels, of a TIFF of several pages that of the first.

    Raises:
        InputError: as for :func:`read_picture`.
    """
    with _reading(path), _open_file(path) as file, _open_picture(path, file, 0, as_grey=False) as opened:
        return opened.header


def count_pages(path: Path) -> int:
    """Return the number of pages of a TIFF, 1 for other pictures.

    Raises:
        InputError: the file is missing or damaged.
    """
    with _reading(path), _open_file(path) as file:
        return len(parse_tiff(file).pages) if file.read(HEAD_BYTES).startswith(TIFF_MAGIC) else 1


def _rows(opened: _OpenPicture) -> Iterator[tuple[slice, Band]]:
    """Yield each band of a picture with its rows; raise ValueError if rows are missing at the end."""
    top = 0
    for band in opened.bands:
        yield slice(top, top + len(band.levels)), band
        top += len(band.levels)
    if top != opened.header.height:
        raise ValueError(f"{top} of {opened.header.height} rows are there")


@contextmanager
def _reading(name: Path | str) -> Iterator[None]:
    """Convert the exceptions of decoders to InputError with the name of the file."""
    try:
        yield
    except icc.UnsupportedProfileError as exc:
        raise InputError(f"{name}: {exc}; convert it to sRGB, or to 8 bits, first") from exc
    except (UnsupportedTiffError, UndefinedWhiteError, MissingDecoderError) as exc:
        raise InputError(f"{name}: {exc}") from exc
    except MemoryError as exc:
        raise ResourceError(f"{name}: does not fit into memory; make it smaller first") from exc
    except UnidentifiedImageError as exc:
        raise InputError(
            f"{name}: is not a picture that can be read; expected JPEG, PNG, WebP, TIFF, AVIF or HEIC"
        ) from exc
    except DECODE_ERRORS as exc:
        raise InputError(f"{name}: cannot be decoded as a picture ({one_line(exc)}); is the file whole?") from exc


def _open_file(path: Path) -> BinaryIO:
    """Open a file; raise InputError if it cannot be read or is empty."""
    try:
        file = path.open("rb")
        is_empty = not file.read(1)
        file.seek(0)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc
    if is_empty:
        file.close()
        raise InputError(f"{path}: is empty; expected a picture")
    return file


@contextmanager
def _open_picture(name: Path | str, file: BinaryIO, page: int | None, *, as_grey: bool) -> Iterator[_OpenPicture]:
    """Parse a picture's header; its rows can be decoded within the context.

    Args:
        name: of the file, for messages.
        file: from which it is read.
        page: of a TIFF; None: the only one.
        as_grey: let a JPEG decoder return only the luma, if that is the grey of the picture.
    """
    head = file.read(HEAD_BYTES)
    if reason := refusal(head, Path(name).suffix.lower()):
        raise InputError(f"{name}: {reason}")
    if head.startswith(TIFF_MAGIC):
        tiff = parse_tiff(file)
        _check_count(name, len(tiff.pages) if page is None else 1, "pages")
        chosen = tiff.pages[page or 0]
        _check_size(name, chosen.width, chosen.height)
        if chosen.is_for_pillow:
            with open_image(file, head) as image:
                with pillow_without_limits():
                    image.seek(chosen.index)
                    image.load()  # where Pillow warns of damaged tags again
                yield _tiff_picture(file, tiff, chosen, bands_of_8_bits(image, chosen.profile), image.mode)
        else:
            yield _tiff_picture(file, tiff, chosen, chosen.bands(), chosen.kind)
        return
    with open_image(file, head) as image:
        _check_size(name, *image.size)
        _check_count(name, 1 if image.format in WITH_MAIN_PICTURE else getattr(image, "n_frames", 1), "pictures")
        yield _pillow_picture(image, file, as_grey=as_grey)


def _check_size(name: Path | str, width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise InputError(f"{name}: holds no pixels")
    if width * height > MAX_PICTURE_PIXELS:
        size = f"{width}×{height}"
        raise InputError(
            f"{name}: {size} pixels are more than the {MAX_PICTURE_PIXELS:,} that are read; make it smaller"
        )


def _check_count(name: Path | str, count: int, what: str) -> None:
    if count == 0:
        raise InputError(f"{name}: holds no picture")
    if count > 1:
        raise InputError(f"{name}: holds {count} {what}, expected one; split it, or make an animation a film first")


def _tiff_picture(file: BinaryIO, tiff: TiffFile, page: TiffPage, bands: Iterator[Band], mode: str) -> _OpenPicture:
    exif = Image.Exif()
    with pillow_without_limits():
        with suppress(*DECODE_ERRORS):
            page.load_tags(exif)
        orientation, kept = orientation_and_exif(exif, (page.width, page.height))
        dpi = resolution({}, exif, is_jpeg=False)
    return _OpenPicture(
        header=PictureHeader(
            format="TIFF",
            mode=mode,
            width=page.width,
            height=page.height,
            orientation=orientation,
            profile=page.profile,
        ),
        bit_depth=page.bit_depth,
        metadata=Metadata(exif=kept, dpi=dpi, xmp=page.xmp, iptc=page.iptc),
        bands=bands,
        notes=tuple(page.notes(tiff.num_masks)),
    )


def _pillow_picture(image: ImageFile.ImageFile, file: BinaryIO, *, as_grey: bool) -> _OpenPicture:
    profile = image.info.get("icc_profile") or None
    format_, mode = image.format or "unknown", image.mode
    with pillow_without_limits():
        exif = _exif_of(image)
        orientation, kept = orientation_and_exif(exif, image.size)
    deep = is_deep(image, file)
    is_jpeg = format_ in JPEG_FORMATS
    if as_grey and is_jpeg and mode == "RGB" and (not profile or icc.is_srgb(profile)):
        image.draft("L", image.size)  # the decoder returns the stored Y plane
    return _OpenPicture(
        header=PictureHeader(
            format=format_,
            mode=mode,
            width=image.width,
            height=image.height,
            orientation=orientation,
            profile=profile,
        ),
        bit_depth=16 if deep else 8,
        metadata=_metadata(image.info, exif, kept, is_jpeg=is_jpeg),
        bands=bands_of_16_bits(image, file, profile) if deep else bands_of_8_bits(image, profile),
        notes=tuple(_notes(image, file)),
    )


def _notes(image: ImageFile.ImageFile, file: BinaryIO) -> Iterator[str]:
    """Yield a line for each thing in a picture that is not used."""
    count = getattr(image, "n_frames", 1)
    if image.format == "HEIF" and count > 1:
        yield f"of the {count} pictures in the file the main one is colored"
    bits = stored_bits(image, file)
    if bits > 8 and not is_deep(image, file):
        yield f"its {bits} bits are rounded to 8"


def _exif_of(image: ImageFile.ImageFile) -> Image.Exif:
    """Return the EXIF data, empty if it is damaged."""
    try:
        return image.getexif()
    except DECODE_ERRORS:
        return Image.Exif()


def _metadata(info: Mapping[Any, Any], exif: Image.Exif, kept: bytes | None, *, is_jpeg: bool) -> Metadata:
    """Return the metadata of a picture that Pillow has opened."""
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    comment = info.get("comment") or info.get("Comment")
    resources = info.get("photoshop") or {}
    return Metadata(
        exif=kept,
        dpi=resolution(info, exif, is_jpeg=is_jpeg),
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        iptc=resources.get(IPTC_RESOURCE),
        comment=comment.decode("utf-8", "replace") if isinstance(comment, bytes) else comment,
    )


def _upright(plane: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Undo the EXIF orientation of a plane (H, W) or of colors (H, W, 3)."""
    if orientation in SIDEWAYS:
        plane = plane.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return plane
