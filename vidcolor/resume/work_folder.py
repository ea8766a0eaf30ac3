"""The work folder: a hidden folder beside an unfinished film, ``.out.mp4.vidcolor``, with its finished segments.

film.json        the :class:`~vidcolor.resume.identity.Identity`, written first
000000.segment   finished segments, in order (:mod:`vidcolor.resume.segment_file`)
published.json   :class:`Published`, written just before the film gets its name
lock             locked by the process that uses the folder; the system unlocks it when the process ends
*.part           temporary files, useless after the process has ended
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
from vidcolor.files.paths import EXISTS, is_folder
from vidcolor.media.destinations import FileDestination, Output
from vidcolor.resume.identity import Identity
from vidcolor.resume.records import read_json, structure_record
from vidcolor.resume.segment_file import DamagedSegmentError, SegmentFacts, read_facts
from vidcolor.resume.segments import NOTHING, Finished
from vidcolor.resume.unfinished import PUBLISHED, folder_of, has_segments, segment_paths

IDENTITY_FILE = "film.json"
LOCK = "lock"
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
"""Errors of file systems without locks, as of many network shares."""
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, kw_only=True)
class FileStamp:
    """Size and time of a file, by which it is recognized."""

    bytes: int
    modified_ns: int
    """Time of the last modification, nanoseconds since the epoch."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A complete film that is about to get its name, or has it."""

    film: FileStamp
    finished: Finished
    """Its content."""


class WorkFolder:
    """The work folder of one film, locked by this process until :meth:`release`.

    Args:
        film: where the complete film goes. If it may be replaced, finished segments may be removed, if not ``resume``.
        identity: of the film as it is to be made.
        resume: whether to continue with finished segments in the folder.

    Attributes:
        path: of the folder.
        published: the content of the film if it is complete under its name, as after an interrupted cleanup, and is to
            be resumed; otherwise None.
        warnings: about resuming, and about what the file system cannot do.
        segments: metadata of the finished segments.
        errors: skipped damage beyond that in the metadata of the segments.

    Raises:
        OutputError: the folder cannot be created or is in use; its segments are of another film or other settings; or
            it has segments that are neither to be resumed nor to be replaced.
    """

    def __init__(self, film: FileDestination, identity: Identity, *, resume: bool) -> None:
        self.film = film
        self.path = folder_of(film.path)
        self.identity = identity
        self.published: Finished | None = None
        self.warnings: list[str] = []
        self.segments: list[SegmentFacts] = []
        self.errors: tuple[str, ...] = ()
        if self.path.is_symlink():
            what = f"{self.path}, where unfinished work is kept, is a link"
            raise OutputError(f"{self.name}: {what}; remove it, or choose another name")
        self._lock_folder()
        try:
            self._load(resume=resume)
        except BaseException:
            self.release()
            raise

    @property
    def name(self) -> str:
        """The name of the film, for messages."""
        return str(self.film.path)

    def _lock_folder(self) -> None:
        folder, name = self.film.path.parent, self.film.path.name
        try:
            self.path.mkdir(exist_ok=True)
            self._lock: int | None = _open_lock(self.path / LOCK)
            if not _try_lock(self._lock):
                what = f"the file system of {folder} has no locks"
                self.warnings.append(f"{what}: make sure that no other process makes {name} at the same time")
        except BlockingIOError as exc:
            raise OutputError(f"{self.name}: is being made by another process; wait for it, or end that one") from exc
        except OSError as exc:
            raise OutputError(f"{self.name}: its folder takes no files ({exc.strerror}); choose another") from exc

    def _load(self, *, resume: bool) -> None:
        """Load finished segments to continue with, or check that they may be removed."""
        self.published = self._find_published() if resume else None
        if self.published is not None:
            return
        if has_segments(self.path) and resume:
            self._check_identity()
            self.segments = list(self._read_segments())
        elif has_segments(self.path) and not self.film.overwrite:
            hint = "go on with `resume`, or start anew with `overwrite`"
            raise OutputError(f"{self.name}: unfinished work on it is kept in {self.path}; {hint}")

    def check_film(self) -> None:
        """Check that no film is replaced against the user's will: one that exists must be that of this folder.

        Raises:
            OutputError: another film has the name.
        """
        if self.film.exists and not self.film.overwrite and self.published is None:
            raise OutputError(f"{self.name}: {EXISTS}")

    def begin(self) -> None:
        """Remove all files but the segments to continue with, and write the identity if there are none.

        Raises:
            OutputError: the folder is not writable, or contains a folder.
        """
        kept = {LOCK}
        if self.segments:
            kept |= {IDENTITY_FILE, PUBLISHED, *(self.segment_path(index).name for index in range(len(self.segments)))}
        with self.naming_errors():
            for file in self.path.iterdir():
                if file.name in kept:
                    continue
                if is_folder(file) and not file.is_symlink():
                    raise OutputError(f"{self.name}: the folder {file} is in the way of unfinished work; remove it")
                file.unlink()
            if self.segments:
                is_synced = sync_file(self.path / IDENTITY_FILE)
            else:
                identity = json.dumps(self.identity.to_json(), indent=1).encode()
                is_synced = write_durably(self.path / IDENTITY_FILE, identity)
                sync_folder(self.path.parent)
        if not is_synced:
            what = f"the file system of {self.film.path.parent} cannot sync files"
            self.warnings.append(f"{what}: what is finished may be lost with power")

    def _check_identity(self) -> None:
        """Raise OutputError unless the segments belong to this film with these settings."""
        hint = "start anew with `overwrite`"
        try:
            begun = Identity.from_json(read_json(self.path / IDENTITY_FILE))
        except (OSError, ValueError) as exc:
            what = f"{self.path / IDENTITY_FILE}, which says what the unfinished work is of, cannot be read"
            raise OutputError(f"{self.name}: {what}; {hint}") from exc
        change = self.identity.changed_since(begun)
        if change is not None:
            raise OutputError(f"{self.name}: cannot go on: {change}; make it as it was, or {hint}")
        self.warnings += self.identity.surroundings_changed_since(begun)

    def _read_segments(self) -> Iterator[SegmentFacts]:
        """Yield the metadata of finished segments up to the first that is missing, damaged or of another film."""
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
        """Return the path of a segment."""
        return self.path / f"{index:06}.segment"

    def finished(self) -> Finished:
        """Return how much of the film the segments hold."""
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
            kept=tuple(start for facts in self.segments for start in facts.kept),
            warnings=last.warnings,
            errors=tuple(dict.fromkeys((*last.errors, *self.errors))) if is_whole else (),
            is_whole=is_whole,
        )

    def note_published(self, film: Path) -> None:
        """Sync ``film`` and write :data:`PUBLISHED`, just before the film gets its name.

        Raises:
            OutputError: the folder is not writable.
        """
        with self.naming_errors():
            sync_file(film)
            content = Published(film=_stamp_of(film), finished=self.finished())
            write_durably(self.path / PUBLISHED, json.dumps(asdict(content)).encode())

    def _find_published(self) -> Finished | None:
        try:
            content = structure_record(Published, read_json(self.path / PUBLISHED))
            return content.finished if content.film == _stamp_of(self.film.path) else None
        except (OSError, ValueError):
            return None

    def begin_film(self) -> Output:
        """Return the film in the making, as a file in the folder.

        Raises:
            OutputError: the folder takes no files.
        """
        return self.film.begin(self)

    def sync_film(self) -> None:
        """Sync the name of the complete film to the disk.

        Raises:
            OutputError: the folder is gone.
        """
        with self.naming_errors():
            sync_folder(self.film.path.parent)

    def release(self) -> None:
        """Unlock the folder without changing it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def keep_or_remove(self) -> str | None:
        """Unlock the folder if it has segments and return a note on how to resume; otherwise remove it."""
        if not has_segments(self.path):
            self.remove()
            return None
        with contextlib.suppress(OSError):  # the next run removes them as well
            for draft in self.path.glob("*.part"):
                draft.unlink()
        self.release()
        return f"what is finished is kept in {self.path}: `resume` goes on from there; or remove that folder"

    def remove(self) -> None:
        """Unlock and remove the folder with its files, :data:`PUBLISHED` last."""
        self.release()
        with contextlib.suppress(OSError):  # a folder that contains a folder stays
            for path in sorted(self.path.iterdir(), key=lambda path: path.name == PUBLISHED):
                path.unlink()
            self.path.rmdir()

    @contextlib.contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Convert an OSError within the context to an OutputError that names the film and the cause."""
        try:
            yield
        except OSError as exc:
            if not is_folder(self.path):
                why = f"the folder {self.path}, where it was made, is gone; choose a place that stays"
            elif exc.errno in DISK_FULL:
                why = "the disk is full; free some space or choose another place"
            else:
                why = f"writing failed ({exc.strerror})"
            raise OutputError(f"{self.name}: {why}") from exc


def _stamp_of(film: Path) -> FileStamp:
    status = film.stat()
    return FileStamp(bytes=status.st_size, modified_ns=status.st_mtime_ns)


def _open_lock(path: Path) -> int:
    """Return the descriptor of a file to lock; closing it unlocks the file. Raises OSError if it cannot be opened."""
    return os.open(path, os.O_CREAT | os.O_RDWR, 0o666)


def _try_lock(descriptor: int) -> bool:
    """Lock a file; return False if its file system has no locks.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: it cannot be locked; the descriptor is closed then.
    """
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
    except OSError as exc:
        if exc.errno in NO_LOCKS:
            return False
        os.close(descriptor)
        raise
    return True
