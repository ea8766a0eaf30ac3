"""Keep arrays and measurements that take long to compute in the user's cache folder."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import numpy as np
from platformdirs import user_cache_path

from vidcolor.frames import FloatArray


def cache_folder() -> Path:
    """Return vidcolor's folder among the user's caches; on Linux ``$XDG_CACHE_HOME/vidcolor`` or ``~/.cache/vidcolor``.

    A user without a home folder, as in a container that runs with a user id of its own, gets one among the temporary
    files. It may not exist.
    """
    try:
        return user_cache_path("vidcolor", appauthor=False)
    except (RuntimeError, ValueError):  # neither HOME nor an entry among the users; on Windows, no LOCALAPPDATA
        return Path(tempfile.gettempdir()) / "vidcolor-cache"


def keep_newest(folder: Path, count: int) -> None:
    """Remove all files of a folder but those that were written or read last; what cannot be removed stays."""
    try:
        files = sorted(folder.iterdir(), key=lambda file: max(file.stat().st_atime, file.stat().st_mtime))
    except OSError:  # there is no folder yet, or another process removes files of it
        return
    for file in files[: max(len(files) - count, 0)]:
        with suppress(OSError):
            file.unlink()


def load_or_compute(
    name: str, sources: Iterable[ModuleType], shape: tuple[int, ...], compute: Callable[[], FloatArray]
) -> FloatArray:
    """Load an array from the cache folder, or compute and store it.

    If it cannot be stored, it is computed every time.

    Args:
        name: beginning of the file name; files of the same name and other code are removed.
        sources: the modules that the result depends on. When their code changes, the array is computed again.
        shape: of the array; a stored array of another shape is ignored.
        compute: returns the array, float32.
    """
    try:
        digest = hashlib.blake2b(b"".join(Path(str(module.__file__)).read_bytes() for module in sources), digest_size=8)
        path = cache_folder() / f"{name}-{digest.hexdigest()}.npy"
    except OSError:  # the code is in an archive
        return compute()
    try:
        stored: FloatArray = np.load(path, allow_pickle=False)
        if stored.shape == shape and stored.dtype == np.float32:
            return stored
    except (OSError, ValueError, EOFError):
        pass
    array = compute()
    _store(array, path, name)
    return array


def _store(array: FloatArray, path: Path, name: str) -> None:
    """Write an array and remove those of the same name and other code; an OSError is ignored."""
    part = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, array)
        for outdated in path.parent.glob(f"{name}-{'?' * 16}.npy"):
            outdated.unlink(missing_ok=True)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
