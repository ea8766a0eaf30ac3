"""Write PNG of 8 and 16 bits in bands of rows, so that memory does not hold the whole picture."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {3: 2, 4: 6}
"""Channels to color type: R, G, B, and with alpha."""
SUB, UP, PAETH = 1, 2, 4
"""Types of filter (PNG specification, 9.2)."""
COMPRESSION = 3
"""Level of zlib; 6 makes files that are 0.3 % smaller in three times the time."""

Bytes = npt.NDArray[np.uint8]


def write_png(
    handle: BinaryIO, bands: Iterator[npt.NDArray[np.uint8 | np.uint16]], size: tuple[int, int], metadata: list[bytes]
) -> None:
    """Write a PNG.

    Args:
        handle: to which it is written.
        bands: rows of the picture from top to bottom, (rows, W, 3 or 4), uint8 or uint16.
        size: height and width.
        metadata: chunks that come before the pixels.
    """
    first = next(bands)
    depth, channels = 8 * first.dtype.itemsize, first.shape[2]
    header = struct.pack(">IIBBBBB", size[1], size[0], depth, COLOR_TYPES[channels], 0, 0, 0)
    handle.write(SIGNATURE + chunk(b"IHDR", header) + b"".join(metadata))
    # The low bytes of 16 bits are noise, in which longer searches find nothing.
    compressor = zlib.compressobj(COMPRESSION, strategy=zlib.Z_DEFAULT_STRATEGY if depth == 8 else zlib.Z_RLE)
    above = np.zeros((1, first[0].nbytes), np.uint8)
    for band in _with_first(first, bands):
        rows = np.ascontiguousarray(band.astype(band.dtype.newbyteorder(">"), copy=False)).view(np.uint8)
        rows = rows.reshape(len(band), -1)
        if depth == 8:
            filtered = _filter(rows, np.concatenate((above, rows[:-1])), channels)
        else:
            filtered = _subtract_left(rows, 2 * channels)
        above = rows[-1:]
        if data := compressor.compress(filtered.tobytes()):
            handle.write(chunk(b"IDAT", data))
    handle.write(chunk(b"IDAT", compressor.flush()) + chunk(b"IEND", b""))


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk with length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def text_chunk(keyword: str, text: str) -> bytes:
    """Return an uncompressed iTXt chunk."""
    return chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8", "replace"))


def _with_first(
    first: npt.NDArray[np.uint8 | np.uint16], others: Iterator[npt.NDArray[np.uint8 | np.uint16]]
) -> Iterator[npt.NDArray[np.uint8 | np.uint16]]:
    yield first
    yield from others


def _filter(rows: Bytes, above: Bytes, step: int) -> Bytes:
    """Filter rows of bytes, each by the type whose differences are smallest, with the type before each row.

    Args:
        rows: (rows, bytes).
        above: the rows above them.
        step: bytes per pixel.
    """
    left = np.zeros_like(rows)
    left[:, step:] = rows[:, :-step]
    candidates = np.stack((rows - left, rows - above, rows - _paeth(left, above, step)))
    costs = np.abs(candidates.view(np.int8)).sum(axis=2, dtype=np.int32)
    best = costs.argmin(axis=0)
    filtered = candidates[best, np.arange(len(rows))]
    return np.concatenate((np.array((SUB, UP, PAETH), np.uint8)[best][:, None], filtered), axis=1)


def _subtract_left(rows: Bytes, step: int) -> Bytes:
    """Filter rows of bytes by the type SUB, with the type before each row."""
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = SUB
    filtered[:, 1 : 1 + step] = rows[:, :step]
    filtered[:, 1 + step :] = rows[:, step:] - rows[:, :-step]
    return filtered


def _paeth(left: Bytes, above: Bytes, step: int) -> Bytes:
    """Return of left, above and above left the one that is nearest to left + above − above left."""
    corner = np.zeros_like(above)
    corner[:, step:] = above[:, :-step]
    c = corner.astype(np.int16)
    to_left, to_above = np.abs(above - c), np.abs(left - c)
    to_corner = np.abs(left + above.astype(np.int16) - 2 * c)
    nearest = np.where((to_left <= to_above) & (to_left <= to_corner), left, above)
    return np.where((to_corner < to_left) & (to_corner < to_above), corner, nearest)
