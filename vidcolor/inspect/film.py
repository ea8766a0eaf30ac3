"""What a film holds: its streams, its times, and how its picture is stored. Nothing is colored or written.

Most of it is what :class:`~vidcolor.media.reader.VideoReader` found out. Two things take a look at the packets
themselves: whether the frame rate is constant, and how many frames there are, where the file is small enough to count
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import av
from av.codec.codec import UnknownCodecError
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from vidcolor.color import h273
from vidcolor.errors import InputError
from vidcolor.media.pixel_formats import luma_layout
from vidcolor.media.probe import choose_video, open_film
from vidcolor.media.reader import VideoReader

SURVEY_BYTES = 64 << 20
"""A film up to this size is counted to its end; of a larger one only so much is looked at."""
INTERLACING_FRAMES = 8  # a telecined film repeats its pattern every fifth frame
REORDERED_FRAMES = 16  # a picture may be stored this far from its place (H.264 and HEVC), so a cut-off end has gaps
FEW_TICKS = 4  # where a frame lasts fewer ticks, one tick more or less is no rounding but another duration

Scan = Literal["progressive", "interlaced", "mixed"]
Counting = Literal["counted", "announced", "estimated"]
FIELD_ORDERS: dict[int, Scan] = {1: "progressive", 2: "interlaced", 3: "interlaced", 4: "interlaced", 5: "interlaced"}
"""``AVFieldOrder``, where the header knows it."""


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """One stream, as the container describes it."""

    index: int
    kind: str
    """``video``, ``audio``, ``subtitle``, ``data`` or ``attachment``."""
    codec: str | None
    """As FFmpeg names it; None where this build of libav does not know it."""
    language: str | None
    title: str | None
    """Its title, or the name of an attached file."""
    colored: bool
    """Whether this is the film that is colored."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long, how fast, from when."""

    duration_seconds: float | None
    start_seconds: float | None
    time_base: Fraction
    frame_rate: Fraction | None
    """Frames a second, on average where the rate varies."""
    constant_rate: bool | None
    """Whether all frames that were looked at last equally long; None where too few of them have a time."""
    frames: int | None
    counting: Counting | None
    """``counted`` packet by packet, ``announced`` by the header, or ``estimated`` from duration and rate."""


@dataclass(frozen=True, kw_only=True)
class PictureInfo:
    """How the pictures are stored."""

    width: int
    height: int
    sample_aspect_ratio: Fraction | None
    rotation: int
    """Degrees counter-clockwise."""
    pixel_format: str
    bit_depth: int
    range: Literal["limited", "full"]
    range_is_assumed: bool
    """The film does not say its range; vidcolor takes it for this one."""
    matrix: str | None
    """H.273 names as FFmpeg has them; None where the film does not say. The matrix of R'G'B' is ``gbr``."""
    primaries: str | None
    transfer: str | None
    scan: Scan


@dataclass(frozen=True, kw_only=True)
class FilmInfo:
    """What a film holds."""

    path: Path
    bytes: int
    container: str
    """The demuxer's name, as ``ffprobe`` says it."""
    streams: tuple[StreamInfo, ...]
    chapters: int
    picture: PictureInfo
    timing: Timing


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A look at the packets and at the first few pictures."""

    times: list[int]
    """When the pictures are shown, sorted, in ticks; without presentation times when they are decoded, and empty
    where not every packet has the one or the other."""
    packets: int
    """How many the picture has, without those that an edit list hides."""
    end: int | None
    """When the last of the pictures ends, in ticks."""
    complete: bool
    """Whether the look went on to the end of the film."""
    interlaced: list[bool]
    """Of the first few decoded pictures."""


def film_info(reader: VideoReader) -> FilmInfo:
    """Describe a film that is open; it is opened a second time, and looked through as far as :data:`SURVEY_BYTES`.

    Raises InputError where the film has vanished meanwhile, or is not in a file.
    """
    path = reader.source.path
    if path is None:
        raise InputError(f"{reader.source.name}: expected a film in a file, which can be opened more than once")
    survey = survey_film(path)
    return FilmInfo(
        path=path,
        bytes=path.stat().st_size,
        container=reader.container.format.name,
        streams=tuple(_stream_info(stream, reader.stream.index) for stream in reader.container.streams),
        chapters=len(reader.container.chapters()),
        picture=_picture_info(reader, survey),
        timing=_timing(reader, survey),
    )


def survey_film(path: Path) -> Survey:
    """Look at the packets of a film's picture, to the end or as far as :data:`SURVEY_BYTES`."""
    stamps: list[tuple[int | None, int | None, int]] = []
    interlaced: list[bool] = []
    seen_bytes = 0
    complete = False
    with open_film(path) as container:
        stream = choose_video(container, path)
        for packet in _sound_packets(container.demux()):
            seen_bytes += packet.size
            if seen_bytes > SURVEY_BYTES:
                break
            if packet.stream_index != stream.index:
                continue
            if len(interlaced) < INTERLACING_FRAMES:
                interlaced += _interlaced(packet)
            if packet.size and not packet.is_discard:
                stamps.append((packet.pts, packet.dts, packet.duration or 0))
        else:
            complete = True
    return Survey(
        times=_times(stamps, complete=complete),
        packets=len(stamps),
        end=max((pts + duration for pts, _, duration in stamps if pts is not None), default=None),
        complete=complete,
        interlaced=interlaced,
    )


def _times(stamps: list[tuple[int | None, int | None, int]], *, complete: bool) -> list[int]:
    for which in (0, 1):
        times = sorted(time for stamp in stamps if (time := stamp[which]) is not None)
        if len(times) == len(stamps):
            return times if complete else times[:-REORDERED_FRAMES]
    return []


def _sound_packets(packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """The packets up to the first damage: what lies behind it is not colored either."""
    try:
        yield from packets
    except av.FFmpegError:
        return


def _interlaced(packet: Packet[VideoStream]) -> list[bool]:
    try:
        return [frame.interlaced_frame for frame in packet.decode()]
    except av.FFmpegError:
        return []  # the reader has judged already whether the film can be decoded


def _stream_info(stream: Stream, colored: int) -> StreamInfo:
    attached_name = stream.name if stream.type == "attachment" else None
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=_codec_name(stream),
        language=stream.language,
        title=stream.metadata.get("title") or attached_name,
        colored=stream.index == colored,
    )


def _codec_name(stream: Stream) -> str | None:
    if stream.type == "attachment":
        return None
    try:
        return stream.codec_context.codec.canonical_name if stream.codec_context else getattr(stream, "name", None)
    except UnknownCodecError:
        return None


def _picture_info(reader: VideoReader, survey: Survey) -> PictureInfo:
    spec = reader.spec
    context = reader.stream.codec_context
    return PictureInfo(
        width=spec.width,
        height=spec.height,
        sample_aspect_ratio=spec.sample_aspect_ratio,
        rotation=spec.rotation,
        pixel_format=context.pix_fmt or "unknown",
        bit_depth=spec.bit_depth,
        range="full" if spec.full_range else "limited",
        range_is_assumed=context.color_range == 0,
        matrix="gbr" if is_rgb(reader) else h273.name_of(spec.matrix, h273.MATRICES),
        primaries=h273.name_of(spec.primaries, h273.PRIMARIES),
        transfer=h273.name_of(spec.transfer, h273.TRANSFERS),
        scan=_scan(survey.interlaced, context.field_order),
    )


def is_rgb(reader: VideoReader) -> bool:
    """Whether the pictures are stored as R'G'B', which has no luma of its own."""
    pixel_format = reader.stream.codec_context.format
    return pixel_format is not None and luma_layout(pixel_format).from_rgb


def _scan(interlaced: list[bool], field_order: int) -> Scan:
    """What the first pictures say; a header that says otherwise makes it mixed, and alone it decides."""
    if not interlaced:
        return FIELD_ORDERS.get(field_order, "progressive")
    if all(interlaced):
        return "interlaced"
    return "mixed" if any(interlaced) else "progressive"


def _timing(reader: VideoReader, survey: Survey) -> Timing:
    spec = reader.spec
    frames, counting = _frame_count(reader, survey)
    start = reader.stream.start_time
    return Timing(
        duration_seconds=_duration(reader, survey),
        start_seconds=None if start is None else float(start * spec.time_base),
        time_base=spec.time_base,
        frame_rate=spec.frame_rate,
        constant_rate=is_constant(survey.times),
        frames=frames,
        counting=counting,
    )


def _frame_count(reader: VideoReader, survey: Survey) -> tuple[int | None, Counting | None]:
    if survey.complete:
        return survey.packets, "counted"
    if reader.stream.frames:
        return reader.stream.frames, "announced"
    estimate = reader.spec.estimated_frames
    return estimate, None if estimate is None else "estimated"


def _duration(reader: VideoReader, survey: Survey) -> float | None:
    stream, container = reader.stream, reader.container
    if stream.duration is not None:
        return float(stream.duration * reader.spec.time_base)
    if container.duration is not None:
        return container.duration / av.time_base
    if survey.complete and survey.end is not None:
        return float((survey.end - survey.times[0]) * reader.spec.time_base)
    return None


def is_constant(times: list[int]) -> bool | None:
    """Whether sorted times, in ticks, are evenly spaced, but for their rounding to ticks; None for fewer than two."""
    steps = [later - earlier for earlier, later in pairwise(times)]
    if not steps:
        return None
    least, most = min(steps), max(steps)
    return least == most or (most - least == 1 and least >= FEW_TICKS)
