"""Write a film's container: encoded pictures, and everything else that the source holds, as it is."""

from __future__ import annotations

import contextlib
import errno
import heapq
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from math import inf
from types import TracebackType
from typing import Any, Self

import av
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from vidcolor.errors import OptionError, OutputError
from vidcolor.media.codecs import find_encoder
from vidcolor.media.containers import PICTURE_FIRST, TS_CODECS, container_options, lost_by_container
from vidcolor.media.destinations import Output
from vidcolor.media.frame_encoder import FrameEncoder
from vidcolor.media.metadata import container_metadata, kept_metadata, timecode_of
from vidcolor.media.outcomes import Outcome
from vidcolor.media.passthrough import Passthrough, copy_chapters
from vidcolor.media.reader import VideoReader

COVER = Disposition.attached_pic


class Muxer:
    """A container in the making, with one stream of encoded pictures and the other streams of the source.

    Sound in PCM and text subtitles are converted where the container cannot hold them as they are
    (:mod:`vidcolor.media.carriage`).

    The times of pictures are exact in MP4 and MOV; Matroska counts in milliseconds, MPEG-TS in 1/90000 s, AVI in whole
    frames, and times are rounded to these. Packets of other streams keep their bytes and their times, except where the
    container requires something else: MP4 counts the time of sound in samples, and MPEG-TS needs AAC with ADTS headers
    and no times before zero.

    A file appears under its name with :meth:`publish`; a pipe gets the bytes as they are written. As a context manager
    it publishes at the end, or discards after an exception.

    Args:
        output: where the container goes. The muxer publishes or discards it.
        reader: the source. Its pictures are replaced, everything else is copied.
        encoder: the encoder of the pictures. It is started on the stream of this container.
        audio_codec: the encoder for sound that the container cannot hold otherwise; None: such sound is left out.

    Raises:
        OutputError: the container refuses the streams.
        OptionError: the container cannot hold what the encoder makes, or the encoder refuses its settings.
    """

    outcomes: tuple[Outcome, ...]
    """One for each of the other streams, and for what the container cannot hold."""

    def __init__(
        self,
        output: Output,
        *,
        reader: VideoReader,
        encoder: FrameEncoder,
        audio_codec: str | None = None,
    ) -> None:
        self._output = output
        self._has_pictures = False
        format_name, start = encoder.format_name, reader.first.pts * reader.spec.time_base
        try:
            sound_encoder = None if audio_codec is None else find_encoder(audio_codec, "audio")
            options = container_options(format_name, reader.container, start, reader.shift)
            self._container = av.open(self._output.target, "w", format=format_name, container_options=options)
            self._passthrough = Passthrough(
                self._container, output.name, audio_codec=sound_encoder, keep_going=reader.keep_going
            )
            self._add_streams(reader, encoder)
            self._container.metadata.update(container_metadata(reader.container.metadata, format_name))
            copy_chapters(reader.container, self._container, reader.shift)
            lost = lost_by_container(reader.container, reader.spec, format_name)
            self.outcomes = (*self._passthrough.outcomes, *lost)
            with self.naming_errors():
                self._container.start_encoding()
            self._output.flush()
        except BaseException:
            self._output.discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is None:
            self.publish()
        else:
            self.discard()

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each change that was found while writing, beyond :attr:`outcomes`."""
        return self._passthrough.warnings

    @property
    def errors(self) -> tuple[str, ...]:
        """One line for each damaged packet of another stream that was left out so far."""
        return self._passthrough.errors

    @property
    def bytes_written(self) -> int:
        """The size of the container in bytes; final once it is published."""
        return self._output.bytes_written

    def naming_errors(self) -> AbstractContextManager[None]:
        """Turn errors of libav into :class:`OutputError` that names the output, for as long as the context lasts."""
        return naming_errors(self._output.name)

    def write(self, pictures: Iterable[Packet[Any]] = (), *, others: Iterable[Packet[Any]] = ()) -> None:
        """Write packets of other streams, then packets of the encoder.

        Raises:
            OutputError: the disk is full, or the container refuses a packet.
        """
        with self.naming_errors():
            for packet in others:
                self._passthrough.mux(packet)
                self._output.flush()  # there may be many: what a pipe takes waits in memory until then
            for packet in pictures:
                self._container.mux_one(self._for_picture_stream(packet))
        self._output.flush()

    def join(self, pictures: Iterable[Packet[Any]], others: Iterable[Packet[Any]]) -> None:
        """Write all packets of a film, ordered by decoding time.

        Args:
            pictures: packets of the encoder, with rising decoding times.
            others: the packets of all other streams of the source.

        Raises:
            OutputError: the disk is full, or the container refuses a packet.
        """
        with self.naming_errors():
            for packet in heapq.merge(map(self._for_picture_stream, pictures), others, key=_decoded_at):
                if packet.stream is self._stream:
                    self._container.mux_one(packet)
                else:
                    self._passthrough.mux(packet)
        self._output.flush()

    def publish(self) -> None:
        """Complete the container, and let a file appear under its name.

        Raises:
            OutputError: the disk is full, the file shows no picture, or it cannot get its name.
        """
        try:
            with self.naming_errors():
                self._passthrough.finish()
                self._container.close()
            self._output.flush()
            if self._has_pictures and isinstance(self._output.target, str):
                check_pictures(self._output.target, self._output.name, self._container.format.name)
            self._output.publish()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the file. Nothing can be written any more."""
        # Closing writes the end of a file that is removed anyway: whether that succeeds does not matter.
        try:
            with contextlib.suppress(av.FFmpegError):
                self._container.close()
        finally:
            self._output.discard()

    def _for_picture_stream(self, packet: Packet[Any]) -> Packet[Any]:
        """Assign a packet of the encoder to the picture stream of the container."""
        packet.stream = self._stream
        self._has_pictures = True
        return packet

    def _add_streams(self, reader: VideoReader, encoder: FrameEncoder) -> None:
        streams = list(reader.container.streams)
        if encoder.format_name in PICTURE_FIRST:
            streams.sort(key=lambda stream: stream.index != reader.stream.index)
        for stream in streams:
            if stream.index == reader.stream.index:
                self._stream = self._add_picture_stream(reader, encoder)
            else:
                self._passthrough.add(stream, reader.first.packets)

    def _add_picture_stream(self, reader: VideoReader, encoder: FrameEncoder) -> VideoStream:
        codec, format_name = encoder.choice.codec, encoder.format_name
        hint = "choose another `codec`, or another ending (.mkv takes nearly everything)"
        refusal = f"{self._output.name}: {format_name} cannot hold what {codec.name} makes; {hint}"
        if format_name == "mpegts" and codec.canonical_name not in TS_CODECS:
            raise OptionError(refusal)
        try:
            stream = self._container.add_stream(codec.name)
        except ValueError as exc:
            raise OptionError(refusal) from exc
        assert isinstance(stream, VideoStream)  # choose_encoder
        if codec.canonical_name == "hevc" and format_name in {"mp4", "mov"}:
            stream.codec_context.codec_tag = "hvc1"  # the only one of its two names that Apple's players know
        encoder.start(stream.codec_context)
        stream.time_base = encoder.time_base
        stream.metadata.update(timecode_of(reader.container) | kept_metadata(reader.stream.metadata))
        # Of several video streams, this one is to be shown.
        stream.disposition = reader.stream.disposition | Disposition.default
        if reader.display_matrix is not None:
            stream.set_display_matrix(reader.display_matrix)
        return stream


def rehearse_muxing(
    output: Output, *, reader: VideoReader, encoder: FrameEncoder, audio_codec: str | None = None
) -> tuple[Outcome, ...]:
    """Write the beginning of a container, remove it, and return its :attr:`Muxer.outcomes`.

    Args:
        output: as for :class:`Muxer`. It is discarded.
        reader: as for :class:`Muxer`.
        encoder: as for :class:`Muxer`; its headers are those of the container afterwards.
        audio_codec: as for :class:`Muxer`.

    Raises:
        OutputError: see :class:`Muxer`.
        OptionError: see :class:`Muxer`.
    """
    muxer = Muxer(output, reader=reader, encoder=encoder, audio_codec=audio_codec)
    muxer.discard()
    return muxer.outcomes


def check_pictures(file: str, name: str, format_name: str) -> None:
    """Check that a finished container shows a picture: an index can leave out all of them, as libav reads it.

    Args:
        file: where the container is.
        name: of the output, for messages.
        format_name: of the container, as libav's muxer has it; one without a demuxer of this name is not checked.

    Raises:
        OutputError: it shows none.
    """
    try:
        with av.open(file, format=format_name, metadata_errors="ignore") as film:
            packets = (packet for packet in film.demux(film.streams.video) if not packet.stream.disposition & COVER)
            shows_picture = any(packet.size and not packet.is_discard for packet in packets)
    except (av.FFmpegError, ValueError, IndexError):
        return  # raw streams and others may lack what a reader needs; whether pictures are there is not known then
    if not shows_picture:
        raise OutputError(f"{name}: the finished film shows no picture; choose another kind of file, and report this")


@contextlib.contextmanager
def naming_errors(name: str) -> Iterator[None]:
    """Turn errors of libav into :class:`OutputError` that names the output, for as long as the context lasts."""
    try:
        yield
    except av.FFmpegError as exc:
        if exc.errno == errno.ENOSPC:
            raise OutputError(f"{name}: the disk is full; free some space or choose another place") from exc
        raise OutputError(f"{name}: writing failed ({exc.strerror})") from exc


def _decoded_at(packet: Packet[Any]) -> Fraction | float:
    """Return the decoding time in seconds; minus infinity if the packet has no time."""
    time = packet.dts if packet.dts is not None else packet.pts
    return -inf if time is None else time * packet.time_base
