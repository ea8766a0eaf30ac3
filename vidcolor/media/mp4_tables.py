"""How many samples an MP4 or MOV file announces, asked before libav makes an index of them.

A table may say in twenty bytes that a track has a thousand million samples of one size (``stsz`` of ISO/IEC 14496-12,
8.7.3), and so may a fragment whose samples have nothing of their own (``trun``, 8.8.8). libav then fills gigabytes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vidcolor.errors import InputError

HOLDERS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"))
"""Boxes that lead down to the tables."""
SAMPLES_PER_BYTE = 64
"""More than any file holds: the sound of old QuickTime files has up to six samples in a byte."""


def check_announced_samples(path: Path) -> None:
    """Refuse a file that announces more samples than its bytes could hold.

    A file of another kind passes: read as a box, its beginning leads nowhere.

    Raises:
        InputError: it does.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            samples = sum(_samples_of(file, name, start) for name, start in _tables(file, size))
    except OSError as exc:
        raise InputError(f"{path}: may not be read ({exc.strerror}); change its permissions") from exc
    if samples > size * SAMPLES_PER_BYTE:
        raise InputError(f"{path}: announces {samples:,} samples in {size:,} bytes; it is damaged, use a whole copy")


def _tables(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """The tables of samples, by name and where their contents start."""
    levels = [(0, size)]
    while levels:
        place, end = levels.pop()
        if place + 8 > end:
            continue
        name, start, stop = _box(file, place, end)
        if stop > place:
            levels.append((stop, end))
        if name in HOLDERS:
            levels.append((start, stop))
        elif name in (b"stsz", b"trun"):
            yield name, start


def _box(file: BinaryIO, place: int, end: int) -> tuple[bytes, int, int]:
    """Name, start and end of the contents of the box at ``place``; no further than ``end``."""
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
    return int(third) if second else 0  # without one size for all, the table holds four bytes for each
