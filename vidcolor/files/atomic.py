"""A file that appears under its name only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from vidcolor.errors import OutputError
from vidcolor.files.paths import check_destination


class AtomicFile:
    """A hidden file beside its destination, until :meth:`publish` gives it its name or :meth:`discard` removes it.

    ``folder``: where it is hidden instead, on the same disk.

    Raises :class:`OutputError` at once where the destination cannot be written: before any work is done.
    """

    def __init__(self, destination: Path, *, overwrite: bool, folder: Path | None = None) -> None:
        self.destination = destination
        self.overwrite = overwrite
        check_destination(destination, overwrite=overwrite)
        # Short, because a hidden variant of a long name may be longer than the file system allows.
        self.path = (folder or destination.parent) / f".vidcolor-{secrets.token_hex(6)}.part"
        try:
            # Not tempfile: its files are private to the user (mode 600), and would stay so under their new name.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as exc:
            raise OutputError(f"{destination}: its folder takes no files ({exc.strerror}); choose another") from exc

    def publish(self) -> None:
        """Give the file its name. Without ``overwrite`` a file that has appeared meanwhile is left as it is."""
        try:
            if self.overwrite:
                self.path.replace(self.destination)
            else:
                self._publish_new()
        except OSError as exc:
            self.discard()
            if isinstance(exc, FileExistsError):
                message = "has appeared while the output was being made; choose another name or use `overwrite`"
            else:
                message = f"could not be given its name ({exc.strerror})"
            raise OutputError(f"{self.destination}: {message}") from exc

    def _publish_new(self) -> None:
        try:
            # Unlike rename, link fails where the name is taken.
            os.link(self.path, self.destination)
        except FileExistsError:
            raise
        except OSError as exc:
            # FAT and some network shares know no hard links: there a race of a few microseconds remains.
            if os.path.lexists(self.destination):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from exc
            self.path.rename(self.destination)
        else:
            self.path.unlink()

    def discard(self) -> None:
        """Remove the file; safe to call twice."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


@contextlib.contextmanager
def atomic_file(destination: Path, *, overwrite: bool) -> Iterator[Path]:
    """A path to write to, which becomes ``destination`` if the block ends well, and is removed otherwise.

    Raises :class:`OutputError` for any OSError on the way.
    """
    file = AtomicFile(destination, overwrite=overwrite)
    try:
        yield file.path
        file.publish()
    except OSError as exc:
        raise OutputError(f"{destination}: cannot be written ({exc.strerror or exc})") from exc
    finally:
        file.discard()
