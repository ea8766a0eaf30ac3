"""Read a picture, upright and in sRGB, as grey levels or as colors.

Pictures are decoded by Pillow, except for color pictures of 16 bits, which Pillow reduces to 8: OpenCV decodes these.
"""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.ExifTags import IFD, Base

from vidcolor.errors import InputError, one_line
from vidcolor.frames import FloatArray, Plane
from vidcolor.stills import icc

Rgb = npt.NDArray[np.uint8]
"""R'G'B' (H, W, 3)."""

MAX_PICTURE_PIXELS = 500_000_000
"""Pixels above which a picture is refused, to bound the memory that a malicious file can take (2 GB of grey levels).

Pillow's own limit, 179 million, is too small for scans of large-format film.
"""
BAND_PIXELS = 1 << 20
"""Pixels that are converted at a time."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""Formats that are read, by Pillow's names; its other decoders are disabled: they are rare, and EPS runs a program."""
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    KeyError,
    IndexError,
    EOFError,
    struct.error,
    OverflowError,
    RuntimeError,
    TypeError,
)
"""What Pillow's decoders raise for damaged files: RuntimeError for AVIF, TypeError for TIFF without valid sizes."""
STORAGE_TAGS = frozenset((*range(254, 267), 273, *range(277, 282), 284, *range(288, 293), 301, *range(317, 326), 330))
STORAGE_TAGS |= {*range(332, 348), *range(512, 533), 700, 33723, 34377, 34675}
"""Tags of a TIFF that describe how this file stores its picture (TIFF 6.0) or hold XMP, IPTC, Photoshop or ICC blocks.

They are not copied to the output.
"""
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations with width and height exchanged."""

_pillow_settings = threading.Lock()  # warning filters and the pixel limit are global


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
    exif: bytes | None
    """EXIF data without orientation and thumbnail, starting with ``Exif``; None: there is none."""
    dpi: tuple[float, float] | None
    """Pixels per inch, horizontally and vertically; None: unknown."""


def read_picture(path: Path) -> SourcePicture:
    """Read a picture.

    Color is dropped: sepia prints and color photographs alike are reduced to the gamma-encoded BT.601 luma of their
    sRGB values, ``0.299 R' + 0.587 G' + 0.114 B'``, which in a JPEG in sRGB is the stored Y plane. ICC profiles are
    converted to sRGB; without a profile the picture is assumed to be sRGB. The EXIF orientation is applied. XMP and
    IPTC blocks are dropped.

    Raises:
        InputError: the file is missing, damaged, not a picture, larger than :data:`MAX_PICTURE_PIXELS`, has several
            pictures (an animation, pages) or samples of 32 bits.
    """
    data = _read_bytes(path)
    try:
        with _pillow_without_limits(), _open(path, data) as image:
            profile = image.info.get("icc_profile")
            if image.format in ("JPEG", "MPO") and image.mode == "RGB" and (not profile or icc.is_srgb(profile)):
                image.draft("L", image.size)  # the decoder returns the stored Y plane
            image.load()
            deep = _deep_samples(path, image, data)
            grey, alpha = _shallow_grey(image, profile) if deep is None else _deep_grey(*deep, profile)
            orientation, exif = _orientation_and_exif(image)
            dpi = _dpi(image)
    except icc.UnsupportedProfileError as exc:
        raise InputError(f"{path}: {exc}; convert it to sRGB, or to 8 bits, first") from exc
    except DECODE_ERRORS as exc:
        raise InputError(f"{path}: cannot be decoded as a picture ({one_line(exc)}); is the file whole?") from exc
    return SourcePicture(
        path=path,
        grey=np.ascontiguousarray(_upright(grey, orientation)),
        bit_depth=8 if deep is None else 16,
        alpha=None if alpha is None else np.ascontiguousarray(_upright(alpha, orientation)),
        exif=exif,
        dpi=dpi,
    )


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
    try:
        with _pillow_without_limits():
            image = _open(name, data)
        with image:
            image.load()
            profile = image.info.get("icc_profile")
            deep = _deep_samples(name, image, data)
            levels = _shallow_rgb(image, profile) if deep is None else _deep_rgb(deep[0], profile)
            with _pillow_without_limits():
                orientation, _ = _orientation_and_exif(image)
    except icc.UnsupportedProfileError as exc:
        raise InputError(f"{name}: {exc}; convert it to sRGB, or to 8 bits, first") from exc
    except DECODE_ERRORS as exc:
        raise InputError(f"{name}: cannot be decoded as a picture ({one_line(exc)}); is the file whole?") from exc
    return np.ascontiguousarray(_upright(levels, orientation))


@dataclass(frozen=True, kw_only=True)
class PictureHeader:
    """The header of a picture file, before the EXIF orientation is applied."""

    format: str
    """Pillow's name: ``JPEG``, ``PNG``, ``TIFF``."""
    mode: str
    """Pillow's mode: ``L``, ``RGB``, ``P``, ``CMYK``; color of 16 bits is ``RGB`` too."""
    width: int
    height: int
    orientation: int
    """1 to 8, EXIF 2.32; 1 is upright."""
    profile: bytes | None
    """The ICC profile; None: there is none."""
    unread: tuple[str, ...]
    """Metadata that :func:`read_picture` drops: XMP, IPTC."""


def read_header(path: Path) -> PictureHeader:
    """Read the header without decoding pixels.

    Raises:
        InputError: as for :func:`read_picture`.
    """
    try:
        with _open(path, _read_bytes(path)) as image:
            width, height = image.size
            tags = image.getexif()
            blocks = {"XMP": "xmp" in image.info or 700 in tags, "IPTC": "photoshop" in image.info or 33723 in tags}
            return PictureHeader(
                format=image.format or "unknown",
                mode=image.mode,
                width=width,
                height=height,
                orientation=_orientation_and_exif(image)[0],
                profile=image.info.get("icc_profile") or None,
                unread=tuple(name for name, exists in blocks.items() if exists),
            )
    except DECODE_ERRORS as exc:
        raise InputError(f"{path}: cannot be decoded as a picture ({one_line(exc)}); is the file whole?") from exc


def _read_bytes(path: Path) -> bytes:
    """Read a file; raise InputError if it cannot be read or is empty."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc
    if not data:
        raise InputError(f"{path}: is empty; expected a picture")
    return data


@contextmanager
def _pillow_without_limits() -> Iterator[None]:
    """Disable Pillow's warnings, which concern metadata, and its limit of pixels within the context."""
    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _open(path: Path | str, data: bytes) -> ImageFile.ImageFile:
    """Parse the header; raise InputError unless it is a single picture of at most :data:`MAX_PICTURE_PIXELS`."""
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
        pages = _count_pages(image)
    except UnidentifiedImageError as exc:
        raise InputError(f"{path}: is not a picture that can be read; expected JPEG, PNG, WebP, TIFF or BMP") from exc
    if image.width * image.height > MAX_PICTURE_PIXELS:
        size = f"{image.width}×{image.height}"
        raise InputError(
            f"{path}: {size} pixels are more than the {MAX_PICTURE_PIXELS:,} that are read; make it smaller"
        )
    if pages > 1:
        raise InputError(f"{path}: holds {pages} pictures, expected one; split it, or make an animation a film first")
    return image


def _count_pages(image: ImageFile.ImageFile) -> int:
    """Count the pictures in a file, without the previews of a JPEG (MPO) and the reduced copies of a TIFF."""
    frames = getattr(image, "n_frames", 1)
    if image.format == "MPO" or frames == 1:
        return 1
    if image.format != "TIFF":
        return int(frames)
    pages = 0
    for index in range(frames):
        image.seek(index)
        pages += not image.getexif().get(Base.NewSubfileType, 0) & 1  # bit 0: a reduced copy of another page
    image.seek(0)
    return pages


def _deep_samples(path: Path | str, image: Image.Image, data: bytes) -> tuple[Plane, Plane | None] | None:
    """Return samples, (H, W) or (H, W, 3), R, G, B, and alpha of a picture of 16 bits; None for fewer bits."""
    if image.mode.startswith("I;16"):
        return _deep_grey_samples(image)
    if image.mode == "I" and image.format == "PPM":  # a PGM of more than 8 bits, scaled to 16
        return np.asarray(image).astype(np.uint16), None
    if image.mode in ("I", "F"):
        raise InputError(f"{path}: has samples of 32 bits without a defined white; expected 8 or 16 bits")
    if not _is_deep_color(image, data):
        return None
    if image.format == "PNG" and not _chunks_fit(data):
        raise InputError(f"{path}: cannot be decoded as a picture (a chunk is cut off); is the file whole?")
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16 or samples.ndim != 3 or samples.shape[:2] != image.size[::-1]:
        raise InputError(f"{path}: its layout of 16-bit samples cannot be read; save it as a plain RGB file")
    channels = samples.astype(np.uint16, copy=False)
    return channels[..., 2::-1], channels[..., 3] if channels.shape[2] == 4 else None


def _deep_grey_samples(image: Image.Image) -> tuple[Plane, Plane | None]:
    """Return the samples of a grey picture of 16 bits, (H, W), and its alpha."""
    samples = np.asarray(image).astype(np.uint16)
    if image.format == "TIFF" and image.getexif().get(Base.PhotometricInterpretation) == 0:
        samples = 65535 - samples  # 0 is white; Pillow inverts pictures of 8 bits only
    if "transparency" not in image.info:
        return samples, None
    return samples, np.where(samples == image.info["transparency"], 0, 65535).astype(np.uint16)


def _is_deep_color(image: Image.Image, data: bytes) -> bool:
    """Return whether the file has several channels of 16 bits, which Pillow reduces to 8."""
    if image.format == "PNG":
        return data[24] == 16  # the bit depth in IHDR, always the first chunk
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA"):
        depths = image.getexif().get(Base.BitsPerSample, ())
        return set(depths if isinstance(depths, tuple) else (depths,)) == {16}
    return False


def _chunks_fit(png: bytes) -> bool:
    """Return whether all chunks end within the file; OpenCV allocates the length that a chunk claims."""
    position = 8
    while position + 12 <= len(png):
        length, name = struct.unpack_from(">I4s", png, position)
        position += 12 + int(length)
        if name == b"IEND":
            break
    return position <= len(png)


def _deep_grey(samples: Plane, alpha: Plane | None, profile: bytes | None) -> tuple[FloatArray, Plane | None]:
    """Convert samples of 16 bits to grey levels; alpha is returned as it is."""

    def luma(top: int, bottom: int) -> FloatArray:
        return _luma(_deep_srgb(samples[top:bottom], profile))

    return _by_bands(samples.shape[0], samples.shape[1], luma), alpha


def _deep_rgb(samples: Plane, profile: bytes | None) -> Rgb:
    rgb = np.empty((*samples.shape[:2], 3), np.uint8)
    rows = max(1, BAND_PIXELS // samples.shape[1])
    for top in range(0, len(samples), rows):
        levels = np.rint(_deep_srgb(samples[top : top + rows], profile) * 255)
        rgb[top : top + rows] = levels[..., None] if levels.ndim == 2 else levels
    return rgb


def _deep_srgb(samples: Plane, profile: bytes | None) -> FloatArray:
    """Convert samples of 16 bits, (H, W) or (H, W, 3), to sRGB in [0, 1], float32."""
    levels = samples.astype(np.float32) / np.float32(65535)
    return icc.deep_to_srgb(levels, profile) if profile and not icc.is_srgb(profile) else levels


def _by_bands(height: int, width: int, luma: Callable[[int, int], FloatArray]) -> FloatArray:
    """Compute grey levels (H, W) in bands of rows by ``luma(top, bottom)``, to limit the memory of colors in float."""
    grey = np.empty((height, width), np.float32)
    rows = max(1, BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        grey[top:bottom] = luma(top, bottom)
    return grey


def _shallow_grey(image: Image.Image, profile: bytes | None) -> tuple[FloatArray, Plane | None]:
    """Return grey levels and alpha of a picture of up to 8 bits per channel."""
    image, alpha = _split_alpha(image)
    image = _shallow_srgb(image, profile)
    width, height = image.size

    def luma(top: int, bottom: int) -> FloatArray:
        return _luma(np.asarray(image.crop((0, top, width, bottom))).astype(np.float32) / np.float32(255))

    return _by_bands(height, width, luma), alpha


def _shallow_rgb(image: Image.Image, profile: bytes | None) -> Rgb:
    opaque, _ = _split_alpha(image)
    return np.asarray(_shallow_srgb(opaque, profile).convert("RGB"))


def _shallow_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an opaque picture of up to 8 bits a channel to sRGB: mode RGB, or L for grey without a profile."""
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")  # palette, YCbCr, HSV
    if image.mode == "LAB" and not profile:
        return icc.lab_to_srgb(image)
    if profile and not icc.is_srgb(profile):
        return icc.to_srgb(image, profile)
    return image.convert("RGB") if image.mode == "CMYK" else image


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Plane | None]:
    """Split a picture into one without alpha and its alpha, None if it has none."""
    if image.mode in ("LA", "La") or (image.mode in ("1", "L") and "transparency" in image.info):
        grey, alpha = image.convert("LA").split()
        return grey, np.asarray(alpha)
    if image.mode in ("PA", "RGBA", "RGBa") or "transparency" in image.info:
        *color, alpha = image.convert("RGBA").split()
        return Image.merge("RGB", color), np.asarray(alpha)
    return image, None


def _luma(levels: FloatArray) -> FloatArray:
    """Compute the BT.601 luma of gamma-encoded R, G, B (H, W, 3); grey (H, W) is returned as it is."""
    return levels if levels.ndim == 2 else np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY), np.float32)


def _orientation_and_exif(image: Image.Image) -> tuple[int, bytes | None]:
    """Return the orientation (1 to 8, EXIF 2.32) and the EXIF data for the output, which is upright and in sRGB.

    EXIF data that cannot be parsed or written again is treated as missing.
    """
    try:
        exif = image.getexif()
        orientation = int(exif.get(Base.Orientation, 1))
        kept = Image.Exif()
        for tag in exif.keys() - STORAGE_TAGS - {Base.Orientation, IFD.Exif, IFD.GPSInfo}:
            kept[tag] = exif[tag]
        details = _corrected(exif.get_ifd(IFD.Exif), image, sideways=orientation in SIDEWAYS)
        for ifd, content in ((IFD.Exif, details), (IFD.GPSInfo, exif.get_ifd(IFD.GPSInfo))):
            if content:
                kept[ifd] = content
        return orientation, kept.tobytes() if kept else None
    except (*DECODE_ERRORS, AttributeError):  # AttributeError: a number in place of a text
        return 1, None


def _corrected(details: dict[int, Any], image: Image.Image, *, sideways: bool) -> dict[int, Any]:
    """Return the Exif directory with color space and size of the output, where they are present."""
    width, height = image.size[::-1] if sideways else image.size
    truth: dict[int, Any] = {Base.ColorSpace: 1, Base.ExifImageWidth: width, Base.ExifImageHeight: height}
    return {tag: truth.get(tag, value) for tag, value in details.items()}


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution, None if it is missing or not positive."""
    across, down = (float(value) for value in image.info.get("dpi", (0, 0)))
    return (across, down) if across > 0 and down > 0 else None


def _upright(plane: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Undo the EXIF orientation of a plane (H, W) or of colors (H, W, 3)."""
    if orientation in SIDEWAYS:
        plane = plane.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return plane
