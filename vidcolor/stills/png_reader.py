"""Decode color PNG of 16 bits, which Pillow reduces to 8, with zlib and OpenCV, a band of rows at a time."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np

from vidcolor.errors import one_line
from vidcolor.frames import Plane
from vidcolor.stills.bands import row_ranges

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIECE_BYTES = 1 << 20
"""Bytes that are read at a time."""
CHANNELS = {2: 3, 6: 4}
"""By color type (PNG specification, 11.2.1): R'G'B' without and with alpha."""


@dataclass(frozen=True)
class _Header:
    """The chunks in front of the samples that their form depends on."""

    width: int
    height: int
    color_type: int
    is_interlaced: bool
    transparent: bytes | None
    """Content of ``tRNS``: the color that is transparent."""

    @property
    def row_bytes(self) -> int:
        """Bytes of a row with the number of its filter."""
        return 1 + self.width * CHANNELS[self.color_type] * 2

    def chunks(self, height: int) -> bytes:
        """Return the start of a file with ``height`` rows of the same form."""
        form = struct.pack(">IIBBBBB", self.width, height, 16, self.color_type, 0, 0, self.is_interlaced)
        start = SIGNATURE + _chunk(b"IHDR", form)
        return start if self.transparent is None else start + _chunk(b"tRNS", self.transparent)


def deep_png_bands(file: BinaryIO) -> Iterator[Plane]:
    """Decode the samples of a color PNG of 16 bits, from top to bottom.

    Yields:
        (rows, W, 3 or 4) uint16: R, G, B and alpha. An interlaced picture comes in one piece.

    Raises:
        ValueError: the file is damaged or cut off.
    """
    header = _read_header(file)
    if header.color_type not in CHANNELS:
        raise ValueError(f"its color type {header.color_type} does not have 16 bits")
    if header.is_interlaced:
        file.seek(0)
        yield _decode(b"".join(_chunks_to_the_end(file)))
        return
    rows = _Inflater(file)
    before = b""
    for top, bottom in row_ranges(header.height, header.width):
        # Rows are stored as differences to the row above, so each band is decoded with the row before, undifferenced.
        filtered = before + rows.take((bottom - top) * header.row_bytes)
        packed = zlib.compress(filtered, 0)
        count = len(filtered) // header.row_bytes
        samples = _decode(header.chunks(count) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b""))
        before = b"\0" + _stored(samples[-1], header)
        yield samples[count - (bottom - top) :]
    rows.finish()


def _stored(row: Plane, header: _Header) -> bytes:
    """Return the bytes of a decoded row as a PNG has them."""
    return row[:, : CHANNELS[header.color_type]].astype(">u2").tobytes()


def _decode(png: bytes) -> Plane:
    """Decode a whole PNG in memory: (H, W, 3 or 4) uint16, R, G, B and alpha."""
    try:
        samples = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as exc:
        raise ValueError(one_line(exc)) from exc
    if samples is None or samples.dtype != np.uint16 or samples.ndim != 3:
        raise ValueError("its samples of 16 bits cannot be unpacked")
    order = [2, 1, 0, 3][: samples.shape[2]]
    return samples[..., order].astype(np.uint16, copy=False)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _read_header(file: BinaryIO) -> _Header:
    """Read the chunks up to the samples; the file then stands at the first of them."""
    file.seek(len(SIGNATURE))
    form, transparent = b"", None
    while True:
        length, name = _chunk_head(file)
        if name == b"IDAT":
            file.seek(-8, 1)
            break
        if name == b"IEND":
            raise ValueError("it holds no samples")
        if name in {b"IHDR", b"tRNS"}:
            content = _exactly(file, min(length, PIECE_BYTES))
            form, transparent = (content, transparent) if name == b"IHDR" else (form, content)
            file.seek(length - len(content) + 4, 1)
        else:
            file.seek(length + 4, 1)
    width, height, _, color_type, _, _, interlacing = struct.unpack(">IIBBBBB", form)
    return _Header(width, height, color_type, bool(interlacing), transparent)


def _chunk_head(file: BinaryIO) -> tuple[int, bytes]:
    length, name = struct.unpack(">I4s", _exactly(file, 8))
    return length, name


def _exactly(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise ValueError("a chunk is cut off")
    return found


def _chunks_to_the_end(file: BinaryIO) -> Iterator[bytes]:
    """Yield the file up to its last chunk. OpenCV allocates the length that a chunk claims, so all must be there."""
    yield _exactly(file, len(SIGNATURE))
    name = b""
    while name != b"IEND":
        length, name = _chunk_head(file)
        yield struct.pack(">I4s", length, name)
        left = length + 4
        while left:
            piece = _exactly(file, min(left, PIECE_BYTES))
            left -= len(piece)
            yield piece


class _Inflater:
    """Decompresses the samples of a PNG, as many bytes as are asked for.

    Args:
        file: it stands at the first chunk of samples.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._pieces = _sample_pieces(file)
        self._inflate = zlib.decompressobj()

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes; raise ValueError if there are fewer."""
        parts: list[bytes] = []
        left = count
        while left:
            piece = self._inflate.unconsumed_tail or next(self._pieces, b"")
            if not piece or self._inflate.eof:
                raise ValueError("rows are missing at its end")
            part = self._inflate.decompress(piece, left)
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Read what is left of the chunks; raise ValueError if one is damaged."""
        for _ in self._pieces:
            pass


def _sample_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield the contents of the chunks of samples; raise ValueError if one is damaged."""
    while len(head := file.read(8)) == 8:  # a file without its last chunk is whole all the same
        length, name = struct.unpack(">I4s", head)
        if name != b"IDAT":
            return
        checksum = zlib.crc32(name)
        while length:
            piece = _exactly(file, min(length, PIECE_BYTES))
            length -= len(piece)
            checksum = zlib.crc32(piece, checksum)
            yield piece
        if struct.pack(">I", checksum) != _exactly(file, 4):
            raise ValueError("the checksum of a chunk does not fit")
