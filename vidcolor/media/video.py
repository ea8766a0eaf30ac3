"""Films in and out: :class:`VideoReader` and :class:`VideoWriter`, twins with one verb each.

The luma and the time of a picture go through unchanged, and so does whatever else the file holds. The times of pictures
are exact in MP4 and MOV; Matroska counts in milliseconds, MPEG-TS in 1/90000 s, AVI in whole frames, and a time is
rounded to these. Packets of sound keep their bytes and their times, except where the container asks otherwise: MP4
counts the time of sound in samples, and MPEG-TS wants AAC with headers of its own and nothing before zero.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
import numpy as np
from av.codec.context import CodecContext, Flags
from av.codec.hwaccel import HWAccel
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.frames import FirstField, Picture, Plane, VideoSpec
from vidcolor.media.damage import Damage
from vidcolor.media.destinations import HiddenPlace, destination_of
from vidcolor.media.encoder import (
    RAW_FORMATS,
    SHAPE_CODECS,
    X265_DELAY,
    choose_encoder,
    configure,
    fit_container,
    open_encoder,
    shares_bits,
)
from vidcolor.media.hdr_metadata import encoder_parameters
from vidcolor.media.interlacing import (
    FIELD_CODECS,
    FLAGGING_CODECS,
    HEADER_ORDERS,
    ORDERING_CODECS,
    SWITCHING_CODECS,
    Deinterlacing,
    FieldMarks,
    FirstFields,
    deinterlaced,
)
from vidcolor.media.outcomes import Fate, Outcome, warnings_of
from vidcolor.media.passthrough import (
    SHAPE_FORMATS,
    TS_CODECS,
    Passthrough,
    container_metadata,
    container_options,
    copy_chapters,
    describe,
    kept_metadata,
    lost_by_container,
    lost_metadata,
    timecode_of,
)
from vidcolor.media.pipes import PipeOutput
from vidcolor.media.pixel_formats import RANGE_FULL, RANGE_LIMITED, as_planar, fill, luma_layout, read_luma
from vidcolor.media.probe import choose_video, display_matrix, lost_features, video_spec
from vidcolor.media.sources import FilmInput, source_of
from vidcolor.media.timestamps import CountedTimes, OwnTimes, Times
from vidcolor.options import EncodeOptions, OnError

# Here a packet that is cut off means a file that is cut off; in a broadcast it is a moment of bad reception. And here
# the duration is written down; elsewhere it is a guess from the bit rate.
INDEXED_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER: the encoder's headers go to the beginning, not to every key frame
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
    fates: list[Fate]
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
        self.fates = lost_features(first, self.stream)
        if self._deinterlace is not None:
            self._plan_deinterlacing(self._deinterlace)
        self.warnings += warnings_of(self.fates)

    def _plan_deinterlacing(self, mode: Deinterlacing) -> None:
        spec = self.spec
        self.spec = replace(spec, first_field=None)
        if mode == "field":
            self.spec = replace(self.spec, time_base=spec.time_base / 2)
        if spec.first_field is None:
            return  # so far; what of it is interlaced is deinterlaced where it comes
        self.fates.append(Fate("interlacing", "changed", f"deinterlaced by bwdif, one picture of each {mode}"))
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


class VideoWriter:
    """A film in the making: the pictures of ``like`` with other chroma, and everything else of ``like`` as it is.

    A file appears under its name when the ``with`` block ends well; when it ends with an exception, nothing is left. A
    pipe gets the film as it is made. All checks are made when the object is made. Until then a file lies beside its
    name, or in ``hidden_in``.

    Raises:
        OutputError: the file cannot be written, exists already, or is the source itself.
        OptionError: the container, the encoder or one of its options does not exist or does not fit.
    """

    fates: list[Fate]
    """What becomes of the other streams, and of what the encoder or the kind of file has no place for."""
    warnings: list[str]
    """One line each for what could not be kept as it was."""
    headers: bytes
    """What the encoder says ahead of all packets, such as parameter sets; empty for many."""

    def __init__(
        self,
        film: str | Path | PipeOutput,
        *,
        like: VideoReader,
        options: EncodeOptions,
        overwrite: bool,
        hidden_in: HiddenPlace | None = None,
    ) -> None:
        self.fates = []
        self.warnings = []
        self._like = like
        self._dest = destination_of(
            film, source=like.source.path, format_name=options.format, overwrite=overwrite, hidden_in=hidden_in
        )
        format_name = self._dest.format_name
        options, self._spec = fit_container(options, like.spec, format_name)
        self._times: Times = OwnTimes()
        if format_name in RAW_FORMATS:
            self._times = CountedTimes(like.spec.time_base, self._spec.time_base, self.warnings)
        self._choice = choose_encoder(options, like.spec, may_round=like.source.is_scan)
        self.chroma = self._choice.chroma(like.spec)
        self._note_depth(options)
        self._note_fields()
        self._note_hdr()
        self._note_shape(format_name)
        self._written = 0  # pictures, by this object; others are spliced
        self._dest.begin()
        start = like.first.pts * like.spec.time_base
        try:
            self._container = self._dest.open(container_options(format_name, like.container, start))
            self._add_everything(format_name)
        except BaseException:
            self._dest.discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is not None:
            self.abandon()
            return
        try:
            self._finish()
            self._dest.publish()
        except BaseException:
            self.abandon()
            raise

    def write(self, picture: Picture, cb: Plane, cr: Plane) -> None:
        """Encode a picture at its own time; its packets of other streams go before it.

        Args:
            picture: the next one of ``like``.
            cb, cr: (height, width) of :attr:`chroma`, code values of its depth.

        Raises:
            OutputError: the disk is full, or the encoder or the container refuses what it is given.
        """
        self._written += 1
        with self.naming_errors():
            self._copy(picture.packets)
            self._container.mux(self._stream.encode(self.frame(picture, cb, cr)))
        self._dest.flush()

    def splice(self, pictures: Iterable[Packet[Any]], others: Iterable[Packet[Any]]) -> None:
        """Write a whole film whose pictures are encoded already, instead of calling :meth:`write`.

        Args:
            pictures: packets as encoders of :meth:`new_encoder` make them, with decoding times that rise.
            others: the packets of all other streams of ``like``.

        Raises:
            OutputError: the disk is full, or the container refuses what it is given.
        """
        with self.naming_errors():
            for packet in heapq.merge(map(self._own, pictures), others, key=_decoded_at):
                if packet.stream is self._stream:
                    self._container.mux_one(packet)
                else:
                    self._passthrough.mux(packet)
        self._dest.flush()

    def _own(self, packet: Packet[Any]) -> Packet[Any]:
        packet.stream = self._stream
        return packet

    def new_encoder(self) -> VideoCodecContext:
        """An encoder like the one of this film, which knows nothing of what was encoded before; open.

        Raises:
            OptionError: see :func:`vidcolor.media.encoder.open_encoder`.
        """
        context = cast(VideoCodecContext, CodecContext.create(self._choice.codec, "w"))
        configure(context, self._choice, self._spec)
        if self._global_header:
            context.flags |= Flags.global_header
        open_encoder(context, self._choice, self._spec)
        return context

    def skip(self, count: int) -> None:
        """Go on behind the first ``count`` pictures, as far as times are counted."""
        self._times.skip(count)

    def _note_depth(self, options: EncodeOptions) -> None:
        source, target = self._like.spec.bit_depth, self.chroma.bit_depth
        name = self._choice.pixel_format.name
        if target > source:
            self._note("bit depth", f"the luma's {source} bits are written as {target} ({name}), exactly")
        if target < source:
            why = "as asked" if options.pix_fmt else "the encoder takes no more; --codec ffv1 does"
            self._note("bit depth", f"the luma's {source} bits are rounded to {target} ({name}), {why}")

    def _note_fields(self) -> None:
        first, codec = self._like.spec.first_field, self._choice.codec.name
        self._marks = FieldMarks()
        self._has_switched = False
        if first is not None and codec not in FIELD_CODECS:
            hint = "--codec libx264 does, --deinterlace makes whole pictures"
            self._note("interlacing", f"the film is interlaced, {codec} cannot say so: players will show combs; {hint}")

    def _note_hdr(self) -> None:
        hdr, codec = self._like.spec.hdr, self._choice.codec.name
        if hdr is not None and encoder_parameters(codec, hdr) is None:
            hint = "libx264, libx265 and libsvtav1 have"
            self._note(
                "HDR metadata", f"HDR metadata ({hdr}): {codec} has no words for it, left out; {hint}", "dropped"
            )

    def _note_shape(self, format_name: str) -> None:
        shape, codec = self._like.spec.sample_aspect_ratio, self._choice.codec.name
        if shape in (None, 1) or codec in SHAPE_CODECS or format_name in SHAPE_FORMATS:
            return
        hint = "MP4, MOV and MXF say it with every encoder, libx264 and libx265 in every kind of file"
        self._note("pixel shape", f"pixel shape {shape}: {codec} cannot say it in {format_name}; {hint}", "dropped")

    def _note(self, what: str, why: str, outcome: Outcome = "changed") -> None:
        self.fates.append(Fate(what, outcome, why))
        self.warnings.append(why)

    def _add_everything(self, format_name: str) -> None:
        like = self._like
        self._passthrough = Passthrough(self._container, self._dest.name, self.warnings, damage=like.damage)
        for stream in like.container.streams:
            if stream.index == like.stream.index:
                self._stream = self._add_picture_stream(format_name)
            else:
                self._passthrough.add(stream, like.first.packets)
        self._container.metadata.update(container_metadata(like.container.metadata, format_name))
        copy_chapters(like.container, self._container)
        lost = lost_by_container(like.container, like.spec, format_name)
        keys = lost_metadata(kept_metadata(like.container.metadata), format_name)
        if keys:
            why = f"metadata {', '.join(keys)}: {format_name} has no place for it, left out"
            lost.append(Fate("further metadata", "dropped", why))
        self.warnings += warnings_of(lost)
        self.fates += [*self._passthrough.fates, *lost]
        with self.naming_errors():
            self._container.start_encoding()
        self._dest.flush()

    def _add_picture_stream(self, format_name: str) -> VideoStream:
        like, codec = self._like, self._choice.codec
        hint = "choose another --codec, or another ending (.mkv takes nearly everything)"
        refusal = f"{self._dest.name}: {format_name} cannot hold what {codec.name} makes; {hint}"
        if format_name == "mpegts" and codec.canonical_name not in TS_CODECS:
            raise OptionError(refusal)
        try:
            stream = self._container.add_stream(codec.name)
        except ValueError as exc:
            raise OptionError(refusal) from exc
        assert isinstance(stream, VideoStream)  # choose_encoder
        configure(stream.codec_context, self._choice, self._spec)
        if codec.canonical_name == "hevc" and format_name in {"mp4", "mov"}:
            stream.codec_context.codec_tag = "hvc1"  # the only one of its two names that Apple's players know
        open_encoder(stream.codec_context, self._choice, self._spec)
        self._global_header = bool(self._container.format.flags & GLOBAL_HEADER)
        self.headers = stream.codec_context.extradata or b""
        stream.time_base = self._spec.time_base
        stream.metadata.update(timecode_of(like.container) | kept_metadata(like.stream.metadata))
        stream.disposition = like.stream.disposition | Disposition.default  # of several films, this one is to be shown
        if like.display_matrix is not None:
            stream.set_display_matrix(like.display_matrix)
        return stream

    def frame(self, picture: Picture, cb: Plane, cr: Plane) -> VideoFrame:
        """What the encoder is given for the next picture; arguments as for :meth:`write`."""
        spec, depth = self._spec, self.chroma.bit_depth
        frame = VideoFrame(spec.width, spec.height, self._choice.frame_format)
        first_field = self._said_of(picture)
        if first_field is not None:
            frame = self._marks.marked(frame, first_field)
        luma = at_depth(picture.luma, spec.bit_depth, depth)
        fill(frame, (luma, cb, cr), depth)
        frame.pts, frame.duration = self._times.stamp(picture)
        frame.time_base = spec.time_base
        frame.color_range = RANGE_FULL if spec.full_range else RANGE_LIMITED
        frame.colorspace, frame.color_primaries, frame.color_trc = spec.matrix, spec.primaries, spec.transfer
        return frame

    def _said_of(self, picture: Picture) -> FirstField | None:
        """Which field comes first, for the encoder; one that cannot switch is told of the film, and a line says so."""
        begun, found, codec = self._spec.first_field, picture.first_field, self._choice.codec.name
        if found == begun or codec in SWITCHING_CODECS:
            return found
        if begun is None:
            what = f"pictures of the film turn interlaced, {codec} cannot say so: players will show combs"
            self._note_switch(f"{what}; --deinterlace makes whole pictures of them")
        elif found is None and codec in FIELD_CODECS:
            what = f"some pictures of the interlaced film are progressive, {codec} says that all are interlaced"
            self._note_switch(f"{what}; --codec ffv1 tells them apart, --deinterlace makes all whole")
        elif found is not None and codec in FIELD_CODECS and codec not in ORDERING_CODECS:
            what = f"the order of the fields changes, {codec} cannot say from which picture on"
            self._note_switch(f"{what}; --codec ffv1 does, --deinterlace makes whole pictures")
        return found or begun

    def _note_switch(self, line: str) -> None:
        """One line is enough: a telecined film switches in both ways, all the time."""
        if not self._has_switched:
            self._has_switched = True
            self.warnings.append(line)

    def _copy(self, packets: tuple[Packet[Any], ...]) -> None:
        for packet in packets:
            self._passthrough.mux(packet)

    def _finish(self) -> None:
        with self.naming_errors():
            if self._written:
                packets = self._stream.encode(None)
                if self._choice.codec.name == "libx265" and self._written <= X265_DELAY:
                    for packet in packets:
                        packet.dts = packet.pts
                self._container.mux(packets)
                self._copy(self._like.tail)
            self._container.close()
        self._dest.flush()

    @property
    def shares_bits(self) -> bool:
        """See :func:`vidcolor.media.encoder.shares_bits`."""
        return shares_bits(self._choice)

    @property
    def time_base(self) -> Fraction:
        """That of the encoder: seconds per unit of the times in its packets."""
        return self._spec.time_base

    @property
    def bytes_written(self) -> int:
        """The size of the film; known for good once the ``with`` block has ended."""
        return self._dest.bytes_written

    def abandon(self) -> None:
        """Throw away what is in the making, and free what an encoder takes; nothing can be written any more."""
        # Closing writes the end of a file that is thrown away: whether that works does not matter.
        try:
            with contextlib.suppress(av.FFmpegError):
                self._container.close()
        finally:
            self._dest.discard()
            del self._container, self._stream, self._passthrough

    @contextlib.contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Turn what libav refuses into OutputError, for as long as the context lasts."""
        try:
            yield
        except av.FFmpegError as exc:
            if exc.errno == errno.ENOSPC:
                raise OutputError(
                    f"{self._dest.name}: the disk is full; free some space or choose another place"
                ) from exc
            raise OutputError(f"{self._dest.name}: writing failed ({exc.strerror})") from exc


def _decoded_at(packet: Packet[Any]) -> Fraction | float:
    """Seconds; before everything where the packet has no time."""
    time = packet.dts if packet.dts is not None else packet.pts
    return -inf if time is None else time * packet.time_base


def at_depth(luma: Plane, source_bits: int, target_bits: int) -> Plane:
    """Luma at another depth: the same array, shifted up exactly, or shifted down and rounded."""
    if target_bits == source_bits:
        return luma
    if target_bits > source_bits:
        return np.left_shift(luma.astype(np.uint16), np.uint16(target_bits - source_bits))
    lost = source_bits - target_bits
    rounded = np.right_shift(luma.astype(np.uint32) + (1 << (lost - 1)), lost)
    return np.minimum(rounded, (1 << target_bits) - 1).astype(np.uint16)
