"""Find the pictures and films of a folder, and decide where their outputs go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vidcolor.errors import InputError, OutputError
from vidcolor.files.paths import is_file, is_folder, path_exists, resolve_path
from vidcolor.files.suffixes import FILM_SUFFIXES, REFUSALS, film_name, has_picture_suffix, picture_name
from vidcolor.folder.results import Job
from vidcolor.options import EncodeOptions
from vidcolor.resume.unfinished import is_finished, remove_empty_folder
from vidcolor.stills.kinds import is_picture, read_head, refusal


@dataclass(frozen=True)
class FolderPlan:
    """The pictures and films of a folder, in the order of their names."""

    pictures: tuple[Job, ...]
    films: tuple[Job, ...]
    skipped_kinds: tuple[tuple[str, int], ...]
    """As in :class:`~vidcolor.folder.results.FolderReport`."""
    failed: tuple[tuple[Path, str], ...]
    """Source and reason of each folder that cannot be listed, and each file that fails for its name alone."""

    def without(self, finished: set[Path]) -> FolderPlan:
        """Return the plan without the jobs whose outputs are ``finished``."""
        pictures = tuple(job for job in self.pictures if job.dest not in finished)
        films = tuple(job for job in self.films if job.dest not in finished)
        return replace(self, pictures=pictures, films=films)


def plan_folder(source: Path, dest: Path, options: EncodeOptions) -> FolderPlan:
    """List the pictures and films below ``source`` with their outputs; writes no file.

    Raises:
        InputError: as :func:`~vidcolor.folder.coloring.colorize_folder`.
        OutputError: as :func:`~vidcolor.folder.coloring.colorize_folder`.
    """
    if not is_folder(source):
        raise InputError(f"{source}: is no folder; expected one with pictures or films")
    if path_exists(dest) and not is_folder(dest):
        raise OutputError(f"{dest}: is a file; a folder's output is a folder")
    if resolve_path(dest) == resolve_path(source):
        raise OutputError(f"{dest}: is the input folder itself; choose another output")
    found = list(_walk(source, (resolve_path(dest),)))
    closed = [(entry.path, entry.reason) for entry in found if isinstance(entry, ClosedFolder)]
    files = sorted(entry for entry in found if isinstance(entry, Path))
    if closed and closed[0][0] == source:
        raise InputError(closed[0][1])
    unread = [(file, f"{file}: {reason}") for file in files if (reason := _refusal(file))]
    refused = {file for file, _ in unread}
    media = [file for file in files if _is_media(file) and file not in refused]
    skipped = _count_kinds([file for file in files if file not in refused.union(media)])
    if not media and not unread:
        kinds = ", ".join(f"{count} {kind}" for kind, count in skipped) or "nothing"
        raise InputError(f"{source}: holds no picture and no film that can be read; found {kinds}")
    are_pictures = {file: is_picture(file) for file in media}
    names = {file: file.relative_to(source) for file in media}
    pictures_named = {file: picture_name(name) for file, name in names.items() if are_pictures[file]}
    films_named = _film_names({file: name for file, name in names.items() if not are_pictures[file]}, options)
    named = pictures_named | films_named
    jobs, failed = _without_clashes([Job(file, dest / named[file]) for file in media])
    pictures = tuple(job for job in jobs if are_pictures[job.source])
    films = tuple(job for job in jobs if not are_pictures[job.source])
    return FolderPlan(pictures, films, skipped, (*closed, *unread, *failed))


def _film_names(names: dict[Path, Path], options: EncodeOptions) -> dict[Path, Path]:
    """Give every film the suffix of a container that holds its streams."""
    if not names:
        return {}
    from vidcolor.media.film_names import choose_suffix  # a folder of photographs needs no codecs

    return {film: film_name(name, choose_suffix(film, options)) for film, name in names.items()}


def _count_kinds(files: list[Path]) -> tuple[tuple[str, int], ...]:
    """Count files by kind; see :attr:`~vidcolor.folder.results.FolderReport.skipped_kinds`."""
    kinds = ("hidden" if file.name.startswith(".") else file.suffix.lower() or "without suffix" for file in files)
    return tuple(Counter(kinds).most_common())


@dataclass(frozen=True)
class ClosedFolder:
    """A folder whose files cannot be listed."""

    path: Path
    reason: str


def _walk(folder: Path, avoided: tuple[Path, ...]) -> Iterator[Path | ClosedFolder]:
    """Yield every file below ``folder``, and every folder that cannot be listed, except in the ``avoided`` folders.

    Those are the output, and the folders above, which a link may lead back to; all are resolved.
    """
    real = resolve_path(folder)
    if real in avoided:
        return
    try:
        entries = list(folder.iterdir())
    except OSError as exc:
        yield ClosedFolder(folder, f"{folder}: cannot be looked into ({exc.strerror}); change its permissions")
        return
    for entry in entries:
        if not is_folder(entry):
            yield entry
        elif not entry.name.startswith("."):
            yield from _walk(entry, (*avoided, real))


def _refusal(file: Path) -> str | None:
    """Return why a picture by its name is not read, such as the raw file of a camera; None: it may be readable."""
    if file.name.startswith(".") or file.suffix.lower() not in REFUSALS or not is_file(file):
        return None
    return refusal(read_head(file), file.suffix.lower())


def _is_media(file: Path) -> bool:
    """Return whether a file is a picture or a film by its name.

    A broken link or a file that cannot be reached is one too, so that it is reported; a pipe is none.
    """
    named_so = has_picture_suffix(file) or file.suffix.lower() in FILM_SUFFIXES
    return named_so and not file.name.startswith(".") and (is_file(file) or not path_exists(file))


def _without_clashes(jobs: list[Job]) -> tuple[list[Job], list[tuple[Path, str]]]:
    """Return the jobs that replace neither another job's output nor an input, and the others with the reason."""
    inputs = {resolve_path(job.source) for job in jobs}
    kept: dict[Path, Job] = {}
    failed = []
    for job in jobs:
        if job.dest in kept:
            reason = f"{job.source}: would be written to {job.dest}, as {kept[job.dest].source} is; rename one of them"
            failed.append((job.source, reason))
        elif resolve_path(job.dest) in inputs:
            reason = f"{job.source}: its output {job.dest} is an input; choose another output folder"
            failed.append((job.source, reason))
        else:
            kept[job.dest] = job
    return list(kept.values()), failed


def without_finished(plan: FolderPlan) -> tuple[FolderPlan, int]:
    """Leave out the files that an earlier run has colored, and return how many they are."""
    finished = {job.dest for job in (*plan.pictures, *plan.films) if is_finished(job.dest)}
    for path in finished:
        remove_empty_folder(path)
    return plan.without(finished), len(finished)
