"""The stages of reading, each with items made by hand, and how often a film is opened."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.frame import VideoFrame

from tests.support.clips import Clip, decoded, make_clip
from tests.test_pipeline import Painter
from vidcolor.media import sources
from vidcolor.media.decoding import LostPictures, decode
from vidcolor.media.demuxing import end_of
from vidcolor.media.gaps import fill_gaps
from vidcolor.media.interlacing import deinterlace
from vidcolor.media.items import Item, Jump, LostPicture, Note
from vidcolor.media.opening import open_reader
from vidcolor.media.reader import VideoReader
from vidcolor.media.timestamps import repair_timestamps
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import colorize_video


def frame(pts: int | None, *, dts: int | None = None, duration: int = 10) -> VideoFrame:
    """A small frame."""
    made = VideoFrame(16, 16, "yuv420p")
    made.pts, made.dts, made.duration = pts, dts, duration
    return made


def times(items: list[Item]) -> list[int | None]:
    """The pts of the frames."""
    return [item.pts for item in items if isinstance(item, VideoFrame)]


def packet(pts: int) -> Packet[Any]:
    """A packet with a time."""
    made: Packet[Any] = Packet(b"content")
    made.pts = pts
    return made


class TestLostPictures:
    """Which pictures a decoder has failed on."""

    def test_the_first_missing_one_is_lost(self) -> None:
        """A failure belongs to the first time that has gone in and does not come out."""
        lost = LostPictures(Fraction(1, 100))
        for pts in (0, 30, 10, 20):
            lost.expect(packet(pts))
        lost.add_failure("broken")
        assert list(lost.before(0)) == []
        note, picture = lost.before(20)
        assert picture == LostPicture(10)
        assert isinstance(note, Note)
        assert note.line.startswith("the picture at 0.10 s cannot be decoded (broken)")
        assert list(lost.at_end()) == []  # without another failure nothing is lost

    def test_a_failure_without_a_missing_picture(self) -> None:
        """At the end it is noted all the same."""
        lost = LostPictures(Fraction(1, 100))
        lost.add_failure("broken")
        (note,) = lost.at_end()
        assert isinstance(note, Note)
        assert "no picture is known to be missing" in note.line


class TestGaps:
    """Frames that stand for lost ones."""

    def test_the_frame_before_is_repeated(self) -> None:
        """At the time of the lost picture, with its own duration; without a frame before, there is none."""
        found = []
        for item in fill_gaps([LostPicture(0), frame(10), LostPicture(20), LostPicture(30), frame(40)]):
            assert isinstance(item, VideoFrame)
            found.append((item.pts, item.duration))
        assert found == [(10, 10), (20, 10), (30, 10), (40, 10)]

    def test_a_lost_picture_is_not_shown_before_the_frame_that_precedes_it(self, tmp_path: Path) -> None:
        """Where its time is not later, it is left out."""
        with av.open(str(make_clip(tmp_path / "in.mp4"))) as film:
            items = [LostPicture(0), frame(10), LostPicture(10), LostPicture(15), frame(20)]
            kept = list(repair_timestamps(items, film.streams.video[0]))
        assert [item.pts for item in kept if not isinstance(item, Note | Jump)] == [10, 15, 20]


class TestDecoding:
    """Packets to frames."""

    def test_flushed_at_a_jump(self, tmp_path: Path) -> None:
        """An empty packet brings out all frames of a piece before the next one begins."""
        clip = Clip(frames=40, options={"crf": "12", "preset": "veryfast", "g": "10", "sc_threshold": "0"})
        source = make_clip(tmp_path / "in.mp4", clip)
        with av.open(str(source)) as film:
            stream = film.streams.video[0]

            def packets() -> Any:
                for number, item in enumerate(film.demux(stream)):
                    yield item
                    if number == 9:
                        break
                yield end_of(stream)
                film.seek(30 * 512, stream=stream, backward=False)
                yield Jump()
                yield from film.demux(stream)

            items = list(decode(packets(), stream, keep_going=False, is_stills=False))
        jump = items.index(Jump())
        assert times(items[:jump]) == [512 * number for number in range(10)]
        assert times(items[jump:]) == [512 * number for number in range(30, 40)]


class TestDeinterlacing:
    """Interlaced frames to whole ones."""

    def test_a_jump_separates(self) -> None:
        """The frame that the filter holds back comes out before the jump."""

        def interlaced(pts: int) -> VideoFrame:
            made = frame(pts)
            for plane in made.planes:
                plane.update(bytes([100]) * plane.buffer_size)
            return made

        first = [interlaced(0), interlaced(10)]
        items = list(deinterlace([*first, Jump(), interlaced(500), interlaced(510)], "frame", "top"))
        assert times(items[: items.index(Jump())]) == [0, 10]
        assert times(items[items.index(Jump()) :]) == [500, 510]

    def test_nothing_to_do(self) -> None:
        """Progressive frames pass, in field mode with doubled times, and a line says that there was nothing to do."""
        *frames, note = deinterlace([frame(0), frame(10)], "field", None)
        assert times(frames) == [0, 20]
        assert note == Note("the film is progressive: there is nothing to deinterlace")


def test_a_film_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is open is used by the pipeline; the film is read again for the other streams at the end only."""
    source = make_clip(tmp_path / "in.mp4", Clip(audio=("eng",)))
    opened = []
    open_film = sources.open_film

    def counted(path: Path, accelerator: Any) -> Any:
        opened.append(path)
        return open_film(path, accelerator)

    monkeypatch.setattr(sources, "open_film", counted)
    counts = []
    report = colorize_video(
        open_reader(source),
        tmp_path / "out.mp4",
        colorizer=Painter(),
        options=ColorizeOptions(render_size=48),
        on_progress=lambda progress: counts.append(len(opened)),
    )
    assert report.frames == 12
    assert set(counts) == {1}
    assert opened == [source, source]


def test_what_is_known_is_not_to_be_changed(tmp_path: Path) -> None:
    """Warnings, errors and outcomes are tuples, and complete when the pictures are read."""
    source = make_clip(tmp_path / "in.mkv", Clip(codec="ffv1", options={}, pix_fmt="gray"))
    with VideoReader(source, deinterlace="frame") as reader:
        assert (reader.warnings, reader.errors, reader.outcomes) == ((), (), ())
        lumas = [picture.luma for picture in reader.pictures()]
        assert reader.warnings == ("the film is progressive: there is nothing to deinterlace",)
    for luma, (_, expected) in zip(lumas, decoded(source), strict=True):
        np.testing.assert_array_equal(luma, expected)
