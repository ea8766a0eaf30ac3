"""Check how many samples an MP4 or MOV file announces, before libav builds an index of them.

Twenty bytes can announce a billion samples: a table of samples of one size (``stsz`` of ISO/IEC 14496-12, 8.7.3), or a
fragment whose samples have no fields of their own (``trun``, 8.8.8). libav would allocate gigabytes for them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vidcolor.errors import InputError

PARENT_BOXES = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"))
"""Boxes that contain the tables, directly or not."""
MAX_SAMPLES_PER_BYTE = 64
"""More than valid files have: audio in old QuickTime files has up to six samples in a byte."""


def check_announced_samples(path: Path) -> None:
    """Refuse a file that announces more samples than its bytes could hold.

    Files of other kinds pass, because their first bytes are not a known box.

    Raises:
        InputError: too many samples are announced, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            samples = sum(_samples_of(file, name, start) for name, start in _tables(file, size))
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); change its permissions") from exc
    if samples > size * MAX_SAMPLES_PER_BYTE:
        raise InputError(f"{path}: announces {samples:,} samples in {size:,} bytes; it is damaged, use a whole copy")


def _tables(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield the name and the offset of the contents of each table of samples."""
    levels = [(0, size)]
    while levels:
        place, end = levels.pop()
        if place + 8 > end:
            continue
        name, start, stop = _box(file, place, end)
        if stop > place:
            levels.append((stop, end))
        if name in PARENT_BOXES:
            levels.append((start, stop))
        elif name in (b"stsz", b"trun"):
            yield name, start


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the contents of each box that stands directly between two places."""
    place = start
    while place + 8 <= end:
        name, begin, stop = _box(file, place, end)
        yield name, begin, stop
        if stop <= place:
            return
        place = stop


def _box(file: BinaryIO, place: int, end: int) -> tuple[bytes, int, int]:
    """Return name, start and end of the contents of the box at ``place``, truncated at ``end``."""
    file.seek(place)
    length, name, large = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
    start = place + 8
    if length == 1:
        length, start = large, place + 16
    stop = end if length == 0 else place + length
    return name, start, min(max(stop, start), end)


def _samples_of(file: BinaryIO, name: bytes, start: int) -> int:
    file.seek(start)
    _, second, third = struct.unpack(">III", file.read(12).ljust(12, b"\0"))
    if name == b"trun":
        return int(second)
    return int(third) if second else 0  # without a common size, the table has four bytes per sample
