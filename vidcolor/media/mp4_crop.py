"""Find the edges of pictures that an MP4 or MOV file says are not to be shown.

They are what lies outside the clean aperture (``clap`` of ISO/IEC 14496-12, 12.1.4) in the entry of a track. libav
passes them on as side data of the stream, which PyAV does not show.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from vidcolor.media.cropping import NO_CROP, Crop
from vidcolor.media.mp4_tables import boxes

SAMPLE_ENTRY_BYTES = 78
"""Of a picture track's entry, in front of its boxes (12.1.3)."""
TABLE_HEAD_BYTES = 8
"""Of the list of entries, in front of the first."""


def mp4_crop(path: Path, number: int, size: tuple[int, int]) -> Crop:
    """Return the crop of the picture track with this number among those of a file, from 0.

    Args:
        path: of the file.
        number: of the track.
        size: width and height of the pictures.

    Returns:
        :data:`NO_CROP` also where the file cannot be read, or the aperture does not lie within the pictures.
    """
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            apertures = [_aperture(file, entry) for entry in _picture_entries(file, end)]
    except (OSError, struct.error):
        return NO_CROP
    aperture = apertures[number] if number < len(apertures) else None
    return NO_CROP if aperture is None else _crop(aperture, size)


def _picture_entries(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of the first entry of each picture track."""
    for movie in _inside(file, (0, end), b"moov"):
        for track in _inside(file, movie, b"trak"):
            for media in _inside(file, track, b"mdia"):
                if any(_read(file, start + 8, 4) == b"vide" for start, _ in _inside(file, media, b"hdlr")):
                    yield from _entries(file, media)


def _entries(file: BinaryIO, media: tuple[int, int]) -> Iterator[tuple[int, int]]:
    for information in _inside(file, media, b"minf"):
        for table in _inside(file, information, b"stbl"):
            for start, end in _inside(file, table, b"stsd"):
                yield from ((place, stop) for _, place, stop in [*boxes(file, start + TABLE_HEAD_BYTES, end)][:1])


def _aperture(file: BinaryIO, entry: tuple[int, int]) -> tuple[Fraction, Fraction, Fraction, Fraction] | None:
    """Return width, height, and the offsets of the center to the right and down; None: the entry has none."""
    start, end = entry
    for place, _ in _inside(file, (start + SAMPLE_ENTRY_BYTES, end), b"clap"):
        numbers = struct.unpack(">IIIIiIiI", _read(file, place, 32))
        if all(numbers[1::2]):
            width, height, right, down = (Fraction(*numbers[index : index + 2]) for index in range(0, 8, 2))
            return width, height, right, down
    return None


def _crop(aperture: tuple[Fraction, Fraction, Fraction, Fraction], size: tuple[int, int]) -> Crop:
    left, right = _edges(size[0], aperture[0], aperture[2])
    top, bottom = _edges(size[1], aperture[1], aperture[3])
    crop = Crop(left, top, right, bottom)
    return crop if min(left, top, right, bottom) >= 0 else NO_CROP


def _edges(length: int, shown: Fraction, offset: Fraction) -> tuple[int, int]:
    """Return how many pixels are hidden before and behind what is shown; parts of a pixel are shown whole."""
    before = (length - shown) / 2 + offset
    return int(before), int(length - shown - before)


def _inside(file: BinaryIO, place: tuple[int, int], name: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of the contents of each box of a name."""
    return ((start, end) for found, start, end in list(boxes(file, *place)) if found == name)


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)
