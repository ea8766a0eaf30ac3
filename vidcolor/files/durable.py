"""Write files that survive a loss of power: sync their content and the entry in their folder.

Some network file systems cannot sync; there the functions return False, and what was written may be lost with power.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""Errors of file systems that have no sync; any other is a failure to write."""


def sync(descriptor: int) -> bool:
    """Wait until an open file or folder is on the disk; return False if its file system cannot sync.

    Raises:
        OSError: writing to the disk failed.
    """
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in CANNOT_SYNC:
            raise
        return False
    return True


def sync_file(path: Path) -> bool:
    """Wait until the content of a file is on the disk; return False if its file system cannot sync.

    Raises:
        OSError: it cannot be opened, or writing to the disk failed.
    """
    with path.open("rb+") as file:
        return sync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the entries of a folder are on the disk; does nothing on Windows, or where that is not possible.

    Raises:
        OSError: it cannot be opened, or writing to the disk failed.
    """
    if sys.platform == "win32":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)  # some network file systems sync files only
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> bool:
    """Write a small file atomically and durably, replacing an existing one; return False if it cannot be synced.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_suffix(".part")
    draft.write_bytes(content)
    is_synced = sync_file(draft)
    draft.replace(path)
    sync_folder(path.parent)
    return is_synced
