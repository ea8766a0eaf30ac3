"""Films in which something changes that a container states once, and pictures of which a part is shown."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from av.codec.context import CodecContext
from av.packet import Packet

from tests.support.clips import Clip, decoded, make_clip
from tests.support.painter import Painter
from vidcolor.media.changes import note_sound_changes, sound_format
from vidcolor.media.cropping import NO_CROP, Crop, matroska_crop
from vidcolor.media.items import Note
from vidcolor.media.mp4_crop import mp4_crop
from vidcolor.media.reader import VideoReader
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video

BT601 = {"colorspace": 6, "color_primaries": 6, "color_trc": 6, "color_range": 1}
BT709 = {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}


def lines_about(first: Clip, second: Clip, folder: Path) -> list[str]:
    """Join two films of 12 frames, and return the warnings about the joined one, but for that on its clock."""
    path = folder / "joined.ts"
    parts = [make_clip(folder / f"{number}.ts", clip) for number, clip in enumerate((first, second))]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader.pictures()) == 24
        return [line for line in reader.warnings if "clock" not in line]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Clip(), Clip(), None),
        (
            Clip(sample_aspect_ratio=Fraction(8, 9)),
            Clip(sample_aspect_ratio=Fraction(32, 27)),
            "the pixel shape changes from 8:9 to 32:27 at 0.48 s: the output has 8:9 all through, so that from there "
            "on pictures are 0.75 times as wide as they should be; cut the film there",
        ),
        (Clip(sample_aspect_ratio=Fraction(1281, 1280)), Clip(sample_aspect_ratio=Fraction(1)), None),
        (
            Clip(tags=BT601),
            Clip(tags=BT709),
            "the color tag changes from smpte170m/smpte170m/smpte170m to bt709/bt709/bt709",
        ),
        (Clip(tags=BT709), Clip(tags=BT709 | {"color_range": 2}), "the range changes from limited to full"),
    ],
)
def test_changes_of_the_picture(first: Clip, second: Clip, expected: str | None, tmp_path: Path) -> None:
    """Each has a line with its time; a film without changes has none."""
    lines = lines_about(first, second, tmp_path)
    assert len(lines) == (0 if expected is None else 1)
    assert all(line.startswith(expected or "") for line in lines)


def sounds(codec: str, rate: int, layout: str) -> list[Packet[Any]]:
    """Encode half a second of silence."""
    context = cast(AudioCodecContext, CodecContext.create(codec, "w"))
    context.sample_rate, context.layout = rate, layout
    formats = context.codec.audio_formats
    assert formats
    context.format = formats[0]
    frame = av.AudioFrame(format=context.format.name, layout=layout, samples=rate // 2)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    resampler = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size or 1024)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return [packet for each in (*frames, None) for packet in context.encode(each)]


@pytest.mark.parametrize(
    ("codec", "rate", "layout", "channels"),
    [
        ("mp2", 48000, "stereo", 2),
        ("mp2", 22050, "mono", 1),
        ("libmp3lame", 44100, "stereo", 2),
        ("ac3", 48000, "mono", 1),
        ("ac3", 44100, "stereo", 2),
        ("ac3", 48000, "5.1", 6),
        ("ac3", 32000, "quad", 4),
        ("ac3", 48000, "3.0", 3),
        ("eac3", 48000, "5.1", 6),
        ("eac3", 44100, "stereo", 2),
    ],
)
def test_headers_of_sound(codec: str, rate: int, layout: str, channels: int) -> None:
    """Rate and channels are those of the encoder."""
    name = CodecContext.create(codec, "w").codec.canonical_name
    found = sound_format(name, sounds(codec, rate, layout)[1])
    assert (found and (found.rate, found.channels)) == (rate, channels)


def test_headers_of_aac(tmp_path: Path) -> None:
    """In MPEG-TS every packet of AAC has a header, in MP4 none has."""
    for suffix, expected in ((".ts", (48000, 1)), (".mp4", None)):
        with av.open(str(make_clip(tmp_path / f"in{suffix}", Clip(audio=("eng",))))) as film:
            packet = next(packet for packet in film.demux(audio=0) if packet.size > 20)
            assert sound_format("aac", packet) == expected


def test_sound_that_changes(tmp_path: Path) -> None:
    """It has a line, once; a few damaged headers have none."""
    stereo, mono = sounds("mp2", 48000, "stereo"), sounds("mp2", 48000, "mono")
    with av.open(str(make_clip(tmp_path / "in.ts", Clip(audio=("eng",), audio_codec="mp2")))) as film:
        (track,) = film.streams.audio

        def lines(packets: list[Packet[Any]]) -> list[str]:
            for number, packet in enumerate(packets):
                packet.stream, packet.time_base, packet.pts = track, Fraction(1, 48000), number * 1152
            return [item.line for item in note_sound_changes(packets, film.streams) if isinstance(item, Note)]

        (line,) = lines([*stereo, *mono, *stereo])
        assert "its format changes from 48000 Hz with 2 channels to 48000 Hz with 1 channel at 0.5" in line
        assert lines([*stereo, *mono[:2], *stereo, *mono[:2]]) == []


def element(name: int, content: bytes) -> bytes:
    """An element of EBML with a short size."""
    assert len(content) < 127
    return name.to_bytes((name.bit_length() + 7) // 8) + bytes([0x80 | len(content)]) + content


def number(name: int, value: int) -> bytes:
    """An element that is a number."""
    return element(name, value.to_bytes(2))


TRACKS = element(
    0x1654AE6B,
    element(0xAE, number(0x83, 2))
    + element(0xAE, number(0x83, 1) + element(0xE0, number(0xB0, 96)))
    + element(0xAE, number(0x83, 1) + element(0xE0, number(0x54BB, 8) + number(0x54AA, 6) + number(0x54CC, 4))),
)
HEAD, CLUSTER = element(0x1A45DFA3, b""), element(0x1F43B675, b"frames")


@pytest.mark.parametrize("place", ["first", "at the end"])
def test_the_crop_of_matroska(place: str, tmp_path: Path) -> None:
    """It is that of the picture track with this number, also where the tracks stand behind the pictures."""
    seek = element(0x114D9B74, element(0x4DBB, number(0x53AB, 0) + number(0x53AC, 0)))
    entry = element(0x4DBB, element(0x53AB, bytes.fromhex("1654AE6B")) + number(0x53AC, len(seek) + 2 + len(CLUSTER)))
    seek = element(0x114D9B74, entry)
    content = TRACKS + CLUSTER if place == "first" else seek + CLUSTER + TRACKS
    path = tmp_path / "film.mkv"
    path.write_bytes(HEAD + element(0x18538067, content))
    assert matroska_crop(path, 0) == NO_CROP
    assert matroska_crop(path, 1) == Crop(left=4, top=8, bottom=6)
    assert matroska_crop(path, 2) == NO_CROP


def with_crop(path: Path, top: int, bottom: int) -> Path:
    """Write the crop of a Matroska file into the place of its color tags."""
    content = path.read_bytes()
    start = content.index(b"\x55\xb0")
    length = 3 + (content[start + 2] & 0x7F)
    crop = element(0x54BB, bytes([top])) + element(0x54AA, bytes([bottom]))
    void = element(0xEC, bytes(length - len(crop) - 2))
    path.write_bytes(content[:start] + crop + void + content[start + length :])
    return path


def test_a_cropped_film(tmp_path: Path) -> None:
    """The output has the part that is shown, with the luma of the source, and a line says so."""
    source = with_crop(make_clip(tmp_path / "in.mkv", Clip(size=(64, 48), tags=BT709)), 8, 6)
    options = ColorizeOptions(render_size=32, encode=EncodeOptions(codec="ffv1"))
    report = colorize_video(source, tmp_path / "out.mkv", colorizer=Painter(), options=options)
    assert "the film says to show 64×34 of its 64×48 pixels: the output has only these" in report.warnings
    pairs = list(zip(decoded(source), decoded(tmp_path / "out.mkv"), strict=True))
    assert all(np.array_equal(before[8:-6], after) for (_, before), (_, after) in pairs)


def test_covers_have_names_of_their_own(tmp_path: Path) -> None:
    """Two covers of a film become two files, with their names if they have any."""
    one, two = tmp_path / "one.mkv", tmp_path / "two.mkv"
    pictures = [b"\xff\xd8\xff" + bytes([level]) * 90 for level in (1, 2)]
    with av.open(str(make_clip(tmp_path / "in.mkv", Clip()))) as film, av.open(str(one), "w") as target:
        copy = target.add_stream_from_template(film.streams.video[0])
        for name, content in zip(("cover.jpg", "cover.jpg"), pictures, strict=True):
            target.add_attachment(name, "image/jpeg", content)
        for packet in film.demux():
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    options = ColorizeOptions(render_size=32, encode=EncodeOptions(preset="ultrafast"))
    colorize_video(one, two, colorizer=Painter(), options=options)
    with av.open(str(two)) as film:
        found = {stream.metadata["filename"] for stream in film.streams if "filename" in stream.metadata}
    assert found == {"cover.jpg", "cover-2.jpg"}


def with_aperture(source: Path, path: Path, numbers: tuple[int, ...]) -> Path:
    """Copy an MP4 of which the index stands at the end, with a clean aperture in the entry of its only track."""
    data = source.read_bytes()
    clap = struct.pack(">I4s8i", 40, b"clap", *numbers)
    at = data.index(b"avc1", data.index(b"stsd")) - 4
    end = at + int.from_bytes(data[at : at + 4])
    parts = data[:end], clap, data[end:]
    grown = bytearray(b"".join(parts))
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        place = grown.index(name, data.index(b"moov") if name != b"avc1" else at) - 4
        grown[place : place + 4] = (int.from_bytes(grown[place : place + 4]) + len(clap)).to_bytes(4)
    path.write_bytes(grown)
    return path


@pytest.mark.parametrize(
    ("numbers", "crop"),
    [
        ((48, 1, 40, 1, 0, 1, 0, 1), Crop(8, 4, 8, 4)),
        ((48, 1, 40, 1, -8, 1, 4, 1), Crop(0, 8, 16, 0)),
        ((119, 2, 48, 1, 0, 1, 0, 1), Crop(2, 0, 2, 0)),  # 59.5 columns: half a pixel is shown whole
        ((80, 1, 40, 1, 0, 1, 0, 1), NO_CROP),
        ((48, 0, 40, 1, 0, 1, 0, 1), NO_CROP),
    ],
)
def test_the_clean_aperture_of_mp4(numbers: tuple[int, ...], crop: Crop, tmp_path: Path) -> None:
    """Only what lies within it is shown, and a line says so; one that makes no sense is left out."""
    source = with_aperture(make_clip(tmp_path / "in.mp4"), tmp_path / "cropped.mp4", numbers)
    assert mp4_crop(source, 0, (64, 48)) == crop
    whole = [luma for _, luma in decoded(tmp_path / "in.mp4")]
    with VideoReader(source) as reader:
        pictures = [picture.luma for picture in reader.pictures()]
        assert all(np.array_equal(crop.apply(one), other) for one, other in zip(whole, pictures, strict=True))
        assert any("the film says to show" in line for line in reader.warnings) == (crop != NO_CROP)


def test_no_aperture(tmp_path: Path) -> None:
    """A file without one, a cut one, one that is no film, and one that is not there have no crop."""
    whole = make_clip(tmp_path / "in.mp4", Clip(audio=("eng",)))
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:-200])
    (tmp_path / "words.mp4").write_text("moov trak clap" * 20)
    for name in ("in.mp4", "cut.mp4", "words.mp4", "nowhere.mp4"):
        assert mp4_crop(tmp_path / name, 0, (64, 48)) == NO_CROP
