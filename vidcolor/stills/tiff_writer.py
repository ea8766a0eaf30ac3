"""Write TIFF of 8 and 16 bits and any number of pages, in strips, so that memory does not hold a whole picture."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import IFD, Base

from vidcolor.errors import OutputError
from vidcolor.stills.metadata import Metadata

MAX_FILE_SIZE = 2**32
"""Bytes that the offsets of TIFF 6.0 reach."""
XMP_TAG, IPTC_TAG = 700, 33723
LONG, UNDEFINED, BYTE = 4, 7, 1
"""Types of values (TIFF 6.0, section 2)."""


class TiffWriter:
    """A TIFF 6.0 file: for each page strips of Deflate with horizontal differencing, then the directory.

    Args:
        handle: a new file, open for writing.
        num_pages: that will be written; each says its number if there are several.
    """

    def __init__(self, handle: BinaryIO, num_pages: int) -> None:
        self._handle = handle
        self._num_pages = num_pages
        handle.write(b"II*\0" + bytes(4))
        self._link = 4
        """Position at which the offset of the next directory is written."""
        self._page = 0

    def write(
        self,
        bands: Iterator[npt.NDArray[np.uint8 | np.uint16]],
        size: tuple[int, int],
        *,
        metadata: Metadata,
        profile: bytes,
    ) -> None:
        """Write a page.

        Args:
            bands: its rows from top to bottom, (rows, W, 3 or 4) of equal height but the last, uint8 or uint16.
            size: height and width.
            metadata: goes into the directory.
            profile: ICC profile.

        Raises:
            OutputError: the file would be larger than 4 GB.
        """
        offsets, sizes, heights = [], [], []
        for band in bands:
            strip = _compress(band)
            offsets.append(self._handle.tell())
            sizes.append(len(strip))
            heights.append(len(band))
            self._handle.write(strip)
        directory = _describe(metadata)
        channels, bits = band.shape[2], 8 * band.dtype.itemsize
        layout: dict[int, Any] = {
            Base.ImageWidth: size[1],
            Base.ImageLength: size[0],
            Base.BitsPerSample: (bits,) * channels,
            Base.Compression: 8,  # Deflate
            Base.PhotometricInterpretation: 2,  # RGB
            Base.StripOffsets: tuple(offsets),
            Base.SamplesPerPixel: channels,
            Base.RowsPerStrip: heights[0],
            Base.StripByteCounts: tuple(sizes),
            Base.PlanarConfiguration: 1,  # interleaved channels
            Base.Predictor: 2,  # horizontal differencing
            Base.InterColorProfile: profile,
        }
        if channels == 4:
            layout[Base.ExtraSamples] = 2  # unassociated alpha
        if self._num_pages > 1:
            layout |= {Base.NewSubfileType: 2, Base.PageNumber: (self._page, self._num_pages)}  # a page of a document
        for tag, value in layout.items():
            directory[tag] = value
        directory.tagtype[Base.StripOffsets] = directory.tagtype[Base.StripByteCounts] = LONG
        self._append(directory, offsets)
        self._page += 1

    def _append(self, directory: TiffImagePlugin.ImageFileDirectory_v2, offsets: list[int]) -> None:
        """Write a directory at the end of the file, and link it to the one before."""
        self._handle.write(bytes(self._handle.tell() % 2))
        start = self._handle.tell()
        data = bytearray(directory.tobytes(start))
        if start + len(data) >= MAX_FILE_SIZE:
            raise OutputError(f"{self._handle.name}: a TIFF holds 4 GB, and this picture needs more; write a .png")
        (count,) = struct.unpack_from("<H", data)
        for entry in range(2, 2 + 12 * count, 12):
            if struct.unpack_from("<H", data, entry)[0] == Base.StripOffsets:
                # Pillow has added the length of the directory, after which it expects the strips.
                position = entry + 8 if len(offsets) == 1 else struct.unpack_from("<I", data, entry + 8)[0] - start
                struct.pack_into(f"<{len(offsets)}I", data, position, *offsets)
        self._handle.write(data)
        self._handle.seek(self._link)
        self._handle.write(struct.pack("<I", start))
        self._handle.seek(0, 2)
        self._link = start + 2 + 12 * count


def _compress(band: npt.NDArray[np.uint8 | np.uint16]) -> bytes:
    differences = band.copy()
    differences[:, 1:] -= band[:, :-1]  # modulo 2^bits, as the format defines
    return zlib.compress(differences.astype(band.dtype.newbyteorder("<"), copy=False).tobytes())


def _describe(metadata: Metadata) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return a directory with everything that the metadata holds."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    exif = Image.Exif()
    exif.load(metadata.exif or b"")
    for tag in exif:
        directory[tag] = exif.get_ifd(tag) if tag in (IFD.Exif, IFD.GPSInfo) else exif[tag]
    if metadata.dpi:
        directory[Base.XResolution], directory[Base.YResolution] = metadata.dpi
        directory[Base.ResolutionUnit] = 2  # inch
    if metadata.comment and Base.ImageDescription not in exif:
        directory[Base.ImageDescription] = metadata.comment
    for tag, block, kind in ((XMP_TAG, metadata.xmp, BYTE), (IPTC_TAG, metadata.iptc, UNDEFINED)):
        if block:
            directory.tagtype[tag] = kind
            directory[tag] = block
    return directory
