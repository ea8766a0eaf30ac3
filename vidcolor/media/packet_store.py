"""Keep the packets that come between two pictures: in memory, or in a temporary file where they are many.

One picture may stand for half an hour of uncompressed sound.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

from av.packet import Packet, PacketSideData
from av.stream import Stream

from vidcolor.errors import ResourceError

MAX_BYTES_IN_MEMORY = 8 << 20


@dataclass(frozen=True)
class _StoredPacket:
    """All of a packet but its content, which lies in the file."""

    stream: Stream
    size: int
    pts: int | None
    dts: int | None
    duration: int | None
    time_base: Fraction
    is_keyframe: bool
    side_data: tuple[PacketSideData, ...]


class PacketStore:
    """Packets in the order in which they are added; they can be read more than once, after the last was added.

    Raises:
        ResourceError: from :meth:`add`: the disk with the temporary files is full.
    """

    def __init__(self) -> None:
        self._in_memory: list[Packet[Any]] = []
        self._bytes = 0
        self._stored: list[_StoredPacket] = []
        self._file: BinaryIO | None = None

    def add(self, packet: Packet[Any]) -> None:
        """Keep a packet."""
        if self._file is None and self._bytes + packet.size <= MAX_BYTES_IN_MEMORY:
            self._in_memory.append(packet)
            self._bytes += packet.size
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="vidcolor-")  # noqa: SIM115, it is closed with the store
                weakref.finalize(self, self._file.close)
            self._file.write(memoryview(packet))
        except OSError as exc:
            what = f"{tempfile.gettempdir()}: takes no more temporary files ({exc.strerror})"
            raise ResourceError(f"{what}; free some space, or name another folder as TMPDIR") from exc
        self._stored.append(
            _StoredPacket(
                stream=packet.stream,
                size=packet.size,
                pts=packet.pts,
                dts=packet.dts,
                duration=packet.duration,
                time_base=packet.time_base,
                is_keyframe=packet.is_keyframe,
                side_data=tuple(packet.iter_sidedata()),
            )
        )

    def __iter__(self) -> Iterator[Packet[Any]]:
        yield from self._in_memory
        place = 0
        for stored in self._stored:
            assert self._file is not None  # where they are stored
            self._file.seek(place)
            yield _restored(stored, self._file.read(stored.size))
            place += stored.size


def _restored(stored: _StoredPacket, content: bytes) -> Packet[Any]:
    packet: Packet[Any] = Packet(len(content))  # allocates the padding that decoders need
    packet.update(content)
    packet.stream, packet.time_base = stored.stream, stored.time_base
    packet.pts, packet.dts, packet.duration = stored.pts, stored.dts, stored.duration
    packet.is_keyframe = stored.is_keyframe
    for entry in stored.side_data:
        packet.set_sidedata(entry)
    return packet
