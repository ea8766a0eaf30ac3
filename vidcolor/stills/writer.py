"""Write pictures atomically, in sRGB with an embedded profile, from bands of rows.

PNG and TIFF are encoded here, since Pillow cannot write color pictures of 16 bits; all others by Pillow.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from vidcolor.errors import OutputError
from vidcolor.files.atomic import atomic_file
from vidcolor.files.paths import check_destination
from vidcolor.frames import FloatArray
from vidcolor.stills import icc
from vidcolor.stills.metadata import Metadata, marked_exif, marked_xmp, parse_xmp, photoshop_block
from vidcolor.stills.png_writer import chunk, text_chunk, write_png
from vidcolor.stills.reader import SourcePicture
from vidcolor.stills.tiff_writer import TiffWriter

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(rows, W, 3) R, G, B or (rows, W, 4) with alpha, code values."""
PictureEncoder = Callable[[BinaryIO, Iterator[Samples], tuple[int, int], Metadata], None]
"""Writes bands of samples of a picture of (height, width), with metadata, to a file."""

JPEG_QUALITY = 95
WEBP_QUALITY = 95
AVIF_QUALITY = 90
"""On Pillow's scale; the error is about that of JPEG at 95."""
OPTIMIZED_PIXELS = 1 << 26
"""Pixels up to which the codes of a JPEG are optimized, for which the encoder holds 6 bytes a pixel."""
MAX_JPEG_XMP = 65_504
"""Bytes of XMP that a JPEG holds."""


def check_output(dest: Path, source: Path, *, overwrite: bool) -> None:
    """Check, before any work is done, that a picture can be written to ``dest``.

    Raises:
        OutputError: the suffix is not of a format that is written, or see
            :func:`vidcolor.files.paths.check_destination`.
    """
    if dest.suffix.lower() not in PICTURE_ENCODERS:
        raise OutputError(
            f"{dest}: pictures cannot be written as '{dest.suffix}'; choose one of {', '.join(PICTURE_ENCODERS)}"
        )
    check_destination(dest, source=source, overwrite=overwrite)


def write_picture(
    path: Path,
    bands: Iterable[FloatArray],
    like: SourcePicture,
    *,
    overwrite: bool = False,
    is_machine_colored: bool = True,
) -> None:
    """Write a picture in the format of the suffix of ``path``.

    JPEG (quality 95) and AVIF (90) are written without chroma subsampling, WebP with quality 95; PNG, TIFF and BMP are
    lossless. The file appears under its name when it is complete, with the date of the source. Its EXIF and XMP data
    say that a machine has colored it.

    Args:
        path: of the output.
        bands: rows of the picture from top to bottom, sRGB, (rows, W, 3) in [0, 1].
        like: the source: its metadata and alpha are copied, as far as the format holds them
            (:func:`lost_metadata`); if it has 16 bits, PNG and TIFF get 16 bits too. ``grey`` has the size of the
            picture.
        overwrite: whether an existing file is replaced.
        is_machine_colored: whether EXIF and XMP data say so.

    Raises:
        OutputError: the format is not supported or has no alpha although ``like`` is transparent; the file exists, is
            the source itself or cannot be written.
    """
    check_output(path, like.path, overwrite=overwrite)
    check_transparency(path, like)
    suffix = path.suffix.lower()
    with atomic_file(path, overwrite=overwrite) as part:
        with part.open("wb") as handle:
            samples = _quantized(bands, like, suffix)
            height, width = like.grey.shape
            metadata = _marked(like.metadata, suffix) if is_machine_colored else like.metadata
            PICTURE_ENCODERS[suffix](handle, samples, (height, width), metadata)
        if like.metadata.modified_ns is not None:
            os.utime(part, ns=(like.metadata.modified_ns, like.metadata.modified_ns))


class PageWriter:
    """A TIFF of several pages.

    Args:
        handle: a new file, open for writing.
        num_pages: that it will have.
    """

    def __init__(self, handle: BinaryIO, num_pages: int) -> None:
        self._tiff = TiffWriter(handle, num_pages)

    def write(self, bands: Iterable[FloatArray], like: SourcePicture, *, is_machine_colored: bool = True) -> None:
        """Write the next page; arguments as for :func:`write_picture`."""
        height, width = like.grey.shape
        metadata = _marked(like.metadata, ".tif") if is_machine_colored else like.metadata
        samples = _quantized(bands, like, ".tif")
        self._tiff.write(samples, (height, width), metadata=metadata, profile=icc.srgb_profile())


@contextmanager
def write_pages(path: Path, source: Path, num_pages: int, *, overwrite: bool) -> Iterator[PageWriter]:
    """Write a TIFF of several pages, which appears under its name when the context ends without an exception.

    Args:
        path: of the output.
        source: path of the input.
        num_pages: of the input and the output.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: as :func:`write_picture`, or the format holds no pages.
    """
    check_output(path, source, overwrite=overwrite)
    check_pages(path, source, num_pages)
    with atomic_file(path, overwrite=overwrite) as part:
        with part.open("wb") as handle:
            yield PageWriter(handle, num_pages)
        modified_ns = source.stat().st_mtime_ns
        os.utime(part, ns=(modified_ns, modified_ns))


def check_pages(path: Path, source: Path, num_pages: int) -> None:
    """Check that the format of a suffix holds several pages if the source has them.

    Raises:
        OutputError: it does not.
    """
    suffix = path.suffix.lower()
    if num_pages > 1 and suffix not in TIFF_SUFFIXES:
        raise OutputError(f"{path}: '{suffix}' holds one picture, and {source.name} has {num_pages} pages; write .tif")


def lost_metadata(suffix: str, metadata: Metadata) -> tuple[str, ...]:
    """Return a line for each kind of metadata that the format of a suffix does not hold."""
    found = {
        "EXIF data": (metadata.exif, WITH_EXIF),
        "XMP data": (metadata.xmp, WITH_EXIF),
        "IPTC data": (metadata.iptc, WITH_IPTC),
        "a comment": (metadata.comment, WITH_COMMENT),
    }
    lines = [
        f"{what} cannot be kept: '{suffix}' has no place for it"
        for what, (value, suffixes) in found.items()
        if value and suffix.lower() not in suffixes
    ]
    if metadata.xmp and suffix.lower() in WITH_EXIF and parse_xmp(metadata.xmp) is None:
        lines.append("the XMP data is damaged and is left out")
    elif metadata.xmp and suffix.lower() in JPEG_SUFFIXES and len(marked_xmp(metadata.xmp)) > MAX_JPEG_XMP:
        lines.append(f"the XMP data is left out: '{suffix}' holds {MAX_JPEG_XMP} bytes of it")
    return tuple(lines)


def _marked(metadata: Metadata, suffix: str) -> Metadata:
    """Return the metadata of the colored picture, which says that a machine has colored it."""
    xmp = marked_xmp(metadata.xmp)
    if suffix in JPEG_SUFFIXES and len(xmp) > MAX_JPEG_XMP:
        xmp = marked_xmp(None)
    return replace(metadata, exif=marked_exif(metadata.exif), xmp=xmp)


def check_transparency(path: Path, like: SourcePicture) -> None:
    """Check that the format of a suffix has alpha if ``like`` is transparent.

    Raises:
        OutputError: it has not.
    """
    suffix = path.suffix.lower()
    if suffix in OPAQUE and like.alpha is not None and int(like.alpha.min()) < 2**like.bit_depth - 1:
        source = like.path.name
        raise OutputError(f"{path}: '{suffix}' holds no transparency, which {source} has; write .png, .tiff or .webp")


def _quantized(bands: Iterable[FloatArray], like: SourcePicture, suffix: str) -> Iterator[Samples]:
    """Convert bands of R'G'B' in [0, 1] to code values, with alpha if the format has it."""
    deep = like.bit_depth == 16 and suffix in DEEP
    top = 0
    for rgb in bands:
        alpha = None if like.alpha is None or suffix in OPAQUE else like.alpha[top : top + len(rgb)]
        top += len(rgb)
        levels = np.rint(rgb.clip(0, 1) * np.float32(65535 if deep else 255))
        if alpha is not None:
            shallower = like.bit_depth == 16 and not deep
            levels = np.dstack((levels, alpha // 257 if shallower else alpha))  # 65535 = 257 · 255
        yield levels.astype(np.uint16) if deep else levels.astype(np.uint8)


def _gathered(bands: Iterator[Samples], size: tuple[int, int]) -> Image.Image:
    """Return the whole picture, of 8 bits."""
    image: Image.Image | None = None
    top = 0
    for band in bands:
        piece = Image.fromarray(band)
        image = image or Image.new(piece.mode, size[::-1])
        image.paste(piece, (0, top))
        top += piece.height
    assert image is not None  # a picture has rows
    return image


def _for_pillow(metadata: Metadata) -> dict[str, Any]:
    """Return profile and metadata as keyword arguments of Pillow's encoders."""
    kept: dict[str, Any] = {"icc_profile": icc.srgb_profile(), "exif": metadata.exif, "xmp": metadata.xmp}
    if metadata.dpi:
        kept["dpi"] = metadata.dpi
    return kept


def _write_jpeg(handle: BinaryIO, bands: Iterator[Samples], size: tuple[int, int], metadata: Metadata) -> None:
    kept = _for_pillow(metadata)
    if metadata.iptc:
        block = photoshop_block(metadata.iptc)
        kept["extra"] = b"\xff\xed" + struct.pack(">H", 2 + len(block)) + block
    if metadata.comment:
        kept["comment"] = metadata.comment.encode()
    optimize = size[0] * size[1] <= OPTIMIZED_PIXELS
    image = _gathered(bands, size)
    image.save(handle, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4", optimize=optimize, **kept)


def _write_webp(handle: BinaryIO, bands: Iterator[Samples], size: tuple[int, int], metadata: Metadata) -> None:
    _gathered(bands, size).save(handle, "WEBP", quality=WEBP_QUALITY, **_for_pillow(metadata))


def _write_avif(handle: BinaryIO, bands: Iterator[Samples], size: tuple[int, int], metadata: Metadata) -> None:
    image = _gathered(bands, size)
    image.save(handle, "AVIF", quality=AVIF_QUALITY, subsampling="4:4:4", **_for_pillow(metadata))


def _write_bmp(handle: BinaryIO, bands: Iterator[Samples], size: tuple[int, int], metadata: Metadata) -> None:
    _gathered(bands, size).save(handle, "BMP", **({"dpi": metadata.dpi} if metadata.dpi else {}))


def _write_png(handle: BinaryIO, bands: Iterator[Samples], size: tuple[int, int], metadata: Metadata) -> None:
    chunks = [chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(icc.srgb_profile()))]
    if metadata.dpi:
        across, down = (round(value / 0.0254) for value in metadata.dpi)  # pixels per meter
        chunks.append(chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        chunks.append(chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0")))
    if metadata.xmp:
        chunks.append(text_chunk("XML:com.adobe.xmp", metadata.xmp.decode()))
    if metadata.comment:
        chunks.append(text_chunk("Comment", metadata.comment))
    write_png(handle, bands, size, chunks)


def _write_tiff(handle: BinaryIO, bands: Iterator[Samples], size: tuple[int, int], metadata: Metadata) -> None:
    TiffWriter(handle, 1).write(bands, size, metadata=metadata, profile=icc.srgb_profile())


PICTURE_ENCODERS: Mapping[str, PictureEncoder] = {
    ".jpg": _write_jpeg,
    ".jpeg": _write_jpeg,
    ".jpe": _write_jpeg,
    ".jfif": _write_jpeg,
    ".png": _write_png,
    ".webp": _write_webp,
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".bmp": _write_bmp,
} | ({".avif": _write_avif} if features.check("avif") else {})
"""Lower-case suffix to encoder."""
JPEG_SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif"))
TIFF_SUFFIXES = frozenset((".tif", ".tiff"))
WITH_EXIF = JPEG_SUFFIXES | TIFF_SUFFIXES | {".png", ".webp", ".avif"}
"""Suffixes of formats that hold EXIF and XMP data."""
WITH_IPTC = JPEG_SUFFIXES | TIFF_SUFFIXES
WITH_COMMENT = JPEG_SUFFIXES | TIFF_SUFFIXES | {".png"}
OPAQUE = JPEG_SUFFIXES | {".bmp"}
"""Suffixes of formats without alpha."""
DEEP = TIFF_SUFFIXES | {".png"}
"""Suffixes of formats that are written with 16 bits."""
