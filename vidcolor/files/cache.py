"""What is measured or made once and kept for the next time, in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import numpy as np

from vidcolor.frames import FloatArray


def cache_folder() -> Path:
    """Where vidcolor keeps what can be had again; ``XDG_CACHE_HOME`` is respected."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vidcolor"


def remembered(
    name: str, sources: Iterable[ModuleType], shape: tuple[int, ...], make: Callable[[], FloatArray]
) -> FloatArray:
    """An array that takes long to make: read where it was kept, or made and kept.

    Where it cannot be kept, it is made every time, and nothing is said.

    Args:
        name: of the file; what is kept for the same name and other code is removed.
        sources: the code that it depends on: as soon as a byte of it changes, the array is made anew.
        shape: that it must have.
        make: gives it, float32.
    """
    try:
        digest = hashlib.blake2b(b"".join(Path(str(module.__file__)).read_bytes() for module in sources), digest_size=8)
        path = cache_folder() / f"{name}-{digest.hexdigest()}.npy"
    except OSError:  # code in an archive
        return make()
    try:
        kept: FloatArray = np.load(path, allow_pickle=False)
        if kept.shape == shape and kept.dtype == np.float32:
            return kept
    except (OSError, ValueError, EOFError):
        pass
    made = make()
    _keep(made, path, name)
    return made


def _keep(array: FloatArray, path: Path, name: str) -> None:
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
