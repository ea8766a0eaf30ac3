"""Copy the streams of a film that are not its picture, and its chapters, into another container."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count
from math import ceil, floor
from typing import Any

import av
from av.codec import Codec
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream

from vidcolor.errors import OutputError
from vidcolor.media.carriage import Carriage, Converter, codec_name_of, describe, find_carriage
from vidcolor.media.containers import FRAME_FORMATS, MOV_FAMILY
from vidcolor.media.damage import DamageLog
from vidcolor.media.metadata import kept_metadata
from vidcolor.media.outcomes import Outcome

WITH_TIMECODE = frozenset({"mp4", "mov", "matroska", "mxf"})
"""Containers whose muxers store a timecode from the metadata of the picture stream."""
COVER_NAMES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
"""File name and MIME type of an attached cover picture in Matroska, by codec."""
EMPTY_TEXT = b"\0\0"
"""The packet of a MOV subtitle track while nothing is shown; every muxer makes its own of these."""
MAX_OFFSET = Fraction(1, 20)
"""Seconds by which sound may be early without a line: less is not noticed."""
HALF = Fraction(1, 2)
SUBTITLE_SECONDS = 1
"""Duration of a subtitle that has none: in MP4 and MOV a track ends with its last packet, which would not be shown."""
TS_NONSTRICT = 0x20000  # AVFMT_TS_NONSTRICT: packets may share a decoding time


@dataclass(frozen=True)
class CarriedStream:
    """A stream of the source with its copy."""

    source: Stream
    target: Stream
    converter: Converter | None
    """None: packets are copied."""


class Passthrough:
    """Copies of streams in another container; their packets keep their times, and their bytes where the container can.

    Args:
        target: the container that is written.
        name: its name for messages.
        audio_codec: the encoder for sound that the container cannot hold otherwise; None: such sound is left out.
        keep_going: whether packets that the muxer refuses are left out, with a line in :attr:`errors`.
    """

    def __init__(
        self, target: OutputContainer, name: str, *, audio_codec: Codec | None = None, keep_going: bool = False
    ) -> None:
        self._audio_codec = audio_codec
        self._keep_going = keep_going
        self._damage = DamageLog()
        self._target = target
        self._name = name
        self._format_name = target.format.name
        self._outcomes: list[Outcome] = []
        self._streams: dict[int, CarriedStream] = {}
        self._earliest: dict[int, int] = {}  # in units of the target if it is strict, otherwise of the source
        self._latest: dict[int, int] = {}  # as the source has it
        self._names: set[str] = set()  # of attached files
        self._moved: dict[int, str] = {}
        self._begun: set[int] = set()  # streams of which a packet has been written
        self._is_strict = not target.format.flags & TS_NONSTRICT

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """One for each stream that was added."""
        return tuple(self._outcomes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each stream whose packets had to be moved in time so far."""
        return tuple(self._moved.values())

    @property
    def errors(self) -> tuple[str, ...]:
        """One line for each damaged packet that was left out so far."""
        return self._damage.lines

    def add(self, template: Stream, first_packets: Iterable[Packet[Any]]) -> None:
        """Add a copy of a stream of the source, and an outcome that says how, or that the container cannot hold it.

        Args:
            template: the source's stream.
            first_packets: the packets that precede the first picture in the source, with the cover pictures.
        """
        self._outcomes.append(self._add(template, first_packets))

    def _add(self, template: Stream, first_packets: Iterable[Packet[Any]]) -> Outcome:
        what = describe(template)
        if template.discard == Discard.all:
            # The demuxer has consumed it, as that of MOV does with the text of its chapters.
            return Outcome(what, "kept", "as chapter titles")
        if template.type == "data" and "timecode" in template.metadata and self._format_name in WITH_TIMECODE:
            # MOV refuses a copy beside the track that the muxer makes itself, but only at the very end.
            return Outcome(what, "kept", f"as the film's timecode, {template.metadata['timecode']}")
        if isinstance(template, AttachmentStream):
            done = self._attach(template.name, template.mimetype, template.data, template.metadata)
            return Outcome(what, "kept", "as it is") if done else self._cannot_store(template)
        if template.disposition & Disposition.attached_pic and self._format_name not in MOV_FAMILY - {"mov"}:
            done = self._attach_cover(template, first_packets)
            return Outcome(what, "kept", "as an attached file") if done else self._cannot_store(template)
        found = find_carriage(template, self._format_name, self._audio_codec)
        if isinstance(found, Outcome):
            return found
        self._carry(template, found)
        return found.outcome

    def _cannot_store(self, template: Stream) -> Outcome:
        what = describe(template)
        return Outcome(what, "dropped", f"{what}: {self._format_name} cannot store it, left out")

    def _carry(self, template: Stream, way: Carriage) -> None:
        stream = way.add(self._target)
        stream.metadata.update(kept_metadata(template.metadata))
        stream.disposition = template.disposition
        if template.type == "video":
            # Players show the default stream, and that is the colored one.
            stream.disposition &= ~Disposition.default
        converter = None if way.converter is None else way.converter(stream)
        self._streams[template.index] = CarriedStream(template, stream, converter)

    def _attach_cover(self, template: Stream, first_packets: Iterable[Packet[Any]]) -> bool:
        cover = next((packet for packet in first_packets if packet.stream_index == template.index), None)
        names = COVER_NAMES.get(template.name or "")
        if cover is None or names is None:
            return False
        name = self._unused_name(template.metadata.get("filename") or names[0])
        return self._attach(name, names[1], bytes(cover), template.metadata)

    def _unused_name(self, name: str) -> str:
        """Return a name for an attached file that no other one has."""
        stem, dot, ending = name.rpartition(".")
        further = (f"{stem}-{number}{dot}{ending}" for number in count(2))
        unused = next(candidate for candidate in chain([name], further) if candidate not in self._names)
        self._names.add(unused)
        return unused

    def _attach(self, name: str | None, mimetype: str | None, payload: bytes, metadata: Mapping[str, str]) -> bool:
        if self._format_name != "matroska":
            return False
        stream = self._target.add_attachment(name or "attachment", mimetype or "application/octet-stream", payload)
        stream.metadata.update(kept_metadata({**metadata, **stream.metadata}))
        return True

    def mux(self, packet: Packet[Any]) -> None:
        """Write a packet of the source, if its stream is kept.

        Raises:
            OutputError: the muxer refuses the packet, without ``keep_going``.
        """
        stream = self._streams.get(packet.stream_index)
        if stream is None or (codec_name_of(stream.source) == "mov_text" and bytes(packet) == EMPTY_TEXT):
            return
        if stream.converter is None:
            self._write(packet, stream)
            return
        damage = self._damage_at(packet, stream)
        for converted in self._undamaged(stream.converter.convert(packet), damage):
            self._write(converted, stream)

    def finish(self) -> None:
        """Write what converters hold back; no packet may follow.

        Raises:
            OutputError: the muxer refuses a packet, without ``keep_going``.
        """
        for stream in self._streams.values():
            if stream.converter is not None:
                damage = f"{describe(stream.source)}: its end is damaged, left out"
                for packet in self._undamaged(stream.converter.finish(), damage):
                    self._write(packet, stream)

    def _undamaged(self, converted: Iterator[Packet[Any]], damage: str) -> Iterator[Packet[Any]]:
        """Yield what a converter makes; where it fails, note ``damage`` and end."""
        while True:
            try:
                packet = next(converted)
            except StopIteration:
                return
            except av.FFmpegError:
                self._damage.add(damage)
                return
            yield packet

    def _write(self, packet: Packet[Any], stream: CarriedStream) -> None:
        self._repair_times(packet, stream)
        self._note_start(packet, stream.source)
        if self._format_name in MOV_FAMILY and stream.source.type == "subtitle" and not packet.duration:
            packet.duration = round(SUBTITLE_SECONDS / packet.time_base)
        packet.stream = stream.target
        try:
            self._target.mux_one(packet)
        except (av.ArgumentError, av.InvalidDataError) as exc:
            if self._keep_going:
                self._damage.add(self._damage_at(packet, stream))
                return
            hint = "another kind of file (.mkv takes nearly everything)"
            what = f"{self._format_name} refuses packets of {describe(stream.source)}"
            raise OutputError(f"{self._name}: {what}; choose {hint}") from exc

    def _note_start(self, packet: Packet[Any], source: Stream) -> None:
        """Note sound that begins late, in a container in which every stream begins at 0."""
        if source.index in self._begun:
            return
        self._begun.add(source.index)
        begin = (packet.dts or 0) * packet.time_base
        if self._format_name in FRAME_FORMATS and source.type == "audio" and begin > MAX_OFFSET:
            why = f"begins at {float(begin):.2f} s, but {self._format_name} has all sound begin at 0"
            self._moved[source.index] = f"{describe(source)}: {why}, too early; choose .mkv, which keeps its time"

    def _damage_at(self, packet: Packet[Any], stream: CarriedStream) -> str:
        time = packet.dts if packet.dts is not None else packet.pts
        seconds = float((time or 0) * packet.time_base)
        return f"{describe(stream.source)}: a packet at {seconds:.2f} s is damaged, left out"

    def _repair_times(self, packet: Packet[Any], stream: CarriedStream) -> None:
        """Set a missing time, and move a packet whose time goes back: muxers refuse both.

        Strict muxers also refuse two packets of one time, in the units of the target, to which times are rounded.
        """
        index, step = stream.source.index, int(self._is_strict)
        unit = stream.target.time_base if self._is_strict else None
        ticks = packet.time_base / (unit or packet.time_base)  # of the target in one unit of the source
        earliest = self._earliest.get(index)
        dts = packet.dts if packet.dts is not None else packet.pts
        if dts is None:
            dts = 0 if earliest is None else ceil(earliest / ticks)
        else:
            # A time that occurs twice, as after rounding, is moved without a warning.
            if index not in self._moved and dts < self._latest.get(index, dts):
                self._moved[index] = f"{describe(stream.source)}: its timestamps go back, packets were moved on"
            self._latest[index] = dts
            if earliest is not None and floor(dts * ticks + HALF) < earliest:
                dts = ceil(earliest / ticks)
        packet.dts = dts
        packet.pts = dts if packet.pts is None else max(packet.pts, dts)
        self._earliest[index] = floor(dts * ticks + HALF) + step


def copy_chapters(source: InputContainer, target: OutputContainer, shift: Fraction) -> None:
    """Copy the chapters with their titles, ``shift`` seconds later; containers without chapters ignore them."""
    chapters = []
    for chapter in source.chapters():
        if chapter["time_base"]:
            ticks = round(shift / chapter["time_base"])
            chapter["start"], chapter["end"] = (max(chapter[edge] + ticks, 0) for edge in ("start", "end"))
            chapters.append(chapter)
    if chapters:
        target.set_chapters(chapters)
