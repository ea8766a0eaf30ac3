"""A segment as a file: the encoder's packets in its order, and what must be known of them. Whole, or not there.

The file is the packets, each behind a header, then :class:`Facts` as JSON, then the length of the JSON and the SHA-256
of everything before. It is written under another name and given its own when it is safely on the disk.

Only times of presentation are kept. Decoding times depend on what lies around a segment; :func:`decoding_times` makes
those of the whole film.
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
from vidcolor.files.durable import sync_folder
from vidcolor.files.paths import is_file
from vidcolor.resume.records import MAX_BYTES, parse_json, record_of

_HEADER = struct.Struct("<qqBI")  # pts, duration, is key frame, bytes that follow
_LENGTH = struct.Struct("<Q")  # bytes of JSON
_DIGEST_BYTES = 32
BLOCK_BYTES = 1 << 20


class DamagedSegmentError(Exception):
    """A file is not what was written."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a segment, beside its packets. Times are in the time base of the film."""

    film: str
    """The :attr:`~vidcolor.resume.identity.Identity.key` of the film."""
    number: int
    """Its place among the segments of the film, from 0."""
    frames: int
    packets_bytes: int
    """The part of the file that holds the packets."""
    opens_shot: bool
    starts: tuple[int, ...]
    """When shots begin in it."""
    delay: int
    """How many packets later than it is shown a picture comes, at most."""
    next_opens_shot: bool | None
    """Whether the next segment opens a shot; None: there is none, the film ends here."""
    headers: str
    """What the encoder wrote ahead of its packets, as hexadecimal digits."""
    warnings: tuple[str, ...]
    """What had been found of note by then."""
    errors: tuple[str, ...]
    """What had been damaged and gone over by then."""


@dataclass(frozen=True)
class StoredPacket:
    """One packet of a segment, its times in units of the encoder's time base."""

    pts: int
    duration: int
    is_keyframe: bool
    payload: bytes


class SegmentDraft:
    """A segment in the making, in a file beside ``path``.

    All methods but :meth:`discard` raise OSError where the disk is full or the folder is gone.
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
            OutputError: it has no time, or brings changed headers, for which a segment has no place.
        """
        if packet.pts is None or packet.has_sidedata("new_extradata"):
            what = "the encoder gives packets without times, or changes its headers on the way"
            raise OutputError(f"{self._path}: {what}; choose another --codec")
        payload = bytes(packet)
        header = _HEADER.pack(packet.pts, packet.duration or 0, packet.is_keyframe, len(payload))
        self._pts.append(packet.pts)
        self._write(header)
        self._write(payload)
        self.packets_bytes += len(header) + len(payload)

    @property
    def delay(self) -> int:
        """:attr:`Facts.delay`, of the packets so far."""
        return reordering(self._pts)

    def finish(self, facts: Facts) -> None:
        """Put the file under its name, when it would survive a loss of power."""
        about = json.dumps(asdict(facts)).encode()
        self._write(about)
        self._write(_LENGTH.pack(len(about)))
        self._file.write(self._digest.digest())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._path)
        sync_folder(self._path.parent)

    def discard(self) -> None:
        """Remove what was written; safe after :meth:`finish`."""
        try:
            self._file.close()  # what is still to be written may no longer fit
        finally:
            self._draft.unlink(missing_ok=True)

    def _write(self, content: bytes) -> None:
        self._digest.update(content)
        self._file.write(content)


def reordering(pts: Iterable[int]) -> int:
    """How many places later than in the order of their times packets come, at most: 0 without B-frames."""
    in_order = sorted(enumerate(pts), key=lambda item: item[1])
    return max((place - rank for rank, (place, _) in enumerate(in_order)), default=0)


def read_facts(path: Path) -> Facts:
    """What is known of a segment, after every byte of it has been compared with its checksum.

    Raises:
        DamagedSegmentError: they do not agree, it cannot be read, or what it says of itself is not true.
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
            facts = record_of(Facts, parse_json(file.read(min(about_length, MAX_BYTES + 1))))
            _check_packets(path, file, facts, packets_bytes)
    except OSError as exc:
        raise DamagedSegmentError(f"{path}: cannot be read ({exc.strerror})") from exc
    except ValueError as exc:
        raise DamagedSegmentError(f"{path}: is not what this version of vidcolor writes ({one_line(exc)})") from exc
    return facts


def _check_packets(path: Path, file: BinaryIO, facts: Facts, packets_bytes: int) -> None:
    """Raise DamagedSegmentError where the packets are not those that the facts are about."""
    times = array("q")
    place = 0
    while place + _HEADER.size <= packets_bytes:
        file.seek(place)
        pts, _, _, size = _HEADER.unpack(file.read(_HEADER.size))
        times.append(pts)
        place += _HEADER.size + size
    found = (place, place, reordering(times))
    if found != (packets_bytes, facts.packets_bytes, facts.delay):
        raise DamagedSegmentError(f"{path}: its packets are not those that it tells of")


def read_packets(path: Path, facts: Facts) -> Iterator[StoredPacket]:
    """The packets of a segment, in the order of decoding."""
    with path.open("rb") as file:
        while file.tell() < facts.packets_bytes:
            pts, duration, is_keyframe, size = _HEADER.unpack(file.read(_HEADER.size))
            yield StoredPacket(pts, duration, bool(is_keyframe), file.read(size))


def presentation_times(path: Path, facts: Facts) -> list[int]:
    """The times of the packets of a segment, rising; does not read what is in them."""
    times = []
    with path.open("rb") as file:
        while file.tell() < facts.packets_bytes:
            pts, _, _, size = _HEADER.unpack(file.read(_HEADER.size))
            times.append(pts)
            file.seek(size, os.SEEK_CUR)
    return sorted(times)


def decoding_times(presentation: array[int], delay: int) -> Iterator[int]:
    """When the packets of a film are decoded: each when the one ``delay`` places before it in time is shown.

    That is what encoders with B-frames say of themselves, and it rises across the seams of segments, which they cannot
    know. The first ``delay`` packets are decoded before zero, as far apart as the first pictures.

    Args:
        presentation: the times of all packets, rising.
        delay: the greatest :attr:`Facts.delay` of the segments.
    """
    lead = presentation[delay] - presentation[0]
    yield from (pts - lead for pts in presentation[:delay])
    yield from presentation[: len(presentation) - delay]
