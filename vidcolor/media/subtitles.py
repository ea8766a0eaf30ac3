"""Convert text subtitles between the forms of containers: SRT, ASS, WebVTT and the text of MP4 and MOV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from av.codec.context import CodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream

TEXT_CODECS = ("subrip", "webvtt", "mov_text", "ass")
"""Encoders of text subtitles, in the order in which they are tried."""


def is_text(stream: SubtitleStream) -> bool:
    """Return whether subtitles are text that libav can decode."""
    context = stream.codec_context
    return context is not None and context.codec.text_sub


def open_decoder(stream: SubtitleStream) -> SubtitleCodecContext:
    """Return an open decoder of its own for a stream; its header has the styles of the text."""
    decoder = CodecContext.create(stream.codec_context.codec.name, "r")
    assert isinstance(decoder, SubtitleCodecContext)
    decoder.extradata = stream.codec_context.extradata
    decoder.open(strict=False)
    return decoder


def add_text_stream(target: OutputContainer, codec: str, source: SubtitleStream) -> SubtitleStream:
    """Add a stream for the text of ``source``.

    Raises:
        ValueError: the container does not list the codec.
        FFmpegError: the decoder or the encoder cannot be opened.
    """
    stream = target.add_stream(codec)
    assert isinstance(stream, SubtitleStream)  # the codec is one for subtitles
    stream.codec_context.subtitle_header = open_decoder(source).subtitle_header
    stream.time_base = source.time_base
    return stream


class TextConverter:
    """Decodes the packets of a text stream and encodes them for another one; times stay as they are.

    Args:
        source: the stream that is decoded.
        target: the stream that is encoded.
    """

    def __init__(self, source: SubtitleStream, target: SubtitleStream) -> None:
        self._decoder = open_decoder(source)
        self._encoder = target.codec_context

    def convert(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Yield one packet, or none where nothing is shown.

        Raises:
            FFmpegError: the packet is damaged, or its text is too long for the encoder.
        """
        subtitle = self._decoder.decode2(packet)
        if subtitle is None or not len(subtitle):
            return
        converted = self._encoder.encode_subtitle(subtitle)
        converted.pts, converted.dts, converted.duration = packet.pts, packet.dts, packet.duration
        converted.time_base = packet.time_base
        yield converted

    def finish(self) -> Iterator[Packet[Any]]:
        """Yield nothing: every packet is converted at once."""
        yield from ()
