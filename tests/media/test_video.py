"""Films in and out. The oracle is the input itself, read by PyAV alone: its luma, its timestamps, its packets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.support.clips import Clip, decoded, make_clip, timeline
from tests.support.limits import max_file_size
from vidcolor.errors import InputError, OptionError, OutputError, VidcolorError
from vidcolor.media.destinations import FileDestination, find_destination
from vidcolor.media.frame_encoder import at_depth
from vidcolor.media.items import Note
from vidcolor.media.reader import VideoReader
from vidcolor.media.timestamps import Clock
from vidcolor.media.writer import VideoWriter
from vidcolor.options import EncodeOptions

FAST = EncodeOptions(preset="ultrafast")
LOSSLESS = EncodeOptions(codec="ffv1")
MILLISECOND = Fraction(1, 1000)
B_FRAMES = {"crf": "12", "preset": "veryfast"}


def copy_film(source: Path, output: Path, options: EncodeOptions = FAST, *, overwrite: bool = False) -> list[str]:
    """Through reader and writer with chroma that is not neutral; returns all warnings."""
    with (
        VideoReader(source) as reader,
        VideoWriter(find_destination(output, source, overwrite=overwrite), reader=reader, options=options) as writer,
    ):
        chroma = writer.chroma
        dtype = np.uint16 if chroma.bit_depth > 8 else np.uint8
        ramp = np.linspace(0.4, 0.6, chroma.height * chroma.width).reshape(chroma.height, chroma.width)
        cb = (ramp * (2**chroma.bit_depth - 1)).astype(dtype)
        for picture in reader.pictures():
            writer.write(picture, cb, cb[::-1])
    return [*reader.warnings, *writer.warnings]


def times_of(path: Path) -> list[Fraction]:
    """Seconds at which each picture is shown."""
    return [time for time, _ in decoded(path)]


def assert_same_packets(source: Path, output: Path, kind: str, *, tolerance: Fraction = Fraction(0)) -> None:
    """All packets of a kind of stream have the same bytes and, within ``tolerance``, the same times."""
    expected, found = timeline(source, kind), timeline(output, kind)
    assert expected
    assert [[data for _, data in track] for track in found.values()] == [
        [data for _, data in track] for track in expected.values()
    ]
    for track, copy in zip(expected.values(), found.values(), strict=True):
        assert max(abs(a - b) for (a, _), (b, _) in zip(track, copy, strict=True)) <= tolerance


class TestReading:
    """VideoReader."""

    @pytest.mark.parametrize(
        "pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p12le", "gray", "gray16le"]
    )
    def test_luma_and_times_are_those_of_the_file(self, tmp_path: Path, pix_fmt: str) -> None:
        """Every picture has the luma and the time that PyAV decodes."""
        source = make_clip(tmp_path / "in.mkv", Clip(codec="ffv1", pix_fmt=pix_fmt, options={}, size=(51, 38)))
        expected = decoded(source)
        with VideoReader(source) as reader:
            pictures = list(reader.pictures())
        assert [picture.pts * reader.spec.time_base for picture in pictures] == [time for time, _ in expected]
        for picture, (_, luma) in zip(pictures, expected, strict=True):
            np.testing.assert_array_equal(picture.luma, luma)

    def test_spec(self, tmp_path: Path) -> None:
        """The film's constants are read, tags and rotation included."""
        tags = {"color_range": 1, "colorspace": 6, "color_primaries": 5, "color_trc": 6}
        clip = Clip(rotation=90, sample_aspect_ratio=Fraction(4, 3), tags=tags, rate=Fraction(30000, 1001))
        with VideoReader(make_clip(tmp_path / "in.mp4", clip)) as reader:
            spec = reader.spec
        assert (spec.width, spec.height, spec.bit_depth, spec.full_range) == (64, 48, 8, False)
        assert (spec.matrix, spec.primaries, spec.transfer) == (6, 5, 6)
        assert (spec.rotation, spec.sample_aspect_ratio) == (90, Fraction(4, 3))
        assert (spec.frame_rate, spec.estimated_frames) == (Fraction(30000, 1001), 12)

    @pytest.mark.parametrize(
        ("codec", "pix_fmt", "tags", "full_range"),
        [
            ("libx264", "yuv420p", {}, False),
            ("libx264", "yuv420p", {"color_range": 2}, True),
            ("libx264", "yuvj420p", {}, True),
            ("libx264", "gray", {}, False),
            ("ffv1", "gray", {}, True),
            ("ffv1", "gray", {"color_range": 1}, False),
        ],
    )
    def test_range(self, tmp_path: Path, codec: str, pix_fmt: str, tags: dict[str, int], full_range: bool) -> None:
        """Full range where the file says so, or where it says nothing and holds grey as a picture format would."""
        options = {"preset": "ultrafast"} if codec == "libx264" else {}
        source = make_clip(
            tmp_path / "in.mkv", Clip(codec=codec, pix_fmt=pix_fmt, tags=tags, options=options, frames=2)
        )
        with VideoReader(source) as reader:
            assert reader.spec.full_range is full_range

    def test_every_other_packet_comes_with_a_picture_or_in_the_tail(self, tmp_path: Path) -> None:
        """No packet of sound is lost or comes twice, also when the sound outlasts the picture."""
        source = make_clip(tmp_path / "in.mp4", Clip(audio=("eng", "fra"), audio_seconds=2.0))
        with VideoReader(source) as reader:
            packets = [packet for picture in reader.pictures() for packet in picture.packets]
            packets += reader.tail
            found = [(packet.stream_index, bytes(packet)) for packet in packets]
        expected = timeline(source, "audio")
        for number, track in expected.items():
            assert [data for index, data in found if index == number + 1] == [data for _, data in track]

    def test_a_cover_picture_is_not_the_film(self, tmp_path: Path) -> None:
        """The film is read, not the cover beside it."""
        with VideoReader(make_clip(tmp_path / "in.mp4", Clip(cover=True, frames=1))) as reader:
            assert (reader.spec.width, len(list(reader.pictures()))) == (64, 1)

    def test_a_colon_in_the_name(self, tmp_path: Path) -> None:
        """A name that looks like a protocol is a name."""
        source = make_clip(tmp_path / "in.mp4").rename(tmp_path / "http:film.mp4")
        copy_film(source, tmp_path / "a:b.mp4")
        assert len(times_of(tmp_path / "a:b.mp4")) == 12

    def test_metadata_that_is_not_utf8(self, tmp_path: Path) -> None:
        """A title in another encoding does not stop the film."""
        source = make_clip(tmp_path / "in.mp4", Clip(metadata={"title": "UNMISTAKABLE"}))
        source.write_bytes(source.read_bytes().replace(b"UNMISTAKABLE", b"UNMISTAKABL\xc9"))
        with VideoReader(source) as reader:
            assert len(list(reader.pictures())) == 12

    @pytest.mark.parametrize(
        ("stamps", "expected"),
        [
            ([(0, 0), (10, 10), (20, 20)], [0, 10, 20]),
            ([(None, 0), (None, 10), (None, None)], [0, 10, 20]),  # without a time: decoding time, or the end before
            ([(None, None), (None, None)], [0, 10]),
            ([(0, 0), (None, None), (20, 20), (30, 30)], [0, 10, 20, 30]),
            ([(0, 0), (10, 10), (10, 10), (20, 20), (30, 30)], [0, 10, 15, 20, 30]),  # one twice: between its neighbors
            ([(0, None), (10, None), (10, None), (10, None), (20, None)], [0, 10, 13, 16, 20]),
            ([(0, 0), (40, 10), (20, 20), (10, 30), (80, 40), (60, 50)], [0, 40, 50, 60, 80, 90]),  # in decoding order
            ([(0, 0), (20, 10), (10, 30), (40, 40)], [0, 20, 30, 40]),
            ([(5, None), (5, None), (5, None), (50, None)], [5, 15, 25, 50]),
            (
                [(0, None), (1, None), (1, None), (2, None), (3, None), (9, None)],
                [0, 1, 2, 3, 4, 9],
            ),  # no place between
            ([(7, number * 10) for number in range(1, 20)], [7, *(number * 10 for number in range(2, 20))]),
        ],
    )
    def test_clock_only_goes_forward(self, stamps: list[tuple[int | None, int | None]], expected: list[int]) -> None:
        """Times strictly increase, and those that do in the file stay as they are, whatever stands between them."""
        clock = Clock(Fraction(1, 100))
        frames = []
        for pts, dts in stamps:
            frame = av.VideoFrame(16, 16, "yuv420p")
            frame.pts, frame.dts, frame.duration = pts, dts, 10
            frames.append(frame)
        items = [*(item for frame in frames for item in clock.take(frame)), *clock.release()]
        assert [item for item in items if not isinstance(item, Note)] == frames
        assert [frame.pts for frame in frames] == expected
        is_moved = any(pts not in {None, time} for (pts, _), time in zip(stamps, expected, strict=True))
        assert len(items) - len(frames) == is_moved


class TestInputErrors:
    """One clear line for each thing that can be wrong with a file."""

    @staticmethod
    def read(path: Path) -> str:
        """The one line that reading the film to its end fails with."""
        with pytest.raises(InputError) as caught, VideoReader(path) as reader:
            for _ in reader.pictures():
                pass
        message = str(caught.value)
        assert str(path) in message
        assert "\n" not in message
        return message

    def test_missing(self, tmp_path: Path) -> None:
        """A name that leads nowhere."""
        assert "no such file" in self.read(tmp_path / "film.mp4")

    def test_folder(self, tmp_path: Path) -> None:
        """A folder is not a film."""
        assert "is a folder" in self.read(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        """A file without a byte."""
        (tmp_path / "film.mp4").touch()
        assert "is empty" in self.read(tmp_path / "film.mp4")

    def test_no_media(self, tmp_path: Path) -> None:
        """Text with the name of a film."""
        (tmp_path / "film.mp4").write_text("These are not the frames you are looking for. " * 50)
        assert "cannot be read as a film" in self.read(tmp_path / "film.mp4")

    def test_sound_only(self, tmp_path: Path) -> None:
        """Sound without a picture."""
        source = make_clip(tmp_path / "in.mp4", Clip(audio=("eng",)))
        with av.open(str(source)) as container, av.open(str(tmp_path / "sound.mp4"), "w") as sound:
            track = sound.add_stream_from_template(container.streams.audio[0])
            for packet in container.demux(audio=0):
                if packet.size:
                    packet.stream = track
                    sound.mux(packet)
        assert "holds no film to color (found: audio)" in self.read(tmp_path / "sound.mp4")

    def test_cut_off_in_the_middle(self, tmp_path: Path) -> None:
        """A file whose data ends in mid-packet says how far it got."""
        source = with_index_in_front(make_clip(tmp_path / "whole.mp4", Clip(frames=50)), tmp_path / "in.mp4")
        with av.open(str(source)) as container:
            packet = [packet for packet in container.demux(video=0) if packet.size][30]
        source.write_bytes(source.read_bytes()[: packet.pos + packet.size // 2])
        message = self.read(source)
        assert "damaged after 1." in message
        assert "cut off" in message

    def test_index_missing(self, tmp_path: Path) -> None:
        """A recording that was never finished."""
        source = make_clip(tmp_path / "in.mp4", Clip(frames=50))
        source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
        assert "cannot be read as a film" in self.read(source)

    def test_size_changes(self, tmp_path: Path) -> None:
        """Two sizes in one stream: says when."""
        first = make_clip(tmp_path / "first.h264", Clip(size=(64, 48)))
        second = make_clip(tmp_path / "second.h264", Clip(size=(96, 64)))
        both = tmp_path / "both.h264"
        both.write_bytes(first.read_bytes() + second.read_bytes())
        assert "changes from 64×48 to 96×64 after" in self.read(both)


def with_index_in_front(source: Path, path: Path) -> Path:
    options = {"movflags": "faststart"}
    with av.open(str(source)) as container, av.open(str(path), "w", container_options=options) as output:
        stream = output.add_stream_from_template(container.streams.video[0], opaque=True)
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    return path


class TestPictures:
    """What becomes of luma and time."""

    @pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv422p10le", "gray"])
    @pytest.mark.parametrize("size", [(64, 48), (51, 37)])
    def test_lossless_luma_is_bit_identical(self, tmp_path: Path, pix_fmt: str, size: tuple[int, int]) -> None:
        """With FFV1 the luma comes out as it went in, 8-bit and 10-bit."""
        source = make_clip(tmp_path / "in.mkv", Clip(codec="ffv1", pix_fmt=pix_fmt, size=size, options={}))
        copy_film(source, tmp_path / "out.mkv", LOSSLESS)
        expected, found = decoded(source), decoded(tmp_path / "out.mkv")
        assert len(found) == 12
        for (_, before), (_, after) in zip(expected, found, strict=True):
            np.testing.assert_array_equal(after, before)

    def test_chroma_is_what_was_written(self, tmp_path: Path) -> None:
        """Cb and Cr arrive in their planes, the right way round."""
        source = make_clip(tmp_path / "in.mkv", Clip(codec="ffv1", options={}, frames=2))
        with (
            VideoReader(source) as reader,
            VideoWriter(
                FileDestination(tmp_path / "out.mkv", overwrite=False), reader=reader, options=LOSSLESS
            ) as writer,
        ):
            chroma = writer.chroma
            cb = np.arange(chroma.height * chroma.width, dtype=np.uint8).reshape(chroma.height, chroma.width)
            for picture in reader.pictures():
                writer.write(picture, cb, 255 - cb)
        with av.open(str(tmp_path / "out.mkv")) as container:
            for frame in container.decode(video=0):
                planes = [np.frombuffer(plane, np.uint8).reshape(plane.height, -1) for plane in frame.planes]
                np.testing.assert_array_equal(planes[1][:, : chroma.width], cb)
                np.testing.assert_array_equal(planes[2][:, : chroma.width], 255 - cb)

    def test_lossy_luma_is_as_good_as_a_plain_encode(self, tmp_path: Path) -> None:
        """With x264 mean luma and mean error are those of a plain encode at the same settings, to 0.1 code values."""
        source = make_clip(tmp_path / "in.mp4", Clip(color=True, size=(160, 120), frames=40, cuts=(17,)))
        copy_film(source, tmp_path / "out.mp4", EncodeOptions(preset="veryfast"))
        _plain_encode(source, tmp_path / "plain.mp4", {"crf": "18", "preset": "veryfast"})
        truth, ours, plain = (
            np.stack([luma for _, luma in decoded(path)]).astype(float)
            for path in (source, tmp_path / "out.mp4", tmp_path / "plain.mp4")
        )
        assert abs(ours.mean() - plain.mean()) <= 0.1
        assert abs(np.abs(ours - truth).mean() - np.abs(plain - truth).mean()) <= 0.1

    @pytest.mark.parametrize(
        "clip",
        [
            Clip(rate=Fraction(30000, 1001), options=B_FRAMES),
            Clip(options=B_FRAMES, start=30),
            Clip(time_base=Fraction(1, 90000), start=96751, options=B_FRAMES),  # 1.07501 s: no whole milliseconds
            Clip(time_base=Fraction(1, 12800), pts=[0, 512, 1024, 4000, 4001, 9000, 30000], frames=7, options=B_FRAMES),
            Clip(rate=Fraction(1), options=B_FRAMES),
            Clip(rate=Fraction(60), time_base=Fraction(1, 90_000_000), options=B_FRAMES),
            Clip(frames=1),
        ],
        ids=["ntsc", "starts late", "starts at an odd time", "variable rate", "1 fps", "huge time base", "one picture"],
    )
    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
    def test_times_are_kept(self, tmp_path: Path, clip: Clip, suffix: str) -> None:
        """Every picture is shown when it was: exactly in MP4 and MOV, to the millisecond in Matroska."""
        source = make_clip(tmp_path / "in.mp4", clip)
        copy_film(source, tmp_path / f"out{suffix}")
        expected, found = times_of(source), times_of(tmp_path / f"out{suffix}")
        assert len(found) == len(expected) == clip.frames
        tolerance = MILLISECOND / 2 if suffix == ".mkv" else 0
        assert max(abs(a - b) for a, b in zip(expected, found, strict=True)) <= tolerance

    def test_times_out_of_matroska_are_exact(self, tmp_path: Path) -> None:
        """Milliseconds fit into MP4."""
        source = make_clip(tmp_path / "in.mkv", Clip(rate=Fraction(30000, 1001), options=B_FRAMES))
        copy_film(source, tmp_path / "out.mp4")
        assert times_of(tmp_path / "out.mp4") == times_of(source)

    def test_the_last_picture_lasts_as_long(self, tmp_path: Path) -> None:
        """The duration of every picture is kept, the last one's too."""
        clip = Clip(time_base=Fraction(1, 12800), pts=[0, 512, 4000, 9000], frames=4)
        source = make_clip(tmp_path / "in.mp4", clip)
        copy_film(source, tmp_path / "out.mp4")
        with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
            assert after.streams.video[0].duration == before.streams.video[0].duration

    @pytest.mark.parametrize(("bits", "values"), [(8, [0, 1, 128, 255]), (10, [0, 5, 512, 1023])])
    def test_more_depth_is_a_shift(self, bits: int, values: list[int]) -> None:
        """Luma at a greater depth is shifted up, so that shifting down gives it back."""
        luma = np.array([values], np.uint16 if bits > 8 else np.uint8)
        deeper = at_depth(luma, bits, 12)
        np.testing.assert_array_equal(deeper >> (12 - bits), luma)
        assert (deeper.dtype, deeper.max()) == (np.uint16, max(values) << (12 - bits))

    def test_less_depth_is_rounded(self) -> None:
        """Luma at a smaller depth is the nearest code value, never beyond the last."""
        luma = np.array([[0, 1, 2, 5, 6, 1022, 1023]], np.uint16)
        np.testing.assert_array_equal(at_depth(luma, 10, 8), [[0, 0, 1, 1, 2, 255, 255]])

    def test_rounding_is_named(self, tmp_path: Path) -> None:
        """Fewer bits than the film has, as asked for: one line says so."""
        source = make_clip(tmp_path / "in.mkv", Clip(codec="ffv1", pix_fmt="yuv420p10le", options={}))
        warnings = copy_film(source, tmp_path / "out.mp4", EncodeOptions(preset="ultrafast", pix_fmt="yuv420p"))
        assert warnings == ["the luma's 10 bits are rounded to 8 (yuv420p), as requested"]


def _plain_encode(source: Path, output: Path, settings: dict[str, str]) -> None:
    """What a transcoder does: decode, encode, nothing between."""
    with av.open(str(source)) as container, av.open(str(output), "w") as copy:
        picture = container.streams.video[0]
        stream = copy.add_stream("libx264", rate=picture.average_rate, options=settings)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        stream.codec_context.time_base = picture.time_base
        stream.thread_type = "AUTO"
        for frame in container.decode(picture):
            frame.pict_type = 0
            copy.mux(stream.encode(frame))
        copy.mux(stream.encode(None))


class TestEverythingElse:
    """Sound, subtitles, chapters, metadata, tags."""

    @pytest.mark.parametrize(
        ("source_suffix", "suffix", "tolerance"),
        [(".mp4", ".mp4", 0), (".mp4", ".mov", 0), (".mp4", ".mkv", MILLISECOND / 2), (".mkv", ".mkv", 0)],
    )
    def test_sound(self, tmp_path: Path, source_suffix: str, suffix: str, tolerance: Fraction) -> None:
        """Every packet of every track keeps its bytes and its time, the ones before zero and after the picture too."""
        clip = Clip(audio=("eng", "fra"), audio_seconds=1.5, options=B_FRAMES)
        source = make_clip(tmp_path / f"in{source_suffix}", clip)
        output = tmp_path / f"out{suffix}"
        assert copy_film(source, output) == []
        assert_same_packets(source, output, "audio", tolerance=Fraction(tolerance))
        drift = max(abs(a - b) for a, b in zip(times_of(source), times_of(output), strict=True))
        assert drift <= tolerance
        with av.open(str(output)) as container:
            assert [stream.language for stream in container.streams.audio] == ["eng", "fra"]

    @pytest.mark.parametrize(
        "suffix", [".mp4", ".mov", ".3gp", ".f4v", ".ismv", ".mkv", ".webm", ".nut", ".asf", ".avi", ".ts", ".flv"]
    )
    def test_lost_chapters_and_rotation_are_named(self, tmp_path: Path, suffix: str) -> None:
        """A warning names chapters and rotation exactly where the container has not stored them."""
        source = make_clip(tmp_path / "in.mkv", Clip(chapters=True, rotation=90, size=(96, 64)))
        output = tmp_path / f"out{suffix}"
        codecs = {".webm": "libvpx-vp9", ".flv": "flv"}
        options = EncodeOptions(codec=codecs.get(suffix, "libx264"))
        warnings = " ".join(copy_film(source, output, options))
        with VideoReader(output) as reader:
            assert ("chapters" in warnings) == (len(reader.container.chapters()) != 2)
            assert ("rotation" in warnings) == (reader.spec.rotation != 90)

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_subtitles_and_chapters(self, tmp_path: Path, suffix: str) -> None:
        """Subtitles keep their text and their times, chapters their titles and their times."""
        source = make_clip(tmp_path / f"in{suffix}", Clip(subtitles=True, chapters=True))
        output = tmp_path / f"out{suffix}"
        assert copy_film(source, output) == []
        assert_same_packets(source, output, "subtitle")
        with av.open(str(source)) as before, av.open(str(output)) as after:
            assert [_chapter(chapter) for chapter in after.chapters()] == [
                _chapter(chapter) for chapter in before.chapters()
            ]

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_metadata(self, tmp_path: Path, suffix: str) -> None:
        """The user's words are kept; what the old file said of its encoder is not; the machine's colors are named."""
        words = {"title": "A Trip", "comment": "found in the attic", "date": "1902"}
        source = make_clip(tmp_path / f"in{suffix}", Clip(metadata=words | {"encoding_tool": "Old Tool 1.0"}))
        output = tmp_path / f"out{suffix}"
        copy_film(source, output)
        with av.open(str(output)) as container:
            metadata = {key.lower(): value for key, value in container.metadata.items()}
        assert {key: metadata[key] for key in words} == words
        assert "Old Tool 1.0" not in metadata.values()
        assert any(value.startswith("vidcolor") for value in metadata.values())

    @pytest.mark.parametrize(
        ("suffix", "named"),
        [(".mp4", ["metadata ARCHIVE_NUMBER, REEL: mp4 cannot store it, left out"]), (".mkv", [])],
    )
    def test_metadata_without_a_place_is_named(self, tmp_path: Path, suffix: str, named: list[str]) -> None:
        """MP4 drops keys that it does not know: one line names them all."""
        words = {"title": "A Trip", "archive_number": "71-b", "REEL": "3"}
        source = make_clip(tmp_path / "in.mkv", Clip(metadata=words))
        assert copy_film(source, tmp_path / f"out{suffix}") == named

    @pytest.mark.parametrize("suffix", [".mp4", ".mov"])
    def test_a_timecode_becomes_a_track(self, tmp_path: Path, suffix: str) -> None:
        """A timecode among the metadata, as that of raw DV, is kept as a track, so that no line says it is lost."""
        source = make_clip(tmp_path / "in.mkv", Clip(metadata={"timecode": "01:00:00:00"}))
        output = tmp_path / f"out{suffix}"
        assert copy_film(source, output) == []
        with av.open(str(output)) as film:
            assert [track.metadata["timecode"] for track in film.streams if track.type == "data"] == ["01:00:00:00"]

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_tags_shape_and_rotation(self, tmp_path: Path, suffix: str) -> None:
        """Color tags, sample aspect ratio and rotation are those of the source."""
        tags = {"color_range": 2, "colorspace": 9, "color_primaries": 9, "color_trc": 14}
        clip = Clip(tags=tags, rotation=-90, sample_aspect_ratio=Fraction(16, 15), pix_fmt="yuv420p10le")
        source = make_clip(tmp_path / f"in{suffix}", clip)
        output = tmp_path / f"out{suffix}"
        copy_film(source, output)
        with VideoReader(source) as before, VideoReader(output) as after:
            for name in ("full_range", "matrix", "primaries", "transfer", "sample_aspect_ratio", "rotation"):
                assert getattr(after.spec, name) == getattr(before.spec, name), name
            assert after.display_matrix == before.display_matrix

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_cover_picture(self, tmp_path: Path, suffix: str) -> None:
        """The cover is still a cover, byte for byte."""
        source = make_clip(tmp_path / "in.mp4", Clip(cover=True, audio=("eng",)))
        output = tmp_path / f"out{suffix}"
        assert copy_film(source, output) == []
        assert _cover(output) == _cover(source)

    def test_attachment(self, tmp_path: Path) -> None:
        """An attached file goes into Matroska as it is, and is named where MP4 cannot carry it."""
        source = tmp_path / "in.mkv"
        with av.open(str(make_clip(tmp_path / "bare.mkv"))) as bare, av.open(str(source), "w") as container:
            stream = container.add_stream_from_template(bare.streams.video[0], opaque=True)
            container.add_attachment("notes.txt", "text/plain", b"reel 3")
            for packet in bare.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    container.mux(packet)
        assert copy_film(source, tmp_path / "out.mkv") == []
        with av.open(str(tmp_path / "out.mkv")) as container:
            attachment = container.streams.attachments[0]
            assert (attachment.name, attachment.mimetype, attachment.data) == ("notes.txt", "text/plain", b"reel 3")
        assert copy_film(source, tmp_path / "out.mp4") == [
            "stream 1 (attachment, notes.txt): mp4 cannot store it, left out"
        ]

    @pytest.mark.parametrize("chosen", [0, 1])
    def test_second_film(self, tmp_path: Path, chosen: int) -> None:
        """Another video stream is copied, and the colored one is what players choose."""
        source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
        films = [make_clip(tmp_path / f"{width}.mp4", Clip(size=(width, 32))) for width in (32, 64)]
        with av.open(str(films[0])) as first, av.open(str(films[1])) as second, av.open(str(source), "w") as container:
            streams = [container.add_stream_from_template(c.streams.video[0], opaque=True) for c in (first, second)]
            for number, stream in enumerate(streams):
                stream.disposition = Disposition.default if number == chosen else 0
            for stream, film in zip(streams, (first, second), strict=True):
                for packet in film.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        container.mux(packet)
        copy_film(source, output)
        before, after = timeline(source, "video"), timeline(output, "video")
        assert after[1 - chosen] == before[1 - chosen]
        assert after[chosen] != before[chosen]
        with av.open(str(output)) as container:
            assert container.streams.best("video").index == chosen
            flags = [bool(stream.disposition & Disposition.default) for stream in container.streams.video]
            assert flags == [chosen == 0, chosen == 1]

    def test_what_cannot_be_carried_is_named(self, tmp_path: Path) -> None:
        """WebM takes no AAC: one line, and the film is made."""
        source = make_clip(tmp_path / "in.mp4", Clip(audio=("eng",)))
        options = EncodeOptions(codec="libvpx-vp9", encoder_options={"deadline": "realtime", "cpu-used": "8"})
        assert copy_film(source, tmp_path / "out.webm", options) == [
            "stream 1 (audio, aac, eng): webm cannot store it, left out; `audio_codec` libopus encodes it"
        ]
        assert len(times_of(tmp_path / "out.webm")) == 12


def _chapter(chapter: Any) -> tuple[Fraction, Fraction, str]:
    return chapter["start"] * chapter["time_base"], chapter["end"] * chapter["time_base"], chapter["metadata"]["title"]


def _cover(path: Path) -> bytes:
    with av.open(str(path)) as container:
        covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        assert len(covers) == 1
        return next(bytes(packet) for packet in container.demux(covers[0]) if packet.size)


class TestOutput:
    """The file appears whole or not at all."""

    def refusal(self, source: Path, output: Path, options: EncodeOptions = FAST, **how: bool) -> str:
        """The one line that making the film fails with, before any work; nothing is left beside it."""
        before = sorted(output.parent.iterdir()) if output.parent.is_dir() else []
        with pytest.raises(VidcolorError) as caught:
            copy_film(source, output, options, **how)
        assert isinstance(caught.value, OutputError | OptionError)
        assert (sorted(output.parent.iterdir()) if output.parent.is_dir() else []) == before
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_existing(self, tmp_path: Path) -> None:
        """An existing file is only replaced when asked for."""
        source = make_clip(tmp_path / "in.mp4")
        (tmp_path / "out.mp4").write_bytes(b"precious")
        assert "`overwrite`" in self.refusal(source, tmp_path / "out.mp4")
        assert (tmp_path / "out.mp4").read_bytes() == b"precious"
        copy_film(source, tmp_path / "out.mp4", overwrite=True)
        assert len(times_of(tmp_path / "out.mp4")) == 12

    @pytest.mark.parametrize("how", ["itself", "symlink", "hard link"])
    def test_the_input_itself(self, tmp_path: Path, how: str) -> None:
        """The input is never overwritten, by whichever name."""
        source = make_clip(tmp_path / "in.mp4")
        output = source if how == "itself" else tmp_path / "other.mp4"
        if how == "symlink":
            output.symlink_to(source)
        if how == "hard link":
            os.link(source, output)
        payload = source.read_bytes()
        assert "is the input itself" in self.refusal(source, output, overwrite=True)
        assert source.read_bytes() == payload

    @pytest.mark.parametrize(
        ("name", "options", "words"),
        [
            ("no/out.mp4", FAST, "does not exist"),
            ("out.xyz", FAST, "the ending .xyz is not that of a film"),
            ("out", FAST, "no ending"),
            ("out.webm", FAST, "webm cannot hold what libx264 makes"),
            ("out.mp4", EncodeOptions(codec="nonsense"), "no such encoder"),
            ("out.mp4", EncodeOptions(preset="warp"), "preset"),
            ("out.mp4", EncodeOptions(codec="libx265"), "at least 64×64 pixels, found 64×48"),
            ("out.mp4", EncodeOptions(encoder_options={"crf": "many"}), "crf"),
            ("out.mp4", EncodeOptions(encoder_options={"nonsense": "1"}), "no such option"),
        ],
    )
    def test_refusals(self, tmp_path: Path, name: str, options: EncodeOptions, words: str) -> None:
        """What does not fit is refused in one line, and no file appears."""
        assert words in self.refusal(make_clip(tmp_path / "in.mp4"), tmp_path / name, options)

    @pytest.mark.parametrize("error", [ValueError("a stage failed"), KeyboardInterrupt()])
    def test_nothing_is_left_after_an_exception(self, tmp_path: Path, error: BaseException) -> None:
        """When the work is broken off, neither the file nor a part of it stays."""
        source = make_clip(tmp_path / "in.mp4", Clip(audio=("eng",)))
        with pytest.raises(type(error)), _broken_off(source, tmp_path / "out.mp4", error):
            pass
        assert list(tmp_path.iterdir()) == [source]

    def test_the_name_is_free_until_the_film_is_whole(self, tmp_path: Path) -> None:
        """While the film is made only a hidden file is there."""
        source = make_clip(tmp_path / "in.mp4")
        with (
            VideoReader(source) as reader,
            VideoWriter(FileDestination(tmp_path / "out.mp4", overwrite=False), reader=reader, options=FAST),
        ):
            names = [path.name for path in tmp_path.iterdir()]
            assert "out.mp4" not in names
            assert sum(name.startswith(".vidcolor-") for name in names) == 1

    def test_full_disk(self, tmp_path: Path) -> None:
        """When the file cannot grow, one line, and nothing stays."""
        source = make_clip(tmp_path / "in.mkv", Clip(codec="ffv1", options={}, size=(320, 240), frames=30))
        with max_file_size(200_000), pytest.raises(OutputError, match="writing failed"):
            copy_film(source, tmp_path / "out.mkv", LOSSLESS)
        assert list(tmp_path.iterdir()) == [source]


@contextmanager
def _broken_off(source: Path, output: Path, error: BaseException) -> Iterator[None]:
    with (
        VideoReader(source) as reader,
        VideoWriter(FileDestination(output, overwrite=False), reader=reader, options=FAST) as writer,
    ):
        neutral = np.full((writer.chroma.height, writer.chroma.width), 128, np.uint8)
        for picture in reader.pictures():
            writer.write(picture, neutral, neutral)
            if picture.pts > 5 * 512:
                raise error
        yield


CLIP_NAMES = [
    *(f"colour/c{number:02}_*.mp4" for number in range(1, 18)),
    *(f"bw_film/b{number:02}_*.mp4" for number in range(1, 4)),
]


@pytest.mark.parametrize("pattern", CLIP_NAMES)
@pytest.mark.slow
def test_development_clips(shared_clips: Path, tmp_path: Path, pattern: str) -> None:
    """On real films: every picture at its time, every packet of sound as it was."""
    source = next(shared_clips.glob(pattern))
    output = tmp_path / "out.mp4"
    assert copy_film(source, output) == []
    assert times_of(output) == times_of(source)
    if timeline(source, "audio"):
        assert_same_packets(source, output, "audio")


@pytest.mark.slow
def test_odd_development_files(shared_clips: Path, tmp_path: Path) -> None:
    """Every odd file gives a whole film, or one clear line and nothing else."""
    files = [path for pattern in ("v_*", "m_*", "a_*") for path in sorted((shared_clips / "odd").glob(pattern))]
    refused = {}
    for source in files:
        output = tmp_path / f"{source.name}.mp4"
        try:
            copy_film(source, output)
        except VidcolorError as exc:
            refused[source.name] = str(exc)
            assert not output.exists()
        else:
            with VideoReader(source) as reader:
                shown = [picture.pts * reader.spec.time_base for picture in reader.pictures()]
            assert times_of(output) == shown, source.name
    assert len(refused) < len(files) / 3
    assert not any("\n" in line for line in refused.values())
    assert [path for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_the_shortest_films_in_hevc(tmp_path: Path, frames: int, suffix: str) -> None:
    """x265 makes decoding times up where there are fewer pictures than it waits for: they are never handed on."""
    source = make_clip(tmp_path / "in.mp4", Clip(size=(128, 96), frames=frames))
    for _ in range(3):
        copy_film(source, tmp_path / f"out{suffix}", EncodeOptions(codec="libx265"), overwrite=True)
        assert times_of(tmp_path / f"out{suffix}") == times_of(source)
        with av.open(str(tmp_path / f"out{suffix}")) as film:
            stamps = [(packet.dts, packet.pts) for packet in film.demux(video=0) if packet.dts is not None]
            ticks = 1 / film.streams.video[0].time_base
        assert all(-ticks < dts <= pts for dts, pts in stamps)


def test_sound_that_matroska_does_not_list(tmp_path: Path) -> None:
    """Windows Media sound is none of its own kinds, but it takes it as AVI does: every packet, playable."""
    source = make_clip(
        tmp_path / "in.wmv", Clip(codec="wmv2", options={}, frames=30, audio=("eng",), audio_codec="wmav2")
    )
    assert copy_film(source, tmp_path / "out.mkv") == []
    assert len(timeline(source, "audio")[0]) > 10
    assert timeline(tmp_path / "out.mkv", "audio") == timeline(source, "audio")
    sounds = []
    for path in (source, tmp_path / "out.mkv"):
        with av.open(str(path)) as film:
            sounds.append(np.concatenate([frame.to_ndarray() for frame in film.decode(audio=0)], axis=1))
    np.testing.assert_array_equal(*sounds)


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_timecode(tmp_path: Path, suffix: str) -> None:
    """A film with a track of timecode has one again, where there are such tracks; nothing is said to be lost."""
    source = make_clip(tmp_path / "in.mov", Clip(timecode="01:02:03:04", audio=("eng",)))
    assert copy_film(source, tmp_path / f"out{suffix}") == []
    with av.open(str(tmp_path / f"out{suffix}")) as film:
        tracks = [stream.metadata["timecode"] for stream in film.streams if stream.type == "data"]
        folded = {key.lower(): value for key, value in film.streams.video[0].metadata.items()}
    assert folded["timecode"] == "01:02:03:04"
    assert tracks == ([] if suffix == ".mkv" else ["01:02:03:04"])


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi", ".webm", ".ts", ".nut", ".mov"])
@pytest.mark.parametrize("codec", ["libx264", "ffv1", "libvpx-vp9", "prores_ks", "mpeg4"])
def test_pixel_shape_arrives_or_is_named(tmp_path: Path, codec: str, suffix: str) -> None:
    """Whatever encoder and kind of file go together: the shape is there, or one line says that it is not."""
    source = make_clip(tmp_path / "in.mkv", Clip(sample_aspect_ratio=Fraction(16, 15), frames=2))
    how: dict[str, Any] = {"prores_ks": {"pix_fmt": "yuv422p10le"}, "libx264": {"preset": "ultrafast"}}.get(codec, {})
    try:
        warnings = copy_film(source, tmp_path / f"out{suffix}", EncodeOptions(codec=codec, **how))
    except (OptionError, OutputError):
        return  # these do not go together
    with VideoReader(tmp_path / f"out{suffix}") as copy:
        arrived = copy.spec.sample_aspect_ratio == Fraction(16, 15)
    assert [line.startswith("pixel shape 16/15: ") for line in warnings if "shape" in line] == [True] * (not arrived)


def test_what_mpeg_ts_has_no_number_for(tmp_path: Path) -> None:
    """Its muxer takes such pictures and sounds, and no reader finds them: refused, or left out with a line."""
    source = make_clip(tmp_path / "in.mkv", Clip(audio=("eng",), audio_codec="flac"))
    with pytest.raises(OptionError, match="mpegts cannot hold what ffv1 makes"):
        copy_film(source, tmp_path / "out.ts", EncodeOptions(codec="ffv1"))
    (line,) = [line for line in copy_film(source, tmp_path / "out.ts") if "metadata" not in line]
    assert line.startswith("stream 1 (audio, flac")
    with av.open(str(tmp_path / "out.ts")) as film:
        assert [stream.type for stream in film.streams] == ["video"]


def test_transparency_beside_the_pictures(shared_clips: Path, tmp_path: Path) -> None:
    """That of VP9 in WebM is named as any other, and the copy does not claim to have it."""
    (line,) = copy_film(shared_clips / "odd" / "v_alpha_vp9.webm", tmp_path / "out.mkv")
    assert line == "the film has transparency, which is left out"
    with VideoReader(tmp_path / "out.mkv") as copy:
        assert copy.outcomes == ()
