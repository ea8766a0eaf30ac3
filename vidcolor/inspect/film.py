"""Describe a film: its streams, its times, and how its pictures are stored. Nothing is colored or written.

Most facts come from :class:`~vidcolor.media.reader.VideoReader`. Two come from the packets: whether the frame rate is
constant, and how many frames there are, if the file is small enough to count them.
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
from vidcolor.media.demuxing import packets_of
from vidcolor.media.pixel_formats import luma_layout
from vidcolor.media.probe import choose_video, open_film
from vidcolor.media.reader import VideoReader

SURVEY_BYTES = 64 << 20
"""The packets of a film are read up to this size; only those of a smaller film can be counted."""
INTERLACING_FRAMES = 8  # that are decoded; telecine repeats its pattern every fifth frame
REORDERED_FRAMES = 16  # the largest distance of a packet from its place in time (H.264 and HEVC)
MIN_ROUNDED_TICKS = 4  # the shortest frame in which one tick more or less is taken for rounding

Scan = Literal["progressive", "interlaced", "mixed"]
Counting = Literal["counted", "announced", "estimated"]
FIELD_ORDERS: dict[int, Scan] = {1: "progressive", 2: "interlaced", 3: "interlaced", 4: "interlaced", 5: "interlaced"}
"""The scan for each ``AVFieldOrder``."""


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """One stream, as the container describes it."""

    index: int
    kind: str
    """``video``, ``audio``, ``subtitle``, ``data`` or ``attachment``."""
    codec: str | None
    """FFmpeg's name; None if this build of libav does not know the codec."""
    language: str | None
    title: str | None
    """Its title, or the name of an attached file."""
    colored: bool
    """Whether this stream is the film that is colored."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Duration, frame rate and start of a film."""

    duration_seconds: float | None
    start_seconds: float | None
    time_base: Fraction
    frame_rate: Fraction | None
    """Frames per second; the average if the rate varies."""
    constant_rate: bool | None
    """Whether all frames whose packets were read last equally long; None if too few of them have a time."""
    frames: int | None
    counting: Counting | None
    """Whether the packets were counted, the header states the number, or it is estimated from duration and rate."""


@dataclass(frozen=True, kw_only=True)
class PictureInfo:
    """How the pictures of a film are stored."""

    width: int
    height: int
    sample_aspect_ratio: Fraction | None
    rotation: int
    """Degrees counter-clockwise."""
    pixel_format: str
    bit_depth: int
    range: Literal["limited", "full"]
    range_is_assumed: bool
    """Whether the film has no tag for its range."""
    matrix: str | None
    """FFmpeg's name of the H.273 value; None without a tag. The matrix of R'G'B' is ``gbr``."""
    primaries: str | None
    transfer: str | None
    scan: Scan


@dataclass(frozen=True, kw_only=True)
class FilmInfo:
    """All facts about a film."""

    path: Path
    bytes: int
    container: str
    """The name of the demuxer, as in ``ffprobe``."""
    streams: tuple[StreamInfo, ...]
    chapters: int
    picture: PictureInfo
    timing: Timing


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What the packets of a film and its first few frames state. Times are in units of the stream's time base."""

    times: list[int]
    """The pts of all frames, sorted; the dts if not every packet has a pts; empty if not every packet has a dts."""
    packets: int
    """How many packets there are, without those that an edit list hides."""
    end: int | None
    """When the last frame ends."""
    complete: bool
    """Whether the packets were read to the end of the film."""
    interlaced: list[bool]
    """Whether each of the first few frames is interlaced."""


def film_info(reader: VideoReader) -> FilmInfo:
    """Describe an open film. Its file is opened a second time, to read its packets up to :data:`SURVEY_BYTES`.

    Raises:
        InputError: the file is gone, or the film is not in a file.
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
    """Read the packets of a film, to the end or up to :data:`SURVEY_BYTES`."""
    stamps: list[tuple[int | None, int | None, int]] = []
    interlaced: list[bool] = []
    read_bytes = 0
    complete = False
    with open_film(path) as container:
        stream = choose_video(container, path)
        for packet in _undamaged(packets_of(container)):
            read_bytes += packet.size
            if read_bytes > SURVEY_BYTES:
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


def _undamaged(packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Yield the packets up to the first damage: what follows it is not colored either."""
    try:
        yield from packets
    except av.FFmpegError:
        return


def _interlaced(packet: Packet[VideoStream]) -> list[bool]:
    try:
        return [frame.interlaced_frame for frame in packet.decode()]
    except av.FFmpegError:
        return []  # whether the film can be decoded is checked by the reader


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
    """Return whether the pictures are stored as R'G'B', without luma."""
    pixel_format = reader.stream.codec_context.format
    return pixel_format is not None and luma_layout(pixel_format).from_rgb


def _scan(interlaced: list[bool], field_order: int) -> Scan:
    """Return the scan of the first few frames; without any, that of the header."""
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
    """Return whether sorted times are evenly spaced except for rounding to ticks; None for fewer than two times."""
    steps = [later - earlier for earlier, later in pairwise(times)]
    if not steps:
        return None
    shortest, longest = min(steps), max(steps)
    return shortest == longest or (longest - shortest == 1 and shortest >= MIN_ROUNDED_TICKS)
