"""Films whose clock begins late or before zero, starts again, or jumps ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from av.container import InputContainer
from av.packet import Packet

from tests.support.clips import Clip, make_clip, timeline
from tests.support.painter import Painter
from vidcolor.errors import OutputError
from vidcolor.media.continuity import Start, join_clocks
from vidcolor.media.items import Item, Note
from vidcolor.media.muxer import check_pictures
from vidcolor.media.reader import VideoReader
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Report

SECONDS = 1
RATE = 25
FRAME = Fraction(1, RATE)
SOUND = Fraction(1024, 48000)
WRAP_SECONDS = Fraction(2**33, 90000)
"""After which the clock of MPEG-TS starts again at 0."""
RECORDING = Clip(frames=SECONDS * RATE, audio=("eng",), audio_codec="mp2", options={"crf": "30", "preset": "ultrafast"})


def recording(path: Path, start: Fraction | int = 0, clip: Clip = RECORDING) -> Path:
    """Make a film of a second with sound, whose clock begins at ``start`` seconds."""
    made = make_clip(path.with_name(f"{path.stem}-0.nut"), clip)
    options = {"avoid_negative_ts": "disabled", **({"max_delay": "0"} if path.suffix == ".ts" else {})}
    with av.open(str(made)) as source, av.open(str(path), "w", container_options=options) as target:
        copies = [target.add_stream_from_template(stream) for stream in source.streams]
        target.set_chapters(
            [
                {"id": 1, "start": chapter["start"] + round(1000 * start), "end": chapter["end"] + round(1000 * start)}
                | {"time_base": chapter["time_base"], "metadata": chapter["metadata"]}
                for chapter in source.chapters()
            ]
        )
        for packet in source.demux():
            if packet.size:
                assert packet.pts is not None
                assert packet.dts is not None
                ticks = round(start / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = copies[packet.stream_index]
                target.mux(packet)
    return path


def joined(folder: Path, starts: Sequence[Fraction | int]) -> Path:
    """Join recordings as ``cat`` does."""
    path = folder / "joined.ts"
    parts = [recording(folder / f"{number}.ts", start) for number, start in enumerate(starts)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def color(source: Path, dest: Path, *, keep_start: bool = False) -> Report:
    """Color a film in the least time."""
    options = ColorizeOptions(render_size=32, keep_start=keep_start, encode=EncodeOptions(preset="ultrafast"))
    return colorize_video(source, dest, colorizer=Painter(), options=options)


def times(path: Path, kind: str) -> list[Fraction]:
    """The times of the packets of the first stream of a kind, sorted."""
    return sorted(time for time, _ in timeline(path, kind)[0])


def steps(path: Path, kind: str) -> list[Fraction]:
    """The time between one packet of a stream and the next."""
    return [later - earlier for earlier, later in pairwise(times(path, kind))]


def clock_lines(report: Report) -> list[str]:
    """The warnings about the clock."""
    return [line for line in report.warnings if "clock" in line]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize(
    "starts", [(0, 0), (0, 36000), (36000, 0, 500)], ids=["starts again", "jumps ahead", "several times"]
)
def test_recordings_that_were_joined(starts: Sequence[int], suffix: str, tmp_path: Path) -> None:
    """Each part follows on the one before, picture and sound alike; every packet of sound is there, and one line."""
    source, dest = joined(tmp_path, starts), tmp_path / f"out{suffix}"
    with VideoReader(source) as reader:
        assert (reader.spec.estimated_frames or 0) < 10 * len(starts) * SECONDS * RATE  # not hours
    report = color(source, dest)
    assert report.frames == len(starts) * SECONDS * RATE
    assert len(clock_lines(report)) == len(starts) - 1 + (starts[0] > 0)
    pictures, sounds = times(dest, "video"), times(dest, "audio")
    assert len(pictures) == report.frames
    assert pictures[0] < Fraction(1, 10)
    assert FRAME - Fraction(2, 1000) <= min(steps(dest, "video"))
    assert max(steps(dest, "video")) < 3 * FRAME
    assert max(steps(dest, "audio")) < 2 * SOUND + Fraction(2, 1000)
    assert [content for _, content in timeline(dest, "audio")[0]] == [
        content for _, content in timeline(source, "audio")[0]
    ]
    part = RATE * SECONDS
    apart = [pictures[number * part] - pictures[0] for number in range(len(starts))]
    assert all(min(abs(sound - sounds[0] - shift) for sound in sounds) < Fraction(2, 1000) for shift in apart)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize("start", [35001, WRAP_SECONDS - Fraction(1, 2)], ids=["broadcast", "clock that wraps around"])
def test_a_clock_that_begins_elsewhere(start: Fraction | int, suffix: str, tmp_path: Path) -> None:
    """It begins at 0, with a line; picture and sound lie as before. To libav, times before the wrap are negative."""
    source, dest = recording(tmp_path / "in.ts", start), tmp_path / f"out{suffix}"
    report = color(source, dest)
    assert report.frames == SECONDS * RATE
    assert len(clock_lines(report)) == 1
    assert len(times(dest, "video")) == report.frames
    first = {kind: times(dest, kind)[0] for kind in ("video", "audio")}
    assert 0 <= first["video"] < Fraction(1, 10)
    before = {kind: times(source, kind)[0] for kind in ("video", "audio")}
    assert abs(first["video"] - first["audio"] - before["video"] + before["audio"]) < Fraction(2, 1000)


def test_a_clock_that_is_kept(tmp_path: Path) -> None:
    """With ``keep_start`` the film begins where its clock does, without a line."""
    report = color(recording(tmp_path / "in.ts", 35001), tmp_path / "out.mkv", keep_start=True)
    assert clock_lines(report) == []
    assert 35001 <= times(tmp_path / "out.mkv", "video")[0] < 35001 + FRAME


def test_a_short_pause_before_the_film_is_kept(tmp_path: Path) -> None:
    """A film that begins after 9 s still does."""
    assert clock_lines(color(recording(tmp_path / "in.ts", 9), tmp_path / "out.mkv")) == []
    assert 9 <= times(tmp_path / "out.mkv", "video")[0] < 9 + FRAME


def test_chapters_move_with_the_film(tmp_path: Path) -> None:
    """The chapters of a film that begins late lie at the same pictures as before."""
    source = recording(tmp_path / "in.mkv", 600, Clip(frames=50, chapters=True))
    color(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert [(chapter["start"], chapter["end"]) for chapter in film.chapters()] == [
            (0, 1_000_000_000),
            (1_000_000_000, 2_000_000_000),
        ]


@pytest.fixture(params=[".ts", ".mkv"])
def film(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InputContainer]:
    """A film of picture and sound, whose streams packets made by hand belong to."""
    with av.open(str(recording(tmp_path / f"in{request.param}"))) as container:
        yield container


def packet(film: InputContainer, kind: str, seconds: float) -> Packet[Any]:
    """A packet of .1 s."""
    made: Packet[Any] = Packet(b"content")
    made.stream = film.streams.best(kind)  # type: ignore[call-overload]
    made.time_base = made.stream.time_base
    made.pts = made.dts = round(seconds / made.time_base)
    made.duration = round(Fraction(1, 10) / made.time_base)
    return made


def through(
    film: InputContainer, pieces: dict[str, Sequence[tuple[float, float]]]
) -> tuple[dict[str, list[float]], int]:
    """Put packets through the stage; return the times of each kind rounded to .1 s, and the number of notes.

    Args:
        film: the open film.
        pieces: for each kind the first and the last time of each piece; the file has them in the order of sending.
    """
    items: list[tuple[float, Packet[Any]]] = []
    for kind, ranges in pieces.items():
        sent = 0.0
        for begin, end in ranges:
            for number in range(round(10 * (end - begin))):
                items.append((sent, packet(film, kind, begin + number / 10)))
                sent += 0.1
    items.sort(key=lambda item: item[0])
    made: list[Item] = [item for _, item in items]
    found: dict[str, list[float]] = {kind: [] for kind in pieces}
    notes = 0
    for item in join_clocks(made, film, film.streams.video[0], Start(Fraction(0), None)):
        if isinstance(item, Note):
            notes += 1
        elif isinstance(item, Packet):
            assert item.pts is not None
            found[item.stream.type].append(round(float(item.pts * item.time_base), 1))
    return found, notes


def tenths(begin: float, end: float) -> list[float]:
    """The times from one to another in steps of .1 s."""
    return [round(begin + number / 10, 1) for number in range(round(10 * (end - begin)))]


def test_both_streams_start_again(film: InputContainer) -> None:
    """The later of both ends is where both go on, whichever jumps first."""
    found, notes = through(film, {"video": [(5, 10), (1, 4)], "audio": [(5, 9.5), (0.5, 4)]})
    assert found == {"video": tenths(5, 13), "audio": tenths(5, 13)}
    assert notes == 1


@pytest.mark.parametrize("alone", ["video", "audio"])
@pytest.mark.parametrize("to", [2, 5000], ids=["back", "ahead"])
def test_one_stream_that_jumps_alone(alone: str, to: float, film: InputContainer) -> None:
    """Its times stay: the film goes on in the other stream, so that they are a fault or a gap of this one."""
    other = "audio" if alone == "video" else "video"
    found, notes = through(film, {alone: [(5, 10), (to, to + 6)], other: [(5, 16)]})
    assert found == {alone: tenths(5, 10) + tenths(to, to + 6), other: tenths(5, 16)}
    assert notes == 0


def test_slides_with_sound_that_follows_late(film: InputContainer) -> None:
    """A muxer may write two pictures before the sound between them: the sound goes on, and so does the clock."""
    apart = 5000
    found, notes = through(film, {"video": [(5, 5.1), (5 + apart, 5.1 + apart)], "audio": [(0, 20)]})
    assert found == {"video": [5, 5 + apart], "audio": tenths(0, 20)}
    assert notes == 0


def test_a_packet_that_lasts_until_after_a_jump(film: InputContainer) -> None:
    """Its duration is no reason to take the jump for none."""
    packets = [packet(film, kind, seconds) for seconds in (1, 1.1, 9001, 9001.1) for kind in ("video", "audio")]
    packets[2].duration = round(8999.9 / packets[2].time_base)
    items = list(join_clocks(packets, film, film.streams.video[0], Start(Fraction(0), None)))
    assert sum(isinstance(item, Note) for item in items) == 1
    assert {round(float((each.pts or 0) * each.time_base), 1) for each in packets} == {1, 1.1, 1.2, 1.3}


def test_a_gap_is_no_jump(film: InputContainer) -> None:
    """Nine seconds without picture and sound stay; in a container with a reliable clock, so does a minute."""
    gap = 9 if film.format.name == "mpegts" else 60
    found, notes = through(film, {"video": [(5, 6), (6 + gap, 8 + gap)], "audio": [(5, 6), (6 + gap, 8 + gap)]})
    assert found["video"] == tenths(5, 6) + tenths(6 + gap, 8 + gap)
    assert notes == 0


def test_many_jumps(film: InputContainer) -> None:
    """The first three have a line each, and one line counts the others."""
    pieces = [(1, 2)] * 7
    found, notes = through(film, {"video": pieces, "audio": pieces})
    assert found == {"video": tenths(1, 8), "audio": tenths(1, 8)}
    assert notes == 4


def test_pictures_without_decoding_times(film: InputContainer) -> None:
    """Packets of pictures that have only the times of showing, in the order of decoding, do not jump."""
    packets = [packet(film, "video", seconds) for seconds in (1, 2, 1.3, 1.6, 3, 2.3, 2.6)]
    for each in packets:
        each.dts = None
    items = list(join_clocks(packets, film, film.streams.video[0], Start(Fraction(0), None)))
    assert items == packets
    assert [each.pts and round(float(each.pts * each.time_base), 1) for each in packets] == [
        1,
        2,
        1.3,
        1.6,
        3,
        2.3,
        2.6,
    ]


def test_packets_of_other_streams_are_read_on(tmp_path: Path) -> None:
    """What was held back when the first picture had been decoded is there when the other streams are read on."""
    source = joined(tmp_path, (0, 0))
    with VideoReader(source) as reader:
        sounds = [packet.pts * packet.time_base for packet in reader.other_packets() if packet.pts is not None]
    assert len(sounds) == len(timeline(source, "audio")[0])
    assert all(earlier < later for earlier, later in pairwise(sounds))


def test_a_film_without_a_picture_is_refused(tmp_path: Path) -> None:
    """A finished file in which no picture is shown is an error: here all of them lie before the zero of an MP4."""
    path = recording(tmp_path / "out.mp4", -60)
    with pytest.raises(OutputError, match=r"out\.mp4: the finished film shows no picture"):
        check_pictures(str(path), str(path), "mp4")
    check_pictures(str(recording(tmp_path / "good.mp4")), "good.mp4", "mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".y4m"])
def test_a_film_is_checked_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A finished file that shows no picture does not appear."""
    source, dest = recording(tmp_path / "in.mp4"), tmp_path / "out" / f"out{suffix}"
    dest.parent.mkdir()
    checked = []

    def refuse(file: str, name: str, format_name: str) -> None:
        check_pictures(file, name, format_name)
        checked.append(name)
        raise OutputError(f"{name}: the finished film shows no picture")

    monkeypatch.setattr("vidcolor.media.muxer.check_pictures", refuse)
    options = ColorizeOptions(render_size=32, encode=EncodeOptions(codec="rawvideo" if suffix == ".y4m" else "libx264"))
    with pytest.raises(OutputError, match="shows no picture"):
        colorize_video(source, dest, colorizer=Painter(), options=options)
    assert checked == [str(dest)]
    assert not dest.exists()


def test_a_film_that_begins_between_two_keyframes(tmp_path: Path) -> None:
    """The pictures before the first keyframe are counted; a whole film has no such line."""
    clip = Clip(frames=30, codec="mpeg2video", options={"g": "12", "bf": "2"}, size=(320, 240))
    whole = make_clip(tmp_path / "whole.ts", clip)
    source = tmp_path / "in.ts"
    source.write_bytes(whole.read_bytes()[188 * 60 :])
    with VideoReader(whole) as reader:
        assert (sum(1 for _ in reader.pictures()), reader.warnings) == (30, ())
    with VideoReader(source) as reader:
        count = sum(1 for _ in reader.pictures())
        (line,) = reader.warnings
    assert 0 < count < 30
    lost = int(line.removeprefix("the film begins between two keyframes: ").split()[0])
    assert 0 <= 30 - count - lost <= 3  # the packet that is cut has no time, and may begin in another
