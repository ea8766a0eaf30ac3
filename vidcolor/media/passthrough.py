"""What of a film is not its picture: other streams, chapters, metadata. Copied, or named where it cannot be."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import lcm
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.video.frame import VideoFrame

from vidcolor._version import __version__
from vidcolor.errors import OutputError
from vidcolor.frames import VideoSpec
from vidcolor.media.damage import DamageLog
from vidcolor.media.outcomes import Outcome

STALE_KEYS = frozenset({
    # what the old file said of its own making
    "encoder", "encoding_tool", "major_brand", "minor_version", "compatible_brands", "duration",
    # transparency, which the copy has not
    "alpha_mode",
    # rotation from before there was a display matrix: the matrix is copied
    "rotate",
    # what mkvmerge counted in the old streams
    "bps", "number_of_frames", "number_of_bytes",
    "_statistics_tags", "_statistics_writing_app", "_statistics_writing_date_utc",
})  # fmt: skip
"""Metadata that is no longer true of the copy; compared in lower case, with or without a language (``BPS-eng``)."""
MOV_FAMILY = frozenset({"mp4", "mov", "ipod", "3gp", "3g2", "psp"})
WELL_EQUIPPED = MOV_FAMILY | {"matroska", "webm"}
"""The kinds of file with a place for rotation and for chapters."""
SHAPE_FORMATS = MOV_FAMILY | {"mxf"}
"""The kinds of file that are told the shape of the pixels by the encoder. Matroska has a place for it, too, which PyAV
does not reach: there it is the pictures' stream that has to say it."""
TS_CODECS = frozenset({
    "mpeg1video", "mpeg2video", "mpeg4", "h264", "hevc", "vvc", "cavs", "dirac", "vc1", "jpeg2000",
    "mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m",
    "dvb_subtitle", "dvb_teletext", "klv", "timed_id3", "smpte_2038",
})  # fmt: skip
"""What MPEG-TS has numbers for. All else its muxer takes without a word, as bytes that no reader knows."""
PICKY = MOV_FAMILY | {"avi", "mpegts"}
"""Kinds of file that have a place for some metadata only."""
WITH_TIMECODE = frozenset({"mp4", "mov", "matroska", "mxf"})
"""The kinds of file that say when a film was shot, or where in its reel, from the picture's metadata."""
COVER_NAMES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
"""What Matroska calls an attached cover picture."""
EMPTY_TEXT = b"\0\0"
"""What a MOV subtitle track holds wherever nothing is shown; every muxer makes its own of these."""
TS_NONSTRICT = 0x20000  # AVFMT_TS_NONSTRICT: packets may share a decoding time
MAX_TIMESCALE = 2**31 - 1  # libav keeps the numbers of a time base in a C int


def kept_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata without what is true of the old file only."""
    return {key: value for key, value in metadata.items() if not _is_stale(key)}


def _is_stale(key: str) -> bool:
    name = key.lower()
    return name in STALE_KEYS or (name[-4:-3] == "-" and name[:-4] in STALE_KEYS)


def container_metadata(source: Mapping[str, str], format_name: str) -> dict[str, str]:
    """The source's metadata, and a note that the colors are made by a machine.

    MP4 has a field for the encoding tool. Matroska takes any tag, so there the note has a name of its own.
    """
    metadata = kept_metadata(source)
    metadata["encoding_tool"] = f"vidcolor {__version__} (machine-coloured)"
    if format_name in {"matroska", "webm"}:
        metadata["COLORIZED_BY"] = f"vidcolor {__version__}"
    return metadata


def container_options(format_name: str, source: InputContainer, start: Fraction) -> dict[str, str]:
    """What the muxer must be told so that every stream starts when it did in the source.

    And that the same film gives the same bytes: Matroska would number everything at random.

    Args:
        start: the first picture's time in seconds.
    """
    return {"fflags": "+bitexact", **_start_options(format_name, source, start)}


def _start_options(format_name: str, source: InputContainer, start: Fraction) -> dict[str, str]:
    if format_name in MOV_FAMILY:
        return {"movie_timescale": str(_movie_timescale(source, start))}
    if format_name in {"matroska", "webm"}:
        return {"avoid_negative_ts": "disabled"}  # sound may begin before zero: nothing else is moved for it
    if format_name in {"mpegts", "mpeg", "vob", "dvd", "svcd", "vcd"}:
        return {"max_delay": "0"}  # or else the muxer moves everything by twice the delay
    if format_name == "yuv4mpegpipe":
        return {"strict": "-1"}  # more than 8 bits are a custom of ffmpeg's, which others have taken up
    return {}


def _movie_timescale(source: InputContainer, start: Fraction) -> int:
    """Fine enough for every start, which MOV writes in units of the movie's time scale, if there is such a one."""
    scale = lcm(1000, start.denominator)
    for stream in source.streams:
        if stream.start_time and stream.time_base:
            scale = lcm(scale, (stream.start_time * stream.time_base).denominator)
    return scale if scale <= MAX_TIMESCALE else 1000


class Passthrough:
    """The streams that are copied into ``target``, called ``name``; their packets keep their bytes and their times."""

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
            why = f"{describe(template)}: {self._format_name} cannot carry it, left out"
            self._outcomes.append(Outcome(describe(template), "dropped", why))
        else:
            self._outcomes.append(Outcome(describe(template), "kept", how))

    def _add(self, template: Stream, first_packets: Iterable[Packet[Any]]) -> str | None:
        """Add a copy of a stream; return how it is kept, or None if the container cannot hold it."""
        if template.discard == Discard.all:
            # The demuxer has consumed it, as that of MOV does with the text of its chapters.
            return "as what its kind of file makes of it: chapter titles"
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
        way = next((way for way in (_add_as_listed, _add_as_it_is) if _carries(self._format_name, template, way)), None)
        if way is None:
            return False
        stream = way(self._target, template)
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
        """Write a packet of the source, if its stream is carried.

        With ``keep_going``, a packet that the muxer refuses is left out.

        Raises:
            OutputError: the muxer refuses it, without ``keep_going``.
        """
        index = packet.stream_index
        if index not in self._streams:
            return
        source = packet.stream
        if getattr(source, "name", None) == "mov_text" and bytes(packet) == EMPTY_TEXT:
            return
        self._mend_times(packet)
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

    def _mend_times(self, packet: Packet[Any]) -> None:
        """Give a time to a packet that has none, and order to those that go back: muxers refuse both."""
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


def _add_as_listed(target: OutputContainer, template: Stream) -> Stream:
    """Add a stream like this one, of a codec that the container has on its list."""
    return target.add_stream_from_template(template, opaque=True)


def _add_as_it_is(target: OutputContainer, template: Stream) -> Stream:
    """Add a stream like this one to Matroska, which takes sound of every kind that AVI takes, listed or not (WMA).

    Raises:
        ValueError: it is no sound, or the container is another one.
    """
    if target.format.name != "matroska" or template.type != "audio":
        raise ValueError("expected sound for Matroska")
    stream = target.add_mux_stream("pcm_s16le")  # one that is listed; the filter, which does nothing else, replaces it
    BitStreamFilterContext("null", template, stream)
    stream.time_base = template.time_base
    return stream


def _carries(format_name: str, template: Stream, add: Callable[[OutputContainer, Stream], Stream]) -> bool:
    """Ask the muxer itself, with a file of this one stream in memory: no table says it as well."""
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
    """As FFmpeg names it, whichever decoder there is for it."""
    context = stream.codec_context
    return getattr(stream, "name", None) if context is None else context.codec.canonical_name


def timecode_of(source: InputContainer) -> dict[str, str]:
    """The timecode of a film that has a track of it, as metadata for its picture."""
    tracks = (stream.metadata for stream in source.streams if stream.type == "data")
    return next(({"timecode": metadata["timecode"]} for metadata in tracks if "timecode" in metadata), {})


def describe(stream: Stream) -> str:
    """``stream 2 (subtitle, subrip, eng)``, for a warning."""
    facts = [stream.type, getattr(stream, "name", None) or "unknown codec", stream.language]
    if stream.disposition & Disposition.attached_pic:
        facts[0] = "cover picture"
    return f"stream {stream.index} ({', '.join(fact for fact in facts if fact)})"


def lost_metadata(metadata: Mapping[str, str], format_name: str) -> list[str]:
    """The keys that a kind of file has no place for, and drops without a word. Asked of the muxer itself, in memory.

    Matroska takes every key; of kinds that are not in :data:`PICKY` nothing is known here.
    """
    if format_name not in PICKY or not metadata:
        return []
    file = io.BytesIO()
    with av.open(file, "w", format=format_name) as trial:
        trial.metadata.update(metadata)
        stream = trial.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        trial.mux(stream.encode(VideoFrame(16, 16, "yuv420p")))
        trial.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, metadata_errors="ignore") as copy:
        arrived = {key.lower() for key in copy.metadata}
    return sorted(key for key in metadata if key.lower() not in arrived)


def copy_chapters(source: InputContainer, target: OutputContainer) -> None:
    """Chapters with their titles, for the containers that have them."""
    chapters = [chapter for chapter in source.chapters() if chapter["time_base"]]
    if chapters:
        target.set_chapters(chapters)


def lost_by_container(source: InputContainer, spec: VideoSpec, format_name: str) -> list[Outcome]:
    """What a kind of file cannot say about the film as a whole."""
    lost = []
    if format_name not in WELL_EQUIPPED:
        if spec.rotation:
            why = f"{format_name} cannot carry the rotation by {spec.rotation}°, the film lies on its side"
            lost.append(Outcome("rotation", "dropped", why))
        if source.chapters():
            why = f"{format_name} cannot carry the {len(source.chapters())} chapters, left out"
            lost.append(Outcome("chapters", "dropped", why))
    if format_name == "avi" and spec.frame_rate and spec.time_base != 1 / spec.frame_rate:
        why = f"avi counts in frames: times are rounded to 1/{float(spec.frame_rate):g} s"
        lost.append(Outcome("times", "changed", why))
    keys = lost_metadata(kept_metadata(source.metadata), format_name)
    if keys:
        why = f"metadata {', '.join(keys)}: {format_name} has no place for it, left out"
        lost.append(Outcome("further metadata", "dropped", why))
    return lost
