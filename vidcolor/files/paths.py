"""What stands under a name, asked without surprises.

``Path.exists`` and ``Path.is_dir`` raise PermissionError inside a folder that may not be searched. Nothing here does.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vidcolor.errors import OutputError


def is_folder(path: Path) -> bool:
    """Whether a folder stands there, or a link to one."""
    return stat.S_ISDIR(_mode(path))


def is_file(path: Path) -> bool:
    """Whether a regular file stands there, or a link to one."""
    return stat.S_ISREG(_mode(path))


def is_anything(path: Path) -> bool:
    """Whether something can be reached there: not a broken link, nor what may not be looked at."""
    return _mode(path) != 0


def resolved(path: Path) -> Path:
    """The absolute path without links and ``..``; links that lead round in circles are left as they are.

    For these ``Path.resolve`` raises RuntimeError before Python 3.13.
    """
    return Path(os.path.realpath(path))


def check_destination(dest: Path, *, source: Path | None = None, overwrite: bool) -> None:
    """Say before any work is done why a file cannot be written to ``dest``.

    Raises :class:`OutputError` where its folder does not exist, or it is a folder, ``source`` itself, or (without
    ``overwrite``) there already. That its folder takes files is found out when the file is begun.
    """
    if not is_folder(dest.parent):
        raise OutputError(f"{dest}: its folder does not exist; create it first")
    if is_folder(dest):
        raise OutputError(f"{dest}: is a folder; name the file to write in it")
    try:
        dest.lstat()
    except FileNotFoundError:
        return
    except OSError as exc:
        raise OutputError(f"{dest}: cannot be written ({exc.strerror}); choose another name") from exc
    if source is not None and is_anything(dest) and is_anything(source) and dest.samefile(source):
        raise OutputError(f"{dest}: is the input itself; choose another name")
    if not overwrite:
        raise OutputError(f"{dest}: exists already; choose another name, or replace it with `overwrite`")


def _mode(path: Path) -> int:
    """Type and permissions of what the path leads to (``st_mode``, never 0), and 0 where it leads nowhere."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0
