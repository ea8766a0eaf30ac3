"""Find the work folder of a film and check whether it can be resumed, without loading large libraries."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from vidcolor.files.paths import is_file, is_folder

PUBLISHED = "published.json"
"""File in a work folder that exists from just before its film gets its name until the folder is removed."""
SEGMENT_SUFFIX = ".segment"
MAX_NAME_BYTES = 255
"""Length of a file name in nearly all file systems."""


def folder_of(dest: Path) -> Path:
    """Return the path of the hidden folder beside a film that holds its finished segments."""
    name = f".{dest.name}.vidcolor"
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        name = f".{hashlib.sha256(os.fsencode(dest.name)).hexdigest()[:32]}.vidcolor"
    return dest.with_name(name)


def segment_paths(folder: Path) -> list[Path]:
    """Return the files in a work folder with the suffix of segments, in order."""
    return sorted(path for path in folder.iterdir() if path.suffix == SEGMENT_SUFFIX) if is_folder(folder) else []


def has_segments(folder: Path) -> bool:
    """Return whether a work folder holds segments."""
    return bool(segment_paths(folder))


def is_finished(dest: Path) -> bool:
    """Return whether a film or picture exists and no work on it is left; under its name it is always complete."""
    folder = folder_of(dest)
    return is_file(dest) and not has_segments(folder) and not is_file(folder / PUBLISHED)


def remove_empty_folder(dest: Path) -> None:
    """Remove the empty work folder of a finished film, left by a process that was killed during cleanup."""
    with suppress(OSError):  # it does not exist, or is not empty
        folder_of(dest).rmdir()
