"""Copy the streams of a film that are not its picture, and its chapters, into another container."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream

from vidcolor.errors import OutputError
from vidcolor.media.containers import MOV_FAMILY, TS_CODECS
from vidcolor.media.damage import DamageLog
from vidcolor.media.metadata import kept_metadata
from vidcolor.media.outcomes import Outcome

WITH_TIMECODE = frozenset({"mp4", "mov", "matroska", "mxf"})
"""Containers whose muxers store a timecode from the metadata of the picture stream."""
COVER_NAMES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
"""File name and MIME type of an attached cover picture in Matroska, by codec."""
EMPTY_TEXT = b"\0\0"
"""The packet of a MOV subtitle track while nothing is shown; every muxer makes its own of these."""
TS_NONSTRICT = 0x20000  # AVFMT_TS_NONSTRICT: packets may share a decoding time


class Passthrough:
    """Copies of streams in another container; their packets keep their bytes and their times.

    Args:
        target: the container that is written.
        name: its name for messages.
        keep_going: whether packets that the muxer refuses are left out, with a line in :attr:`errors`.
    """

    def __init__(self, target: OutputContainer, name: str, *, keep_going: bool = False) -> None:
        self._keep_going = keep_going
        self._damage = DamageLog()
        self._target = target
        self._name = name
        self._format_name = target.format.name
        self._outcomes: list[Outcome] = []
        self._streams: dict[int, Stream] = {}
        self._earliest: dict[int, int] = {}
        self._moved: dict[int, str] = {}
        self._least_step = 0 if target.format.flags & TS_NONSTRICT else 1

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
        how = self._add(template, first_packets)
        if how is None:
            why = f"{describe(template)}: {self._format_name} cannot store it, left out"
            self._outcomes.append(Outcome(describe(template), "dropped", why))
        else:
            self._outcomes.append(Outcome(describe(template), "kept", how))

    def _add(self, template: Stream, first_packets: Iterable[Packet[Any]]) -> str | None:
        """Add a copy of a stream; return how it is kept, or None if the container cannot hold it."""
        if template.discard == Discard.all:
            # The demuxer has consumed it, as that of MOV does with the text of its chapters.
            return "as chapter titles"
        if template.type == "data" and "timecode" in template.metadata and self._format_name in WITH_TIMECODE:
            # MOV refuses a copy beside the track that the muxer makes itself, but only at the very end.
            return f"as the film's timecode, {template.metadata['timecode']}"
        if isinstance(template, AttachmentStream):
            done = self._attach(template.name, template.mimetype, template.data, template.metadata)
            return "as it is" if done else None
        if template.disposition & Disposition.attached_pic and self._format_name not in MOV_FAMILY - {"mov"}:
            return "as an attached file" if self._attach_cover(template, first_packets) else None
        return "packet by packet, with their times" if self._add_copy(template) else None

    def _add_copy(self, template: Stream) -> bool:
        ways = (_add_listed, _add_unlisted)
        add = next((add for add in ways if _can_hold(self._format_name, template, add)), None)
        if add is None:
            return False
        stream = add(self._target, template)
        stream.metadata.update(kept_metadata(template.metadata))
        stream.disposition = template.disposition
        if template.type == "video":
            # Players show the default stream, and that is the colored one.
            stream.disposition &= ~Disposition.default
        self._streams[template.index] = stream
        return True

    def _attach_cover(self, template: Stream, first_packets: Iterable[Packet[Any]]) -> bool:
        cover = next((packet for packet in first_packets if packet.stream_index == template.index), None)
        names = COVER_NAMES.get(template.name or "")
        return cover is not None and names is not None and self._attach(*names, bytes(cover), template.metadata)

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
        index = packet.stream_index
        if index not in self._streams:
            return
        source = packet.stream
        if getattr(source, "name", None) == "mov_text" and bytes(packet) == EMPTY_TEXT:
            return
        self._repair_times(packet)
        seconds = float((packet.dts or 0) * packet.time_base)
        packet.stream = self._streams[index]
        try:
            self._target.mux_one(packet)
        except (av.ArgumentError, av.InvalidDataError) as exc:
            if self._keep_going:
                self._damage.add(f"{describe(source)}: a packet at {seconds:.2f} s is damaged, left out")
                return
            hint = "another kind of file (.mkv takes nearly everything)"
            what = f"{self._format_name} refuses packets of {describe(source)}"
            raise OutputError(f"{self._name}: {what}; choose {hint}") from exc

    def _repair_times(self, packet: Packet[Any]) -> None:
        """Set a missing time, and move a packet whose time goes back: muxers refuse both."""
        index = packet.stream_index
        earliest = self._earliest.get(index)
        dts = packet.dts if packet.dts is not None else packet.pts
        if dts is None:
            dts = earliest or 0
        elif earliest is not None and dts < earliest:
            if index not in self._moved:
                self._moved[index] = f"{describe(packet.stream)}: its timestamps go back, packets were moved on"
            dts = earliest
        packet.dts = dts
        packet.pts = dts if packet.pts is None else max(packet.pts, dts)
        self._earliest[index] = dts + self._least_step


def _add_listed(target: OutputContainer, template: Stream) -> Stream:
    """Add a stream like the template, of a codec that libav lists for the container."""
    return target.add_stream_from_template(template, opaque=True)


def _add_unlisted(target: OutputContainer, template: Stream) -> Stream:
    """Add a stream like the template to Matroska, which can hold every audio codec of AVI, listed or not (WMA).

    Raises:
        ValueError: the template is not audio, or the container is another one.
    """
    if target.format.name != "matroska" or template.type != "audio":
        raise ValueError("expected audio for Matroska")
    stream = target.add_mux_stream("pcm_s16le")  # a listed codec; the filter replaces it
    BitStreamFilterContext("null", template, stream)
    stream.time_base = template.time_base
    return stream


def _can_hold(format_name: str, template: Stream, add: Callable[[OutputContainer, Stream], Stream]) -> bool:
    """Return whether a container can hold a stream, found by muxing the stream's header in memory."""
    if template.type not in {"video", "audio", "subtitle", "data"}:
        return False
    if format_name == "mpegts" and _codec_of(template) not in TS_CODECS:
        return False
    try:
        with av.open(io.BytesIO(), "w", format=format_name) as trial:
            add(trial, template)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _codec_of(stream: Stream) -> str | None:
    """Return FFmpeg's name of the codec, whichever decoder there is for it."""
    context = stream.codec_context
    return getattr(stream, "name", None) if context is None else context.codec.canonical_name


def describe(stream: Stream) -> str:
    """Return a stream's description for messages: ``stream 2 (subtitle, subrip, eng)``."""
    facts = [stream.type, getattr(stream, "name", None) or "unknown codec", stream.language]
    if stream.disposition & Disposition.attached_pic:
        facts[0] = "cover picture"
    return f"stream {stream.index} ({', '.join(fact for fact in facts if fact)})"


def copy_chapters(source: InputContainer, target: OutputContainer) -> None:
    """Copy the chapters with their titles; containers without chapters ignore them."""
    chapters = [chapter for chapter in source.chapters() if chapter["time_base"]]
    if chapters:
        target.set_chapters(chapters)
