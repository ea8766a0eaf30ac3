"""Where a film goes: a file that appears when it is whole, or a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import av
from av.container import OutputContainer

from vidcolor.errors import OptionError
from vidcolor.files.atomic import AtomicFile
from vidcolor.files.paths import check_destination
from vidcolor.media.image_sequence import PicturePattern
from vidcolor.media.passthrough import MOV_FAMILY
from vidcolor.media.pipes import PipeOutput

FilmOutput = str | Path | PipeOutput | PicturePattern

PIPE_FORMAT = "matroska"


class HiddenPlace(Protocol):
    """Where a film is until it gets its name, on the same disk."""

    path: Path
    """A folder."""

    def note_published(self, film: Path) -> None:
        """Hear that ``film``, a file in the folder, is whole and gets its name now."""


class Destination(Protocol):
    """A place for one film. Checked when it is made; ends with :meth:`publish` or :meth:`discard`."""

    name: str
    """What messages call it."""
    format_name: str
    """The container, as libav names it."""

    def begin(self) -> None:
        """Take the place. Raises OutputError where it cannot be had."""

    def open(self, options: dict[str, str]) -> OutputContainer:
        """Open the container with what its muxer must be told."""

    def flush(self) -> None:
        """Hand on what the container has written. Raises OutputError where nobody takes it."""

    def publish(self) -> None:
        """The container is closed: let the film be seen."""

    def discard(self) -> None:
        """Leave nothing behind, as far as that can be; safe after :meth:`publish`."""

    @property
    def bytes_written(self) -> int:
        """The film's size so far; once it is published, for good."""


class FileDestination:
    """A file that appears under its name when it is whole; until then it is in ``hidden_in``, or beside its name.

    Raises:
        OutputError: the file exists already (without ``overwrite``), is ``source`` itself, or has no folder.
        OptionError: neither its name nor ``format_name`` says a kind of film.
    """

    def __init__(
        self,
        path: Path,
        *,
        source: Path | None,
        format_name: str | None,
        overwrite: bool,
        hidden_in: HiddenPlace | None = None,
    ) -> None:
        check_destination(path, source=source, overwrite=overwrite)
        self.name = str(path)
        self.format_name = _checked(format_name) if format_name is not None else _format_by_name(path)
        self._path = path
        self._overwrite = overwrite
        self._hidden_in = hidden_in

    def begin(self) -> None:
        folder = None if self._hidden_in is None else self._hidden_in.path
        self._file = AtomicFile(self._path, overwrite=self._overwrite, folder=folder)

    def open(self, options: dict[str, str]) -> OutputContainer:
        return av.open(f"file:{self._file.path}", "w", format=self.format_name, container_options=options)

    def flush(self) -> None:
        """libav has written it to the file itself."""

    def publish(self) -> None:
        if self._hidden_in is not None:
            self._hidden_in.note_published(self._file.path)
        self._file.publish()

    def discard(self) -> None:
        self._file.discard()

    @property
    def bytes_written(self) -> int:
        return self._path.stat().st_size


class PipeDestination:
    """A pipe, to which the film goes as it is made; Matroska unless ``format_name`` says otherwise.

    Raises:
        OptionError: there is no such container, or it cannot be written without going back.
    """

    def __init__(self, pipe: PipeOutput, *, format_name: str | None) -> None:
        self.name = pipe.name
        self.format_name = _checked(format_name or PIPE_FORMAT)
        if self.format_name in MOV_FAMILY:
            hint = "choose matroska, nut or mpegts"
            raise OptionError(f"`format` {self.format_name}: its index goes to its front, which a pipe cannot; {hint}")
        self._pipe = pipe

    def begin(self) -> None:
        """There is nothing to take: the pipe is open."""

    def open(self, options: dict[str, str]) -> OutputContainer:
        return av.open(self._pipe, "w", format=self.format_name, container_options=options)

    def flush(self) -> None:
        self._pipe.flush()

    def publish(self) -> None:
        """Whoever reads the pipe has seen it all."""

    def discard(self) -> None:
        """What has gone cannot be called back."""

    @property
    def bytes_written(self) -> int:
        return self._pipe.bytes_written


def destination_of(
    film: str | Path | PipeOutput,
    *,
    source: Path | None,
    format_name: str | None,
    overwrite: bool,
    hidden_in: HiddenPlace | None = None,
) -> Destination:
    """The place for a film; raises as the places do."""
    if isinstance(film, PipeOutput):
        return PipeDestination(film, format_name=format_name)
    return FileDestination(Path(film), source=source, format_name=format_name, overwrite=overwrite, hidden_in=hidden_in)


def _checked(format_name: str) -> str:
    try:
        container = av.ContainerFormat(format_name, "w")
    except ValueError as exc:
        hint = "matroska, mp4, mpegts, nut and yuv4mpegpipe are common"
        raise OptionError(f"`format` {format_name}: there is no such container in this build of libav; {hint}") from exc
    return container.name


def _format_by_name(path: Path) -> str:
    try:
        with av.open(f"file:{path}", "w") as guess:  # creates no file: only its name is looked at
            name = guess.format.name
    except ValueError as exc:
        ending = f"the ending {path.suffix}" if path.suffix else "no ending"
        raise OptionError(f"{path}: {ending} names no kind of film; use .mp4, .mkv or .mov") from exc
    if name == "image2":
        example = f"{path.stem}_%06d{path.suffix}"
        raise OptionError(f"{path}: one picture holds no film; use .mp4 or .mkv, or {example} for numbered pictures")
    return name
