"""The command-line arguments: what source and output are, and whether they can be used. Loads no heavy library."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.files.paths import follow_link, is_folder, is_stream
from vidcolor.media.destinations import (
    Destination,
    FileDestination,
    FilmOutput,
    NumberedDestination,
    PipeDestination,
    find_destination,
)
from vidcolor.media.image_sequence import DEFAULT_RATE, PicturePattern, PictureSequence, given_pattern
from vidcolor.media.pipes import PipeInput, PipeOutput
from vidcolor.stills.kinds import is_picture

if TYPE_CHECKING:
    from vidcolor.media.sources import FilmInput


@dataclass(frozen=True)
class Arguments:
    """The source and the output that the command line names."""

    source: FilmInput
    dest: FilmOutput

    @property
    def paths(self) -> tuple[Path, Path] | None:
        """Source and output, if both are single files or folders; None if one is a pipe or numbered pictures."""
        return (self.source, self.dest) if isinstance(self.source, Path) and isinstance(self.dest, Path) else None


def resolve_arguments(source: str | Path, dest: str | Path, rate: Fraction | None) -> Arguments:
    """Find out which of the arguments are files, folders, pipes or numbered pictures.

    Args:
        source: a path, or a string for standard input.
        dest: a path, or a string for standard output.
        rate: of numbered pictures, in frames per second; None: not given.

    Raises:
        InputError: the source is missing or cannot be read, or standard input is a terminal.
        OutputError: standard output is a terminal.
        OptionError: source, output and rate do not fit together.
    """
    found = find_source(source, rate)
    return Arguments(found, find_output(dest, found))


def check_arguments(arguments: Arguments, *, overwrite: bool, resume: bool) -> Destination | None:
    """Check whether the output can be written, before the network is loaded.

    Args:
        arguments: those of :func:`resolve_arguments`.
        overwrite: replace an output that exists.
        resume: go on with unfinished work; an output that exists is then finished already.

    Returns:
        the checked destination of a film; None for a folder or a picture.

    Raises:
        OutputError: the output cannot be written there, or exists already.
        OptionError: with ``resume``, the source or the output is a pipe, or the output is numbered pictures.
    """
    source = arguments.source
    if isinstance(source, Path) and is_folder(source):
        return None
    destination = find_destination(arguments.dest, source, overwrite=overwrite, resume=resume)
    return None if isinstance(source, Path) and is_picture(source) else destination


def find_source(source: str | Path, rate: Fraction | None) -> Path | PipeInput | PictureSequence:
    """Return the source: an existing file or folder, a pipe, or numbered pictures."""
    pattern = given_pattern(source) if isinstance(source, Path) else None
    if pattern is not None:
        return PictureSequence.find(pattern, rate or DEFAULT_RATE)
    if rate is not None:
        raise OptionError(f"--rate {rate}: is for numbered pictures; {source} says itself how fast it is")
    if isinstance(source, str):
        return PipeInput(sys.stdin.buffer)
    _check_exists(source)
    return PipeInput(_opened(source, "rb"), name=source) if is_stream(source) else source


def _opened(path: Path, mode: Literal["rb", "wb"]) -> BinaryIO:
    """Open a named pipe or a device; of a named pipe, this waits for the other end. It stays open until the end."""
    try:
        return path.open(mode)
    except OSError as exc:
        what = "read" if mode == "rb" else "written"
        raise (InputError if mode == "rb" else OutputError)(f"{path}: cannot be {what} ({exc.strerror})") from exc


def _check_exists(source: Path) -> None:
    try:
        source.stat()
    except FileNotFoundError as exc:
        raise InputError(f"{source}: no such file or folder") from exc
    except OSError as exc:
        raise InputError(f"{source}: cannot be read ({exc.strerror})") from exc


def find_output(dest: str | Path, source: Path | PipeInput | PictureSequence) -> Path | PipeOutput | PicturePattern:
    """Return the output: a file or folder, a pipe, or, if ``source`` is a film, a pattern for numbered pictures."""
    pattern = PicturePattern.parse(dest) if isinstance(dest, Path) else None
    goes_to_stream = not isinstance(dest, Path) or is_stream(dest)
    if isinstance(dest, Path) and pattern is None and not goes_to_stream:
        return dest if is_folder(dest) else follow_link(dest)  # links inside an output folder are replaced instead
    if isinstance(source, Path):
        kind = "folder" if is_folder(source) else "picture" if is_picture(source) else None
        if kind is not None and isinstance(dest, Path) and not goes_to_stream:
            return dest
        if kind is not None:
            raise OptionError(f"{source}: a {kind} cannot go to a pipe; name a {kind} with -o")
    if isinstance(dest, Path) and goes_to_stream:
        return PipeOutput(_opened(dest, "wb"), name=dest)
    return pattern or PipeOutput(sys.stdout.buffer)


def name_of(film: FilmInput | FilmOutput | Destination) -> Path:
    """Return the name of a source or an output for messages."""
    if isinstance(film, PipeDestination):
        return Path(film.pipe.name)
    if isinstance(film, PipeInput | PipeOutput):
        return Path(film.name)
    if isinstance(film, PictureSequence | NumberedDestination):
        return film.pattern.path
    return film.path if isinstance(film, PicturePattern | FileDestination) else Path(film)
