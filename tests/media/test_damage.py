"""Films that are damaged in their midst: the work stops, or goes over the damage and tells of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet

from tests.media.test_interlacing import Blue
from tests.media.test_video import with_index_in_front
from tests.support.clips import Clip, decoded, make_clip, timeline
from vidcolor.errors import InputError, OutputError
from vidcolor.media.damage import MAX_LINES, DamageLog
from vidcolor.media.interlacing import Deinterlacing
from vidcolor.media.sources import FileSource
from vidcolor.options import ColorizeOptions, EncodeOptions, OnError
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Report

WHOLE = Clip(codec="png", pix_fmt="rgb24", options={}, frames=12)


def color(source: Path, dest: Path, on_error: OnError, *, resume: bool = False) -> Report:
    """To lossless pictures, so that one can see which is which."""
    options = ColorizeOptions(on_error=on_error, resume=resume, encode=EncodeOptions(codec="ffv1"))
    return colorize_video(source, dest, colorizer=Blue(), options=options)


def damaged(source: Path, *numbers: int) -> Path:
    """Overwrite the middle of some of the film's pictures."""
    with av.open(str(source)) as film:
        packets = [packet for packet in film.demux(video=0) if packet.size]
    content = bytearray(source.read_bytes())
    for number in numbers:
        start = content.index(bytes(packets[number]))
        content[start + 8 : start + packets[number].size] = bytes(packets[number].size - 8)
    source.write_bytes(content)
    return source


def test_a_damaged_picture_stops_the_work(tmp_path: Path) -> None:
    """That is the default: one line that says when, and no output."""
    source = damaged(make_clip(tmp_path / "in.mov", WHOLE), 5)
    with pytest.raises(InputError, match=r"damaged after 0\.\d+ s"):
        color(source, tmp_path / "out.mkv", "stop")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("numbers", [(5,), (5, 6, 9), (11,), (1,), (1, 2)])
def test_a_damaged_picture_keeps_its_place(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    """The one before stands for it: times and number of pictures are those of the whole film; each is reported."""
    source = make_clip(tmp_path / "in.mov", WHOLE)
    report = color(source, tmp_path / "whole.mkv", "keep-grey")
    assert report.errors == ()
    report = color(damaged(source, *numbers), tmp_path / "out.mkv", "keep-grey")
    whole, found = decoded(tmp_path / "whole.mkv"), decoded(tmp_path / "out.mkv")
    assert [time for time, _ in found] == [time for time, _ in whole]
    expected = list(range(12))
    for number in numbers:
        expected[number] = expected[number - 1]
    for (_, luma), number in zip(found, expected, strict=True):
        np.testing.assert_array_equal(luma, whole[number][1])
    assert len(report.errors) == len(numbers)
    for line, number in zip(report.errors, numbers, strict=True):
        assert f"the picture at {number / 25:.2f} s cannot be decoded" in line


@pytest.mark.parametrize(("mode", "pictures"), [("frame", 1), ("field", 2)])
def test_damage_in_a_deinterlaced_film(tmp_path: Path, mode: Deinterlacing, pictures: int) -> None:
    """The frame before stands for the missing one there, too: times and number are those of the whole film."""
    clip = Clip(codec="prores_ks", pix_fmt="yuv422p10le", options={}, frames=9, interlaced=True, top_first=True)
    source = make_clip(tmp_path / "in.mov", clip)
    options = ColorizeOptions(deinterlace=mode, on_error="keep-grey", encode=EncodeOptions(codec="ffv1"))
    reports = []
    for name in ("whole", "out"):
        reports.append(colorize_video(source, tmp_path / f"{name}.mkv", colorizer=Blue(), options=options))
        damaged(source, 4, 8)
    whole, found = (decoded(tmp_path / f"{name}.mkv") for name in ("whole", "out"))
    assert [time for time, _ in found] == [time for time, _ in whole]
    assert len(found) == 9 * pictures
    np.testing.assert_array_equal(found[4 * pictures][1][::2], whole[3 * pictures][1][::2])
    assert reports[0].errors == ()
    first, second = reports[1].errors
    assert first.startswith("the picture at 0.16 s cannot be decoded")
    assert second.startswith("the picture at 0.32 s cannot be decoded")


@pytest.mark.slow
def test_the_exit_code_tells(tiny_weights: Path, tmp_path: Path) -> None:
    """The film is there, the exit code is 1, and a line for each damaged picture is on standard error."""
    source = damaged(make_clip(tmp_path / "in.mov", WHOLE), 3)
    arguments = [source, "-o", tmp_path / "out.mkv", "--on-error", "keep-grey", "--weights", tiny_weights]
    done = subprocess.run(
        [sys.executable, "-m", "vidcolor", *map(str, arguments), "--device", "cpu"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "error: the picture at 0.12 s cannot be decoded" in done.stderr
    assert len(decoded(tmp_path / "out.mkv")) == 12


def test_a_film_that_is_cut_off_ends_there(tmp_path: Path) -> None:
    """What can be read is colored, and the end is reported."""
    whole = with_index_in_front(make_clip(tmp_path / "in-back.mp4", Clip()), tmp_path / "whole.mp4")
    with av.open(str(whole)) as film:
        cut = [packet for packet in film.demux(video=0) if packet.size][8]
    source = tmp_path / "in.mp4"
    source.write_bytes(whole.read_bytes()[: cut.pos + cut.size // 2])
    report = color(source, tmp_path / "out.mkv", "keep-grey")
    assert 8 <= report.frames <= 9
    assert any("is cut off" in line for line in report.errors)


def without_a_header(number: int) -> Callable[..., Iterator[Packet[Any]]]:
    """The packets of a file, of which one of sound has lost its first bytes."""

    def packets(self: FileSource, container: Any, stream: Any) -> Iterator[Packet[Any]]:
        sound = 0
        for packet in container.demux():
            if packet.size and packet.stream.type == "audio":
                sound += 1
                if sound == number:
                    packet.update(bytes(packet.size))
            yield packet

    return packets


def test_damaged_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet of sound that the muxer refuses ends the work with a line, or is left out with one.

    What is finished by then is kept, and can be gone on with over the damage.
    """
    source = make_clip(tmp_path / "in.ts", Clip(audio=("eng",)))
    whole = timeline(source, "audio")[0]
    monkeypatch.setattr(FileSource, "packets", without_a_header(6))
    options = {"encode": EncodeOptions(preset="ultrafast")}
    with pytest.raises(OutputError, match=r"stream 1 \(audio, aac.*choose another kind of file"):
        colorize_video(source, tmp_path / "out.mp4", colorizer=Blue(), options=ColorizeOptions(**options))
    assert not (tmp_path / "out.mp4").exists()
    over = ColorizeOptions(on_error="keep-grey", resume=True, **options)
    report = colorize_video(source, tmp_path / "out.mp4", colorizer=Blue(), options=over)
    assert {path.name for path in tmp_path.iterdir()} == {"in.ts", "out.mp4"}
    (line,) = report.errors
    assert "a packet at" in line
    assert "damaged, left out" in line
    assert len(timeline(tmp_path / "out.mp4", "audio")[0]) == len(whole) - 1
    assert report.frames == 12


def test_much_damage_is_counted() -> None:
    """A film that is damaged all over does not end in thousands of lines."""
    damage = DamageLog()
    for number in range(MAX_LINES + 30):
        damage.add(f"line {number}")
    assert len(damage.lines) == MAX_LINES + 1
    assert damage.lines[-1] == "and 30 more like these"


class EndedHereError(Exception):
    """What ends a process here."""


@pytest.mark.parametrize("ended", ["resume.segment_writer.SegmentWriter._join", "resume.work_folder.WorkFolder.remove"])
def test_damage_is_told_of_by_the_run_that_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    """Where all pictures were done, the lines of the run that met the damage are kept, whoever asks."""
    source, dest = damaged(make_clip(tmp_path / "in.mov", WHOLE), 5), tmp_path / "out.mkv"

    def end(*arguments: object) -> None:
        raise EndedHereError

    with monkeypatch.context() as patch:
        patch.setattr(f"vidcolor.{ended}", end)
        for resume, on_error in ((False, "keep-grey"), (True, "stop"), (True, "keep-grey")):
            with pytest.raises(EndedHereError):
                color(source, dest, on_error, resume=resume)  # type: ignore[arg-type]
    report = color(source, dest, "stop", resume=True)
    (line,) = report.errors
    assert line.startswith("the picture at 0.20 s cannot be decoded")
    assert report.frames == 12
