"""Find the edges of pictures that a Matroska file says are not to be shown.

libav passes them on as side data of the stream, which PyAV does not show. They stand in the entry of a track
(https://www.matroska.org/technical/elements.html: PixelCropTop and others); elements are defined in RFC 8794.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vidcolor.frames import Plane

SEGMENT, TRACKS, TRACK, TYPE, VIDEO, CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0x83, 0xE0, 0x1F43B675
SEEK_HEAD, SEEK, SEEK_ID, SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
SIDES = {0x54CC: "left", 0x54BB: "top", 0x54DD: "right", 0x54AA: "bottom"}
VIDEO_TYPE = 1
MAX_ELEMENTS = 10_000
"""More than there are before the first picture."""


@dataclass(frozen=True)
class Crop:
    """How many columns and rows of every picture are not shown, as the picture is stored."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height of what is shown."""
        return width - self.left - self.right, height - self.top - self.bottom

    def apply(self, plane: Plane) -> Plane:
        """Return the part of a plane that is shown, as a view."""
        height, width = plane.shape
        return plane[self.top : height - self.bottom, self.left : width - self.right]

    def apply_to_color(self, plane: Plane, stored: tuple[int, ...]) -> Plane:
        """Return the part of a Cb or Cr plane that is shown, as a view; an odd edge is rounded to whole samples.

        Args:
            plane: as stored.
            stored: (height, width) of the luma plane as stored.
        """
        height, width = stored
        step_y, step_x = -(-height // plane.shape[0]), -(-width // plane.shape[1])
        shown_width, shown_height = self.size_of(width, height)
        top, left = self.top // step_y, self.left // step_x
        return plane[top : top - (-shown_height // step_y), left : left - (-shown_width // step_x)]


NO_CROP = Crop()


def matroska_crop(path: Path, number: int) -> Crop:
    """Return the crop of the picture track with this number among those of a file, from 0.

    It is :data:`NO_CROP` also where the file cannot be read or is no Matroska: libav finds out about that.
    """
    try:
        with path.open("rb") as file:
            tracks = list(_picture_tracks(file))
    except (OSError, EOFError):
        return NO_CROP
    return tracks[number] if number < len(tracks) else NO_CROP


class Element(NamedTuple):
    """An element of a file: its id, and where its content starts and ends."""

    name: int
    start: int
    end: int | None
    """None: unknown."""


def _picture_tracks(file: BinaryIO) -> Iterator[Crop]:
    """Yield the crop of each picture track."""
    segment = next((element for element in _elements(file, 0, None) if element.name == SEGMENT), None)
    if segment is None:
        return
    elements = takewhile(lambda element: element.name != CLUSTER, _children(file, segment))
    for element in elements:
        tracks = element if element.name == TRACKS else None
        if element.name == SEEK_HEAD and (place := _tracks_place(file, element)) is not None:
            tracks = next(_elements(file, segment.start + place, None), None)
        if tracks is not None and tracks.name == TRACKS:
            yield from _crops(file, tracks)
            return


def _tracks_place(file: BinaryIO, table: Element) -> int | None:
    """Return where the list of tracks is, counted from the start of the segment, according to the table of contents."""
    for entry in _children(file, table):
        parts = {part.name: part for part in _children(file, entry)} if entry.name == SEEK else {}
        if {SEEK_ID, SEEK_POSITION} <= parts.keys() and _number(file, parts[SEEK_ID]) == TRACKS:
            return _number(file, parts[SEEK_POSITION])
    return None


def _crops(file: BinaryIO, tracks: Element) -> Iterator[Crop]:
    for track in _children(file, tracks):
        parts = {part.name: part for part in _children(file, track)} if track.name == TRACK else {}
        if TYPE in parts and _number(file, parts[TYPE]) == VIDEO_TYPE:
            video = _children(file, parts[VIDEO]) if VIDEO in parts else iter(())
            yield Crop(**{SIDES[side.name]: _number(file, side) for side in video if side.name in SIDES})


def _children(file: BinaryIO, parent: Element) -> Iterator[Element]:
    return _elements(file, parent.start, parent.end)


def _elements(file: BinaryIO, start: int, end: int | None) -> Iterator[Element]:
    """Yield the elements from one place to another, or to one of unknown size.

    Raises:
        EOFError: the file ends in the head of an element.
    """
    place = start
    for _ in range(MAX_ELEMENTS):
        if end is not None and place >= end:
            return
        file.seek(place)
        name, size = _variable(file, keep_mark=True), _variable(file, keep_mark=False)
        content = file.tell()
        yield Element(name or 0, content, None if size is None else content + size)
        if size is None:
            return
        place = content + size


def _variable(file: BinaryIO, *, keep_mark: bool) -> int | None:
    """Read a number of variable length; None for the one that stands for an unknown size.

    Raises:
        EOFError: the file ends before the number does.
    """
    first = file.read(1)
    if not first:
        raise EOFError
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    if length > 8 or len(rest) < length - 1:
        raise EOFError
    value = int.from_bytes(first + rest)
    without_mark = value ^ 1 << 7 * length
    if keep_mark:
        return value
    return None if without_mark == (1 << 7 * length) - 1 else without_mark


def _number(file: BinaryIO, element: Element) -> int:
    file.seek(element.start)
    return int.from_bytes(file.read(min((element.end or element.start) - element.start, 8)))
