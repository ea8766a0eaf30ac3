"""Streams that a container cannot hold as they are: converted without loss, encoded, or named."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.audio.stream import AudioStream
from av.packet import Packet

from tests.media.test_video import FAST, copy_film
from tests.support.clips import Clip, make_clip, timeline
from vidcolor.errors import OptionError
from vidcolor.media.destinations import find_destination
from vidcolor.media.passthrough import Passthrough
from vidcolor.media.reader import VideoReader
from vidcolor.media.sound import SoundConverter, SoundFormat
from vidcolor.media.writer import VideoWriter
from vidcolor.options import EncodeOptions

MPEG2 = EncodeOptions(codec="mpeg2video")
RATE = 48000


def sound_of(path: Path) -> tuple[str, Fraction, npt.NDArray[Any]]:
    """Return the codec, the start in seconds, and all samples as numbers of 32 bits, or floats: (channels, samples)."""
    parts, start = [], None
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            if start is None and frame.pts is not None and frame.time_base is not None:
                start = frame.pts * frame.time_base
            parts.append(_as_numbers(frame))
        return stream.codec_context.codec.canonical_name, start or Fraction(0), np.concatenate(parts, axis=1)


def _as_numbers(frame: av.AudioFrame) -> npt.NDArray[Any]:
    array, kind = frame.to_ndarray(), frame.format.packed.name
    if kind in {"flt", "dbl"}:
        return array.astype(np.float64)
    if kind == "u8":
        return (array.astype(np.int64) - 128) << 24
    return array.astype(np.int64) << (16 if kind == "s16" else 0)


def text_of(path: Path) -> tuple[str, list[tuple[Fraction, Fraction, str]]]:
    """Return the codec of the first subtitles, and start and end of each in seconds with its text, as ASS has it.

    Italics end with their own tag or with one for all styles.
    """
    lines = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        for packet in container.demux(stream):
            shown = stream.decode2(packet) if packet.size else None
            if shown:
                assert packet.pts is not None
                start, length = packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base
                words = "".join(part.dialogue.decode() for part in shown)  # type: ignore[attr-defined]
                lines.append((start, start + length, re.sub(r"\\(r|i0)", r"\\plain", words)))
        return stream.codec_context.codec.canonical_name, lines


PCM = {
    "unsigned bytes": ("in.avi", "pcm_u8", "out.mp4", "pcm_s16le"),
    "mu-law": ("in.mov", "pcm_mulaw", "out.mkv", "pcm_s16le"),
    "A-law": ("in.avi", "pcm_alaw", "out.mp4", "pcm_s16le"),
    "signed bytes": ("in.mov", "pcm_s8", "out.mkv", "pcm_u8"),
    "big-endian": ("in.mov", "pcm_s16be", "out.avi", "pcm_s16le"),
    "big-endian, 24 bits": ("in.mov", "pcm_s24be", "out.avi", "pcm_s24le"),
    "32 bits": ("in.mov", "pcm_s32be", "out.avi", "pcm_s32le"),
    "floats": ("in.mov", "pcm_f32be", "out.mkv", "pcm_f32le"),
    "doubles": ("in.mov", "pcm_f64be", "out.mkv", "pcm_f64le"),
    "planes": ("in.nut", "pcm_s16le_planar", "out.mp4", "pcm_s16le"),
    "compressed without loss": ("in.mkv", "flac", "out.mov", "pcm_s16le"),
    "DVD": ("in.vob", "pcm_dvd", "out.mp4", "pcm_s16le"),
    "to DVD": ("in.avi", "pcm_s16le", "out.vob", "pcm_dvd"),
}
"""Source, its sound, the output, and the sound in it."""


@pytest.mark.parametrize("name", PCM)
def test_pcm_is_kept_sample_by_sample(name: str, tmp_path: Path) -> None:
    """PCM of any kind comes out with the same samples, where the container holds any PCM that is wide enough."""
    source_name, codec, output_name, becomes = PCM[name]
    picture = "mpeg2video" if "vob" in source_name else "mpeg4"
    clip = Clip(audio=("eng",), audio_codec=codec, codec=picture, options={}, frames=25)
    source, output = make_clip(tmp_path / source_name, clip), tmp_path / output_name
    warnings = copy_film(source, output, MPEG2 if "vob" in output_name else FAST)
    assert not [line for line in warnings if "audio" in line]
    (_, start, samples), (found_codec, found_start, found) = sound_of(source), sound_of(output)
    assert found_codec == becomes
    np.testing.assert_array_equal(found, samples)
    if output.suffix not in {".avi", ".vob"}:  # which begin all streams at 0, and at 0.54 s
        assert abs(found_start - start) <= Fraction(1, 1000)


@pytest.mark.parametrize("ticks", range(4))
def test_a_time_that_occurs_twice(ticks: int, tmp_path: Path) -> None:
    """One of the two packets is moved so far that they differ in the units of the container, however they round."""
    source = make_clip(tmp_path / "in.ts", Clip(audio=("eng",), audio_codec="mp2"))
    with av.open(str(source)) as film, av.open(str(tmp_path / "out.mp4"), "w") as target:
        copies = Passthrough(target, "out.mp4")
        copies.add(film.streams.audio[0], ())
        target.start_encoding()
        packets = [packet for packet in film.demux(audio=0) if packet.size and packet.dts is not None]
        for packet in packets:
            packet.pts = packet.dts = (packet.dts or 0) + ticks
        packets[5].pts = packets[5].dts = packets[4].dts
        for packet in packets:
            copies.mux(packet)
        assert copies.warnings == ()
    assert len(timeline(tmp_path / "out.mp4", "audio")[0]) == len(packets)


def test_packets_closer_than_the_units_of_the_container(tmp_path: Path) -> None:
    """AVI counts blocks of ADPCM in longer units than their own: all are kept, without a line."""
    source = make_clip(tmp_path / "in.avi", Clip(audio=("eng",), audio_codec="adpcm_ima_wav", audio_seconds=2))
    assert [line for line in copy_film(source, tmp_path / "out.avi") if "audio" in line] == []
    before, after = (timeline(path, "audio")[0] for path in (source, tmp_path / "out.avi"))
    assert [content for _, content in after] == [content for _, content in before]


def make_with_gap(path: Path, gap: float) -> Path:
    """Make a film of one second whose PCM, of mu-law, leaves ``gap`` seconds out in the middle."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_mulaw", rate=RATE)
        assert isinstance(sound, AudioStream)
        sound.codec_context.layout = "mono"
        for number in range(25):
            container.mux(picture.encode(av.VideoFrame(64, 48, "yuv420p")))
            frame = av.AudioFrame.from_ndarray(np.full((1, 1920), 1000 + 100 * number, np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = number * 1920 + (round(gap * RATE) if number >= 12 else 0)
            container.mux(sound.encode(frame))
        container.mux(picture.encode(None))
    return path


@pytest.mark.parametrize(("gap", "inserted"), [(0.5, 24000), (0.0004, 0), (2.5, 120000)])
def test_a_gap_in_pcm_stays_a_gap(gap: float, inserted: int, tmp_path: Path) -> None:
    """Where the sound leaves time out there is silence as long; a rounded timestamp is none."""
    source = make_with_gap(tmp_path / "in.nut", gap)
    copy_film(source, tmp_path / "out.mp4")
    before, after = sound_of(source)[2], sound_of(tmp_path / "out.mp4")[2]
    np.testing.assert_array_equal(after[:, : 12 * 1920], before[:, : 12 * 1920])
    np.testing.assert_array_equal(after[:, 12 * 1920 + inserted :], before[:, 12 * 1920 :])
    assert not after[:, 12 * 1920 : 12 * 1920 + inserted].any()


def test_sound_that_changes_its_form(tmp_path: Path) -> None:
    """Stereo that becomes mono of another rate goes on in the form of its beginning, as long as it was."""
    frames = []
    for number, (layout, rate) in enumerate([("stereo", RATE)] * 10 + [("mono", 24000)] * 10):
        channels = 2 if layout == "stereo" else 1
        frame = av.AudioFrame.from_ndarray(np.full((1, rate // 10 * channels), 5000, np.int16), "s16", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, number * 100, Fraction(1, 1000)
        frames.append(frame)
    pending = iter(frames)
    source = SimpleNamespace(codec_context=SimpleNamespace(decode=lambda packet: [next(pending)] if packet else []))
    with av.open(str(tmp_path / "out.mkv"), "w") as container:
        target = SoundFormat(codec="pcm_s16le", rate=RATE, layout="stereo", sample_format="s16").add_to(container)
        converter = SoundConverter(source, target)  # type: ignore[arg-type]
        for _ in frames:
            container.mux(list(converter.convert(Packet(b"sound"))))
        container.mux(list(converter.finish()))
    samples = sound_of(tmp_path / "out.mkv")[2] >> 16
    assert abs(samples.shape[1] - 2 * 2 * RATE) <= 200
    assert (samples[:, : 2 * RATE] == 5000).all()
    assert np.median(samples[:, 2 * RATE :]) > 3000


def make_mxf(path: Path, *, sound_first: bool = False) -> Path:
    """Make an MXF, or another file, of MPEG-2 and PCM."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=RATE) if sound_first else None
        picture = container.add_stream("mpeg2video", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = sound or container.add_stream("pcm_s16le", rate=RATE)
        assert isinstance(sound, AudioStream)
        sound.codec_context.layout = "mono"
        for number in range(10):
            container.mux(picture.encode(av.VideoFrame(64, 48, "yuv420p")))
            frame = av.AudioFrame.from_ndarray(np.full((1, 1920), 100 * number, np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), number * 1920
            container.mux(sound.encode(frame))
        container.mux(picture.encode(None))
    return path


@pytest.mark.parametrize(("name", "sound_first"), [("in.mxf", False), ("in.avi", True)])
def test_mxf_holds_sound(name: str, sound_first: bool, tmp_path: Path) -> None:
    """MXF keeps its PCM, whichever stream of the source is the first."""
    source = make_mxf(tmp_path / name, sound_first=sound_first)
    assert copy_film(source, tmp_path / "out.mxf", MPEG2) == []
    np.testing.assert_array_equal(sound_of(tmp_path / "out.mxf")[2], sound_of(source)[2])


ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Alignment
Style: Default,Arial,16,&Hffffff,0,0,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def make_text(path: Path, codec: str, packets: list[bytes]) -> Path:
    """Make a film with subtitles, each shown for half a second, a second apart."""
    with av.open(str(path), "w", format="matroska") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        text = container.add_stream(codec)
        text.codec_context.subtitle_header = ASS_HEADER
        text.metadata["language"] = "eng"
        for _ in range(50):
            container.mux(picture.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(picture.encode(None))
        for number, payload in enumerate(packets):
            packet = Packet(payload)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration = number * 1000 + 100, number * 1000 + 100, 500
            container.mux_one(packet)
    return path


TEXTS = {
    "subrip": [b"The <i>first</i> line", "Zweite Zeile – größer\nauf zwei Zeilen".encode()],
    "ass": [b"0,0,Default,,0,0,0,,The {\\i1}first{\\i0} line", b"1,0,Default,,0,0,0,,Zweite Zeile"],
    "webvtt": [b"The first line", b"The second line"],
}


@pytest.mark.parametrize("codec", TEXTS)
@pytest.mark.parametrize(("name", "becomes"), [("out.mp4", "mov_text"), ("out.mov", "mov_text")])
def test_text_is_converted_and_back(codec: str, name: str, becomes: str, tmp_path: Path) -> None:
    """Text subtitles of Matroska become those of MP4, and those become SRT, with the same words and times."""
    source, output, back = make_text(tmp_path / "in.mkv", codec, TEXTS[codec]), tmp_path / name, tmp_path / "back.mkv"
    (line,) = copy_film(source, output)
    assert line.startswith("stream 1 (subtitle, ")
    assert line.endswith("cannot store it as it is, the text is converted to mov_text")
    (line,) = copy_film(output, back)
    assert "is converted to subrip" in line
    expected = text_of(source)[1]
    assert len(expected) == 2
    assert text_of(output) == (becomes, expected)
    assert text_of(back) == ("subrip", expected)
    with av.open(str(output)) as container:
        assert container.streams.subtitles[0].language == "eng"


def test_damaged_text_is_named(tmp_path: Path) -> None:
    """A packet that cannot be converted is left out with a line about damage; those around it are kept."""
    packets = [TEXTS["ass"][0], b"\xff\xfe no line of ASS", TEXTS["ass"][1]]
    source, output = make_text(tmp_path / "in.mkv", "ass", packets), tmp_path / "out.mp4"
    with (
        VideoReader(source) as reader,
        VideoWriter(find_destination(output, source), reader=reader, options=FAST) as writer,
    ):
        neutral = np.full((writer.chroma.height, writer.chroma.width), 128, np.uint8)
        for picture in reader.pictures():
            writer.write(picture, neutral, neutral)
    assert writer.errors == ("stream 1 (subtitle, ssa, eng): a packet at 1.10 s is damaged, left out",)
    assert len(text_of(output)[1]) == 2


def test_text_becomes_webvtt(tmp_path: Path) -> None:
    """WebM holds WebVTT alone."""
    source = make_text(tmp_path / "in.mkv", "subrip", TEXTS["subrip"])
    options = EncodeOptions(codec="libvpx", encoder_options={"deadline": "realtime", "cpu-used": "8"})
    (line,) = copy_film(source, tmp_path / "out.webm", options)
    assert "is converted to webvtt" in line
    assert text_of(tmp_path / "out.webm") == ("webvtt", text_of(source)[1])


def test_text_that_no_container_form_fits_is_named(tmp_path: Path) -> None:
    """MPEG-TS holds no text: one line says so."""
    source = make_text(tmp_path / "in.mkv", "subrip", TEXTS["subrip"])
    (line,) = copy_film(source, tmp_path / "out.ts")
    assert line.endswith("mpegts cannot store it, left out")


@pytest.mark.parametrize(("codec", "rate"), [("libopus", 48000), ("flac", None)])
def test_sound_is_encoded_where_asked(codec: str, rate: int | None, tmp_path: Path) -> None:
    """Without `audio_codec` sound that does not fit is named with an encoder; with it, all of it is there, in time."""
    source = make_clip(
        tmp_path / "in.asf", Clip(audio=("eng",), audio_codec="wmav2", frames=50, codec="mpeg4", options={})
    )
    output = tmp_path / ("out.webm" if codec == "libopus" else "out.mp4")
    options = {"codec": "libvpx", "encoder_options": {"deadline": "realtime"}} if codec == "libopus" else {}
    (line,) = copy_film(source, output, EncodeOptions(**options))  # type: ignore[arg-type]
    usual = "libopus" if codec == "libopus" else "aac"
    assert line.endswith(f"cannot store it, left out; `audio_codec` {usual} encodes it")
    (line,) = copy_film(source, output, EncodeOptions(audio_codec=codec, **options), overwrite=True)  # type: ignore[arg-type]
    assert line == f"stream 1 (audio, wmav2, eng): encoded anew by {codec}"
    (_, start, before), (found, found_start, after) = sound_of(source), sound_of(output)
    assert (found, rate) == ("opus", 48000) or found == codec
    assert abs(found_start - start) < Fraction(1, 100)
    assert abs(after.shape[1] - before.shape[1]) <= 2048
    size = min(after.shape[1], before.shape[1]) - RATE // 10
    loudness = np.abs(before[:, :size]).mean()
    assert np.abs(after[:, :size] / np.abs(after).max()).mean() == pytest.approx(
        loudness / np.abs(before).max(), rel=0.2
    )


@pytest.mark.parametrize(
    ("codec", "words"), [("nonsense", "there is no such encoder"), ("libx264", "encodes video, an encoder of sound")]
)
def test_what_encodes_no_sound_is_refused(codec: str, words: str, tmp_path: Path) -> None:
    """The refusal comes at the start, also where nothing would be encoded."""
    source = make_clip(tmp_path / "in.mkv")
    with pytest.raises(OptionError, match=words):
        copy_film(source, tmp_path / "out.mkv", EncodeOptions(audio_codec=codec))
    assert not (tmp_path / "out.mkv").exists()
