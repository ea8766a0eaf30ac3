"""Where a film goes: a file, a pipe or numbered pictures, checked once before the work begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vidcolor.errors import OptionError
from vidcolor.files.atomic import AtomicFile
from vidcolor.files.paths import check_destination
from vidcolor.media.image_sequence import FIRST_NUMBER, PicturePattern, PictureSequence, check_numbered
from vidcolor.media.pipes import PipeInput, PipeOutput

FilmOutput = str | Path | PipeOutput | PicturePattern
"""An output as the user names it, not yet checked."""


class StagingFolder(Protocol):
    """A folder where a file lies until it gets its name, on the same disk."""

    path: Path

    def note_published(self, film: Path) -> None:
        """Record that ``film``, a complete file in the folder, is about to get its name."""


class Output(Protocol):
    """An output in the making. Ends with :meth:`publish` or :meth:`discard`."""

    name: str
    """The name for messages."""
    target: str | PipeOutput
    """The file for :func:`av.open`."""

    @property
    def bytes_written(self) -> int:
        """How many bytes a pipe has taken, or the size of the published file."""

    def flush(self) -> None:
        """Pass on what the container has written. Raises OutputError if it cannot be written."""

    def publish(self) -> None:
        """Make the complete output visible."""

    def discard(self) -> None:
        """Remove the output as far as possible; safe after :meth:`publish`."""


@dataclass(frozen=True)
class FileDestination:
    """A file that can be written: its folder exists, and its name is neither a folder's nor the source's."""

    path: Path
    overwrite: bool
    exists: bool = False
    """Whether there is a file already, which is replaced or, with ``resume``, may be the finished film."""

    def begin(self, staging: StagingFolder | None = None) -> Output:
        """Create a hidden file.

        Args:
            staging: where the file lies until it is complete; None: beside its name.

        Raises:
            OutputError: the folder takes no files.
        """
        folder = None if staging is None else staging.path
        return _StagedFile(AtomicFile(self.path, overwrite=self.overwrite, folder=folder), staging)


@dataclass(frozen=True)
class PipeDestination:
    """A pipe, which gets the film as it is made."""

    pipe: PipeOutput

    def begin(self) -> Output:
        """Return the pipe as an output."""
        return _OpenPipe(self.pipe)


@dataclass(frozen=True)
class NumberedDestination:
    """Numbered pictures, whose folder exists."""

    pattern: PicturePattern
    first: int
    """The number of the first picture."""
    overwrite: bool


ContainerDestination = FileDestination | PipeDestination
Destination = ContainerDestination | NumberedDestination


def find_destination(
    output: FilmOutput,
    source: str | Path | PipeInput | PictureSequence,
    *,
    overwrite: bool = False,
    resume: bool = False,
) -> Destination:
    """Check an output, and return it as a checked one.

    Args:
        output: where the film goes.
        source: where it comes from.
        overwrite: whether what exists is replaced.
        resume: whether unfinished work is continued; then a finished file may exist.

    Raises:
        OutputError: its folder does not exist, it exists already, or it is a folder or the source itself.
        OptionError: ``resume`` is set for a pipe or for numbered pictures.
    """
    if resume and isinstance(source, PipeInput):
        raise OptionError("`resume`: a pipe cannot be read again; give the film as a file, or leave it out")
    if isinstance(output, PipeOutput):
        if resume:
            raise OptionError("`resume`: output through a pipe is not kept; name a file as `dest`, or leave it out")
        return PipeDestination(output)
    if isinstance(output, PicturePattern):
        if resume:
            what = f"{output.path}: pictures are complete one by one"
            raise OptionError(f"`resume`: {what}; name a film as `dest`, or replace the pictures with `overwrite`")
        first = source.numbers[0] if isinstance(source, PictureSequence) else FIRST_NUMBER
        check_numbered(output, first=first, overwrite=overwrite)
        return NumberedDestination(output, first, overwrite)
    path, file = Path(output), Path(source) if isinstance(source, str | Path) else None
    exists = check_destination(path, source=file, overwrite=overwrite or resume)
    return FileDestination(path, overwrite, exists)


class _StagedFile:
    """A hidden file, which libav writes itself."""

    def __init__(self, file: AtomicFile, staging: StagingFolder | None) -> None:
        self.name = str(file.destination)
        self.target: str | PipeOutput = f"file:{file.path}"
        self._file = file
        self._staging = staging

    @property
    def bytes_written(self) -> int:
        return self._file.destination.stat().st_size

    def flush(self) -> None:
        """Do nothing: libav has written to the file."""

    def publish(self) -> None:
        if self._staging is not None:
            self._staging.note_published(self._file.path)
        self._file.publish()

    def discard(self) -> None:
        self._file.discard()


class _OpenPipe:
    """A pipe that takes the bytes at once, so that nothing can be taken back."""

    def __init__(self, pipe: PipeOutput) -> None:
        self.name = pipe.name
        self.target: str | PipeOutput = pipe
        self.flush = pipe.flush
        self._pipe = pipe

    @property
    def bytes_written(self) -> int:
        return self._pipe.bytes_written

    def publish(self) -> None:
        """Do nothing: the reader of the pipe has everything."""

    def discard(self) -> None:
        """Do nothing: what went through the pipe cannot be taken back."""
