"""Decode pictures with Pillow, except for color PNG of 16 bits, which Pillow reduces to 8."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageFile

from vidcolor.frames import FloatArray, Plane
from vidcolor.stills import icc
from vidcolor.stills.bands import Band, row_ranges
from vidcolor.stills.jxl import bits_per_sample as jxl_bits
from vidcolor.stills.kinds import is_heif, is_jxl
from vidcolor.stills.pillow_limits import pillow_without_limits
from vidcolor.stills.png_reader import deep_png_bands

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP")
"""Formats that are read, by Pillow's names; its other decoders are disabled: they are rare, and EPS runs a program."""
DISPLAY_GAMMA, GAMMA_TOLERANCE = 1 / 2.2, 0.03
"""Exponent of the gAMA chunk of a picture for displays, and the difference that is not corrected."""
MIN_GAMMA, MAX_GAMMA = 0.1, 2.0
"""Exponents beyond are damage."""
BOXES_BYTES = 1 << 14
"""Bytes at the start of a file in which the boxes that describe its samples are looked for."""
MODES_OF_8_BITS = frozenset(
    ("1", "L", "P", "PA", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
)

_HOW_TO_INSTALL = "is {}, which needs {}: pip install 'vidcolor[pictures]', or convert it to PNG or TIFF"


class MissingDecoderError(ValueError):
    """A package that decodes a format is not installed; the message names it."""


class UndefinedWhiteError(ValueError):
    """The samples have 32 bits, of which no level is defined as white."""


def open_image(file: BinaryIO, head: bytes) -> ImageFile.ImageFile:
    """Parse the header of a picture.

    Args:
        file: from which it is read.
        head: its first bytes.

    Raises:
        MissingDecoderError: the decoder of HEIC or JPEG XL is not installed.
        UnidentifiedImageError: it is no picture of these formats.
    """
    formats: tuple[str, ...] = FORMATS
    if is_heif(head):
        formats = (load_heif(),)
    elif is_jxl(head):
        formats = (load_jxl(),)
    file.seek(0)
    with pillow_without_limits():
        return Image.open(file, formats=formats)


@cache
def load_heif() -> str:
    """Add the decoder of HEIF to Pillow, and return its name of the format."""
    try:
        import pillow_heif
    except ImportError as exc:
        raise MissingDecoderError(_HOW_TO_INSTALL.format("a HEIC picture", "pillow-heif")) from exc
    pillow_heif.register_heif_opener(thumbnails=False)
    return "HEIF"


@cache
def load_jxl() -> str:
    """Add the decoder of JPEG XL to Pillow, and return its name of the format."""
    try:
        import pillow_jxl  # noqa: F401
    except ImportError as exc:
        raise MissingDecoderError(_HOW_TO_INSTALL.format("a JPEG XL picture", "pillow-jxl-plugin")) from exc
    return "JXL"


def is_deep(image: ImageFile.ImageFile, file: BinaryIO) -> bool:
    """Return whether a picture has more than 8 bits per channel.

    Raises:
        UndefinedWhiteError: it has 32.
    """
    if image.format == "PNG":
        file.seek(24)
        return file.read(1) == b"\x10"  # the bit depth in IHDR, always the first chunk
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return True
    if image.mode not in MODES_OF_8_BITS:
        raise UndefinedWhiteError("has samples of 32 bits without a defined white; expected 8 or 16 bits")
    return False


def stored_bits(image: ImageFile.ImageFile, file: BinaryIO) -> int:
    """Return the bits per channel in the file of a format that is rounded to 8: HEIF, AVIF, JPEG 2000, JPEG XL."""
    if image.format not in ("AVIF", "JPEG2000", "JXL"):
        return int(image.info.get("bit_depth", 8)) if image.format == "HEIF" else 8
    file.seek(0)
    head = file.read(BOXES_BYTES)
    if image.format == "JXL":
        return jxl_bits(head)
    if image.format == "AVIF":
        flags = head.partition(b"av1C")[2][2:3] or b"\0"  # AV1 in ISO base media files, 2.3.3
        return 8 if not flags[0] & 0x40 else 12 if flags[0] & 0x20 else 10
    bits = head.partition(b"ihdr")[2][10:11] or b"\7"  # ISO/IEC 15444-1, I.5.3.1: one less, and a bit for the sign
    return (bits[0] & 0x7F) + 1 if bits != b"\xff" else 8


def bands_of_8_bits(image: Image.Image, profile: bytes | None) -> Iterator[Band]:
    """Decode a picture of up to 8 bits per channel, from top to bottom."""
    image.load()
    for top, bottom in row_ranges(image.height, image.width):
        opaque, alpha = _split_alpha(image.crop((0, top, image.width, bottom)))
        levels = np.asarray(_to_srgb(opaque, profile)).astype(np.float32) / np.float32(255)
        yield Band(levels if profile else _undo_gamma(levels, image), alpha)


def bands_of_16_bits(image: ImageFile.ImageFile, file: BinaryIO, profile: bytes | None) -> Iterator[Band]:
    """Decode a picture of 16 bits per channel, from top to bottom.

    Raises:
        UnsupportedProfileError: the profile is not supported at 16 bits.
        ValueError: the file is damaged.
    """
    for samples, alpha in _grey_bands(image) if image.mode.startswith("I") else _color_bands(file):
        levels = samples.astype(np.float32) / np.float32(65535)
        if profile and not icc.is_srgb(profile):
            levels = icc.deep_to_srgb(levels, profile)
        elif not profile:
            levels = _undo_gamma(levels, image)
        yield Band(levels, alpha)


def _undo_gamma(levels: FloatArray, image: Image.Image) -> FloatArray:
    """Convert to sRGB by the gAMA chunk of a PNG, unless it has an sRGB chunk or the gamma of a display anyway."""
    gamma = float(image.info.get("gamma", DISPLAY_GAMMA))
    if image.format != "PNG" or "srgb" in image.info or not MIN_GAMMA <= gamma <= MAX_GAMMA:
        return levels
    return levels if abs(gamma - DISPLAY_GAMMA) < GAMMA_TOLERANCE else icc.encode_srgb(levels ** np.float32(1 / gamma))


def _grey_bands(image: ImageFile.ImageFile) -> Iterator[tuple[Plane, Plane | None]]:
    """Yield the samples of a grey picture of 16 bits, (rows, W), and their alpha."""
    image.load()
    for top, bottom in row_ranges(image.height, image.width):
        # mode I: a PGM of more than 8 bits, scaled to 16
        samples = np.asarray(image.crop((0, top, image.width, bottom))).astype(np.uint16)
        if "transparency" in image.info:
            yield samples, np.where(samples == image.info["transparency"], 0, 65535).astype(np.uint16)
        else:
            yield samples, None


def _color_bands(file: BinaryIO) -> Iterator[tuple[Plane, Plane | None]]:
    """Yield the samples of a color PNG of 16 bits, (rows, W, 3), and their alpha."""
    for samples in deep_png_bands(file):
        yield samples[..., :3], samples[..., 3] if samples.shape[2] == 4 else None


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Plane | None]:
    """Split a picture into one without alpha and its alpha, None if it has none."""
    if image.mode in ("LA", "La") or (image.mode in ("1", "L") and "transparency" in image.info):
        grey, alpha = image.convert("LA").split()
        return grey, np.asarray(alpha)
    if image.mode in ("PA", "RGBA", "RGBa") or "transparency" in image.info:
        *color, alpha = image.convert("RGBA").split()
        return Image.merge("RGB", color), np.asarray(alpha)
    return image, None


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an opaque picture of up to 8 bits a channel to sRGB: mode RGB, or L for grey without a profile."""
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")  # palette, YCbCr, HSV
    if image.mode == "LAB" and not profile:
        return icc.lab_to_srgb(image)
    if profile and not icc.is_srgb(profile):
        return icc.to_srgb(image, profile)
    return image.convert("RGB") if image.mode == "CMYK" else image


def luma(levels: FloatArray) -> FloatArray:
    """Compute the BT.601 luma of gamma-encoded R, G, B (H, W, 3); grey (H, W) is returned as it is."""
    return levels if levels.ndim == 2 else np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY), np.float32)
