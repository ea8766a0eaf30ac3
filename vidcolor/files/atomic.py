"""Write files that appear under their name only when they are complete."""

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
    """A hidden temporary file, until :meth:`publish` gives it its name or :meth:`discard` removes it.

    Args:
        destination: the final path, checked (:func:`vidcolor.files.paths.check_destination`).
        overwrite: whether an existing file is replaced.
        folder: of the temporary file, on the same disk as the destination; None: the folder of the destination.

    Attributes:
        path: of the temporary file.

    Raises:
        OutputError: the folder takes no files; raised before any work is done.
    """

    def __init__(self, destination: Path, *, overwrite: bool, folder: Path | None = None) -> None:
        self.destination = destination
        self.overwrite = overwrite
        # A short name, because a prefix could make a long one exceed the file system's limit.
        self.path = (folder or destination.parent) / f".vidcolor-{secrets.token_hex(6)}.part"
        try:
            # Not tempfile, whose files have mode 600 and would keep it under their final name.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as exc:
            raise OutputError(f"{destination}: its folder takes no files ({exc.strerror}); choose another") from exc

    def publish(self) -> None:
        """Give the file its name; without ``overwrite``, a file that exists by now is left as it is.

        Raises:
            OutputError: the name exists by now, or cannot be given. The temporary file is removed then.
        """
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
        """Give the file its name; raise FileExistsError if the name exists."""
        try:
            # Unlike rename, link fails if the name exists.
            os.link(self.path, self.destination)
        except FileExistsError:
            raise
        except OSError as exc:
            # FAT and some network file systems have no hard links; a race of a few microseconds remains there.
            if os.path.lexists(self.destination):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from exc
            self.path.rename(self.destination)
        else:
            self.path.unlink()

    def discard(self) -> None:
        """Remove the temporary file, if it still exists."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


@contextlib.contextmanager
def atomic_file(destination: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path that becomes ``destination`` when the block ends, and is removed if it raises.

    Args:
        destination: the final path.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: the destination cannot be written, or the block raised an OSError.
    """
    check_destination(destination, overwrite=overwrite)
    file = AtomicFile(destination, overwrite=overwrite)
    try:
        yield file.path
        file.publish()
    except OSError as exc:
        raise OutputError(f"{destination}: cannot be written ({exc.strerror or exc})") from exc
    finally:
        file.discard()
