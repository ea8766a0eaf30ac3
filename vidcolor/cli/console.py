"""Everything that is written to the terminal; no other module of the package prints.

Results go to standard output; progress, warnings and errors to standard error. With ``--json``, standard output holds
one JSON object a line and nothing else:

    progress  frames, total_frames, fps, eta_seconds, seconds, shots, bottleneck    a film, once a second
    warning   message                                       a film, before its first picture; all are in ``done`` again
    file      path, index (from 1), total                                           a folder, before each file
    done      output, output_bytes, seconds, frames, shots, fps, warnings, errors   a film; the last line; with
                       ``--profile`` also ``profile``, with the fields of :class:`vidcolor.inspect.profile.Profile`
    done      output, output_bytes, seconds                                         a picture; the last line
    done      output, output_bytes, finished: 1             ``--resume``, and it was there already; the last line
    done      output, seconds, done, finished (before), skipped, skipped_kinds, failed and warnings: [{path, message}]
                                                                                    a folder; the last line
    done      kind, path, bytes, picture, plan, ...    info: the one line; :mod:`vidcolor.inspect.report` has all keys
    error     message, exit_code                                                    the last line, if it went wrong

Where the film itself goes to standard output (``-o -``), all this goes to standard error, with ``--json`` the objects
and nothing else. In a folder, ``progress`` and ``warning`` are about the film that the last ``file`` named. Only an
invalid command line is reported in plain text on standard error, with exit code 2, before any object.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as ProgressBar
from rich.text import Text

from vidcolor.progress import OnFile, OnProgress, OnWarning, Progress, Report

if TYPE_CHECKING:
    from vidcolor.folder.results import FolderReport
    from vidcolor.inspect.profile import Profile
    from vidcolor.inspect.report import FilmReport, PictureReport

Models = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""``networks``, ``weights`` and ``recipes``: for each name, what is known of it."""

JSON_SECONDS = 1.0  # between two objects of a running film
LINE_SECONDS = 60.0  # between two lines about what is running, off a terminal
LABEL_WIDTH = 12  # of the rows of ``vidcolor info``


class Display(Protocol):
    """Shows the progress and the results of one run of the command."""

    def loading(self, what: str) -> AbstractContextManager[object]:
        """Show ``what`` while the context lasts."""

    def film(self, name: str) -> AbstractContextManager[tuple[OnProgress, OnWarning]]:
        """Show the progress and the early warnings of one film while the context lasts."""

    def folder(self) -> AbstractContextManager[tuple[OnFile, OnProgress, OnWarning]]:
        """Show the progress of a folder, and that and the early warnings of each film, while the context lasts."""

    def film_done(self, output: Path, report: Report, profile: Profile | None = None) -> None:
        """Show the result for a film, and its profile if there is one."""

    def picture_done(self, output: Path, seconds: float, warnings: Sequence[str] = ()) -> None:
        """Show the result for a picture."""

    def finished_before(self, output: Path) -> None:
        """Show that the output was finished by an earlier run."""

    def folder_done(self, output: Path, report: FolderReport) -> None:
        """Show the result for a folder, with a line for each file that failed."""

    def models(self, sections: Models) -> None:
        """Show the networks, weights and recipes."""

    def film_info(self, report: FilmReport) -> None:
        """Show what is in a film, and what is kept of it."""

    def picture_info(self, report: PictureReport) -> None:
        """Show what is in a photograph, and what is kept of it."""

    def failed(self, message: str, exit_code: int) -> None:
        """Show in one line why the command failed."""


class TextDisplay:
    """Text for people; with ``quiet``, only errors.

    Progress is drawn on a terminal; elsewhere, as in a log, there is a line every :data:`LINE_SECONDS`.
    """

    def __init__(self, err: Console, *, quiet: bool = False, all_to_stderr: bool = False) -> None:
        self.out = plain_console(stderr=all_to_stderr, quiet=quiet)
        self.err = err
        self.quiet = quiet
        self._warned: set[str] = set()

    @contextmanager
    def loading(self, what: str) -> Iterator[None]:
        with self._live(SpinnerColumn()) as live:
            live.add_task(f"{one_line(what)} ...", total=None)
            yield

    @contextmanager
    def film(self, name: str) -> Iterator[tuple[OnProgress, OnWarning]]:
        with self._live(BarColumn()) as live:
            task = live.add_task(one_line(name), total=None)
            log = self._log_lines()

            def on_progress(progress: Progress) -> None:
                total, line = known_total(progress), film_line(progress)
                live.update(task, completed=progress.frames, total=total, description=line)
                log(f"{one_line(name)}: {line}")

            yield on_progress, self._warn

    @contextmanager
    def folder(self) -> Iterator[tuple[OnFile, OnProgress, OnWarning]]:
        with self._live(BarColumn()) as live:
            task = live.add_task("", total=None)
            log = self._log_lines()
            present, file = Path(), ""

            def on_file(path: Path, index: int, total: int) -> None:
                nonlocal present, file
                present, file = path, f"{index}/{total} {one_line(path.name)}"
                live.update(task, completed=index - 1, total=total, description=file)
                log(file)

            def on_progress(progress: Progress) -> None:
                line = f"{file}  {film_line(progress)}"
                live.update(task, description=line)
                log(line)

            yield on_file, on_progress, lambda line: self._warn(about(present, line))

    def _log_lines(self) -> Callable[[str], None]:
        """Return a function that shows the line it gets once in :data:`LINE_SECONDS`, off a terminal."""
        latest = monotonic()

        def log(line: str) -> None:
            nonlocal latest
            if monotonic() - latest >= LINE_SECONDS and not (self.quiet or self.err.is_terminal):
                latest = monotonic()
                self.err.print(line, markup=False, soft_wrap=True)

        return log

    def film_done(self, output: Path, report: Report, profile: Profile | None = None) -> None:
        for warning in report.warnings:
            self._warn(warning)
        for error in report.errors:
            self._complain(error)
        content = f"{counted(report.frames, 'frame')}, {counted(report.shots, 'shot')}, {decimal(report.output_bytes)}"
        self._say(f"{output}: {content}, colored in {duration(report.seconds)}")
        if profile is not None:
            self._show_profile(profile)

    def picture_done(self, output: Path, seconds: float, warnings: Sequence[str] = ()) -> None:
        for warning in warnings:
            self._warn(warning)
        self._say(f"{output}: {decimal(output.stat().st_size)}, colored in {duration(seconds)}")

    def finished_before(self, output: Path) -> None:
        self._say(f"{output}: was there already, and is left as it is")

    def folder_done(self, output: Path, report: FolderReport) -> None:
        for path, message in report.warnings:
            self._warn(about(path, message))
        for path, message in report.failed:
            self._complain(about(path, message))
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.skipped_kinds)
        skipped = f"skipped ({kinds})" if kinds else "skipped"
        counts = {"finished before": report.finished, skipped: report.skipped, "failed": len(report.failed)}
        others = "".join(f", {count} {what}" for what, count in counts.items() if count)
        self._say(f"{output}: {report.done} colored in {duration(report.seconds)}{others}")

    def models(self, sections: Models) -> None:
        from vidcolor.cli.models_text import models_lines

        for line in models_lines(sections):
            self.out.print(printable(line), markup=False, soft_wrap=True)

    def film_info(self, report: FilmReport) -> None:
        from vidcolor.cli.info_text import film_sections

        self._show_sections(film_sections(report))

    def picture_info(self, report: PictureReport) -> None:
        from vidcolor.cli.info_text import picture_sections

        self._show_sections(picture_sections(report))

    def failed(self, message: str, exit_code: int) -> None:
        self._complain(message)

    def _show_profile(self, profile: Profile) -> None:
        from vidcolor.cli.profile_text import profile_lines

        for line in profile_lines(profile):
            self.err.print(line, markup=False, soft_wrap=True)

    def _show_sections(self, sections: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> None:
        for heading, rows in sections:
            self._say(heading)
            for label, text in rows:
                lines = Text(one_line(text)).wrap(self.out, max(self.out.width - LABEL_WIDTH, LABEL_WIDTH))
                for number, line in enumerate(lines):
                    begin = "" if number else f"  {label}"
                    self.out.print(f"{begin:{LABEL_WIDTH}}{line.plain.rstrip()}", markup=False, soft_wrap=True)

    def _live(self, column: ProgressColumn) -> ProgressBar:
        """Return a progress display of the column and a text, which is removed when its context ends."""
        hidden = self.quiet or not self.err.is_terminal
        text = TextColumn("{task.description}", markup=False)
        return ProgressBar(column, text, console=self.err, transient=True, disable=hidden)

    def _say(self, line: str) -> None:
        self.out.print(one_line(line), markup=False, soft_wrap=True)

    def _warn(self, line: str) -> None:
        """Show a warning, unless it was shown before."""
        if not self.quiet and line not in self._warned:
            self._warned.add(line)
            self.err.print(f"warning: {one_line(line)}", style="yellow", markup=False, soft_wrap=True)

    def _complain(self, line: str) -> None:
        self.err.print(f"error: {one_line(line)}", style="red", markup=False, soft_wrap=True)


class JsonDisplay:
    """Text for scripts: one JSON object a line on standard output; errors are also shown on standard error.

    Args:
        err: the console on standard error.
        all_to_stderr: write the objects, and nothing else, to standard error.
    """

    def __init__(self, err: Console, *, all_to_stderr: bool = False) -> None:
        self.out = plain_console(stderr=all_to_stderr)
        self.text = None if all_to_stderr else TextDisplay(err, quiet=True)

    @contextmanager
    def loading(self, what: str) -> Iterator[None]:
        yield

    @contextmanager
    def film(self, name: str) -> Iterator[tuple[OnProgress, OnWarning]]:
        yield self._film_ticks(), self._emit_warning

    def _film_ticks(self) -> OnProgress:
        """Return a callback that writes the progress of one film, at most once in :data:`JSON_SECONDS`."""
        next_seconds = JSON_SECONDS

        def on_progress(progress: Progress) -> None:
            nonlocal next_seconds
            if progress.seconds >= next_seconds:
                next_seconds = progress.seconds + JSON_SECONDS
                self._emit("progress", film_facts(progress))

        return on_progress

    @contextmanager
    def folder(self) -> Iterator[tuple[OnFile, OnProgress, OnWarning]]:
        on_progress = self._film_ticks()

        def on_file(path: Path, index: int, total: int) -> None:
            nonlocal on_progress
            on_progress = self._film_ticks()  # every film counts its seconds from its own beginning
            self._emit("file", {"path": str(path), "index": index, "total": total})

        yield on_file, lambda progress: on_progress(progress), self._emit_warning

    def _emit_warning(self, line: str) -> None:
        self._emit("warning", {"message": one_line(line)})

    def film_done(self, output: Path, report: Report, profile: Profile | None = None) -> None:
        facts: dict[str, object] = {
            "output": str(output),
            "output_bytes": report.output_bytes,
            "seconds": rounded(report.seconds),
            "frames": report.frames,
            "shots": report.shots,
            "fps": rounded(mean_fps(report)),
            "warnings": list(report.warnings),
            "errors": list(report.errors),
        }
        if profile is not None:
            from vidcolor.inspect.profile import profile_json

            facts["profile"] = profile_json(profile)
        self._emit("done", facts)

    def picture_done(self, output: Path, seconds: float, warnings: Sequence[str] = ()) -> None:
        facts = {
            "output": str(output),
            "output_bytes": output.stat().st_size,
            "seconds": rounded(seconds),
            "warnings": list(warnings),
        }
        self._emit("done", facts)

    def finished_before(self, output: Path) -> None:
        self._emit("done", {"output": str(output), "output_bytes": output.stat().st_size, "finished": 1})

    def folder_done(self, output: Path, report: FolderReport) -> None:
        facts = {
            "output": str(output),
            "seconds": rounded(report.seconds),
            "done": report.done,
            "finished": report.finished,
            "skipped": report.skipped,
            "skipped_kinds": dict(report.skipped_kinds),
            "failed": [{"path": str(path), "message": message} for path, message in report.failed],
            "warnings": [{"path": str(path), "message": message} for path, message in report.warnings],
        }
        self._emit("done", facts)

    def models(self, sections: Models) -> None:
        self._emit("done", sections)

    def film_info(self, report: FilmReport) -> None:
        from vidcolor.inspect.report import info_json

        self._emit("done", info_json(report))

    def picture_info(self, report: PictureReport) -> None:
        from vidcolor.inspect.report import info_json

        self._emit("done", info_json(report))

    def failed(self, message: str, exit_code: int) -> None:
        self._emit("error", {"message": one_line(message), "exit_code": exit_code})
        if self.text is not None:
            self.text.failed(message, exit_code)

    def _emit(self, event: str, facts: Mapping[str, object]) -> None:
        self.out.print(json.dumps({"event": event, **facts}), markup=False, soft_wrap=True)


def film_line(progress: Progress) -> str:
    """Return the progress as text: ``120/240 frames  12.3 fps  0:00:10 left  slowest: generator``."""
    total = known_total(progress)
    parts = [
        counted(progress.frames, "frame") if total is None else f"{progress.frames}/{total} frames",
        f"{progress.fps:.1f} fps",
    ]
    if total is not None and progress.eta_seconds is not None:
        parts.append(f"{timedelta(seconds=round(progress.eta_seconds))} left")
    return "  ".join([*parts, f"slowest: {progress.bottleneck}"])


def film_facts(progress: Progress) -> dict[str, object]:
    """Return the progress as plain values; seconds and rates with three decimals."""
    eta_seconds = progress.eta_seconds
    return {
        "frames": progress.frames,
        "total_frames": progress.total_frames,
        "fps": rounded(progress.fps),
        "eta_seconds": None if eta_seconds is None else rounded(eta_seconds),
        "seconds": rounded(progress.seconds),
        "shots": progress.shots,
        "bottleneck": progress.bottleneck,
    }


def known_total(progress: Progress) -> int | None:
    """Return the estimated number of frames, unless the film already has more."""
    if progress.total_frames is None or progress.frames > progress.total_frames:
        return None
    return progress.total_frames


def mean_fps(report: Report) -> float:
    """Return the frames per second of wall-clock time over the whole run."""
    return report.frames / report.seconds if report.seconds > 0 else 0.0


def rounded(value: float) -> float:
    """Round to three decimals: no figure here is more exact than a millisecond."""
    return round(value, 3)


def duration(seconds: float) -> str:
    """Return a time for people: ``12.3 s``, and from a minute on ``1:02:03``."""
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 shot``, ``2 shots``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str) -> str:
    """Return the text on one line, with single spaces, as :func:`printable` text."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Replace control characters and what cannot be encoded, which file names may hold, with question marks."""
    return "".join(character if character.isprintable() else "?" for character in text)


def replace_unencodable() -> None:
    """Print characters that standard output or error cannot encode, as in cp1252 or ASCII, as question marks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def about(path: Path, message: str) -> str:
    """Put the path before a message that does not contain it."""
    return message if str(path) in message else f"{path}: {message}"


def stderr_console() -> Console:
    """Return a console on standard error, for progress, log and errors, so that their lines do not mix."""
    return plain_console(stderr=True)


def plain_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console that shows text as it is: rich would color numbers, and replace ``:dog:`` in a file's name."""
    return Console(stderr=stderr, quiet=quiet, highlight=False, emoji=False)


def show_traceback(err: Console, error: BaseException) -> None:
    """Print the traceback, for ``--debug``."""
    err.print("".join(traceback.format_exception(error)), markup=False, soft_wrap=True, end="")


class LogLines(logging.Handler):
    """Prints a log record as one line, like other messages, and its traceback, if it has one, below."""

    def __init__(self, err: Console) -> None:
        super().__init__()
        self.err = err

    def emit(self, record: logging.LogRecord) -> None:
        style = "red" if record.levelno >= logging.ERROR else "yellow" if record.levelno >= logging.WARNING else "dim"
        line = f"{record.levelname.lower()}: {self.format(record)}"
        self.err.print(line, style=style, markup=False, soft_wrap=True)


@contextmanager
def logging_to(err: Console) -> Iterator[None]:
    """Show the library's log, warnings and above, while the context lasts."""
    logger = logging.getLogger("vidcolor")
    handler = LogLines(err)
    level = logger.level
    logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def set_log_level(level: int) -> None:
    """Set the level from which the library's log is shown."""
    logging.getLogger("vidcolor").setLevel(level)
