"""The list of shots as a text file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.clips import Clip, make_clip
from vidcolor.cli.commands import main
from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.frames import FloatArray, Frame, Picture
from vidcolor.motion.scene_list import HEADER, ShotList, format_time, read_scenes, write_scenes
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Report

FILM = Clip(frames=24, cuts=(8, 16), time_base=Fraction(1, 25), start=35)


class Colorless:
    """A predictor of no color."""

    batch_size = 1

    def predict(self, grey: FloatArray) -> FloatArray:
        """Return ab of zeros."""
        return np.zeros((len(grey), 2, *grey.shape[1:]), np.float32)


def colorize(source: Path, dest: Path, scenes: Path | None) -> Report:
    """Color a film to FFV1."""
    options = ColorizeOptions(render_size=48, scenes=scenes, encode=EncodeOptions(codec="ffv1"), overwrite=True)
    return colorize_video(source, dest, colorizer=Colorless(), options=options)


def test_shots_are_written_and_read(tmp_path: Path) -> None:
    """The written list has the times of the cuts; a line that is added opens another shot."""
    source, scenes = make_clip(tmp_path / "in.mkv", FILM), tmp_path / "scenes.txt"
    assert colorize(source, tmp_path / "out.mkv", scenes).shots == 3
    assert scenes.read_text() == HEADER + "0:00:00.000\n0:00:00.320\n0:00:00.640\n"
    scenes.write_text("0\n0.32 # the same\n0:00.5\n0:0:0.64\n")
    report = colorize(source, tmp_path / "out.mkv", scenes)
    assert report.shots == 4
    assert report.warnings == ()
    assert "the same" in scenes.read_text()


def test_shots_behind_the_end_are_told(tmp_path: Path) -> None:
    """Times after the end of the film give a warning."""
    source, scenes = make_clip(tmp_path / "in.mkv", FILM), tmp_path / "scenes.txt"
    scenes.write_text("0.2\n7\n9\n")
    report = colorize(source, tmp_path / "out.mkv", scenes)
    assert report.shots == 2
    assert report.warnings == (f"{scenes}: of 4 shots 2 begin in the film",)


def frames(pts: list[int]) -> list[Frame]:
    """Frames with the given pts."""
    nothing = np.zeros((1, 1), np.uint8)
    return [Frame(Picture(t, 1, nothing), np.zeros((1, 1), np.float32), is_disturbed=True) for t in pts]


def test_a_time_means_the_first_frame_from_then_on() -> None:
    """Times rounded to milliseconds still mark the frames that they were written for."""
    base = Fraction(1001, 30000)
    times = [Fraction(round(t * base * 1000), 1000) for t in range(40)]
    for t in range(1, 40):
        marked = list(ShotList([times[t]], base, 0).apply(iter(frames(list(range(40))))))
        assert [frame.picture.pts for frame in marked if frame.opens_shot] == [0, t]
        assert [frame.picture.pts for frame in marked if not frame.is_disturbed] == [0, t]


@pytest.mark.parametrize(("late", "expected"), [(Fraction(1, 2000), [0, 10]), (Fraction(6, 10_000), [0, 11])])
def test_how_late_a_time_may_be(late: Fraction, expected: list[int]) -> None:
    """A start up to half a millisecond after a frame is that frame's, as times are written in milliseconds."""
    marked = ShotList([1 + late], Fraction(1, 10), 0).apply(iter(frames(list(range(12)))))
    assert [frame.picture.pts for frame in marked if frame.opens_shot] == expected


def test_gaps_and_doubles() -> None:
    """Several starts before one frame open one shot there; times count from the first picture."""
    marked = ShotList([Fraction(1), Fraction(2), Fraction(2)], Fraction(1, 10), 100).apply(
        iter(frames([100, 105, 150, 155]))
    )
    assert [frame.picture.pts for frame in marked if frame.opens_shot] == [100, 150]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Times of several hours are read back to the millisecond, sorted; comments and spaces are ignored."""
    starts = [Fraction(0), Fraction(1, 3), Fraction(61), Fraction(3599_999, 1000), Fraction(7325_5, 10)]
    write_scenes(tmp_path / "scenes.txt", starts)
    assert read_scenes(tmp_path / "scenes.txt") == [Fraction(round(s * 1000), 1000) for s in starts]
    assert format_time(Fraction(7325_5, 10)) == "2:02:05.500"
    (tmp_path / "mine.txt").write_text("# mine\n\n75.5\n 1:05 \n")
    assert read_scenes(tmp_path / "mine.txt") == [65, Fraction(151, 2)]


@pytest.mark.parametrize(
    "line", ["soon", "1:75", "1:60", "60:00:60", "1:2:3:4", "-1", "1/2", "1e3", "0:1.5:2", ":", "1_0", "", "٣"]
)
def test_lines_that_are_no_time(line: str, tmp_path: Path) -> None:
    """The message names the file, the line and the word; an empty line is ignored."""
    path = tmp_path / "scenes.txt"
    path.write_text(f"0\n{line}\n", encoding="utf-8")
    if not line:
        assert read_scenes(path) == [0]
        return
    with pytest.raises(InputError, match=r"scenes.txt, line 2: expected a time such as 0:01:23.456"):
        read_scenes(path)


def test_unreadable_lists(tmp_path: Path) -> None:
    """A folder, a binary file and a path in a missing folder are refused before work begins."""
    source = make_clip(tmp_path / "in.mkv", FILM)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "bytes"):
        with pytest.raises(InputError, match="expected a list of shots in UTF-8"):
            colorize(source, tmp_path / "out.mkv", path)
    with pytest.raises(OutputError, match="its folder does not exist"):
        colorize(source, tmp_path / "out.mkv", tmp_path / "no" / "scenes.txt")
    assert not (tmp_path / "out.mkv").exists()


def test_only_films_have_shots(tmp_path: Path, tiny_weights: Path) -> None:
    """The option is refused with a folder or a picture."""
    folder = tmp_path / "films"
    folder.mkdir()
    make_clip(folder / "in.mkv", FILM)
    (tmp_path / "a.png").write_bytes(b"")
    for source in (folder, tmp_path / "a.png"):
        arguments = [str(source), "-o", str(tmp_path / "out.png"), "--scenes", str(tmp_path / "scenes.txt")]
        result = CliRunner().invoke(main, [*arguments, "--weights", str(tiny_weights), "--device", "cpu"])
        assert isinstance(result.exception, OptionError | SystemExit)
        assert "--scenes" in result.output + str(result.exception)
    assert not (tmp_path / "scenes.txt").exists()
