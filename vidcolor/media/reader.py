"""Read a film: its pictures with their luma and times, and the packets of all other streams."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from types import TracebackType
from typing import Any, Self

import av
from av.codec.hwaccel import HWAccel
from av.packet import Packet
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import InputError
from vidcolor.frames import FirstField, Picture, VideoSpec
from vidcolor.media.damage import Damage
from vidcolor.media.interlacing import (
    FLAGGING_CODECS,
    HEADER_ORDERS,
    Deinterlacing,
    FieldMarks,
    FirstFields,
    deinterlaced,
)
from vidcolor.media.outcomes import Outcome, warnings_of
from vidcolor.media.passthrough import (
    describe,
)
from vidcolor.media.pixel_formats import as_planar, luma_layout, read_luma
from vidcolor.media.probe import choose_video, display_matrix, lost_features, video_spec
from vidcolor.media.sources import FilmInput, source_of
from vidcolor.options import OnError

# Here a packet that is cut off means a file that is cut off; in a broadcast it is a moment of bad reception. And here
# the duration is written down; elsewhere it is a guess from the bit rate.
INDEXED_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
Decoded = Generator[tuple[VideoFrame, "tuple[Packet[Any], ...]"], None, None]
"""Frames, with the packets of other streams that lie before each."""
SHORT_BY_SECONDS = 1  # how much earlier than announced a file may end before it is called cut short


class VideoReader:
    """A film, read once from beginning to end.

    The picture is the best video stream, never a cover picture. The first picture is decoded at once, so that
    :attr:`spec` and every error about the file as a whole come before any work. Interlaced pictures stay as they are,
    with both their fields; ``deinterlace`` makes whole ones, one of each frame, or one of each field at twice the rate.
    With ``on_error`` "keep-grey" damage after the first picture is put down in :attr:`damage`: a picture that cannot be
    decoded is replaced by the one before it, and packets of other streams that are cut off are left out.
    ``accelerator`` is hardware that decodes a film in a file (:mod:`vidcolor.media.hwaccel`), or as much of it as it
    can.

    Raises:
        InputError: the file is missing, empty, no media, damaged or holds no picture.
    """

    spec: VideoSpec
    damage: Damage | None
    """Where ``on_error`` is ``keep-grey``: what was gone over; grows while the film is read and written."""
    first: Picture
    """The first picture; :meth:`pictures` begins with it."""
    display_matrix: tuple[int, ...] | None
    """Rotation and mirroring, nine numbers as in ``AV_PKT_DATA_DISPLAYMATRIX``."""
    tail: tuple[Packet[Any], ...]
    """Packets of other streams after the last picture; known once :meth:`pictures` is exhausted."""
    outcomes: list[Outcome]
    """What of the pictures is changed or lost whatever they are written to."""
    warnings: list[str]
    """One line each for what is odd about the file or will be lost; grows while it is read."""

    def __init__(
        self,
        film: FilmInput,
        *,
        deinterlace: Deinterlacing | None = None,
        on_error: OnError = "stop",
        accelerator: HWAccel | None = None,
    ) -> None:
        self._film = film
        self._accelerator = accelerator
        self.source = source_of(film, accelerator)
        self.damage = Damage() if on_error == "keep-grey" else None
        self._guessed: list[float] = []
        self._deinterlace = deinterlace
        self.warnings = list(self.source.warnings)
        self.tail = ()
        self.container = self.source.open()
        try:
            self.stream = choose_video(self.container, self.source.name)
            if accelerator is not None:
                self.stream.codec_context.thread_count = 1  # each more holds pictures of the device, which has few
            if self.source.is_scan or self.damage is not None:
                self.stream.codec_context.thread_type = "SLICE"  # or else an error is heard of some pictures later
            self._clock = _Clock()
            self._first_fields = FirstFields()
            self._field_marks = FieldMarks()
            self._unsaid_field: FirstField | None = None
            self._has_fields = False
            self._frames = self._whole()
            frame, packets = self._decode_first()
            self._inspect(frame)
            if self._deinterlace is not None:
                self._frames = self._deinterlaced(chain([(frame, packets)], self._frames))
                frame, packets = next(self._frames)
            self.first = self._picture(frame, packets)
        except BaseException:
            self.container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Packets of :attr:`tail` and of pictures must be written before."""
        self._frames.close()
        self.container.close()

    def again(self) -> VideoReader:
        """The same film, opened once more, in software; not one that comes through a pipe."""
        on_error: OnError = "stop" if self.damage is None else "keep-grey"
        return VideoReader(self._film, deinterlace=self._deinterlace, on_error=on_error)

    @property
    def is_accelerated(self) -> bool:
        """Whether hardware has decoded the latest picture: then it was fetched in another format than the decoder's."""
        decoder = self.stream.codec_context
        return decoder.is_hwaccel and decoder.pix_fmt != self._format_name

    @property
    def picture_bytes(self) -> int:
        """What one decoded picture takes, all planes, in the format that it is decoded to."""
        pixel_format = VideoFormat(self._format_name, self.spec.width, self.spec.height)
        return self.spec.width * self.spec.height * pixel_format.padded_bits_per_pixel // 8

    def interrupt(self) -> None:
        """End the film here: what waits for a pipe in another thread stops waiting."""
        self.source.interrupt()

    def pictures(self) -> Iterator[Picture]:
        """The pictures in the order they are shown, their times strictly increasing; to be called once.

        A picture without a time gets its decoding time, or else the end of the one before. Where times go back, which
        no encoder allows, decoding times take over from there, and a warning says so.

        Raises:
            InputError: the file is damaged, or its pictures change in size or depth.
        """
        yield self.first
        for frame, packets in self._frames:
            yield self._picture(frame, packets)
        if self._deinterlace is not None and not self._has_fields:
            self.warnings.append("the film is progressive: there is nothing to deinterlace")
        self._note_if_cut_short()
        self._note_guesses()

    def other_packets(self) -> Iterator[Packet[Any]]:
        """All packets of other streams; to be called once, instead of :meth:`pictures`.

        Pictures are not decoded for it, if the film is not deinterlaced on the way: that reads ahead.

        Raises:
            InputError: the file is damaged.
        """
        if len(self.container.streams) == 1:
            return
        if self._deinterlace is not None:
            for picture in self.pictures():
                yield from picture.packets
            yield from self.tail
            return
        yield from self.first.packets
        self._frames.close()  # it holds back no packet: those before the first picture came with it
        yield from (packet for packet in self._demux() if self._is_other(packet))

    def _is_other(self, packet: Packet[Any]) -> bool:
        return packet.stream.index != self.stream.index and packet.size > 0  # empty ones end a stream, for decoders

    def _decode_first(self) -> tuple[VideoFrame, tuple[Packet[Any], ...]]:
        first = next(self._frames, None)
        if first is None:
            raise InputError(
                f"{self.source.name}: no picture in it can be decoded; is it damaged or still being written?"
            )
        return first

    def _read(self) -> Decoded:
        """The frames from here on, as they are to be colored."""
        return self._whole() if self._deinterlace is None else self._deinterlaced(self._whole())

    def _deinterlaced(self, frames: Iterable[tuple[VideoFrame, tuple[Packet[Any], ...]]]) -> Decoded:
        assert self._deinterlace is not None  # asked for by the caller
        return deinterlaced(((self._stamped(frame), packets) for frame, packets in frames), self._deinterlace, ())

    def _stamped(self, frame: VideoFrame) -> VideoFrame:
        frame.pts = self._stamp(frame)
        if self._unsaid_field is not None:
            frame = self._field_marks.marked(frame, self._unsaid_field)
        self._has_fields = self._has_fields or frame.interlaced_frame
        return as_planar(frame)  # or else libavfilter would convert it in its own way

    def _whole(self) -> Decoded:
        """Every frame; where damage is gone over, the latest one again for each that is missing before the next."""
        latest: VideoFrame | None = None
        for frame, packets in self._decode():
            if frame.pts is not None:
                yield from self._stand_ins(latest, frame.pts)
            latest = frame
            yield frame, packets
        yield from self._stand_ins(latest, None)

    def _stand_ins(self, latest: VideoFrame | None, before: int | None) -> Decoded:
        if self.damage is None:
            return
        assert self.stream.time_base is not None  # choose_video
        for time in self.damage.missing(before, self.stream.time_base):
            if latest is not None and self._clock.is_later(time):
                latest.pts, latest.dts = time, None
                yield latest, ()

    def _decode(self) -> Decoded:
        """Every decoded frame, with the packets of other streams that came before it."""
        self._decoded = 0
        self._undecodable = 0
        waiting: list[Packet[Any]] = []
        for packet in self._demux():
            if packet.stream.index == self.stream.index:
                if self.damage is not None:
                    self.damage.went_in(packet)
                for frame in self._decode_packet(packet):
                    self._decoded += 1
                    if frame.is_corrupt:
                        self._note_guess(frame)
                    packets, waiting = tuple(waiting), []
                    yield frame, packets
            elif self._is_other(packet):
                waiting.append(packet)
        self.tail = tuple(waiting)

    def _demux(self) -> Iterator[Packet[Any]]:
        self._reached = Fraction(0)
        try:
            for packet in self.source.packets(self.container, self.stream):
                if packet.is_corrupt and self.container.format.name in INDEXED_FORMATS:
                    if self.damage is None:
                        raise self._damaged("a packet is cut off")
                    self.damage.note(
                        f"{describe(packet.stream)}: a packet after {float(self._reached):.2f} s is cut off"
                    )
                    if packet.stream.index != self.stream.index:
                        continue
                if packet.pts is not None:
                    self._reached = max(self._reached, (packet.pts + (packet.duration or 0)) * packet.time_base)
                yield packet
        except av.FFmpegError as exc:
            if self.damage is None:
                raise self._damaged(str(exc.strerror)) from exc
            self.damage.note(f"the file cannot be read beyond {float(self._reached):.2f} s ({exc.strerror})")
            end: Packet[Any] = Packet()
            end.stream = self.stream
            yield end

    def _decode_packet(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except av.FFmpegError as exc:
            if self.damage is not None and self._decoded:
                self.damage.failed(str(exc.strerror))
                return []
            if self._decoded or self.source.is_scan:
                raise self._damaged(str(exc.strerror)) from exc
            # A recording that begins between two key frames: what comes before the first cannot be decoded by anyone.
            self._undecodable += 1
            return []

    def _damaged(self, how: str) -> InputError:
        where = f"after {self._clock.seconds(self.stream):.2f} s" if self._decoded else "from its beginning"
        what_to_do = "use a whole copy, or cut the film there"
        if self._accelerator is not None:
            what_to_do = "try it without --hwaccel"
        return InputError(f"{self.source.name}: damaged {where} ({how}); {what_to_do}")

    def _note_guess(self, frame: VideoFrame) -> None:
        """A picture is damaged, and the decoder has made up what is missing of it."""
        seconds = float((frame.pts or 0) * (self.stream.time_base or 0))
        if self.damage is not None:
            self.damage.note(f"the picture at {seconds:.2f} s is damaged, in parts it is the decoder's guess")
        else:
            self._guessed.append(seconds)

    def _note_guesses(self) -> None:
        if self._guessed:
            count, first = len(self._guessed), f"{self._guessed[0]:.2f} s"
            which = f"{count} damaged pictures, the first" if count > 1 else "a damaged picture"
            self.warnings.append(f"{which} at {first}: what is missing there is the decoder's guess")

    def _inspect(self, first: VideoFrame) -> None:
        self._layout = luma_layout(first.format)
        self._format_name = first.format.name
        self.display_matrix = display_matrix(first, self.stream)
        spec = video_spec(self.stream, first, self.container)
        context = self.stream.codec_context
        said, header = self._first_fields.of(first), HEADER_ORDERS.get(context.field_order)
        if said is None and context.codec.canonical_name not in FLAGGING_CODECS:
            self._unsaid_field = header
        first_field = said or header
        frames = self.source.frames or spec.estimated_frames
        self.spec = replace(spec, estimated_frames=frames, first_field=first_field)
        if self._undecodable:
            self.warnings.append(f"{self._undecodable} damaged packets before the first picture were skipped")
        self.outcomes = lost_features(first, self.stream)
        if self._deinterlace is not None:
            self._plan_deinterlacing(self._deinterlace)
        self.warnings += warnings_of(self.outcomes)

    def _plan_deinterlacing(self, mode: Deinterlacing) -> None:
        spec = self.spec
        self.spec = replace(spec, first_field=None)
        if mode == "field":
            self.spec = replace(self.spec, time_base=spec.time_base / 2)
        if spec.first_field is None:
            return  # so far; what of it is interlaced is deinterlaced where it comes
        self.outcomes.append(Outcome("interlacing", "changed", f"deinterlaced by bwdif, one picture of each {mode}"))
        if mode == "field":
            self.spec = replace(
                self.spec,
                frame_rate=spec.frame_rate and 2 * spec.frame_rate,
                estimated_frames=spec.estimated_frames and 2 * spec.estimated_frames,
            )

    def _picture(self, frame: VideoFrame, packets: tuple[Packet[Any], ...]) -> Picture:
        pts = self._stamp(frame) if self._deinterlace is None else frame.pts
        assert pts is not None  # deinterlaced frames have theirs already
        size = (frame.width, frame.height)
        if size != (self.spec.width, self.spec.height):
            expected = f"{self.spec.width}×{self.spec.height}"
            found = f"changes from {expected} to {frame.width}×{frame.height}"
            raise self._changed(found)
        if frame.format.name != self._format_name:
            self._layout = luma_layout(frame.format)
            self._format_name = frame.format.name
            if self._layout.bit_depth != self.spec.bit_depth:
                raise self._changed(f"changes from {self.spec.bit_depth} to {self._layout.bit_depth} bits")
        try:
            luma = read_luma(frame, self._layout)
        except av.FFmpegError as exc:
            raise InputError(f"{self.source.name}: the pixel format {frame.format.name} cannot be converted") from exc
        first_field = None if self._deinterlace is not None else self._first_fields.of(frame) or self._unsaid_field
        return Picture(pts, frame.duration, luma, packets, first_field)

    def _stamp(self, frame: VideoFrame) -> int:
        was_faulty = self._clock.faulty
        pts = self._clock.stamp(frame)
        if self._clock.faulty and not was_faulty:
            seconds = self._clock.seconds(self.stream)
            self.warnings.append(f"timestamps go back at {seconds:.2f} s; decoding times are used from there")
        return pts

    def _changed(self, found: str) -> InputError:
        seconds = self._clock.seconds(self.stream)
        return InputError(
            f"{self.source.name}: the picture {found} after {seconds:.2f} s; cut the film there, color the parts"
        )

    def _note_if_cut_short(self) -> None:
        duration = self.container.duration
        if duration is None or self.container.format.name not in INDEXED_FORMATS:
            return
        announced = Fraction(duration, av.time_base)
        if announced - self._reached > SHORT_BY_SECONDS:
            what = f"ends at {float(self._reached):.2f} s, its header announces {float(announced):.2f} s"
            self.warnings.append(f"{self.source.name} {what}: it may be cut short")


class _Clock:
    """Gives every picture a time later than that of the one before."""

    def __init__(self) -> None:
        self.faulty = False
        """Whether a timestamp has gone back."""
        self._last: int | None = None
        self._duration = 0

    def stamp(self, frame: VideoFrame) -> int:
        last = self._last
        if frame.pts is not None and last is not None and frame.pts <= last:
            self.faulty = True
        times = (frame.dts, frame.pts) if self.faulty else (frame.pts, frame.dts)
        guess = 0 if last is None else last + max(self._duration, 1)
        later = (time for time in times if time is not None and (last is None or time > last))
        self._last = next(later, guess)
        self._duration = frame.duration
        return self._last

    def is_later(self, time: int) -> bool:
        """Whether a time is later than that of the latest picture."""
        return self._last is None or time > self._last

    def seconds(self, stream: VideoStream) -> float:
        """The time of the latest picture."""
        return float((self._last or 0) * (stream.time_base or 0))
