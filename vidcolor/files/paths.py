"""Query paths and check destinations, without PermissionError.

``Path.exists`` and ``Path.is_dir`` raise PermissionError for a path in a folder without search permission; the
functions here return False.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vidcolor.errors import OutputError

EXISTS = "exists already; choose another name, or replace it with `overwrite`"


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder or a link to one."""
    return stat.S_ISDIR(_mode(path))


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file or a link to one."""
    return stat.S_ISREG(_mode(path))


def is_stream(path: Path) -> bool:
    """Return whether a path is a named pipe, a character device such as ``/dev/null``, or a link to one."""
    mode = _mode(path)
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def path_exists(path: Path) -> bool:
    """Return whether a path exists and is accessible; a broken link does not exist."""
    return _mode(path) != 0


def resolve_path(path: Path) -> Path:
    """Return the absolute path without links and ``..``; links that form a loop stay as they are.

    ``Path.resolve`` raises RuntimeError for a loop before Python 3.13.
    """
    return Path(os.path.realpath(path))


def follow_link(path: Path) -> Path:
    """Return the file that a link points to, also if it does not exist yet; other paths stay as they are."""
    try:
        is_link = path.is_symlink()
    except OSError:  # in a folder without search permission
        is_link = False
    return resolve_path(path) if is_link else path


def check_destination(dest: Path, *, source: Path | None = None, overwrite: bool) -> bool:
    """Check, before any work is done, that a file can be written to ``dest``.

    Whether its folder is writable is not checked.

    Args:
        dest: path of the output.
        source: path of the input; None: there is none.
        overwrite: whether ``dest`` may exist.

    Returns:
        whether it exists.

    Raises:
        OutputError: the folder of ``dest`` does not exist; ``dest`` is a folder, a device, a named pipe, or ``source``
            itself, or exists although ``overwrite`` is False.
    """
    if not is_folder(dest.parent):
        raise OutputError(f"{dest}: its folder does not exist; create it first")
    mode = _mode(dest)
    if stat.S_ISDIR(mode):
        raise OutputError(f"{dest}: is a folder; name the file to write in it")
    try:
        dest.lstat()
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise OutputError(f"{dest}: cannot be written ({exc.strerror}); choose another name") from exc
    if mode and not stat.S_ISREG(mode):
        raise OutputError(f"{dest}: is a device or a named pipe, which a file would replace; choose another name")
    if source is not None and mode and path_exists(source) and dest.samefile(source):
        raise OutputError(f"{dest}: is the input itself; choose another name")
    if not overwrite:
        raise OutputError(f"{dest}: {EXISTS}")
    return True


def _mode(path: Path) -> int:
    """Return ``st_mode``, type and permissions, of a path; 0 if it does not exist or is not accessible."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0
