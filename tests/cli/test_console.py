"""What people and scripts get to see."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support.reports import report as film_report
from vidcolor.cli import console
from vidcolor.cli.console import (
    JsonDisplay,
    TextDisplay,
    duration,
    film_facts,
    film_line,
    logging_to,
    one_line,
    set_log_level,
    show_traceback,
    stderr_console,
)
from vidcolor.progress import Progress, Report

REPORT = film_report(frames=240, shots=3, seconds=12.0, output_bytes=4_200_000, warnings=("two chapters were dropped",))


@dataclass(frozen=True)
class FolderReport:
    """The facts of a colored folder, as the displays read them."""

    done: int
    failed: tuple[tuple[Path, str], ...]
    skipped: int
    seconds: float
    warnings: tuple[tuple[Path, str], ...] = ()
    finished: int = 0
    skipped_kinds: tuple[tuple[str, int], ...] = ()


FOLDER_REPORT = FolderReport(
    done=5,
    failed=((Path("in/bad.jpg"), "is empty"),),
    skipped=3,
    skipped_kinds=((".txt", 2), ("hidden", 1)),
    seconds=1.25,
    warnings=((Path("in/film.mov"), "the cover was dropped"),),
)


def progress(frames: int = 120, *, total: int | None = 240, seconds: float = 10.0) -> Progress:
    return Progress(frames=frames, total_frames=total, shots=2, seconds=seconds, bottleneck="generator")


def err_console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    colors = "standard" if terminal else None
    return Console(file=stream, force_terminal=terminal, width=100, highlight=False, color_system=colors), stream


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def play_film(display: TextDisplay | JsonDisplay, steps: Iterable[Progress], report: Report) -> None:
    with display.loading("Loading the network"):
        pass
    with display.film("film.mp4") as (on_progress, on_warning):
        for line in report.warnings[:1]:
            on_warning(line)
        for step in steps:
            on_progress(step)
    display.film_done(Path("out.mp4"), report)


def test_film_line_says_all_a_person_waits_for() -> None:
    """Frames, rate, time to go and the slowest stage, in one line."""
    assert film_line(progress()) == "120/240 frames  12.0 fps  0:00:10 left  slowest: generator"


def test_film_line_without_a_known_length() -> None:
    """Where the container says nothing, no total and no time to go are invented."""
    assert film_line(progress(1, total=None)) == "1 frame  0.1 fps  slowest: generator"


def test_film_line_when_the_estimate_was_too_low() -> None:
    """A film that is longer than announced shows no total any more."""
    assert film_line(progress(300)) == "300 frames  30.0 fps  slowest: generator"


def test_film_line_before_any_time_has_passed() -> None:
    """The very first frame divides by nothing."""
    assert film_line(progress(0, seconds=0.0)) == "0/240 frames  0.0 fps  slowest: generator"


def test_film_facts_are_those_of_the_progress() -> None:
    """Scripts get the same figures, by name."""
    assert film_facts(progress(121, total=241, seconds=9.0)) == {
        "frames": 121,
        "total_frames": 241,
        "fps": 13.444,
        "eta_seconds": 8.926,
        "seconds": 9.0,
        "shots": 2,
        "bottleneck": "generator",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clip\nwith\r\nbreaks.mp4", "clip with breaks.mp4"),
        ("\x1b[31mred.mp4", "?[31mred.mp4"),
        ("undecodable \udcff.mp4", "undecodable ?.mp4"),
        ("kräftig – 映画.mp4", "kräftig – 映画.mp4"),
    ],
)
def test_one_line_stays_one_harmless_line(text: str, expected: str) -> None:
    """File names can break lines, steer the terminal, or fail to encode; messages with them do not."""
    assert one_line(text) == expected
    one_line(text).encode()


def test_text_without_terminal_is_the_closing_line_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe or a log there is no progress: only warnings, and one line about the result."""
    err, stream = err_console(terminal=False)
    play_film(TextDisplay(err), [progress(number) for number in range(240)], REPORT)
    assert capsys.readouterr().out == "out.mp4: 240 frames, 3 shots, 4.2 MB, colored in 12.0 s\n"
    assert stream.getvalue() == "warning: two chapters were dropped\n"


def test_text_without_terminal_says_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of three and a half minutes has three lines about how far the film is; on a terminal there are none."""
    for terminal, lines in ((False, 3), (True, 0)):
        now = [0.0]
        monkeypatch.setattr(console, "monotonic", lambda now=now: now[0])
        err, stream = err_console(terminal=terminal)
        with TextDisplay(err).film("film.mp4") as (on_progress, _):
            for number in range(1, 421):
                now[0] += 0.5
                on_progress(progress(number, total=420))
        assert stream.getvalue().count("film.mp4: ") == lines


def test_text_without_terminal_says_where_a_folder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of many short films has a line a minute, too."""
    now = [0.0]
    monkeypatch.setattr(console, "monotonic", lambda: now[0])
    err, stream = err_console(terminal=False)
    with TextDisplay(err).folder() as (on_file, on_progress, _):
        for number in range(1, 9):
            now[0] += 20
            on_file(Path(f"in/{number}.mp4"), number, 8)
            on_progress(progress(1, total=2))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["3/8", "6/8"]


def test_times_are_said_as_people_say_them() -> None:
    """Less than a minute in tenths of a second, more in hours, minutes and seconds."""
    assert [duration(seconds) for seconds in (0.04, 59.4, 60.0, 3723.4)] == ["0.0 s", "59.4 s", "0:01:00", "1:02:03"]


def test_text_on_a_terminal_shows_progress_and_takes_it_away(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal the loading and the film's progress are drawn in place; warnings are yellow."""
    err, stream = err_console(terminal=True)
    play_film(TextDisplay(err), [progress()], REPORT)
    shown = stream.getvalue()
    assert "Loading the network ..." in shown
    assert "120/240 frames  12.0 fps  0:00:10 left  slowest: generator" in shown
    assert shown.count("\x1b[33mwarning: two chapters were dropped\x1b[0m\n") == 1
    assert capsys.readouterr().out.endswith("4.2 MB, colored in 12.0 s\n")


def test_text_names_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Square brackets in a name are part of the name, not a style."""
    err, stream = err_console(terminal=False)
    display = TextDisplay(err)
    display.film_done(Path("[red]out[/].mp4"), REPORT)
    display.failed("[bold]film[/bold].mp4: is empty", 1)
    assert capsys.readouterr().out.startswith("[red]out[/].mp4: 240 frames")
    assert "error: [bold]film[/bold].mp4: is empty\n" in stream.getvalue()


def test_names_are_not_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    """Colons in a name are part of the name, in text, in JSON, in messages and in the log."""
    name = "in/holiday:dog:.mp4"
    err = stderr_console()
    TextDisplay(err).film_done(Path(name), REPORT)
    JsonDisplay(err).film_done(Path(name), REPORT)
    TextDisplay(err).failed(f"{name}: is empty", 1)
    with logging_to(err):
        logging.getLogger("vidcolor.somewhere").warning(name)
    shown = capsys.readouterr()
    text, line = shown.out.splitlines()
    assert text.startswith(f"{name}: 240 frames")
    assert json.loads(line)["output"] == name
    assert shown.err.splitlines()[1:] == [f"error: {name}: is empty", f"warning: {name}"]


def test_json_lines_are_plain_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a narrow terminal with colors too, an object is one line without colors or breaks."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    JsonDisplay(stderr_console()).film_done(Path("in/[b]12  3[/b] 'x' " + "long " * 20), REPORT)
    (line,) = capsys.readouterr().out.splitlines()
    assert line == json.dumps(json.loads(line))


def test_text_lines_are_never_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    """One message is one line, however narrow the terminal, so that it can be searched for and copied."""
    err, stream = err_console(terminal=False)
    display = TextDisplay(err)
    long_name = "/".join(["folder"] * 50)
    display.film_done(Path(long_name), REPORT)
    display.failed(f"{long_name}: is empty", 1)
    assert capsys.readouterr().out.count("\n") == 1
    assert stream.getvalue().splitlines() == ["warning: two chapters were dropped", f"error: {long_name}: is empty"]


def test_text_error_is_red_on_a_terminal() -> None:
    """The one line about a failure stands out."""
    err, stream = err_console(terminal=True)
    TextDisplay(err).failed("film.mp4: is empty", 1)
    assert stream.getvalue() == "\x1b[31merror: film.mp4: is empty\x1b[0m\n"


def test_quiet_leaves_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """``--quiet`` shows neither progress nor warnings nor the closing line, even on a terminal, but every error."""
    err, stream = err_console(terminal=True)
    display = TextDisplay(err, quiet=True)
    play_film(display, [progress()], REPORT)
    assert capsys.readouterr().out == ""
    assert stream.getvalue() == ""
    display.failed("film.mp4: is empty", 1)
    assert "film.mp4: is empty" in stream.getvalue()


def test_text_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture's closing line says time and size."""
    output = tmp_path / "out.png"
    output.write_bytes(bytes(1500))
    err, _ = err_console(terminal=False)
    TextDisplay(err).picture_done(output, 0.44)
    assert capsys.readouterr().out == f"{output}: 1.5 kB, colored in 0.4 s\n"


def test_text_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder's failures are one line each, and the closing line counts what became of all files."""
    err, stream = err_console(terminal=True)
    display = TextDisplay(err)
    with display.folder() as (on_file, on_progress, on_warning):
        on_file(Path("in/[a].jpg"), 1, 8)
        live = stream.getvalue()
        on_file(Path("in/film.mov"), 8, 8)
        on_warning("the cover was dropped")
        on_progress(progress())
    display.folder_done(Path("out"), FOLDER_REPORT)
    assert "8/8" not in live
    assert "8/8 film.mov  120/240 frames  12.0 fps  0:00:10 left" in stream.getvalue()
    assert stream.getvalue().count("\x1b[33mwarning: in/film.mov: the cover was dropped") == 1
    assert "error: in/bad.jpg: is empty" in stream.getvalue()
    assert capsys.readouterr().out == "out: 5 colored in 1.2 s, 3 skipped (2 .txt, 1 hidden), 1 failed\n"


def test_text_folder_says_what_was_finished_before(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is resumed counts the files that were there; others do not speak of it."""
    err, _ = err_console(terminal=False)
    TextDisplay(err).folder_done(Path("out"), FolderReport(done=1, failed=(), skipped=0, seconds=1.0, finished=4))
    assert capsys.readouterr().out == "out: 1 colored in 1.0 s, 4 finished before\n"


def test_text_folder_does_not_say_a_name_twice() -> None:
    """Library messages begin with the file; it is not put before them again."""
    err, stream = err_console(terminal=False)
    report = FolderReport(done=0, failed=((Path("in/bad.jpg"), "in/bad.jpg: is empty"),), skipped=0, seconds=1.0)
    TextDisplay(err).folder_done(Path("out"), report)
    assert stream.getvalue() == "error: in/bad.jpg: is empty\n"


def test_text_models(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a weights file, the size, the pictures it was trained on and the figures of the last stage are shown."""
    figures = {
        "first": {"grey": {"psnr": 1.0}, "first": {"psnr": 2.0}, "truth": {"psnr": None}},
        "last": {
            "grey": {"psnr": 22.0, "colorfulness": 0.0},
            "last": {"psnr": 24.13, "colorfulness": 30.26},
            "truth": {"psnr": None, "colorfulness": 44.7},
        },
    }
    training = {"data_pictures": 14522, "pictures_seen": 1000, "figures": figures}
    weights = {"default": {"network": "unet", "bytes": 26_000_000, "training": training}}
    err, _ = err_console(terminal=False)
    TextDisplay(err).models({"networks": {}, "weights": weights, "recipes": {}})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "networks"
    assert "pip install 'vidcolor[gpu]'" in lines[1]  # without PyTorch none are known
    assert re.split(r"\s{2,}", lines[4].strip()) == [
        "default",
        "unet",
        "26.0 MB",
        "14,522 pictures, 1,000 seen",
        "PSNR 24.1 dB, colorfulness 30.3 (true colors: 44.7)",
    ]


def test_text_models_of_a_blend(capsys: pytest.CaptureFixture[str]) -> None:
    """Figures that an older blend carries belong to one of the two networks it lies between, and are not shown."""
    figures = {"last": {"grey": {"psnr": 22.0}, "last": {"psnr": 24.0}, "truth": {"psnr": None}}}
    training = {"data_pictures": 14522, "pictures_seen": 1000, "figures": figures, "blend": {"share": 0.5}}
    weights = {"default": {"network": "unet", "bytes": 26_000_000, "training": training}}
    err, _ = err_console(terminal=False)
    TextDisplay(err).models({"networks": {}, "weights": weights, "recipes": {}})
    row = re.split(r"\s{2,}", capsys.readouterr().out.splitlines()[4].strip())
    assert row[3:] == ["14,522 pictures", "a blend of two networks: see its model card"]


def test_json_is_at_most_one_object_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """Frames come 25 a second for 4 s: three or four objects tell of it, then a last one, and nothing else is said."""
    err, stream = err_console(terminal=True)
    steps = [progress(number, seconds=number / 25) for number in range(1, 101)]
    play_film(JsonDisplay(err), steps, REPORT)
    *ticks, last = json_lines(capsys.readouterr().out)
    assert ticks.pop(0) == {"event": "warning", "message": "two chapters were dropped"}
    assert [tick["event"] for tick in ticks] == ["progress"] * 4
    assert [tick["seconds"] for tick in ticks] == [1.0, 2.0, 3.0, 4.0]
    assert ticks[0] == {"event": "progress", **film_facts(steps[24])}
    assert last == {
        "event": "done",
        "output": "out.mp4",
        "output_bytes": 4_200_000,
        "seconds": 12.0,
        "frames": 240,
        "shots": 3,
        "fps": 20.0,
        "warnings": ["two chapters were dropped"],
        "errors": [],
    }
    assert stream.getvalue() == ""


def test_json_of_a_short_film_is_its_last_object(capsys: pytest.CaptureFixture[str]) -> None:
    """A film that is done before the first second has no progress to tell, nor a rate if it took no time at all."""
    err, _ = err_console(terminal=False)
    report = film_report(frames=1, shots=1, seconds=0.0, output_bytes=10)
    play_film(JsonDisplay(err), [progress(1, total=1, seconds=0.0)], report)
    (last,) = json_lines(capsys.readouterr().out)
    assert (last["event"], last["frames"], last["fps"]) == ("done", 1, 0.0)


def test_json_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder tells of each file before it begins, and of all failures at the end."""
    err, _ = err_console(terminal=False)
    display = JsonDisplay(err)
    with display.folder() as (on_file, on_progress, on_warning):
        on_file(Path("in/a.mp4"), 1, 8)
        on_warning("the cover was dropped")
        for seconds in (1.0, 1.5, 2.0):
            on_progress(progress(seconds=seconds))
        on_file(Path("in/b.mp4"), 2, 8)
        on_progress(progress(seconds=1.0))
    display.folder_done(Path("out"), FOLDER_REPORT)
    assert json_lines(capsys.readouterr().out) == [
        {"event": "file", "path": "in/a.mp4", "index": 1, "total": 8},
        {"event": "warning", "message": "the cover was dropped"},
        {"event": "progress", **film_facts(progress(seconds=1.0))},
        {"event": "progress", **film_facts(progress(seconds=2.0))},
        {"event": "file", "path": "in/b.mp4", "index": 2, "total": 8},
        {"event": "progress", **film_facts(progress(seconds=1.0))},
        {
            "event": "done",
            "output": "out",
            "seconds": 1.25,
            "done": 5,
            "finished": 0,
            "skipped": 3,
            "skipped_kinds": {".txt": 2, "hidden": 1},
            "failed": [{"path": "in/bad.jpg", "message": "is empty"}],
            "warnings": [{"path": "in/film.mov", "message": "the cover was dropped"}],
        },
    ]


def test_json_error_is_said_on_both_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """The script reads why on standard output, the log of the script's caller has it on standard error."""
    err, stream = err_console(terminal=False)
    JsonDisplay(err).failed("film.mp4: is empty", 1)
    assert json_lines(capsys.readouterr().out) == [{"event": "error", "message": "film.mp4: is empty", "exit_code": 1}]
    assert stream.getvalue() == "error: film.mp4: is empty\n"


def test_json_survives_names_that_cannot_be_encoded(capsys: pytest.CaptureFixture[str]) -> None:
    """A path with undecodable bytes comes out as JSON, and reads back as the same path."""
    err, _ = err_console(terminal=False)
    output = Path("undecodable \udcff [red].mp4")
    JsonDisplay(err).film_done(output, REPORT)
    (last,) = json_lines(capsys.readouterr().out)
    assert last["output"] == str(output)


def test_log_is_shown_from_warnings_up() -> None:
    """The library's warnings are seen, its details are not, and afterwards the logger is as it was."""
    err, stream = err_console(terminal=False)
    logger = logging.getLogger("vidcolor.somewhere")
    with logging_to(err):
        logger.info("a detail")
        logger.warning("a [bold]warning")
    logger.error("after it is over")
    assert stream.getvalue() == "warning: a [bold]warning\n"


def test_log_level_can_be_set() -> None:
    """``--debug`` shows details too."""
    err, stream = err_console(terminal=False)
    with logging_to(err):
        set_log_level(logging.DEBUG)
        logging.getLogger("vidcolor.somewhere").debug("a detail")
    assert "a detail" in stream.getvalue()
    assert logging.getLogger("vidcolor").level == logging.NOTSET


def test_traceback_names_the_cause() -> None:
    """``--debug`` shows the whole story, causes included, exactly as Python tells it."""
    err, stream = err_console(terminal=False)
    error = ValueError("outer [red]")
    error.__cause__ = KeyError("inner")
    show_traceback(err, error)
    assert "KeyError: 'inner'" in stream.getvalue()
    assert stream.getvalue().endswith("ValueError: outer [red]\n")
