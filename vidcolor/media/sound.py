"""Encode sound that a container cannot hold as it is: PCM as another PCM without loss, anything with an encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.format import AudioFormat
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import OutputContainer
from av.packet import Packet

MAX_DRIFT = Fraction(1, 10)
"""Seconds by which counted samples and timestamps may differ before silence is inserted or samples are left out."""
BITS_PER_CHANNEL = 96_000
"""Bit rate for encoders with a loss, in bits per second."""
SILENCE_SECONDS = 1  # of one frame, so that a long gap needs little memory
WHOLE_NUMBERS = ("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be")
OWN_PCM = ("pcm_dvd", "pcm_bluray", "flac")
"""Encoders for samples of up to 24 bits that few containers list."""
LOSSLESS = {
    "u8": ("pcm_u8", *WHOLE_NUMBERS, *OWN_PCM),
    "s16": (*WHOLE_NUMBERS, *OWN_PCM),
    "s24": (*WHOLE_NUMBERS[2:], *OWN_PCM),
    "s32": WHOLE_NUMBERS[4:],
    "s64": ("pcm_s64le", "pcm_s64be"),
    "flt": ("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be"),
    "dbl": ("pcm_f64le", "pcm_f64be"),
}
"""Encoders that hold every sample exactly, by the kind of the samples; ``s24``: ``s32`` with up to 24 bits in use."""
MAX_24_BITS = frozenset(
    (
        *("pcm_dvd", "pcm_bluray", "pcm_s24le", "pcm_s24be", "pcm_s24daud", "pcm_s24le_planar", "s302m"),
        *("truehd", "mlp"),
    )
)
"""Decoders that give ``s32`` with no more than 24 bits in use."""
USUAL_LAYOUTS = {1: "mono", 2: "stereo", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
"""The channel layout for sound of which only the number of channels is known."""


@dataclass(frozen=True, kw_only=True)
class SoundFormat:
    """An encoder with the form of the samples that it gets."""

    codec: str
    rate: int
    """Samples per second."""
    layout: str
    sample_format: str
    options: dict[str, str] = field(default_factory=dict)
    bit_rate: int = 0
    """0: the encoder's default."""

    def add_to(self, target: OutputContainer) -> AudioStream:
        """Add a stream for this encoder.

        Raises:
            ValueError: the container does not list the codec, or the encoder takes no such layout.
        """
        stream = target.add_stream(self.codec, rate=self.rate, options=dict(self.options), bit_rate=self.bit_rate)
        assert isinstance(stream, AudioStream)  # the codec is one for sound
        stream.codec_context.layout = self.layout
        stream.codec_context.format = self.sample_format
        return stream


def lossless_formats(template: AudioStream) -> Iterator[SoundFormat]:
    """Yield the forms that hold every sample of PCM, or of another stream without loss, exactly; none for others."""
    context = template.codec_context
    if context is None:  # libav does not know the codec
        return
    name = context.codec.canonical_name
    is_exact = name.startswith("pcm_") or (context.codec.lossless and not context.codec.lossy)
    if not is_exact or not context.sample_rate or context.format is None:
        return
    packed = context.format.packed.name
    kind = "s24" if packed == "s32" and name in MAX_24_BITS else packed
    for codec in LOSSLESS.get(kind, ()):
        sample_format = _sample_format(Codec(codec, "w"), packed)
        # Of the 32 bits that these encoders take, they keep 24.
        options = {"bits_per_raw_sample": "24"} if codec in OWN_PCM and sample_format == "s32" else {}
        layout = standard_layout(context)
        yield SoundFormat(
            codec=codec, rate=context.sample_rate, layout=layout, sample_format=sample_format, options=options
        )


def encoded_format(template: AudioStream, codec: Codec) -> SoundFormat | None:
    """Return the form in which an encoder takes the sound of a stream; None if the stream's own is not known."""
    context = template.codec_context
    if context is None or not context.sample_rate or context.format is None:
        return None
    rates = sorted(codec.audio_rates or [context.sample_rate])
    return SoundFormat(
        codec=codec.name,
        rate=next((rate for rate in rates if rate >= context.sample_rate), rates[-1]),
        layout=standard_layout(context),
        sample_format=_sample_format(codec, context.format.packed.name),
        bit_rate=BITS_PER_CHANNEL * context.layout.nb_channels if codec.lossy else 0,
    )


def standard_layout(context: AudioCodecContext) -> str:
    """Return the name of the channel layout; where only the number of channels is known, that of the usual one."""
    layout = context.layout
    return USUAL_LAYOUTS.get(layout.nb_channels, layout.name) if layout.name.endswith("channels") else layout.name


def _sample_format(codec: Codec, wanted: str) -> str:
    """Return the sample format of an encoder that is ``wanted`` (packed or planar), else its widest."""
    names = [form.name for form in codec.audio_formats or []]
    fitting = [name for name in names if AudioFormat(name).packed.name == wanted]
    return (fitting or sorted(names, key=lambda name: AudioFormat(name).bits, reverse=True) or [wanted])[0]


class SoundConverter:
    """Decodes the packets of a stream and encodes them for another one.

    Samples are counted from the first one, so that rounded timestamps leave no gaps. Where a timestamp differs from
    the count by more than :data:`MAX_DRIFT`, silence is inserted, or samples are left out. Where the form of the sound
    changes, as between stereo and 5.1 in a broadcast, it is resampled to that of its beginning.

    Args:
        source: the stream that is decoded.
        target: the stream that is encoded, of a started container.
    """

    def __init__(self, source: AudioStream, target: AudioStream) -> None:
        self._source = source
        self._target = target
        self._next: int | None = None
        """The number of the next sample, in samples since time 0."""
        self._form: tuple[str, str, int] | None = None
        """Sample format, layout and rate of the first frame."""
        self._resampler = AudioResampler()
        self._resampled: tuple[str, str, int] | None = None
        """The form that the resampler takes."""

    def convert(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Yield the encoded packets that are ready.

        Raises:
            FFmpegError: the packet is damaged, or the encoder fails.
        """
        for frame in self._source.codec_context.decode(packet):
            for uniform in self._in_first_form(frame):
                yield from self._encode(uniform)

    def finish(self) -> Iterator[Packet[Any]]:
        """Yield what the decoder and the encoder hold back.

        Raises:
            FFmpegError: the encoder fails.
        """
        if self._next is None:
            return
        for frame in self._source.codec_context.decode(None):
            for uniform in self._in_first_form(frame):
                yield from self._encode(uniform)
        yield from self._target.encode(None)

    def _in_first_form(self, frame: AudioFrame) -> list[AudioFrame]:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        self._form = self._form or form
        if form == self._form:
            return [frame]
        if form != self._resampled:
            self._resampled = form
            self._resampler = AudioResampler(*self._form)
        return self._resampler.resample(frame)

    def _encode(self, frame: AudioFrame) -> Iterator[Packet[Any]]:
        rate = frame.sample_rate
        found = None if frame.pts is None or frame.time_base is None else round(frame.pts * frame.time_base * rate)
        if self._next is None:
            self._next = found or 0
        drift = 0 if found is None else found - self._next
        if abs(drift) <= MAX_DRIFT * rate:
            yield from self._encode_next(frame)
            return
        for start in range(0, drift, SILENCE_SECONDS * rate):
            yield from self._encode_next(_silence(frame, min(SILENCE_SECONDS * rate, drift - start)))
        if -drift < frame.samples:
            yield from self._encode_next(frame if drift > 0 else _without_first(frame, -drift))

    def _encode_next(self, frame: AudioFrame) -> Iterator[Packet[Any]]:
        assert self._next is not None  # _encode
        frame.pts, frame.time_base = self._next, Fraction(1, frame.sample_rate)
        self._next += frame.samples
        yield from self._target.encode(frame)


def _silence(like: AudioFrame, samples: int) -> AudioFrame:
    """Return silence in the form of another frame."""
    array = like.to_ndarray()
    channels = like.layout.nb_channels
    shape = (array.shape[0], samples if like.format.is_planar else samples * channels)
    middle = 128 if like.format.packed.name == "u8" else 0
    return _like(like, np.full(shape, middle, array.dtype))


def _without_first(frame: AudioFrame, samples: int) -> AudioFrame:
    """Return a frame without its first samples."""
    skipped = samples if frame.format.is_planar else samples * frame.layout.nb_channels
    return _like(frame, np.ascontiguousarray(frame.to_ndarray()[:, skipped:]))


def _like(frame: AudioFrame, array: np.ndarray[Any, Any]) -> AudioFrame:
    made = AudioFrame.from_ndarray(array, frame.format.name, frame.layout.name)
    made.sample_rate = frame.sample_rate
    return made
