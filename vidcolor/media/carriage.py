"""Find how a stream of a film gets into another container: as it is, converted, or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.codec import Codec
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream

from vidcolor.media.containers import PICTURE_FIRST, TS_CODECS
from vidcolor.media.outcomes import Outcome
from vidcolor.media.sound import SoundConverter, SoundFormat, encoded_format, lossless_formats
from vidcolor.media.subtitles import TEXT_CODECS, TextConverter, add_text_stream, is_text

SOUND_ENCODERS = {"opus": "libopus", "mp3": "libmp3lame", "vorbis": "libopus"}
"""The encoder to suggest for a container's usual sound, where it is not of the same name."""
RAW_PICTURES = frozenset({"yuv4mpegpipe", "rawvideo"})
"""Containers of a single picture stream."""
PLAIN_COPY = "packet by packet, with their times"


class Converter(Protocol):
    """Makes the packets of one stream from those of another."""

    def convert(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Yield the packets that are ready. Raises FFmpegError for a damaged packet."""

    def finish(self) -> Iterator[Packet[Any]]:
        """Yield the packets that were held back."""


@dataclass(frozen=True)
class Carriage:
    """A way for a stream to get into a container."""

    outcome: Outcome
    add: Callable[[OutputContainer], Stream]
    """Adds the stream to a container. Raises ValueError or FFmpegError if the container cannot hold it."""
    converter: Callable[[Stream], Converter] | None = None
    """Makes the converter for the added stream; None: packets are copied."""


def find_carriage(template: Stream, format_name: str, audio_codec: Codec | None) -> Carriage | Outcome:
    """Return the best way for a stream into a container; the outcome that says why there is none.

    Args:
        template: the source's stream.
        format_name: libav's name of the container.
        audio_codec: the encoder for sound that the container cannot hold otherwise; None: such sound is left out.
    """
    ways = (*_copies(template), *_conversions(template, format_name), *_encodings(template, audio_codec))
    found = next((way for way in ways if _can_hold(format_name, way.add)), None)
    return found or Outcome(describe(template), "dropped", _why_not(template, format_name, audio_codec))


def _copies(template: Stream) -> Iterator[Carriage]:
    if template.type not in {"video", "audio", "subtitle", "data"}:
        return
    kept = Outcome(describe(template), "kept", PLAIN_COPY)
    yield Carriage(kept, partial(_add_listed, template=template))
    yield Carriage(kept, partial(_add_unlisted, template=template))


def _conversions(template: Stream, format_name: str) -> Iterator[Carriage]:
    """Yield the ways to convert a stream without loss of what it says."""
    what = describe(template)
    if isinstance(template, AudioStream):
        for sound in lossless_formats(template):
            yield _as_sound(template, sound, Outcome(what, "kept", f"as {sound.codec}, sample by sample the same"))
    if isinstance(template, SubtitleStream) and is_text(template):
        for codec in TEXT_CODECS:
            why = f"{what}: {format_name} cannot store it as it is, the text is converted to {codec}"
            add = partial(add_text_stream, codec=codec, source=template)
            yield Carriage(Outcome(what, "changed", why), add, partial(_text_converter, template))


def _encodings(template: Stream, audio_codec: Codec | None) -> Iterator[Carriage]:
    if not isinstance(template, AudioStream) or audio_codec is None:
        return
    sound = encoded_format(template, audio_codec)
    if sound is not None:
        what = describe(template)
        yield _as_sound(template, sound, Outcome(what, "changed", f"{what}: encoded anew by {audio_codec.name}"))


def _as_sound(template: AudioStream, sound: SoundFormat, outcome: Outcome) -> Carriage:
    return Carriage(outcome, sound.add_to, partial(_sound_converter, template))


def _sound_converter(source: AudioStream, target: Stream) -> Converter:
    return SoundConverter(source, cast(AudioStream, target))


def _text_converter(source: SubtitleStream, target: Stream) -> Converter:
    return TextConverter(source, cast(SubtitleStream, target))


def _why_not(template: Stream, format_name: str, audio_codec: Codec | None) -> str:
    if isinstance(template, AudioStream) and template.codec_context and not template.codec_context.sample_rate:
        why = "none of its sound is found near the beginning of the film, so that its form is not known"
        return f"{describe(template)}: {why}, left out"
    what = f"{describe(template)}: {format_name} cannot store it, left out"
    if not isinstance(template, AudioStream) or format_name in RAW_PICTURES:
        return what
    if audio_codec is not None:
        return f"{describe(template)}: {format_name} can store neither it nor what {audio_codec.name} makes, left out"
    return f"{what}; `audio_codec` {_usual_encoder(format_name)} encodes it"


def _usual_encoder(format_name: str) -> str:
    """Return an encoder of the sound that is usual in a container."""
    with av.open(io.BytesIO(), "w", format=format_name) as container:
        usual = container.default_audio_codec
    return "flac" if usual.startswith("pcm_") else SOUND_ENCODERS.get(usual, usual)


def _add_listed(target: OutputContainer, template: Stream) -> Stream:
    """Add a stream like the template, of a codec that libav lists for the container."""
    return target.add_stream_from_template(template, opaque=True)


def _add_unlisted(target: OutputContainer, template: Stream) -> Stream:
    """Add a stream like the template to Matroska, which can hold every audio codec of AVI, listed or not (WMA).

    Raises:
        ValueError: the template is not audio, or the container is another one.
    """
    if target.format.name != "matroska" or template.type != "audio":
        raise ValueError("expected audio for Matroska")
    stream = target.add_mux_stream("pcm_s16le")  # a listed codec; the filter replaces it
    BitStreamFilterContext("null", template, stream)
    stream.time_base = template.time_base
    return stream


def _can_hold(format_name: str, add: Callable[[OutputContainer], Stream]) -> bool:
    """Return whether a container can hold a stream, found by muxing the stream's header in memory."""
    trial = av.open(io.BytesIO(), "w", format=format_name)
    try:
        if format_name in PICTURE_FIRST:
            _add_picture(trial)
        stream = add(trial)
        if format_name == "mpegts" and codec_name_of(stream) not in TS_CODECS:
            return False
        trial.start_encoding()
        if format_name not in PICTURE_FIRST:  # they can only be closed with pictures in them
            trial.close()
    except (av.FFmpegError, ValueError):
        return False
    finally:
        with suppress(av.FFmpegError):
            trial.close()
    return True


def _add_picture(trial: OutputContainer) -> None:
    """Add a picture stream, without which the container holds nothing."""
    picture = trial.add_stream("mpeg2video", rate=25)
    picture.width, picture.height, picture.pix_fmt = 720, 576, "yuv420p"


def codec_name_of(stream: Stream) -> str | None:
    """Return FFmpeg's name of the codec, whichever decoder there is for it."""
    context = stream.codec_context
    return getattr(stream, "name", None) if context is None else context.codec.canonical_name


def describe(stream: Stream) -> str:
    """Return a stream's description for messages: ``stream 2 (subtitle, subrip, eng)``."""
    facts = [stream.type, getattr(stream, "name", None) or "unknown codec", stream.language]
    if stream.disposition & Disposition.attached_pic:
        facts[0] = "cover picture"
    return f"stream {stream.index} ({', '.join(fact for fact in facts if fact)})"
