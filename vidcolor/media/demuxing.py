"""Check the packets of a film: stop at damage, or note it and continue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any, Literal

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from vidcolor.media.carriage import describe
from vidcolor.media.damage import DamageError
from vidcolor.media.items import Item, Jump, Note

INDEXED_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers in which an incomplete packet means an incomplete file (in a broadcast it means bad reception)."""
DURATION_FORMATS = INDEXED_FORMATS | {"flv", "mxf"}
"""Containers whose header holds the duration; other demuxers estimate it from the bit rate."""
KINDS: tuple[Literal["video", "audio", "subtitle", "data"], ...] = ("video", "audio", "subtitle", "data")
MAX_MISSING_SECONDS = 1
"""How much shorter than its header says a film may be without a warning."""


def note_damage(
    packets: Iterable[Packet[Any] | Jump],
    container: InputContainer,
    stream: VideoStream,
    *,
    name: str,
    keep_going: bool,
) -> Iterator[Item]:
    """Pass packets on; yield a :class:`Note` for every incomplete one, and where the file cannot be read any further.

    An incomplete packet of ``stream`` goes to the decoder all the same; one of another stream is left out. At the end,
    a film that is shorter than its header says gets a warning.

    Args:
        packets: the packets of all streams of ``container``.
        container: the open file.
        stream: the picture stream in it.
        name: what messages call the film.
        keep_going: note damage; otherwise raise an error.

    Raises:
        DamageError: a packet is incomplete or cannot be read, and ``keep_going`` is false.
    """
    is_indexed = container.format.name in INDEXED_FORMATS
    end = Fraction(0)  # of the packets so far, in seconds
    try:
        for packet in packets:
            if isinstance(packet, Jump):
                yield packet
                continue
            if packet.is_corrupt and is_indexed:
                if not keep_going:
                    raise DamageError("a packet is cut off")
                line = f"{describe(packet.stream)}: a packet after {float(end):.2f} s is cut off"
                yield Note(line, is_damage=True)
                if packet.stream.index != stream.index:
                    continue
            if packet.pts is not None:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            yield packet
    except av.FFmpegError as exc:
        if not keep_going:
            raise DamageError(str(exc.strerror)) from exc
        yield Note(f"the file cannot be read beyond {float(end):.2f} s ({exc.strerror})", is_damage=True)
        yield end_of(stream)
    announced = announced_seconds(container, stream)
    if announced is not None and announced - end > MAX_MISSING_SECONDS:
        what = f"ends at {float(end):.2f} s, its header announces {float(announced):.2f} s"
        yield Note(f"{name} {what}: it may be cut short")
    for kind in late_kinds(container):
        what = f"a stream of type {kind} appears so late in the file that it was not found when the film was opened"
        yield Note(f"{what}, left out; remux the film first (ffmpeg -probesize 2G -analyzeduration 2G)")


def announced_seconds(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the duration of a film according to its header; None if it says nothing, or libav estimates it."""
    if container.format.name == "avi" and stream.time_base is not None:
        return stream.frames * stream.time_base or None  # libav shortens the duration to that of the file
    if container.format.name in DURATION_FORMATS and container.duration is not None:
        return Fraction(container.duration, av.time_base)
    return None


def packets_of(container: InputContainer) -> Iterator[Packet[Any]]:
    """Yield the packets of the streams that were found when the container was opened, and an empty one for each.

    MPEG-PS, FLV and others have no list of streams: further ones may appear in mid-film. PyAV leaves out their packets,
    and may raise an IndexError after the last empty packet.
    """
    with suppress(IndexError):
        yield from container.demux()


def late_kinds(container: InputContainer) -> list[str]:
    """Return the types of the streams that have appeared since the container was opened: ``subtitle``, for example.

    PyAV does not list them. But libav's choice of the best stream of a type is among all streams, and prefers one that
    is not for the hearing impaired, as which the listed ones are marked for the moment.
    """
    marks = [(stream, stream.disposition) for stream in container.streams]
    for stream, disposition in marks:
        stream.disposition = disposition | Disposition.hearing_impaired
    try:
        return [kind for kind in KINDS if _is_unlisted(container, kind)]
    finally:
        for stream, disposition in marks:
            stream.disposition = disposition


def _is_unlisted(container: InputContainer, kind: Literal["video", "audio", "subtitle", "data"]) -> bool:
    """Return whether the best stream of a type is none that PyAV lists."""
    try:
        container.streams.best(kind)
    except IndexError:
        return True
    return False


def end_of(stream: VideoStream) -> Packet[Any]:
    """Return an empty packet, for which the decoder of ``stream`` gives out the frames that it still holds."""
    end: Packet[Any] = Packet()
    end.stream = stream
    return end
