"""Small films, made here so that the tests need no footage: any rate, size, depth, container, sound and oddity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

AUDIO_RATE = 48000
AUDIO_BIT_RATES = {"wmav2": 64_000}
"""Where an encoder of sound has no bit rate of its own."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The properties of a test film; each has a default."""

    size: tuple[int, int] = (64, 48)
    """(width, height)."""
    frames: int = 12
    rate: Fraction = Fraction(25)
    pix_fmt: str = "yuv420p"
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=lambda: {"crf": "12", "preset": "ultrafast"})
    time_base: Fraction | None = None
    """None: one tick for each frame."""
    pts: Sequence[int] | None = None
    """Times in units of the time base; None: one after the other from ``start``."""
    start: int = 0
    cuts: Sequence[int] = ()
    """Frames that open a new shot."""
    color: bool = False
    """Chroma that moves, instead of neutral."""
    audio: Sequence[str] = ()
    """One track for each language named."""
    audio_codec: str = "aac"
    audio_seconds: float | None = None
    """None: as long as the picture."""
    subtitles: bool = False
    bitmaps: bool = False
    """A track of subtitles that are pictures (PGS)."""
    attachment: bool = False
    """A small file attached, as Matroska can."""
    timecode: str | None = None
    """As a MOV's own track has it, ``01:00:00:00``."""
    chapters: bool = False
    cover: bool = False
    """A cover picture as a second video stream."""
    rotation: int = 0
    sample_aspect_ratio: Fraction | None = None
    tags: Mapping[str, int] = field(default_factory=dict)
    """``color_range``, ``colorspace``, ``color_primaries``, ``color_trc``."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    interlaced: bool = False
    top_first: bool = False
    """Of an interlaced film; otherwise its bottom field comes first."""
    header_order: int = 0
    """``AVFieldOrder``, as the file's header shall have it; 0: as the encoder has it."""
    progressive: Sequence[int] = ()
    """Frames of an interlaced film that are progressive; only FFV1 says so of each."""

    @property
    def ticks(self) -> Fraction:
        """Return the time base."""
        return self.time_base or 1 / self.rate

    def times(self) -> list[int]:
        """Return the presentation time of every picture, in ticks."""
        if self.pts is not None:
            return list(self.pts)
        step = 1 / self.rate / self.ticks
        return [self.start + round(index * step) for index in range(self.frames)]


def luma_of(clip: Clip, index: int) -> npt.NDArray[Any]:
    """Return the luma of frame ``index``, (height, width): a texture that drifts, another one after each cut."""
    width, height = clip.size
    shot = sum(cut <= index for cut in clip.cuts)
    texture = np.random.default_rng(shot).normal(size=(height + 40, width + 40))
    rolled = (np.roll(texture, (dy, dx), (0, 1)) for dy in range(6) for dx in range(6))
    smooth = sum(rolled, np.zeros_like(texture)) / 6
    drift = index % 40
    window = smooth[drift : drift + height, drift : drift + width]
    depth = bit_depth_of(clip.pix_fmt)
    level = 0.5 + 0.12 * window + 0.15 * np.cos(shot * 2.0)
    values = np.clip(level, 0.1, 0.9) * (2**depth - 1)
    return np.asarray(values, np.uint16 if depth > 8 else np.uint8)


def bit_depth_of(pix_fmt: str) -> int:
    """Return the bits of the first component."""
    return av.VideoFormat(pix_fmt).components[0].bits


def make_clip(path: Path, clip: Clip | None = None, *, bitexact: bool = False) -> Path:
    """Write the film and return its path.

    Args:
        path: of the film; the suffix decides the container.
        clip: what the film is like.
        bitexact: write the same bytes every time, without the muxer's random numbers and version.
    """
    clip = clip or Clip()
    with av.open(str(path), "w", options={"fflags": "+bitexact"} if bitexact else {}) as container:
        stream = _add_video(container, clip)
        tracks = [_add_audio(container, clip.audio_codec, language) for language in clip.audio]
        words = container.add_mux_stream(_subtitle_codec(path), time_base=Fraction(1, 1000)) if clip.subtitles else None
        signs = container.add_mux_stream("hdmv_pgs_subtitle", time_base=Fraction(1, 1000)) if clip.bitmaps else None
        if clip.attachment:
            container.add_attachment("notes.txt", "text/plain", b"reel 3")
        cover = _add_cover(container) if clip.cover else None
        if clip.timecode is not None:
            stream.metadata["timecode"] = clip.timecode
        container.metadata.update(clip.metadata)
        if clip.chapters:
            container.set_chapters(_chapters(clip))
        if cover is not None:
            container.mux(cover)
        if words is not None:
            container.mux(list(_subtitles(words, framed=path.suffix != ".mkv")))
        if signs is not None:
            container.mux(list(_signs(signs)))
        packets = [*_video_packets(stream, clip), *(p for track in tracks for p in _audio_packets(track, clip))]
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            container.mux(packet)
    return path


def _add_video(container: OutputContainer, clip: Clip) -> VideoStream:
    stream = container.add_stream(clip.codec, rate=clip.rate, options=dict(clip.options))
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = clip.size
    stream.pix_fmt = clip.pix_fmt
    stream.codec_context.time_base = clip.ticks
    stream.time_base = clip.ticks
    for tag, value in clip.tags.items():
        setattr(stream.codec_context, tag, value)
    if clip.interlaced:
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct
    if clip.header_order:
        stream.codec_context.field_order = clip.header_order
    if clip.sample_aspect_ratio is not None:
        stream.codec_context.sample_aspect_ratio = clip.sample_aspect_ratio
    if clip.rotation:
        stream.set_display_rotation(clip.rotation)
    stream.codec_context.flags |= av.codec.context.Flags.frame_duration
    return stream


def _video_packets(stream: VideoStream, clip: Clip) -> Iterator[Packet[Any]]:
    times = clip.times()
    durations = [later - earlier for earlier, later in pairwise(times)]
    marks = _field_marks(clip) if clip.interlaced else None
    durations.append(durations[-1] if durations else max(round(1 / clip.rate / clip.ticks), 1))
    for index, (pts, duration) in enumerate(zip(times, durations, strict=True)):
        frame = _frame(clip, index)
        if marks is not None and index not in clip.progressive:
            marks.vpush(frame)
            frame = marks.vpull()
        frame.pts, frame.duration, frame.time_base = pts, duration, clip.ticks
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _field_marks(clip: Clip) -> av.filter.Graph:
    graph = av.filter.Graph()
    width, height = clip.size
    picture = av.VideoFormat(clip.pix_fmt)
    source = graph.add_buffer(width=width, height=height, format=picture, time_base=clip.ticks)
    graph.link_nodes(source, graph.add("setfield", "tff" if clip.top_first else "bff"), graph.add("buffersink"))
    graph.configure()
    return graph


def _frame(clip: Clip, index: int) -> av.VideoFrame:
    frame = av.VideoFrame(*clip.size, clip.pix_fmt)
    depth = bit_depth_of(clip.pix_fmt)
    for number, plane in enumerate(frame.planes):
        dtype = np.uint16 if depth > 8 else np.uint8
        values = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
        if number == 0:
            values[:, : plane.width] = luma_of(clip, index)
        else:
            shift = (index % 8 - 4) * number if clip.color else 0
            values[:] = (128 + shift * 8) << (depth - 8)
    return frame


def _add_audio(container: OutputContainer, codec: str, language: str) -> AudioStream:
    track = container.add_stream(codec, rate=AUDIO_RATE, bit_rate=AUDIO_BIT_RATES.get(codec, 0))
    assert isinstance(track, AudioStream)
    track.layout = "mono"
    track.metadata["language"] = language
    return track


def _audio_packets(track: AudioStream, clip: Clip) -> Iterator[Packet[Any]]:
    seconds = clip.audio_seconds if clip.audio_seconds is not None else float(clip.frames / clip.rate)
    pitch = 220 * (1 + track.index)
    time = np.arange(1024) / AUDIO_RATE
    for start in range(0, int(seconds * AUDIO_RATE), 1024):
        wave = 0.3 * np.sin(2 * np.pi * pitch * (time + start / AUDIO_RATE))
        frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, start, Fraction(1, AUDIO_RATE)
        yield from track.encode(frame)
    yield from track.encode(None)


def _subtitle_codec(path: Path) -> str:
    return "subrip" if path.suffix == ".mkv" else "mov_text"


def _subtitles(stream: Any, *, framed: bool) -> Iterable[Packet[Any]]:
    for start, text in ((40, b"The first line"), (240, b"The second line")):
        payload = len(text).to_bytes(2, "big") + text if framed else text
        packet = Packet(payload)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = start
        packet.duration = 160
        yield packet


def _signs(stream: Any) -> Iterable[Packet[Any]]:
    """Yield empty display sets, which are enough for a stream that is copied."""
    for start in (40, 240):
        packet = Packet(b"\x80\x00\x00")
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = start
        packet.duration = 160
        yield packet


def _chapters(clip: Clip) -> list[Any]:
    end = round(1000 * clip.frames / clip.rate)
    return [
        {"id": 1, "start": 0, "end": end // 2, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
        {"id": 2, "start": end // 2, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": "Two"}},
    ]


def _add_cover(container: OutputContainer) -> list[Packet[Any]]:
    stream = container.add_stream("mjpeg", rate=1)
    stream.width = stream.height = 32
    stream.pix_fmt = "yuvj420p"
    stream.disposition = Disposition.attached_pic
    frame = av.VideoFrame(32, 32, "yuvj420p")
    for plane in frame.planes:
        np.frombuffer(memoryview(plane), np.uint8)[:] = 90
    frame.pts = 0
    return [*stream.encode(frame), *stream.encode(None)]


def timeline(path: Path, kind: str) -> dict[int, list[tuple[Fraction, bytes]]]:
    """Return time in seconds and bytes of every packet, by stream number among the streams of a kind ("audio" …)."""
    tracks: dict[int, list[tuple[Fraction, bytes]]] = {}
    with av.open(str(path), metadata_errors="ignore") as container:
        streams = [stream.index for stream in container.streams if stream.type == kind]
        for packet in container.demux():
            if packet.size and packet.stream.type == kind:
                track = tracks.setdefault(streams.index(packet.stream.index), [])
                assert packet.pts is not None
                track.append((packet.pts * packet.time_base, bytes(packet)))
    return tracks


def decoded(path: Path) -> list[tuple[Fraction, npt.NDArray[Any]]]:
    """Decode time in seconds and luma of every picture by PyAV alone: the oracle for the reader and the writer."""
    pictures: list[tuple[Fraction, npt.NDArray[Any]]] = []
    with av.open(str(path), metadata_errors="ignore") as container:
        stream = container.streams.best("video")
        assert isinstance(stream, VideoStream)
        for frame in container.decode(stream):
            assert frame.pts is not None
            assert stream.time_base is not None
            plane = frame.planes[0]
            dtype = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
            rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
            pictures.append((frame.pts * stream.time_base, rows[:, : frame.width].copy()))
    return pictures
