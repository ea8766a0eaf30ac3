"""Where unfinished films are kept, and which films can be: asked before any library is loaded."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vidcolor.errors import OptionError
from vidcolor.files.paths import is_file, is_folder
from vidcolor.media.image_sequence import PicturePattern
from vidcolor.media.pipes import PipeInput, PipeOutput

if TYPE_CHECKING:
    from vidcolor.media.sources import FilmInput, Source

PUBLISHED = "published.json"
"""Is in the folder from just before its film gets its name until all else in the folder is removed."""
SEGMENT_SUFFIX = ".segment"
MAX_NAME_BYTES = 255  # of a name in nearly all file systems


def folder_of(dest: Path) -> Path:
    """The hidden folder beside a film where its finished segments are kept."""
    name = f".{dest.name}.vidcolor"
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        name = f".{hashlib.sha256(os.fsencode(dest.name)).hexdigest()[:32]}.vidcolor"
    return dest.with_name(name)


def segment_paths(folder: Path) -> list[Path]:
    """The files that are called segments, in order."""
    return sorted(path for path in folder.iterdir() if path.suffix == SEGMENT_SUFFIX) if is_folder(folder) else []


def has_segments(folder: Path) -> bool:
    """Whether there is work to be lost in the folder."""
    return bool(segment_paths(folder))


def is_finished(dest: Path) -> bool:
    """Whether a film or picture is there and nothing of it is left to do: under its name it is whole."""
    folder = folder_of(dest)
    return is_file(dest) and not has_segments(folder) and not is_file(folder / PUBLISHED)


def clear_up_behind(dest: Path) -> None:
    """Remove the empty folder beside a finished film of a process that was killed when it had removed all else."""
    with suppress(OSError):  # there is none, or somebody has put something there
        folder_of(dest).rmdir()


def check_resumable(source: FilmInput | Source, dest: str | Path | PipeOutput | PicturePattern) -> None:
    """Refuse ``--resume`` where there is nothing that it could go on from.

    Raises:
        OptionError: the film comes through a pipe or goes to one, or to numbered pictures.
    """
    if isinstance(source, PipeInput):
        raise OptionError("--resume: what came through a pipe is gone; give the film as a file, or leave it out")
    if isinstance(dest, PipeOutput):
        raise OptionError("--resume: what went to a pipe is gone; name a file with -o, or leave it out")
    if isinstance(dest, PicturePattern):
        what = f"{dest.path}: every picture is finished by itself"
        raise OptionError(f"--resume: {what}; name a film with -o, or replace the pictures with --overwrite")
