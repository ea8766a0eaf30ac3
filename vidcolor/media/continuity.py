"""Give a film one clock: it begins near zero, and goes on where the clock of the source starts again or jumps ahead.

Recordings that were joined, DVDs in several files, and broadcasts of several days do not count time from 0 to the end.
Picture, sound and everything else are shifted alike, so that what belongs together stays together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any

from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vidcolor.media.items import Item, Jump, Note

MAX_START_SECONDS = 10
"""A film that begins later has a clock of its own; an earlier start may be a pause before the film, and is kept."""
MIN_START_SECONDS = -1
"""Sound may begin before zero, by the delay of its encoder; pictures may not."""
BROADCAST_FORMATS = frozenset({"mpegts", "mpeg", "flv", "live_flv", "ogg", "nut", "wtv"})
"""Containers whose clock may jump (``AVFMT_TS_DISCONT`` of libavformat, and FLV as recorders write it)."""
MAX_GAP_SECONDS = {True: 10, False: 3600}
"""The longest time without picture and sound that is not taken for a jump, in broadcast formats and in others."""
MAX_STEP_BACK_SECONDS = Fraction(1, 5)
"""How far decoding times may go back before that is taken for a clock that starts again."""
WAIT_SECONDS = 3
"""How long one stream may go on as before while another has jumped, until it is clear that the clock has not."""
MAX_WAITING_BYTES = 64 << 20
"""Limit for the packets that are held back meanwhile."""
MAX_DELAY_SECONDS = 5
"""Between decoding and showing of a picture."""
MAX_NOTES = 3
MAX_TICKS = 1 << 62  # libav's times are 64-bit integers


@dataclass(frozen=True)
class Start:
    """How a film is shifted at its beginning."""

    shift: Fraction
    """Seconds that are added to every time."""
    note: Note | None


def start_of(container: InputContainer, stream: VideoStream, *, keep_start: bool) -> Start:
    """Return the shift that lets a film begin at 0, if it begins late or before zero; otherwise none.

    Args:
        container: the open film.
        stream: the picture stream in it.
        keep_start: whether a film that begins late is left there.
    """
    assert stream.time_base is not None  # choose_video
    starts = [start for timed in container.streams if _is_timed(timed) and (start := _start(timed)) is not None]
    begin, pictures = min(starts, default=Fraction(0)), _start(stream) or Fraction(0)
    if begin > MAX_START_SECONDS and not keep_start:
        why = f"the film's clock begins at {float(begin):.2f} s: picture and sound begin at 0 (`keep_start` keeps it)"
    elif begin < MIN_START_SECONDS or pictures < 0:
        why = f"the film's clock begins at {float(begin):.2f} s, before zero: picture and sound begin at 0"
    else:
        return Start(Fraction(0), None)
    return Start(_rounded_up(-begin, stream.time_base), Note(why))


def _start(stream: Stream) -> Fraction | None:
    return None if stream.start_time is None or not stream.time_base else stream.start_time * stream.time_base


def _is_timed(stream: Stream) -> bool:
    """Return whether the packets of a stream follow each other without gaps: picture and sound, but no covers."""
    return stream.type in {"video", "audio"} and not stream.disposition & Disposition.attached_pic


def _rounded_up(seconds: Fraction, unit: Fraction) -> Fraction:
    return ceil(seconds / unit) * unit


def join_clocks(items: Iterable[Item], container: InputContainer, stream: VideoStream, start: Start) -> Iterator[Item]:
    """Shift the times of all packets so that there is one clock; yield a :class:`Note` where one does not follow on.

    The clock has jumped where the decoding times of picture and sound alike go back or far ahead. What comes behind is
    shifted so that it begins where both have ended. Where only one stream jumps, its times are left as they are.

    Args:
        items: the packets of all streams, and everything else.
        container: the open film.
        stream: the picture stream in it.
        start: the shift at the beginning.
    """
    if start.note is not None:
        yield start.note
    clocks = _Clocks(container, stream, start.shift)
    for item in items:
        if isinstance(item, Packet) and item.size:
            yield from clocks.take(item)
        elif isinstance(item, Note):
            yield item
        else:
            yield from clocks.decide()
            if isinstance(item, Jump):
                clocks = _Clocks(container, stream, start.shift)
            yield item
    yield from clocks.decide()
    yield from clocks.summary()


@dataclass
class _Track:
    """The clock of one stream of picture or sound. Times are those of the source, in seconds."""

    shift: Fraction
    latest: Fraction | None = None
    """The decoding time of its latest packet; None before the first one."""
    end: Fraction = Fraction(0)
    """When the latest packet ends, as it is shown."""
    duration: Fraction = Fraction(0)

    @property
    def shifted_end(self) -> Fraction:
        return self.end + self.shift

    def jumps(self, time: Fraction, max_gap: int) -> bool:
        """Return whether a packet with this decoding time does not follow on."""
        if self.latest is None:
            return False
        return not -MAX_STEP_BACK_SECONDS <= time - self.latest <= self.duration + max_gap

    def add(self, time: Fraction, packet: Packet[Any], max_gap: int) -> None:
        """Note a packet. A duration above ``max_gap`` is not used: it lasts until after a jump."""
        duration = (packet.duration or 0) * packet.time_base
        if duration <= 0 and self.latest is not None:
            duration = time - self.latest
        if not 0 <= duration <= max_gap:
            duration = self.duration
        end = _shown(packet, time) + duration
        follows = self.latest is not None and time >= self.latest - MAX_STEP_BACK_SECONDS
        self.end = max(self.end, end) if follows else end
        self.latest, self.duration = time, duration


@dataclass
class _Wait:
    """What is held back after a stream has jumped, until it is clear what the others do."""

    begun: dict[int, Fraction]
    """Of each stream that has begun, by its number: its decoding time when the wait began."""
    packets: list[tuple[Packet[Any], Fraction | None]] = field(default_factory=list)
    """Each with its shift; None: that depends on the decision."""
    held_bytes: int = 0
    ends: dict[int, Fraction] = field(default_factory=dict)
    """Of each stream that has jumped: the end of what comes before, shifted."""
    begins: dict[int, Fraction] = field(default_factory=dict)
    """Of each stream that has jumped: the time of the first packet behind."""

    def is_behind(self, packet: Packet[Any]) -> bool:
        """Return whether a packet of a stream with gaps is nearer to what comes behind the jump."""
        time = _decoded(packet)
        return time is None or abs(time - min(self.begins.values())) < abs(time - max(self.begun.values()))


class _Clocks:
    """The clocks of all streams, and the shift that makes one of them."""

    def __init__(self, container: InputContainer, stream: VideoStream, shift: Fraction) -> None:
        assert stream.time_base is not None  # choose_video
        self._tracks = {timed.index: _Track(shift) for timed in container.streams if _is_timed(timed)}
        self._unit = stream.time_base
        self._max_gap = MAX_GAP_SECONDS[container.format.name in BROADCAST_FORMATS]
        self._shift = shift
        self._wait: _Wait | None = None
        self._jumps = 0

    def take(self, packet: Packet[Any]) -> Iterator[Item]:
        """Yield a packet with its time shifted, or hold it back."""
        time = _decoded(packet)
        track = None if time is None else self._tracks.get(packet.stream_index)
        if track is None or time is None:
            yield from self._pass(packet, self._shift if self._wait is None else None)
            return
        if track.latest is None:
            track.shift = self._shift
        if track.jumps(time, self._max_gap):
            if self._wait is None and self._follows_latest(track, time):
                track.shift = self._shift
            else:
                yield from self._begin_wait(packet, track, time)
        track.add(time, packet, self._max_gap)
        has_jumped = self._wait is not None and packet.stream_index in self._wait.begins
        yield from self._pass(packet, None if has_jumped else track.shift)
        if self._wait is not None and self._is_decided(self._wait):
            yield from self.decide()

    def decide(self) -> Iterator[Item]:
        """Yield what is held back: shifted if the clock has jumped, and as it is if only one stream has."""
        wait, self._wait = self._wait, None
        if wait is None:
            return
        before = self._shift
        if not self._others_go_on(wait):
            yield from self._join(wait)
        for packet, shift in wait.packets:
            track = self._tracks.get(packet.stream_index)
            if shift is None and track is not None:
                shift = track.shift
            elif shift is None:
                shift = self._shift if wait.is_behind(packet) else before
            yield _shifted(packet, shift)

    def summary(self) -> Iterator[Note]:
        """Yield a note on the jumps that had none of their own."""
        if self._jumps > MAX_NOTES:
            yield Note(f"the clock of the film jumps {self._jumps - MAX_NOTES} more times")

    def _pass(self, packet: Packet[Any], shift: Fraction | None) -> Iterator[Item]:
        """Yield a packet with its time shifted, or hold it back while there is a wait."""
        if self._wait is None:
            assert shift is not None
            yield _shifted(packet, shift)
        else:
            self._wait.packets.append((packet, shift))
            self._wait.held_bytes += packet.size

    def _begin_wait(self, packet: Packet[Any], track: _Track, time: Fraction) -> Iterator[Item]:
        """Note that a stream has jumped, to ``time``; decide first on an earlier jump of it."""
        if self._wait is not None and packet.stream_index in self._wait.begins:
            yield from self.decide()
        if self._wait is None:
            begun = {index: other.latest for index, other in self._tracks.items() if other.latest is not None}
            self._wait = _Wait(begun)
        self._wait.ends[packet.stream_index] = track.shifted_end
        self._wait.begins[packet.stream_index] = _shown(packet, time)

    def _follows_latest(self, track: _Track, time: Fraction) -> bool:
        """Return whether a packet follows on by the clock of the other streams, which have jumped before."""
        if track.shift == self._shift:
            return False
        now = [other.shifted_end for other in self._tracks.values() if other.shift == self._shift]
        shifted = time + self._shift
        return shifted > track.shifted_end - MAX_STEP_BACK_SECONDS and abs(shifted - max(now)) <= self._max_gap

    def _is_decided(self, wait: _Wait) -> bool:
        if wait.begun.keys() <= wait.begins.keys() or wait.held_bytes > MAX_WAITING_BYTES:
            return True
        jumped = ((self._tracks[index].latest or begin) - begin for index, begin in wait.begins.items())
        return self._others_go_on(wait) or max(jumped) > 2 * WAIT_SECONDS

    def _others_go_on(self, wait: _Wait) -> bool:
        """Return whether a stream has gone on as before for longer than streams are apart in a file."""
        return any(
            (self._tracks[index].latest or since) - since > WAIT_SECONDS
            for index, since in wait.begun.items()
            if index not in wait.begins
        )

    def _join(self, wait: _Wait) -> Iterator[Note]:
        """Shift the streams that have jumped so that they follow on, and yield a note."""
        shift = max(end - wait.begins[index] for index, end in wait.ends.items())
        end, begin = max(wait.ends.values()), min(wait.begins.values())
        before = self._shift
        self._shift = _rounded_up(shift, self._unit)
        for index in wait.begins:
            self._tracks[index].shift = self._shift
        self._jumps += 1
        if self._jumps <= MAX_NOTES:
            times = f"from {float(end - before):.2f} s to {float(begin):.2f} s"
            yield Note(f"the clock of the film jumps {times}: picture and sound go on there without a break")


def _decoded(packet: Packet[Any]) -> Fraction | None:
    """Return the decoding time in seconds; None if it is not known.

    The times at which pictures are shown do not rise from packet to packet, so that they do not stand for it, unless
    they are far away: libav guesses decoding times in Matroska, and guesses them as before a jump.
    """
    ticks = packet.dts
    if packet.pts is not None and (ticks is None or abs(packet.pts - ticks) * packet.time_base > MAX_DELAY_SECONDS):
        ticks = None if ticks is None and packet.stream.type == "video" else packet.pts
    return None if ticks is None else ticks * packet.time_base


def _shown(packet: Packet[Any], decoded: Fraction) -> Fraction:
    """Return the time of showing in seconds, or the decoding time if that is all there is."""
    return decoded if packet.pts is None else packet.pts * packet.time_base


def _shifted(packet: Packet[Any], shift: Fraction) -> Packet[Any]:
    """Return the packet with its times shifted by a number of seconds."""
    if shift:
        ticks = round(shift / packet.time_base)
        packet.pts, packet.dts = (
            None if time is None else max(-MAX_TICKS, min(time + ticks, MAX_TICKS)) for time in (packet.pts, packet.dts)
        )
    return packet
