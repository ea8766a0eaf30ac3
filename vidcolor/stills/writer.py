"""Write pictures atomically, in sRGB with an embedded profile.

Pillow cannot write color pictures of 16 bits. PNG of 16 bits is encoded by OpenCV, and metadata chunks are inserted.
TIFF of 8 and 16 bits is written as a directory by Pillow and pixels that are packed here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin, features
from PIL.ExifTags import IFD, Base

from vidcolor.errors import OutputError
from vidcolor.files.atomic import atomic_file
from vidcolor.files.paths import check_destination
from vidcolor.frames import FloatArray
from vidcolor.stills import icc
from vidcolor.stills.reader import SourcePicture

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(H, W, 3) R, G, B or (H, W, 4) with alpha, code values."""
PictureEncoder = Callable[[BinaryIO, Samples, SourcePicture], None]
"""Writes samples, with the metadata of a source picture, to a file."""

JPEG_QUALITY = 95
WEBP_QUALITY = 95
AVIF_QUALITY = 90
"""On Pillow's scale; the error is about that of JPEG at 95."""


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


def write_picture(path: Path, rgb: FloatArray, like: SourcePicture, *, overwrite: bool = False) -> None:
    """Write a picture in the format of the suffix of ``path``.

    JPEG (quality 95) and AVIF (90) are written without chroma subsampling, WebP with quality 95; PNG, TIFF and BMP are
    lossless. The file appears under its name when it is complete.

    Args:
        path: of the output.
        rgb: sRGB, (H, W, 3) in [0, 1].
        like: the source: its EXIF data, resolution and alpha are copied; if it has 16 bits, PNG and TIFF get 16 bits
            too.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: the format is not supported or has no alpha although ``like`` is transparent; the file exists, is
            the source itself or cannot be written.
    """
    check_output(path, like.path, overwrite=overwrite)
    check_transparency(path, like)
    suffix = path.suffix.lower()
    deep = like.bit_depth == 16 and suffix in DEEP
    with atomic_file(path, overwrite=overwrite) as part, part.open("wb") as handle:
        PICTURE_ENCODERS[suffix](handle, _quantize(rgb, like, deep=deep, opaque=suffix in OPAQUE), like)


def check_transparency(path: Path, like: SourcePicture) -> None:
    """Check that the format of a suffix has alpha if ``like`` is transparent.

    Raises:
        OutputError: it has not.
    """
    suffix = path.suffix.lower()
    if suffix in OPAQUE and like.alpha is not None and int(like.alpha.min()) < 2**like.bit_depth - 1:
        source = like.path.name
        raise OutputError(f"{path}: '{suffix}' holds no transparency, which {source} has; write .png, .tiff or .webp")


def _quantize(rgb: FloatArray, like: SourcePicture, *, deep: bool, opaque: bool) -> Samples:
    """Convert R'G'B' in [0, 1] to code values of 16 (``deep``) or 8 bits, with alpha unless ``opaque``."""
    levels = np.rint(rgb.clip(0, 1) * np.float32(65535 if deep else 255))
    if like.alpha is not None and not opaque:
        shallower = like.bit_depth == 16 and not deep
        levels = np.dstack((levels, like.alpha // 257 if shallower else like.alpha))  # 65535 = 257 · 255
    return levels.astype(np.uint16) if deep else levels.astype(np.uint8)


def _metadata(like: SourcePicture) -> dict[str, Any]:
    """Return profile, EXIF data and resolution as keyword arguments of Pillow's encoders."""
    kept: dict[str, Any] = {"icc_profile": icc.srgb_profile()}
    if like.exif:
        kept["exif"] = like.exif
    if like.dpi:
        kept["dpi"] = like.dpi
    return kept


def _write_jpeg(handle: BinaryIO, samples: Samples, like: SourcePicture) -> None:
    image = Image.fromarray(samples)
    image.save(handle, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4", optimize=True, **_metadata(like))


def _write_webp(handle: BinaryIO, samples: Samples, like: SourcePicture) -> None:
    Image.fromarray(samples).save(handle, "WEBP", quality=WEBP_QUALITY, **_metadata(like))


def _write_avif(handle: BinaryIO, samples: Samples, like: SourcePicture) -> None:
    Image.fromarray(samples).save(handle, "AVIF", quality=AVIF_QUALITY, subsampling="4:4:4", **_metadata(like))


def _write_bmp(handle: BinaryIO, samples: Samples, like: SourcePicture) -> None:
    Image.fromarray(samples).save(handle, "BMP", **({"dpi": like.dpi} if like.dpi else {}))


def _write_png(handle: BinaryIO, samples: Samples, like: SourcePicture) -> None:
    if samples.dtype == np.uint8:
        Image.fromarray(samples).save(handle, "PNG", **_metadata(like))
    else:
        _write_deep_png(handle, samples, like)


def _write_deep_png(handle: BinaryIO, samples: Samples, like: SourcePicture) -> None:
    """Write a PNG of 16 bits: encoded by OpenCV, with chunks for profile, resolution and EXIF data."""
    order = cv2.COLOR_RGB2BGR if samples.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    _, encoded = cv2.imencode(".png", cv2.cvtColor(samples, order))
    data = encoded.tobytes()
    after_header = 8 + 25  # signature and IHDR; metadata must come before the pixels
    handle.write(data[:after_header])
    handle.write(_png_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(icc.srgb_profile())))
    if like.dpi:
        across, down = (round(value / 0.0254) for value in like.dpi)  # pixels per meter
        handle.write(_png_chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if like.exif:
        handle.write(_png_chunk(b"eXIf", like.exif.removeprefix(b"Exif\0\0")))
    handle.write(data[after_header:])


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _write_tiff(handle: BinaryIO, samples: Samples, like: SourcePicture) -> None:
    """Write a TIFF 6.0 file: one directory, then one strip of Deflate with horizontal differencing."""
    height, width, channels = samples.shape
    differences = samples.copy()
    differences[:, 1:] -= samples[:, :-1]  # modulo 2^bits, as the format defines
    strip = zlib.compress(differences.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes())
    directory = _tiff_description(like)
    for tag, value in {
        Base.ImageWidth: width,
        Base.ImageLength: height,
        Base.BitsPerSample: (8 * samples.itemsize,) * channels,
        Base.Compression: 8,  # Deflate
        Base.PhotometricInterpretation: 2,  # RGB
        Base.StripOffsets: 0,  # Pillow sets it to the end of the directory
        Base.SamplesPerPixel: channels,
        Base.RowsPerStrip: height,
        Base.StripByteCounts: len(strip),
        Base.PlanarConfiguration: 1,  # interleaved channels
        Base.Predictor: 2,  # horizontal differencing
        Base.InterColorProfile: icc.srgb_profile(),
        **({Base.ExtraSamples: 2} if channels == 4 else {}),  # unassociated alpha
    }.items():
        directory[tag] = value
    directory.save(handle)
    handle.write(strip)


def _tiff_description(like: SourcePicture) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return a directory with the EXIF data and the resolution of the source."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    if like.exif:
        exif = Image.Exif()
        exif.load(like.exif)
        for tag in exif:
            directory[tag] = exif.get_ifd(tag) if tag in (IFD.Exif, IFD.GPSInfo) else exif[tag]
    if like.dpi:
        directory[Base.XResolution], directory[Base.YResolution] = like.dpi
        directory[Base.ResolutionUnit] = 2  # inch
    return directory


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
OPAQUE = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".bmp"))
"""Suffixes of formats without alpha."""
DEEP = frozenset((".png", ".tif", ".tiff"))
"""Suffixes of formats that are written with 16 bits."""
