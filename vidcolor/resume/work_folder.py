"""The hidden folder beside a film in the making, ``.out.mp4.vidcolor``: its finished segments, and what they are of.

film.json        the :class:`~vidcolor.resume.identity.Identity`, written first
000000.segment   finished segments, in order, each whole (:mod:`vidcolor.resume.segment_file`)
published.json   what the output looks like and what is in it, written just before it gets its name
lock             held by the process that works here; the system frees it when that ends, however it ends
*.part           in the making, and worth nothing when the process has ended
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from vidcolor.errors import OutputError
from vidcolor.files.durable import sync_file, sync_folder, write_durably
from vidcolor.files.paths import is_folder
from vidcolor.resume.identity import Identity
from vidcolor.resume.records import read_json, record_of
from vidcolor.resume.segment_file import DamagedSegmentError, Facts, read_facts
from vidcolor.resume.segments import NOTHING, Finished
from vidcolor.resume.unfinished import PUBLISHED, folder_of, has_segments, segment_paths

IDENTITY = "film.json"
LOCK = "lock"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, kw_only=True)
class Looks:
    """By which a file is known again."""

    bytes: int
    modified_ns: int
    """When it was last changed."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A film that is about to get its name, or has it."""

    film: Looks
    finished: Finished
    """What is in it."""


class WorkFolder:
    """The work on one film, taken up by this process: nobody else has it until :meth:`release`.

    Args:
        dest: the film.
        resume: go on from what is there; otherwise finished segments are only given up for ``overwrite``.

    Raises:
        OutputError: the folder cannot be made or is in use; there is work in it, but not of this film with these
            settings; or there is work in it and nothing was said of what is to become of it.
    """

    def __init__(self, dest: Path, identity: Identity, *, resume: bool, overwrite: bool) -> None:
        self.path = folder_of(dest)
        self.dest = dest
        self.identity = identity
        self.warnings: list[str] = []
        self.segments: list[Facts] = []
        """Of the finished segments."""
        self.errors: tuple[str, ...] = ()
        """What of the film was damaged and gone over, beyond what the segments tell of."""
        if self.path.is_symlink():
            what = f"{self.path}, where unfinished work is kept, is a link"
            raise OutputError(f"{dest}: {what}; remove it, or choose another name")
        try:
            self.path.mkdir(exist_ok=True)
            self._lock: int | None = _locked(self.path / LOCK)
        except BlockingIOError as exc:
            raise OutputError(f"{dest}: is being made by another process; wait for it, or end that one") from exc
        except OSError as exc:
            raise OutputError(f"{dest}: its folder takes no files ({exc.strerror}); choose another") from exc
        try:
            self._take_up(resume=resume, overwrite=overwrite)
        except BaseException:
            self.release()
            raise

    def _take_up(self, *, resume: bool, overwrite: bool) -> None:
        if not has_segments(self.path) or (resume and self.published() is not None):
            return
        if resume:
            self._compare()
            self.segments = list(self._verified())
        elif not overwrite:
            hint = "go on with --resume, or start anew with --overwrite"
            raise OutputError(f"{self.dest}: unfinished work on it is kept in {self.path}; {hint}")

    def begin(self) -> None:
        """Remove what nothing follows from: everything that is not finished, or all of it where nothing goes on.

        Raises:
            OutputError: the folder takes no files.
        """
        kept = {LOCK}
        if self.segments:
            kept |= {IDENTITY, PUBLISHED, *(self.segment_path(index).name for index in range(len(self.segments)))}
        with self.naming_errors():
            for file in self.path.iterdir():
                if file.name in kept:
                    continue
                if is_folder(file) and not file.is_symlink():
                    raise OutputError(f"{self.dest}: the folder {file} is in the way of unfinished work; remove it")
                file.unlink()
            if not self.segments:
                write_durably(self.path / IDENTITY, json.dumps(self.identity.to_json(), indent=1).encode())
                sync_folder(self.path.parent)

    def _compare(self) -> None:
        hint = "start anew with --overwrite"
        try:
            begun = Identity.from_json(read_json(self.path / IDENTITY))
        except (OSError, ValueError) as exc:
            what = f"{self.path / IDENTITY}, which says what the unfinished work is of, cannot be read"
            raise OutputError(f"{self.dest}: {what}; {hint}") from exc
        change = self.identity.changed_since(begun)
        if change is not None:
            raise OutputError(f"{self.dest}: cannot go on: {change}; make it as it was, or {hint}")
        self.warnings += self.identity.surroundings_changed_since(begun)

    def _verified(self) -> Iterator[Facts]:
        """The finished segments, up to the first that is missing, damaged or of another film: it is made again."""
        for index, path in enumerate(segment_paths(self.path)):
            if path != self.segment_path(index):
                return
            try:
                facts = read_facts(path)
                if (facts.film, facts.number) != (self.identity.key, index):
                    raise DamagedSegmentError(f"{path}: is not of this film, or not in its place")
            except DamagedSegmentError as exc:
                self.warnings.append(f"{exc}; it is made again, with all that follows")
                return
            yield facts
            if facts.next_opens_shot is None:
                return

    def segment_path(self, index: int) -> Path:
        """Where a segment belongs."""
        return self.path / f"{index:06}.segment"

    def finished(self) -> Finished:
        """How far the film is."""
        if not self.segments:
            return NOTHING
        frames = 0
        for facts in self.segments:
            if facts.opens_shot:
                settled = frames
            frames += facts.frames
        last = self.segments[-1]
        is_whole = last.next_opens_shot is None
        return Finished(
            frames=frames,
            settled=frames if last.next_opens_shot else settled,
            starts=tuple(start for facts in self.segments for start in facts.starts),
            warnings=last.warnings,
            errors=tuple(dict.fromkeys((*last.errors, *self.errors))) if is_whole else (),
            is_whole=is_whole,
        )

    def note_published(self, film: Path) -> None:
        """See to it that ``film`` is safely on the disk, and remember that it is about to get its name."""
        with self.naming_errors():
            sync_file(film)
            content = Published(film=_looks(film), finished=self.finished())
            write_durably(self.path / PUBLISHED, json.dumps(asdict(content)).encode())

    def published(self) -> Finished | None:
        """All of the film, where the output is that already: the process ended before it could clear up."""
        try:
            content = record_of(Published, read_json(self.path / PUBLISHED), film=Looks, finished=Finished)
            return content.finished if content.film == _looks(self.dest) else None
        except (OSError, ValueError):
            return None

    def release(self) -> None:
        """Let others have the folder; nothing in it changes."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def keep_or_remove(self) -> str | None:
        """Leave finished segments where they are, with a word on how to go on; otherwise remove the folder."""
        if not has_segments(self.path):
            self.remove()
            return None
        with contextlib.suppress(OSError):  # the next run removes them, too
            for draft in self.path.glob("*.part"):
                draft.unlink()
        self.release()
        return f"what is finished is kept in {self.path}: --resume goes on from there; or remove that folder"

    def remove(self) -> None:
        """Remove the folder with its files; last of all what says that the film is published, if it is."""
        self.release()
        with contextlib.suppress(OSError):  # a folder that somebody has put there stays
            for path in sorted(self.path.iterdir(), key=lambda path: path.name == PUBLISHED):
                path.unlink()
            self.path.rmdir()

    @contextlib.contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Say what it means for the film when the system refuses something here."""
        try:
            yield
        except OSError as exc:
            if not is_folder(self.path):
                why = f"the folder {self.path}, where it was made, is gone; choose a place that stays"
            elif exc.errno in FULL:
                why = "the disk is full; free some space or choose another place"
            else:
                why = f"writing failed ({exc.strerror})"
            raise OutputError(f"{self.dest}: {why}") from exc


def _looks(film: Path) -> Looks:
    status = film.stat()
    return Looks(bytes=status.st_size, modified_ns=status.st_mtime_ns)


def _locked(path: Path) -> int:
    """A descriptor that keeps others out as long as it is open.

    Raises:
        BlockingIOError: somebody else has it.
        OSError: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        if sys.platform == "win32":
            import msvcrt

            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError as exc:
                raise BlockingIOError from exc
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
