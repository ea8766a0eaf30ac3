"""Find encoders of libav by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from vidcolor.errors import OptionError


@dataclass(frozen=True)
class EncoderKind:
    """What is said to users about the encoders of one kind."""

    option: str
    """The field of :class:`vidcolor.options.EncodeOptions` that names one."""
    common: str
    needed: str


KINDS = {
    "video": EncoderKind(
        "codec", "libx264, libx265, libsvtav1 and ffv1", "a video encoder is needed; sound is copied as it is"
    ),
    "audio": EncoderKind("audio_codec", "aac, libopus, libmp3lame, ac3 and flac", "an encoder of sound is needed"),
}


def find_encoder(name: str, kind: Literal["video", "audio"]) -> Codec:
    """Return the encoder ``name`` of pictures (``video``) or of sound (``audio``).

    Raises:
        OptionError: there is no such encoder, or it encodes something else.
    """
    words = KINDS[kind]
    try:
        codec = Codec(name, "w")
    except UnknownCodecError as exc:
        hint = f"{words.common} are common"
        raise OptionError(f"`{words.option}` {name}: there is no such encoder in this build of libav; {hint}") from exc
    if codec.type != kind:
        raise OptionError(f"`{words.option}` {name}: encodes {codec.type}, {words.needed}")
    return codec
