"""One run of the command: its options on messages, its exit codes and its signals."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console

from vidcolor.cli import console
from vidcolor.cli.flags import with_flags
from vidcolor.errors import VidcolorError, unexpected

FAILED = 1
INTERRUPTED = 130
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Terminated(KeyboardInterrupt):
    """A signal other than Ctrl-C ends the program, in the same way as Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@dataclass
class Session:
    """The options on messages, which may stand anywhere on the command line."""

    err: Console = field(default_factory=console.stderr_console)
    quiet: bool = False
    json: bool = False
    debug: bool = False
    profile: bool = False
    stdout_is_film: bool = False
    """A film is written to standard output, so all messages go to standard error."""

    @cached_property
    def display(self) -> console.Display:
        """How messages are shown; made at its first use, when all options are known."""
        if self.json:
            return console.JsonDisplay(self.err, all_to_stderr=self.stdout_is_film)
        return console.TextDisplay(self.err, quiet=self.quiet, all_to_stderr=self.stdout_is_film)

    def fail(self, error: BaseException, message: str, exit_code: int) -> NoReturn:
        """End the command with one line: the message and the error's notes; with ``--debug``, the traceback first."""
        if self.debug:
            console.show_traceback(self.err, error)
        self.display.failed(with_flags("; ".join([message, *getattr(error, "__notes__", ())])), exit_code)
        raise click.exceptions.Exit(exit_code) from error


@contextmanager
def exit_codes(session: Session) -> Iterator[None]:
    """Turn exceptions into one line and an exit code, except those that click handles itself."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except VidcolorError as exc:
        session.fail(exc, str(exc), exc.exit_code)
    except Terminated as exc:
        session.fail(exc, "terminated", exc.exit_code)
    except KeyboardInterrupt as exc:
        session.fail(exc, "interrupted", INTERRUPTED)
    except Exception as exc:
        session.fail(exc, f"{unexpected(exc)}; run again with --debug and report it", FAILED)


@contextmanager
def signals_raise() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does: through every ``finally``.

    Only the first signal counts: further ones would interrupt the cleaning up, and leave partial files behind. A signal
    with a handler already is left alone: ``nohup``, for one, ignores SIGHUP.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        for other in ours:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    wanted = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]  # Windows has no SIGHUP
    untouched = (signal.SIG_DFL, signal.default_int_handler)
    ours = {number: handler for number in wanted if (handler := signal.getsignal(number)) in untouched}
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
