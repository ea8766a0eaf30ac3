"""Read and write segments: files with the encoded packets of a stretch of film.

A file holds the packets in the order of the encoder, each after a header, then :class:`SegmentFacts` as JSON, the
length of the JSON, and the SHA-256 of everything before. It is written under a temporary name and renamed when it is
on the disk.

Only presentation timestamps are stored. Decoding timestamps depend on the segments around; :func:`decoding_times`
computes them for the whole film.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from av.packet import Packet

from vidcolor.errors import OutputError, one_line
from vidcolor.files.durable import sync, sync_folder
from vidcolor.files.paths import is_file
from vidcolor.resume.records import MAX_BYTES, parse_json, structure_record

_HEADER = struct.Struct("<qqBI")  # pts, duration, whether it is a keyframe, size of the payload
_LENGTH = struct.Struct("<Q")  # size of the JSON
_DIGEST_BYTES = 32
BLOCK_BYTES = 1 << 20
"""Bytes that are hashed at a time."""


class DamagedSegmentError(Exception):
    """A segment file cannot be read or is not what was written."""


@dataclass(frozen=True, kw_only=True)
class SegmentFacts:
    """The metadata of a segment. Times are in the time base of the film."""

    film: str
    """Of the film (:attr:`vidcolor.resume.identity.Identity.key`)."""
    number: int
    """Index of the segment in the film, from 0."""
    frames: int
    packets_bytes: int
    """Size of the packets with their headers, at the start of the file."""
    opens_shot: bool
    starts: tuple[int, ...]
    """pts of the first frame of each shot that starts in it."""
    kept: tuple[int, ...]
    """Those of shots that keep the colors that they have."""
    delay: int
    """Largest reordering of packets (:func:`reordering`)."""
    next_opens_shot: bool | None
    """Whether the next segment starts with a shot; None: the film ends with this one."""
    headers: str
    """The encoder's extradata, hexadecimal."""
    warnings: tuple[str, ...]
    """Warnings up to the end of the segment."""
    errors: tuple[str, ...]
    """Skipped damage up to the end of the segment."""


@dataclass(frozen=True)
class StoredPacket:
    """A packet of a segment; times are in units of the encoder's time base."""

    pts: int
    duration: int
    is_keyframe: bool
    payload: bytes


class SegmentDraft:
    """A segment that is being written, to a temporary file beside ``path``.

    Args:
        path: of the finished segment.

    Attributes:
        packets_bytes: size of the packets so far with their headers.

    Raises:
        OSError: from all methods but :meth:`discard`: the disk is full, or the folder does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_suffix(".part")
        self._file: BinaryIO = self._draft.open("wb")
        self._digest = hashlib.sha256()
        self._pts = array("q")
        self.packets_bytes = 0

    def add(self, packet: Packet[Any]) -> None:
        """Write a packet of the encoder.

        Raises:
            OutputError: it has no pts, or new extradata, which a segment cannot store.
        """
        if packet.pts is None or packet.has_sidedata("new_extradata"):
            what = "the encoder gives packets without times, or changes its headers on the way"
            raise OutputError(f"{self._path}: {what}; choose another `codec`")
        payload = bytes(packet)
        header = _HEADER.pack(packet.pts, packet.duration or 0, packet.is_keyframe, len(payload))
        self._pts.append(packet.pts)
        self._write(header)
        self._write(payload)
        self.packets_bytes += len(header) + len(payload)

    @property
    def delay(self) -> int:
        """The :attr:`SegmentFacts.delay` of the packets so far."""
        return reordering(self._pts)

    def finish(self, facts: SegmentFacts) -> None:
        """Write the metadata and the checksum, sync the file, and give it its name."""
        about = json.dumps(asdict(facts)).encode()
        self._write(about)
        self._write(_LENGTH.pack(len(about)))
        self._file.write(self._digest.digest())
        self._file.flush()
        sync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._path)
        sync_folder(self._path.parent)

    def discard(self) -> None:
        """Remove the temporary file, if it still exists."""
        try:
            self._file.close()  # may raise: it writes what is buffered
        finally:
            self._draft.unlink(missing_ok=True)

    def _write(self, content: bytes) -> None:
        self._digest.update(content)
        self._file.write(content)


def reordering(pts: Iterable[int]) -> int:
    """Return by how many positions packets come later than in the order of their pts, at most: 0 without B-frames."""
    in_order = sorted(enumerate(pts), key=lambda item: item[1])
    return max((place - rank for rank, (place, _) in enumerate(in_order)), default=0)


def read_facts(path: Path) -> SegmentFacts:
    """Read the metadata of a segment after verifying its checksum.

    Raises:
        DamagedSegmentError: the file cannot be read, its checksum is wrong, or its metadata is not valid.
    """
    if not is_file(path):
        raise DamagedSegmentError(f"{path}: is no file")
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size - _DIGEST_BYTES
            if length < _LENGTH.size:
                raise DamagedSegmentError(f"{path}: is too short for a segment")
            digest = hashlib.sha256()
            for start in range(0, length, BLOCK_BYTES):
                digest.update(file.read(min(BLOCK_BYTES, length - start)))
            if digest.digest() != file.read():
                raise DamagedSegmentError(f"{path}: does not agree with its checksum")
            file.seek(length - _LENGTH.size)
            about_length = _LENGTH.unpack(file.read(_LENGTH.size))[0]
            packets_bytes = length - _LENGTH.size - about_length
            if packets_bytes < 0:
                raise DamagedSegmentError(f"{path}: is not what this version of vidcolor writes")
            file.seek(packets_bytes)
            facts = structure_record(SegmentFacts, parse_json(file.read(min(about_length, MAX_BYTES + 1))))
            _check_packets(path, file, facts, packets_bytes)
    except OSError as exc:
        raise DamagedSegmentError(f"{path}: cannot be read ({exc.strerror})") from exc
    except ValueError as exc:
        raise DamagedSegmentError(f"{path}: is not what this version of vidcolor writes ({one_line(exc)})") from exc
    return facts


def _check_packets(path: Path, file: BinaryIO, facts: SegmentFacts, packets_bytes: int) -> None:
    """Raise DamagedSegmentError if size or reordering of the packets are not those in the metadata."""
    times = array("q")
    place = 0
    while place + _HEADER.size <= packets_bytes:
        file.seek(place)
        pts, _, _, size = _HEADER.unpack(file.read(_HEADER.size))
        times.append(pts)
        place += _HEADER.size + size
    found = (place, place, reordering(times))
    if found != (packets_bytes, facts.packets_bytes, facts.delay):
        raise DamagedSegmentError(f"{path}: its packets do not match its metadata")


def read_packets(path: Path, facts: SegmentFacts) -> Iterator[StoredPacket]:
    """Yield the packets of a segment in decoding order."""
    with path.open("rb") as file:
        while file.tell() < facts.packets_bytes:
            pts, duration, is_keyframe, size = _HEADER.unpack(file.read(_HEADER.size))
            yield StoredPacket(pts, duration, bool(is_keyframe), file.read(size))


def presentation_times(path: Path, facts: SegmentFacts) -> list[int]:
    """Return the pts of all packets of a segment, ascending, without reading the payloads."""
    times = []
    with path.open("rb") as file:
        while file.tell() < facts.packets_bytes:
            pts, _, _, size = _HEADER.unpack(file.read(_HEADER.size))
            times.append(pts)
            file.seek(size, os.SEEK_CUR)
    return sorted(times)


def decoding_times(presentation: array[int], delay: int) -> Iterator[int]:
    """Compute the decoding timestamps of all packets of a film.

    Each is the pts of the picture ``delay`` positions earlier, as encoders with B-frames set them, so timestamps
    increase across segments. The first ``delay`` packets are decoded before the first pts, as far apart as the first
    pictures.

    Args:
        presentation: pts of all packets, ascending.
        delay: the largest :attr:`SegmentFacts.delay` of the segments.

    Yields:
        The dts of each packet, in decoding order.
    """
    lead = presentation[delay] - presentation[0]
    yield from (pts - lead for pts in presentation[:delay])
    yield from presentation[: len(presentation) - delay]
