"""Encode the frames of a film: luma and chroma planes in, packets out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.codec.context import CodecContext, Flags
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vidcolor.frames import ChromaFormat, FirstField, Picture, Plane, VideoSpec
from vidcolor.media.containers import FRAME_FORMATS, SHAPE_FORMATS
from vidcolor.media.encoder import (
    RAW_FORMATS,
    SHAPE_CODECS,
    X265_DELAY,
    EncoderChoice,
    choose_encoder,
    configure,
    fit_container,
    numbering_rate,
    open_encoder,
    shares_bits,
)
from vidcolor.media.hdr_metadata import encoder_parameters
from vidcolor.media.interlacing import FIELD_CODECS, ORDERING_CODECS, SWITCHING_CODECS, FieldMarks
from vidcolor.media.outcomes import Outcome
from vidcolor.media.pixel_formats import RANGE_FULL, RANGE_LIMITED, fill
from vidcolor.media.timestamps import CountedTimes, FrameGrid, OwnTimes, PictureNumbers, Times
from vidcolor.options import EncodeOptions

GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER: the container stores the encoder's headers once, not with every keyframe


class FrameEncoder:
    """An encoder for the pictures of one film.

    Codec, pixel format and settings are chosen and checked when the object is made. :meth:`start` opens a codec
    context; each call begins a stream of packets that can be decoded without those before.

    Args:
        options: the codec, its quality and its settings.
        spec: the pictures of the source.
        format_name: the container for the packets, by libav's name.
        may_round: whether fewer bits are acceptable if no encoder of films takes as many as the source has.

    Raises:
        OptionError: the encoder or one of its options does not exist, or does not fit the pictures or the container.
    """

    format_name: str
    choice: EncoderChoice
    chroma: ChromaFormat
    """The planes that :meth:`encode` takes."""
    outcomes: tuple[Outcome, ...]
    """One for each property of the pictures that the encoder changes or drops."""
    headers: bytes
    """The headers of the current codec context, such as parameter sets (``extradata``); empty for many codecs."""

    def __init__(self, options: EncodeOptions, spec: VideoSpec, *, format_name: str, may_round: bool = False) -> None:
        self.format_name = format_name
        fitted, self._spec = fit_container(options, spec, format_name)
        self.choice = choose_encoder(fitted, spec, may_round=may_round)
        self.chroma = self.choice.chroma(spec)
        self.outcomes = tuple(_losses(self.choice, spec, format_name, is_format_requested=options.pix_fmt is not None))
        self.headers = b""
        self._has_global_header = bool(av.ContainerFormat(format_name, "w").flags & GLOBAL_HEADER)
        self._times: Times = OwnTimes()
        if format_name in RAW_FORMATS:
            self._times = CountedTimes(spec.time_base, self._spec.time_base)
        if format_name in FRAME_FORMATS:
            self._times = FrameGrid(spec.time_base, self._spec.time_base)
        self._marks = FieldMarks()
        self._field_warning: str | None = None
        self._context: VideoCodecContext | None = None
        self._frames = 0
        self._numbers: PictureNumbers | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each change that was found while encoding, beyond :attr:`outcomes`."""
        return (*self._times.warnings, *filter(None, [self._field_warning]))

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of the packets' times."""
        return self._spec.time_base

    @property
    def shares_bits(self) -> bool:
        """Whether rate control depends on all earlier pictures (:func:`vidcolor.media.encoder.shares_bits`)."""
        return shares_bits(self.choice)

    def skip(self, count: int, first_pts: int) -> None:
        """Count the first ``count`` pictures of the film as encoded, for containers that number the frames.

        Args:
            count: how many.
            first_pts: of the film's first picture.
        """
        self._times.skip(count, first_pts)

    def start(self, context: VideoCodecContext | None = None) -> None:
        """Open a codec context; the pictures that follow are encoded with it.

        Args:
            context: the context of a muxer's stream, not yet open; None: a new one.

        Raises:
            OptionError: see :func:`vidcolor.media.encoder.open_encoder`.
        """
        self._context = None  # free the previous one first
        if context is None:
            context = cast(VideoCodecContext, CodecContext.create(self.choice.codec, "w"))
        configure(context, self.choice, self._spec)
        if self._has_global_header:
            context.flags |= Flags.global_header
        open_encoder(context, self.choice, self._spec)
        self.headers = context.extradata or b""
        self._context = context
        self._frames = 0
        self._numbers = None
        if numbering_rate(self.choice.codec.name, self._spec) is not None:
            self._numbers = PictureNumbers(self._spec.time_base)

    def encode(self, picture: Picture, cb: Plane, cr: Plane) -> list[Packet[Any]]:
        """Encode a picture at its own time, and return the packets that are ready.

        Args:
            picture: the next picture of the film.
            cb: (height, width) of :attr:`chroma`, code values of its bit depth.
            cr: the same.

        Raises:
            FFmpegError: the encoder refuses the frame.
        """
        assert self._context is not None  # start() comes first
        self._frames += 1
        return self._with_times(self._context.encode(self._frame(picture, cb, cr)))

    def flush(self) -> list[Packet[Any]]:
        """Return the packets that the encoder has held back; :meth:`start` must follow before the next picture.

        Raises:
            FFmpegError: the encoder fails.
        """
        if self._context is None or not self._frames:
            return []
        packets = self._with_times(self._context.encode(None))
        if self.choice.codec.name == "libx265" and self._frames <= X265_DELAY:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def _with_times(self, packets: Iterable[Packet[Any]]) -> list[Packet[Any]]:
        """Return the packets of the encoder with the times of their pictures."""
        encoded = list(packets)
        if self._numbers is not None:
            for packet in encoded:
                self._numbers.restore(packet)
        return encoded

    def _frame(self, picture: Picture, cb: Plane, cr: Plane) -> VideoFrame:
        spec, depth = self._spec, self.chroma.bit_depth
        frame = VideoFrame(spec.width, spec.height, self.choice.frame_format)
        first_field = self._first_field(picture)
        if first_field is not None:
            frame = self._marks.marked(frame, first_field)
        luma = at_depth(picture.luma, spec.bit_depth, depth)
        fill(frame, (luma, cb, cr), depth)
        frame.pts, frame.duration = self._times.stamp(picture)
        frame.time_base = spec.time_base
        if self._numbers is not None:
            assert self._context is not None  # encode
            frame.pts, frame.duration = self._numbers.add(frame.pts, frame.duration), 1
            frame.time_base = self._context.time_base
        frame.color_range = RANGE_FULL if spec.full_range else RANGE_LIMITED
        frame.colorspace, frame.color_primaries, frame.color_trc = spec.matrix, spec.primaries, spec.transfer
        return frame

    def _first_field(self, picture: Picture) -> FirstField | None:
        """Return the field order to encode; that of the film if the encoder cannot change it, with a warning."""
        begun, found, codec = self._spec.first_field, picture.first_field, self.choice.codec.name
        if found == begun or codec in SWITCHING_CODECS:
            return found
        # One line per film: a telecined film changes in both ways, all the time.
        self._field_warning = self._field_warning or _field_warning(begun, found, codec)
        return found or begun


def _field_warning(begun: FirstField | None, found: FirstField | None, codec: str) -> str | None:
    """Return the warning for a picture whose field order differs from the film's; None if the codec can store it."""
    if begun is None:
        what = f"pictures of the film turn interlaced, {codec} cannot signal it: players will show combs"
        return f"{what}; `deinterlace` makes whole pictures of them"
    if codec not in FIELD_CODECS:
        return None
    if found is None:
        what = f"some pictures of the interlaced film are progressive, {codec} marks all as interlaced"
        return f"{what}; `codec` ffv1 marks each, `deinterlace` makes all whole"
    if codec not in ORDERING_CODECS:
        what = f"the field order changes, {codec} cannot signal where"
        return f"{what}; `codec` ffv1 can, `deinterlace` makes whole pictures"
    return None


def _losses(
    choice: EncoderChoice, spec: VideoSpec, format_name: str, *, is_format_requested: bool
) -> Iterator[Outcome]:
    """Yield an outcome for each property of the pictures that the encoder changes or drops."""
    codec, source, target = choice.codec.name, spec.bit_depth, choice.pixel_format.bit_depth
    name = choice.pixel_format.name
    if target > source:
        yield Outcome("bit depth", "changed", f"the luma's {source} bits are written as {target} ({name}), exactly")
    if target < source:
        why = "as requested" if is_format_requested else "the encoder takes no more; `codec` ffv1 does"
        yield Outcome("bit depth", "changed", f"the luma's {source} bits are rounded to {target} ({name}), {why}")
    if spec.first_field is not None and codec not in FIELD_CODECS:
        hint = "`codec` libx264 can, `deinterlace` makes whole pictures"
        why = f"the film is interlaced, {codec} cannot signal it: players will show combs; {hint}"
        yield Outcome("interlacing", "changed", why)
    if spec.hdr is not None and encoder_parameters(codec, spec.hdr) is None:
        hint = "libx264, libx265 and libsvtav1 can"
        why = f"HDR metadata ({spec.hdr}): {codec} cannot store it, left out; {hint}"
        yield Outcome("HDR metadata", "dropped", why)
    shape = spec.sample_aspect_ratio
    if shape not in (None, 1) and codec not in SHAPE_CODECS and format_name not in SHAPE_FORMATS:
        hint = "MP4, MOV and MXF store it for every encoder, libx264 and libx265 in every container"
        why = f"pixel shape {shape}: {codec} cannot store it in {format_name}; {hint}"
        yield Outcome("pixel shape", "dropped", why)


def at_depth(luma: Plane, source_bits: int, target_bits: int) -> Plane:
    """Return luma at another bit depth.

    Args:
        luma: (height, width), code values of ``source_bits``.
        source_bits: 8 to 16.
        target_bits: the same array if equal, shifted up exactly if greater, shifted down and rounded if smaller.
    """
    if target_bits == source_bits:
        return luma
    if target_bits > source_bits:
        return np.left_shift(luma.astype(np.uint16), np.uint16(target_bits - source_bits))
    lost = source_bits - target_bits
    rounded = np.right_shift(luma.astype(np.uint32) + (1 << (lost - 1)), lost)
    return np.minimum(rounded, (1 << target_bits) - 1).astype(np.uint16)
