"""What the names on the command line mean, and whether they will do: said before any library is loaded for them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidcolor.errors import InputError, OptionError
from vidcolor.files.paths import check_destination, is_folder
from vidcolor.files.suffixes import is_picture
from vidcolor.media import pipes
from vidcolor.media.image_sequence import DEFAULT_RATE, PicturePattern, PictureSequence, check_numbered, given_pattern
from vidcolor.media.pipes import PipeInput, PipeOutput
from vidcolor.resume.unfinished import check_resumable

if TYPE_CHECKING:
    from vidcolor.media.destinations import FilmOutput
    from vidcolor.media.sources import FilmInput


@dataclass(frozen=True)
class Job:
    """What is to be colored, and where it goes."""

    source: FilmInput
    dest: FilmOutput

    @property
    def paths(self) -> tuple[Path, Path] | None:
        """Both, where both are single files or folders; None where one is a pipe or numbered pictures."""
        return (self.source, self.dest) if isinstance(self.source, Path) and isinstance(self.dest, Path) else None


def find_job(
    source: str | Path, dest: str | Path, rate: Fraction | None, *, overwrite: bool, resume: bool = False
) -> Job:
    """Look at the names.

    Args:
        source, dest: a path, or a string for standard input and output.
        rate: what was asked for, in numbered pictures a second.
        resume: unfinished work is to be gone on with; what is finished may exist.

    Raises:
        InputError: the source is missing or cannot be looked at, or a terminal.
        OutputError: the output cannot be written there, would overwrite something, or is a terminal.
        OptionError: source, output and rate do not fit together.
    """
    found = find_source(source, rate)
    job = Job(found, find_output(dest, found))
    if resume:
        check_resumable(job.source, job.dest)
    if isinstance(job.dest, PicturePattern):
        first = found.numbers[0] if isinstance(found, PictureSequence) else 1
        check_numbered(job.dest, first=first, overwrite=overwrite)
    elif isinstance(job.dest, Path) and not (isinstance(found, Path) and is_folder(found)):
        may_exist = overwrite or resume
        check_destination(job.dest, source=found if isinstance(found, Path) else None, overwrite=may_exist)
    return job


def find_source(source: str | Path, rate: Fraction | None) -> Path | PipeInput | PictureSequence:
    """A file or folder that is there, a pipe, or numbered pictures."""
    pattern = given_pattern(source) if isinstance(source, Path) else None
    if pattern is not None:
        return PictureSequence.find(pattern, rate or DEFAULT_RATE)
    if rate is not None:
        raise OptionError(f"--rate {rate}: is for numbered pictures; {source} says itself how fast it is")
    if isinstance(source, str):
        return PipeInput(sys.stdin.buffer)
    _look_at(source)
    return source


def _look_at(source: Path) -> None:
    try:
        source.stat()
    except FileNotFoundError as exc:
        raise InputError(f"{source}: no such file or folder") from exc
    except OSError as exc:
        raise InputError(f"{source}: cannot be read ({exc.strerror})") from exc


def find_output(dest: str | Path, source: Path | PipeInput | PictureSequence) -> Path | PipeOutput | PicturePattern:
    """A file or folder, a pipe, or a pattern if ``source`` is a film."""
    pattern = PicturePattern.parse(dest) if isinstance(dest, Path) else None
    if isinstance(dest, Path) and pattern is None:
        return dest
    if isinstance(source, Path):
        kind = "folder" if is_folder(source) else "picture" if is_picture(source) else None
        if kind is not None and isinstance(dest, Path):
            return dest
        if kind is not None:
            raise OptionError(f"{source}: a {kind} cannot go to a pipe; name a {kind} with -o")
    return pattern or PipeOutput(sys.stdout.buffer)


def name_of(place: FilmInput | FilmOutput) -> Path:
    """What messages call it."""
    if isinstance(place, PipeInput | PipeOutput):
        return pipes.NAME
    if isinstance(place, PictureSequence):
        return place.pattern.path
    return place.path if isinstance(place, PicturePattern) else Path(place)
