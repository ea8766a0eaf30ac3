"""Write files that survive a loss of power: sync their content and the entry in their folder."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk.

    Raises:
        OSError: it cannot be opened or synced.
    """
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the entries of a folder are on the disk; does nothing on Windows.

    Raises:
        OSError: it cannot be opened or synced.
    """
    if sys.platform == "win32":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems sync files only
            raise
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Write a small file atomically and durably, replacing an existing one.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_suffix(".part")
    draft.write_bytes(content)
    sync_file(draft)
    draft.replace(path)
    sync_folder(path.parent)
