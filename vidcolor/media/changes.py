"""Notice what changes in mid-film although a container states it once: pixel shape, color tags, format of sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.color import h273
from vidcolor.media.carriage import describe
from vidcolor.media.items import Item, Jump, Note
from vidcolor.media.pixel_formats import RANGE_FULL, RANGE_LIMITED

MPEG_RATES = (44100, 48000, 32000)
MPEG_DIVISORS = {3: 1, 2: 2, 0: 4}
"""By the version in the header of MPEG audio (ISO/IEC 11172-3 and 13818-3): what the rates are divided by."""
ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
AC3_RATES = (48000, 44100, 32000)
AC3_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
"""By ``acmod`` (ATSC A/52, 5.4.2.3), without the channel for low frequencies."""
HEADER_BYTES = 7
MIN_PACKETS = 3
"""So many packets in a row must have a new format, or else their headers are damaged."""
NO_TAG = "none"
SHAPE = "pixel shape"
MIN_WIDENING = 0.005
"""Changes of the pixel shape that nobody sees, as where cropping rounds it, have no line."""


class SoundHeader(NamedTuple):
    """What the header of a packet of sound states."""

    rate: int
    channels: int

    def __str__(self) -> str:
        return f"{self.rate} Hz with {self.channels} channel{'s' if self.channels > 1 else ''}"


def note_picture_changes(items: Iterable[Item], stream: VideoStream) -> Iterator[Item]:
    """Pass everything on; yield a :class:`Note` before the first frame with another pixel shape, range or color tags.

    Args:
        items: the decoded frames, with times, and everything else.
        stream: the picture stream.
    """
    assert stream.time_base is not None  # choose_video
    begun: dict[str, str] = {}
    noted: set[str] = set()
    for item in items:
        if isinstance(item, VideoFrame):
            for what, value in _properties(item, stream).items():
                before = begun.setdefault(what, value)
                if what not in noted and _is_change(what, before, value):
                    noted.add(what)
                    seconds = float((item.pts or 0) * stream.time_base)
                    yield Note(_change(what, before, value, seconds))
        yield item


def _is_change(what: str, before: str, value: str) -> bool:
    """Return whether a change can be seen."""
    return abs(_widening(before, value) - 1) > MIN_WIDENING if what == SHAPE else value != before


def _widening(before: str, value: str) -> float:
    """Return how much too wide pictures of a shape are shown with another."""
    return float(Fraction(before.replace(":", "/")) / Fraction(value.replace(":", "/")))


def _change(what: str, before: str, value: str, seconds: float) -> str:
    """Return the line about a property that changes. ``before`` is kept: pictures are never scaled."""
    where = f"the {what} changes from {before} to {value} at {seconds:.2f} s: the output has {before} all through"
    if what == SHAPE:
        times = f"{_widening(before, value):.2f} times"
        where = f"{where}, so that from there on pictures are {times} as wide as they should be"
    return f"{where}; cut the film there to keep both"


def _properties(frame: VideoFrame, stream: VideoStream) -> dict[str, str]:
    """Return those properties of a frame that are stated, as text."""
    shape = stream.codec_context.sample_aspect_ratio  # that of the frame, which PyAV does not have
    found = {} if not shape else {SHAPE: f"{shape.numerator}:{shape.denominator}"}
    if frame.color_range in {RANGE_LIMITED, RANGE_FULL}:
        found["range"] = "full" if frame.color_range == RANGE_FULL else "limited"
    names = (
        h273.name_of(frame.colorspace, h273.MATRICES),
        h273.name_of(frame.color_primaries, h273.PRIMARIES),
        h273.name_of(frame.color_trc, h273.TRANSFERS),
    )
    return found | {"color tag": "/".join(name or NO_TAG for name in names)}


def note_sound_changes(items: Iterable[Item], streams: Iterable[Any]) -> Iterator[Item]:
    """Pass everything on; yield a :class:`Note` where the packets of a sound stream begin to have another format.

    Args:
        items: the packets of all streams, and everything else.
        streams: of the open container.
    """
    tracks = {stream.index: _SoundTrack(stream) for stream in streams if isinstance(stream, AudioStream)}
    for item in items:
        yield item
        if isinstance(item, Packet) and item.stream_index in tracks:
            yield from tracks[item.stream_index].take(item)
        elif isinstance(item, Jump):
            tracks = {index: _SoundTrack(track.stream) for index, track in tracks.items()}


class _SoundTrack:
    """The format of one stream of sound so far."""

    def __init__(self, stream: AudioStream) -> None:
        self.stream = stream
        self._codec = "" if stream.codec_context is None else stream.codec_context.codec.canonical_name
        self._format: SoundHeader | None = None
        self._new: SoundHeader | None = None
        self._seen = 0
        self._is_noted = False
        self._began: Fraction = Fraction(0)

    def take(self, packet: Packet[Any]) -> Iterator[Note]:
        """Note the format of a packet."""
        found = None if self._is_noted else sound_format(self._codec, packet)
        if found is None or found == self._format:
            self._seen = 0
            return
        if found != self._new or self._seen == 0:
            self._new, self._seen = found, 0
            self._began = (packet.pts or packet.dts or 0) * packet.time_base
        self._seen += 1
        if self._seen < MIN_PACKETS:
            return
        before, self._format = self._format, found
        if before is not None:
            self._is_noted = True
            where = f"its format changes from {before} to {found} at {float(self._began):.2f} s"
            yield Note(f"{describe(self.stream)}: {where}; players may not follow: cut the film there if they do not")


def sound_format(codec: str, packet: Packet[Any]) -> SoundHeader | None:
    """Return the format in the header of a packet of MPEG audio, AC-3, E-AC-3 or AAC with ADTS; None: it has none."""
    if packet.size < HEADER_BYTES:
        return None
    head = bytes(memoryview(packet)[:HEADER_BYTES])
    if codec in {"mp1", "mp2", "mp3"}:
        return _mpeg_format(head)
    if codec in {"ac3", "eac3"}:
        return _ac3_format(head)
    return _adts_format(head) if codec == "aac" else None


def _mpeg_format(head: bytes) -> SoundHeader | None:
    version, rate = head[1] >> 3 & 3, head[2] >> 2 & 3
    if head[0] != 0xFF or head[1] < 0xE0 or version not in MPEG_DIVISORS or rate == 3:
        return None
    return SoundHeader(MPEG_RATES[rate] // MPEG_DIVISORS[version], 1 if head[3] >> 6 == 3 else 2)


def _adts_format(head: bytes) -> SoundHeader | None:
    rate, channels = head[2] >> 2 & 15, (head[2] & 1) << 2 | head[3] >> 6
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or rate >= len(ADTS_RATES) or not channels:
        return None
    return SoundHeader(ADTS_RATES[rate], 8 if channels == 7 else channels)


def _ac3_format(head: bytes) -> SoundHeader | None:
    rate, version = head[4] >> 6, head[5] >> 3
    if head[:2] != b"\x0b\x77" or rate == 3:
        return None
    if version > 10:  # E-AC-3, where a dependent stream has further channels
        mode, low = head[4] >> 1 & 7, head[4] & 1
        return None if head[2] >> 6 == 1 else SoundHeader(AC3_RATES[rate], AC3_CHANNELS[mode] + low)
    mode = head[6] >> 5
    mixing_levels = (mode & 1 != 0 and mode != 1) + (mode & 4 != 0) + (mode == 2)  # each of two bits
    return SoundHeader(AC3_RATES[rate], AC3_CHANNELS[mode] + ((head[6] >> (4 - 2 * mixing_levels)) & 1))
