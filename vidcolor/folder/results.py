"""What becomes of the files of a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidcolor.errors import OutputError, VidcolorError, message_with_notes, unexpected
from vidcolor.files.paths import resolve_path

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One file and its output."""

    source: Path
    dest: Path


OnJob = Callable[[Job], None]
"""Called for every file before its work begins."""


@dataclass(frozen=True, kw_only=True)
class FileResult:
    """What has become of one file."""

    job: Job
    is_colored: bool
    """Whether its output has been written."""
    warnings: tuple[str, ...] = ()
    """What could not be kept of it."""
    errors: tuple[str, ...] = ()
    """Why it was not colored, or damage that was skipped."""


@dataclass(frozen=True, kw_only=True)
class FolderReport:
    """The result of coloring a folder."""

    pictures: int
    """How many were colored."""
    films: int
    """How many were colored."""
    skipped: int
    """How many files are hidden, or neither picture nor film."""
    skipped_kinds: tuple[tuple[str, int], ...] = ()
    """Suffixes of the skipped files, or ``hidden``, ``without suffix``, with their number; the most frequent first."""
    finished: int = 0
    """How many files an earlier run, which this one resumes, has colored."""
    failed: tuple[tuple[Path, str], ...]
    """Source and reason, one line each."""
    warnings: tuple[tuple[Path, str], ...]
    """Source and what could not be kept of it, one line each."""
    seconds: float

    @property
    def done(self) -> int:
        """Pictures and films that were colored."""
        return self.pictures + self.films


def warnings_in(results: Sequence[FileResult]) -> tuple[tuple[Path, str], ...]:
    """Return the source and text of each warning."""
    return tuple((result.job.source, line) for result in results for line in result.warnings)


def errors_in(results: Sequence[FileResult]) -> tuple[tuple[Path, str], ...]:
    """Return the source and text of each error."""
    return tuple((result.job.source, line) for result in results for line in result.errors)


def failure(job: Job, exc: Exception) -> FileResult:
    """Return the result of a file whose work has ended with an exception."""
    return FileResult(job=job, is_colored=False, errors=(reason_of(exc, job),))


def reason_of(exc: Exception, job: Job) -> str:
    """Return why a file could not be colored, in one line; the traceback of an unexpected exception is logged."""
    if not isinstance(exc, VidcolorError):
        LOG.debug("%s: unexpected exception", job.source, exc_info=exc)
        return "; ".join([f"{job.source}: {unexpected(exc)}", *getattr(exc, "__notes__", ())])
    return message_with_notes(exc)


def create_folder(job: Job, dest: Path) -> None:
    """Create the folder of the output.

    Raises:
        OutputError: it cannot be created, or a link leads out of ``dest``.
    """
    folder = job.dest.parent
    if not resolve_path(folder).is_relative_to(resolve_path(dest)):
        raise OutputError(f"{job.dest}: lies outside {dest}, by a link; nothing is written there")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be created ({exc.strerror})") from exc
