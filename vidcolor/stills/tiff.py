"""Read the pages of a TIFF: grey, R'G'B' and CMYK of any number of bits, interleaved or channel by channel.

The directories are parsed by tifffile. Samples are unpacked here, in bands of rows. Deflate is decompressed by zlib,
and the other lossless methods by libtiff: a strip becomes a one-strip TIFF of bytes, which Pillow decodes. So no method
needs ``imagecodecs``, which is as large as all that reads pictures here. Pages of up to 8 bits in other layouts (JPEG,
CCITT, palettes, Lab) are left to Pillow (:attr:`TiffPage.is_for_pillow`).
"""

from __future__ import annotations

import logging
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, TiffImagePlugin

from vidcolor.files.suffixes import RAW_REFUSAL
from vidcolor.frames import FloatArray, Plane
from vidcolor.stills import icc
from vidcolor.stills.bands import Band, band_rows

RAW_SENSOR, RAW_LINEAR = 32803, 34892
"""Values of PhotometricInterpretation for what a camera's sensor has seen (DNG 1.6)."""
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK = 0, 1, 2, 5
"""Values of PhotometricInterpretation that are read here."""
COLOR_CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, CMYK: 4}
"""PhotometricInterpretation to the number of channels that are no extra samples."""
UNCOMPRESSED, DEFLATE = (1,), (8, 32946)
BY_LIBTIFF = (5, 32773, 34925, 50000)
"""LZW, PackBits, LZMA, Zstandard: values of Compression."""
BY_PILLOW = (*UNCOMPRESSED, 2, 3, 4, 6, 7, *DEFLATE, *BY_LIBTIFF)
"""Further CCITT's methods and JPEG: values of Compression in pages that Pillow decodes."""
ASSOCIATED, UNASSOCIATED = 1, 2
"""Values of ExtraSamples that are alpha; any other channel, such as a scanner's infrared, is none."""
REDUCED, MASK = 1, 4
"""Bits of NewSubfileType: a smaller copy, and a mask (SilverFast marks its infrared pages so); neither is a page."""
OLD_REDUCED = 2
"""Value of SubfileType for a smaller copy."""
DNG_VERSION, SUB_DIRECTORIES = 50706, 330
MAX_CHANNELS = 64
MAX_TILE_PIXELS = 1 << 24
"""Limit for tiles that are larger than the picture."""
BITS_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))

FileSamples = npt.NDArray[Any]
"""(rows, W, channels), as stored, in native byte order."""

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # it logs every oddity, by default to stderr


class UnsupportedTiffError(ValueError):
    """The layout of a page is not supported; the message says which."""


class SegmentStream(Protocol):
    """The decompressed bytes of a strip or tile, in order."""

    def read(self, size: int, /) -> bytes:
        """Return the next ``size`` bytes, fewer at the end."""


@dataclass(frozen=True)
class TiffFile:
    """The pages of a TIFF that are pictures of their own."""

    pages: tuple[TiffPage, ...]
    num_masks: int
    """Number of pages that are masks, such as infrared; they are left out."""


def parse_tiff(file: BinaryIO) -> TiffFile:
    """Parse all directories.

    Raises:
        UnsupportedTiffError: it is the raw file of a camera.
        ValueError: the file is damaged, as other exceptions of tifffile do.
    """
    file.seek(0)
    pages, masks, seen = [], 0, set()
    for index, page in enumerate(tifffile.TiffFile(file).pages):
        if not isinstance(page, tifffile.TiffPage) or page.offset in seen:
            raise ValueError("its directories are damaged, or form a loop")
        seen.add(page.offset)
        kind = int(page.tags.valueof(254, 0))
        is_preview = index == 0 and kind & REDUCED and SUB_DIRECTORIES in page.tags  # as Nikon and others write them
        if is_preview or DNG_VERSION in page.tags or page.photometric in (RAW_SENSOR, RAW_LINEAR):
            raise UnsupportedTiffError(RAW_REFUSAL)
        if index == 0 or not (kind & (REDUCED | MASK) or page.tags.valueof(255) == OLD_REDUCED):
            pages.append(TiffPage(file, page, index))
        masks += bool(kind & MASK)
    return TiffFile(tuple(pages), masks)


class TiffPage:
    """One page.

    Args:
        file: from which the samples are read.
        page: the parsed directory.
        index: of the directory in the file, as Pillow counts frames.
    """

    def __init__(self, file: BinaryIO, page: tifffile.TiffPage, index: int) -> None:
        self._file = file
        self._page = page
        self.index = index
        self.width = page.imagewidth
        self.height = page.imagelength

    def load_tags(self, exif: Image.Exif) -> None:
        """Load the tags of the directory, and of its EXIF and GPS directories, into ``exif``."""
        tiff = self._page.parent
        exif.bigtiff, exif.endian = tiff.is_bigtiff, tiff.byteorder
        exif.load_from_fp(self._file, self._page.offset)

    @property
    def kind(self) -> str:
        """The kind of the samples: ``grey``, ``RGB``, ``CMYK``."""
        return {WHITE_IS_ZERO: "grey", BLACK_IS_ZERO: "grey"}.get(
            self._page.photometric, _name(self._page.photometric).replace("SEPARATED", "CMYK")
        )

    def notes(self, num_masks: int) -> Iterator[str]:
        """Yield a line for each thing in the file that is not used.

        Args:
            num_masks: number of masks in the file.
        """
        count = self.num_dropped + num_masks
        if count:
            what = "a channel that is" if count == 1 else f"{count} channels that are"
            yield f"{what} neither color nor transparency, such as a scanner's infrared, is left out"
        if self.used_bits != self.bits:
            yield f"its samples use {self.used_bits} of {self.bits} bits (MaxSampleValue), and are scaled to white"

    @property
    def profile(self) -> bytes | None:
        """The ICC profile."""
        return self._bytes(34675)

    @property
    def xmp(self) -> bytes | None:
        """The XMP packet."""
        return self._bytes(700)

    @property
    def iptc(self) -> bytes | None:
        """The IPTC-IIM data sets."""
        tag = self._page.tags.get(33723)
        if tag is None:
            return None
        self._file.seek(tag.valueoffset)  # often stored as numbers of 32 bits, which they are not
        return self._file.read(tag.valuebytecount) or None

    @property
    def bits(self) -> int:
        """Bits per sample; 0: the channels differ in it."""
        bits = self._page.bitspersample
        return int(bits) if isinstance(bits, int) else 0

    @property
    def bit_depth(self) -> int:
        """8 or 16."""
        return 8 if self.bits <= 8 else 16

    @property
    def is_for_pillow(self) -> bool:
        """Whether the samples have at most 8 bits in a layout that only Pillow reads."""
        page = self._page
        known = page.photometric in COLOR_CHANNELS and page.compression in (*UNCOMPRESSED, *DEFLATE, *BY_LIBTIFF)
        return (
            page.compression in BY_PILLOW
            and 0 < self.bits <= 8
            and page.sampleformat in (1, 4)
            and not (known and not page.is_subsampled)
        )

    @property
    def num_dropped(self) -> int:
        """Number of channels that are neither color nor alpha."""
        return len(self._extras) - (self._alpha_channel is not None)

    @cached_property
    def _extras(self) -> tuple[int, ...]:
        """ExtraSamples, one value for each channel after the colors."""
        page = self._page
        count = page.samplesperpixel - COLOR_CHANNELS.get(page.photometric, page.samplesperpixel)
        stated = tuple(int(value) for value in page.extrasamples)
        if not stated and count == 1 and page.photometric == RGB:
            return (UNASSOCIATED,)  # as libtiff reads R, G, B and an undeclared fourth channel
        return (stated + (0,) * count)[:count] if count > 0 else ()

    @property
    def _alpha_channel(self) -> int | None:
        for position, kind in enumerate(self._extras):
            if kind in (ASSOCIATED, UNASSOCIATED):
                return COLOR_CHANNELS[self._page.photometric] + position
        return None

    def bands(self) -> Iterator[Band]:
        """Decode the page, from top to bottom.

        Raises:
            UnsupportedTiffError: the layout is not supported.
            UnsupportedProfileError: the ICC profile is not.
            OSError, ValueError, zlib.error: the file is damaged.
        """
        self._check_layout()
        for samples in self._sample_bands():
            levels = self._to_levels(samples)
            colors = levels[..., : COLOR_CHANNELS[self._page.photometric]]
            alpha = None
            if self._alpha_channel is not None:
                coverage = levels[..., self._alpha_channel]
                if ASSOCIATED in self._extras:
                    colors = np.clip(colors / np.maximum(coverage, np.float32(1e-6))[..., None], 0, 1)
                alpha = _to_codes(coverage, self.bit_depth)
            yield Band(self._to_srgb(colors), alpha)

    def _check_layout(self) -> None:
        page = self._page
        if page.photometric not in COLOR_CHANNELS or page.is_subsampled:
            raise self._unsupported(f"samples of kind {_name(page.photometric)}")
        if page.compression not in (*UNCOMPRESSED, *DEFLATE, *BY_LIBTIFF):
            raise self._unsupported(f"compression {_name(page.compression)}")
        if page.sampleformat not in (1, 3, 4) or not self._is_known_width:
            formats = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
            bits = f"{self.bits} bits" if self.bits else f"{page.bitspersample} bits, which differ by channel"
            raise self._unsupported(f"{formats.get(int(page.sampleformat), '')}samples of {bits}")
        if page.imagedepth != 1 or not COLOR_CHANNELS[page.photometric] <= page.samplesperpixel <= MAX_CHANNELS:
            raise self._unsupported(f"{page.samplesperpixel} channels of kind {_name(page.photometric)}")
        if self._is_float and not self.profile:
            raise UnsupportedTiffError(
                "has floating-point samples and no color profile, which alone would say whether they are linear; "
                "convert it to 16 bits first"
            )

    def _unsupported(self, found: str) -> UnsupportedTiffError:
        return UnsupportedTiffError(f"has {found}, which cannot be read; save it as grey or RGB of 8 or 16 bits")

    @property
    def _is_float(self) -> bool:
        return int(self._page.sampleformat) == 3

    @property
    def _is_known_width(self) -> bool:
        return self.bits in (16, 32, 64) if self._is_float else 1 <= self.bits <= 16 or self.bits == 32

    def _to_levels(self, samples: FileSamples) -> FloatArray:
        """Convert samples to [0, 1], float32."""
        if self._is_float:
            if not np.isfinite(samples).all():
                raise UnsupportedTiffError("has samples that are not finite numbers; repair it first")
            levels = samples.astype(np.float32).clip(0, 1)
        else:
            levels = (samples / np.float32(2**self.used_bits - 1)).astype(np.float32, copy=False).clip(0, 1)
        if self._page.photometric == WHITE_IS_ZERO:
            levels[..., 0] = 1 - levels[..., 0]
        return levels

    @property
    def used_bits(self) -> int:
        """Bits that the samples use: fewer than stored if MaxSampleValue is their highest number, as 4095 for 12."""
        most = self._page.tags.valueof(281)
        most = max(most) if isinstance(most, tuple) else most
        if self.bits == 16 and isinstance(most, int) and 255 < most < 65535 and not (most + 1) & most:
            return most.bit_length()
        return self.bits

    def _to_srgb(self, colors: FloatArray) -> FloatArray:
        """Convert (rows, W, channels) by the color profile, to (rows, W) or (rows, W, 3)."""
        profile, is_cmyk = self.profile, self._page.photometric == CMYK
        levels = colors[..., 0] if colors.shape[2] == 1 else colors
        if is_cmyk and not profile:
            return (1 - colors[..., :3]) * (1 - colors[..., 3:])
        if not profile or icc.is_srgb(profile):
            return levels
        if self.bit_depth == 16 and not is_cmyk:
            return icc.deep_to_srgb(levels, profile)
        image = Image.fromarray(_to_codes(levels, 8), "CMYK" if is_cmyk else None)
        return np.asarray(icc.to_srgb(image, profile)).astype(np.float32) / np.float32(255)

    def _sample_bands(self) -> Iterator[FileSamples]:
        """Yield the samples of a few rows at a time, gathered from strips or tiles."""
        page = self._page
        width, down = (page.tilewidth, page.tilelength) if page.is_tiled else (self.width, page.rowsperstrip)
        if width < 1 or down < 1 or width * down > max(MAX_TILE_PIXELS, 4 * self.width * self.height):
            raise ValueError(f"strips or tiles of {width}×{down} pixels")
        across = math.ceil(self.width / width)
        planes = page.samplesperpixel if page.planarconfig == 2 else 1
        per_plane = across * math.ceil(self.height / down)
        if min(len(page.dataoffsets), len(page.databytecounts)) < per_plane * planes:
            raise ValueError("strips or tiles are missing")
        for first in range(0, per_plane, across):
            top = first // across * down
            indices = [plane * per_plane + first + column for plane in range(planes) for column in range(across)]
            height = down if page.is_tiled else min(down, self.height - top)
            yield from self._segment_row(indices, planes, across, height, min(down, self.height - top))

    def _segment_row(
        self, indices: list[int], planes: int, across: int, stored: int, wanted: int
    ) -> Iterator[FileSamples]:
        """Yield the samples of strips or tiles side by side, of which ``wanted`` of ``stored`` rows are used."""
        page = self._page
        width = page.tilewidth if page.is_tiled else self.width
        channels = page.samplesperpixel // planes
        row_bytes = math.ceil(width * channels * self.bits / 8)
        streams = [self._open_segment(index, stored, row_bytes) for index in indices]
        step = band_rows(max(self.width, width))
        for top in range(0, wanted, step):
            rows = min(step, wanted - top)
            pieces = (_read(stream, rows * row_bytes) for stream in streams)
            blocks = [_unpack(piece, (rows, width, channels), page, self.bits) for piece in pieces]
            lines = [np.concatenate(blocks[i : i + across], axis=1) for i in range(0, len(blocks), across)]
            yield np.concatenate(lines, axis=2)[:, : self.width]

    def _open_segment(self, index: int, rows: int, row_bytes: int) -> SegmentStream:
        """Return the decompressed bytes of a strip or tile."""
        page = self._page
        is_plain = page.compression in UNCOMPRESSED
        offset, size = page.dataoffsets[index], rows * row_bytes if is_plain else page.databytecounts[index]
        if offset + size > page.parent.filehandle.size:
            raise ValueError("a strip or tile lies beyond the end of the file")
        if is_plain and page.fillorder == 1:
            return _FilePart(self._file, offset, size)
        self._file.seek(offset)
        data = self._file.read(size)
        if page.fillorder == 2:
            data = data.translate(BITS_REVERSED)
        if page.compression in DEFLATE:
            return _Inflated(data)
        return BytesIO(data if is_plain else _decompress_by_libtiff(data, int(page.compression), rows, row_bytes))

    def _bytes(self, code: int) -> bytes | None:
        value = self._page.tags.valueof(code)
        return value if isinstance(value, bytes) and value else None


class _FilePart:
    """A range of a file, which is read piece by piece."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file, self._position, self._end = file, offset, offset + size

    def read(self, size: int, /) -> bytes:
        self._file.seek(self._position)
        data = self._file.read(min(size, self._end - self._position))
        self._position += len(data)
        return data


class _Inflated:
    """A zlib stream, which is decompressed piece by piece."""

    def __init__(self, data: bytes) -> None:
        self._data, self._inflater = data, zlib.decompressobj()

    def read(self, size: int, /) -> bytes:
        if size == 0:
            return b""
        found = self._inflater.decompress(self._data, size)
        self._data = self._inflater.unconsumed_tail
        return found


def _read(stream: SegmentStream, size: int) -> bytes:
    """Read exactly ``size`` bytes; raise ValueError if there are fewer."""
    data = stream.read(size)
    if len(data) < size:
        raise ValueError("a strip or tile is cut short")
    return data


def _decompress_by_libtiff(data: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """Decompress a strip or tile: as the only strip of a grey picture whose pixels are its bytes."""
    entries = ((256, row_bytes), (257, rows), (258, 8), (259, compression), (262, 1), (273, 0), (277, 1), (278, rows))
    start = 8 + 2 + 12 * (len(entries) + 1) + 4
    directory = b"".join(
        struct.pack("<HHII", tag, 4, 1, start if tag == 273 else value) for tag, value in (*entries, (279, len(data)))
    )
    file = struct.pack("<2sHIH", b"II", 42, 8, len(entries) + 1) + directory + bytes(4) + data
    with TiffImagePlugin.TiffImageFile(BytesIO(file)) as image:  # not Image.open, which limits the number of pixels
        return image.tobytes()


def _unpack(data: bytes, shape: tuple[int, int, int], page: tifffile.TiffPage, bits: int) -> FileSamples:
    """Convert the bytes of some rows to samples of ``shape``, (rows, width, channels), and undo the predictor."""
    is_float, order = int(page.sampleformat) == 3, page.parent.byteorder
    if bits not in (8, 16, 32, 64):
        if page.predictor != 1:
            raise UnsupportedTiffError(f"has a predictor for samples of {bits} bits, which cannot be read")
        return _unpack_bits(data, shape, bits)
    if page.predictor == 3 and is_float:
        return _undo_float_predictor(data, shape, bits // 8)
    if page.predictor not in (1, 2):
        raise UnsupportedTiffError(f"has the predictor {_name(page.predictor)}, which cannot be read")
    integers = np.frombuffer(data, np.dtype(f"{order}u{bits // 8}")).reshape(shape)
    samples: FileSamples = integers.astype(integers.dtype.newbyteorder("="))
    if page.predictor == 2:
        np.cumsum(samples, axis=1, dtype=samples.dtype, out=samples)  # modulo 2^bits, as the format defines
    return samples.view(f"f{bits // 8}") if is_float else samples


def _unpack_bits(data: bytes, shape: tuple[int, int, int], bits: int) -> FileSamples:
    """Convert packed samples, most significant bit first, to uint16; rows begin at whole bytes."""
    rows, width, channels = shape
    count = width * channels
    flags = np.unpackbits(np.frombuffer(data, np.uint8).reshape(rows, -1), axis=1)[:, : count * bits]
    weights = (1 << np.arange(bits)[::-1]).astype(np.uint16)
    samples: FileSamples = flags.reshape(rows, width, channels, bits) @ weights
    return samples


def _undo_float_predictor(data: bytes, shape: tuple[int, int, int], size: int) -> FileSamples:
    """Undo predictor 3 (Adobe Photoshop TIFF Technical Note 3): differences of bytes, all first bytes first."""
    rows, width, channels = shape
    differences = np.frombuffer(data, np.uint8).reshape(rows, size * width, channels)
    planes = np.cumsum(differences, axis=1, dtype=np.uint8).reshape(rows, size, width * channels)
    floats = np.ascontiguousarray(planes.swapaxes(1, 2)).view(f">f{size}")
    return floats.reshape(shape).astype(f"f{size}")


def _to_codes(levels: FloatArray, bit_depth: int) -> Plane:
    """Quantize [0, 1] to 8 or 16 bits."""
    codes: Plane = np.rint(levels * np.float32(2**bit_depth - 1)).astype(np.uint8 if bit_depth == 8 else np.uint16)
    return codes


def _name(value: object) -> str:
    """Return tifffile's name of a tag's value, or the number."""
    return str(getattr(value, "name", value))
