"""Write a film.

The luma and the time of a picture go through unchanged, and so does whatever else the file holds. The times of pictures
are exact in MP4 and MOV; Matroska counts in milliseconds, MPEG-TS in 1/90000 s, AVI in whole frames, and a time is
rounded to these. Packets of sound keep their bytes and their times, except where the container asks otherwise: MP4
counts the time of sound in samples, and MPEG-TS wants AAC with headers of its own and nothing before zero.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
import numpy as np
from av.codec.context import CodecContext, Flags
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import OptionError, OutputError
from vidcolor.frames import FirstField, Picture, Plane
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
    ORDERING_CODECS,
    SWITCHING_CODECS,
    FieldMarks,
)
from vidcolor.media.outcomes import Outcome, OutcomeKind, warnings_of
from vidcolor.media.passthrough import (
    SHAPE_FORMATS,
    TS_CODECS,
    Passthrough,
    container_metadata,
    container_options,
    copy_chapters,
    kept_metadata,
    lost_by_container,
    lost_metadata,
    timecode_of,
)
from vidcolor.media.pipes import PipeOutput
from vidcolor.media.pixel_formats import RANGE_FULL, RANGE_LIMITED, fill
from vidcolor.media.reader import VideoReader
from vidcolor.media.timestamps import CountedTimes, OwnTimes, Times
from vidcolor.options import EncodeOptions

# Here a packet that is cut off means a file that is cut off; in a broadcast it is a moment of bad reception. And here
# the duration is written down; elsewhere it is a guess from the bit rate.
GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER: the encoder's headers go to the beginning, not to every key frame


class VideoWriter:
    """A film in the making: the pictures of ``like`` with other chroma, and everything else of ``like`` as it is.

    A file appears under its name when the ``with`` block ends well; when it ends with an exception, nothing is left. A
    pipe gets the film as it is made. All checks are made when the object is made. Until then a file lies beside its
    name, or in ``hidden_in``.

    Raises:
        OutputError: the file cannot be written, exists already, or is the source itself.
        OptionError: the container, the encoder or one of its options does not exist or does not fit.
    """

    outcomes: list[Outcome]
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
        self.outcomes = []
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

    def _note(self, what: str, why: str, kind: OutcomeKind = "changed") -> None:
        self.outcomes.append(Outcome(what, kind, why))
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
            lost.append(Outcome("further metadata", "dropped", why))
        self.warnings += warnings_of(lost)
        self.outcomes += [*self._passthrough.outcomes, *lost]
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
