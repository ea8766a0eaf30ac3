"""Color a folder of pictures and films: the tree and the names are kept, and a bad file does not stop the rest.

Pictures are read ahead, grouped by equal render size, and colored in batches; films follow, one by one.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ParamSpec

import numpy as np

from vidcolor.color.luma import at_render_size
from vidcolor.color.neutral import NetworkView
from vidcolor.errors import InputError, OptionError, OutputError, VidcolorError, message_with_notes, unexpected
from vidcolor.files.paths import is_file, is_folder, path_exists, resolve_path
from vidcolor.files.suffixes import FILM_SUFFIXES, REFUSALS, film_name, has_picture_suffix, picture_name
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Predictor
from vidcolor.inference.multi_device import predictors_of, round_robin
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.photograph import colorize_image, keep_picture, keeps_color, predict_colors, read_source, render_picture
from vidcolor.progress import OnFile, OnProgress, OnWarning
from vidcolor.resume.unfinished import is_finished, remove_empty_folder
from vidcolor.stages import Stage
from vidcolor.stills.kinds import is_picture, read_head, refusal
from vidcolor.stills.reader import SourcePicture, count_pages, read_header
from vidcolor.stills.writer import TIFF_SUFFIXES, check_output, lost_metadata

LOG = logging.getLogger(__name__)
P = ParamSpec("P")
READ_AHEAD = 2  # pictures
LARGE_PIXELS = 1 << 26
"""Pixels from which on a picture is read when its turn comes, not ahead: its grey levels take 256 MB."""
LARGE_BYTES = 1 << 22
"""Bytes below which no file is looked into for its number of pixels."""
WAITING_BYTES = 1 << 30
"""Limit for the grey levels of pictures that wait for others of their size; above it the fullest batch is colored."""


@dataclass(frozen=True, kw_only=True)
class FolderReport:
    """The result of coloring a folder."""

    pictures: int
    """How many were colored."""
    films: int
    """How many were colored."""
    skipped: int
    """How many files are hidden, or neither picture nor film."""
    skipped_kinds: tuple[tuple[str, int], ...] = ()
    """Suffixes of the skipped files, or ``hidden``, ``without suffix``, with their number; the most frequent first."""
    finished: int = 0
    """How many files an earlier run, which this one resumes, has colored."""
    failed: tuple[tuple[Path, str], ...]
    """Source and reason, one line each."""
    warnings: tuple[tuple[Path, str], ...]
    """Source and what could not be kept of it, one line each."""
    seconds: float

    @property
    def done(self) -> int:
        """Pictures and films that were colored."""
        return self.pictures + self.films


@dataclass(frozen=True)
class Job:
    """One file and its output."""

    source: Path
    dest: Path


@dataclass(frozen=True)
class FolderPlan:
    """The pictures and films of a folder, in the order of their names."""

    pictures: tuple[Job, ...]
    films: tuple[Job, ...]
    skipped_kinds: tuple[tuple[str, int], ...]
    """As in :class:`FolderReport`."""
    failed: tuple[tuple[Path, str], ...]
    """Source and reason of each folder that cannot be listed, and each file that fails for its name alone."""

    def without(self, finished: set[Path]) -> FolderPlan:
        """Return the plan without the jobs whose outputs are ``finished``."""
        pictures = tuple(job for job in self.pictures if job.dest not in finished)
        films = tuple(job for job in self.films if job.dest not in finished)
        return replace(self, pictures=pictures, films=films)


@dataclass(frozen=True)
class ReadPicture:
    """A picture that waits for others of its size."""

    job: Job
    picture: SourcePicture
    view: NetworkView
    """The picture at render size."""


@dataclass(frozen=True)
class KeptPicture:
    """A picture that has been written with the colors that it has."""

    job: Job
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BadPicture:
    """A picture that could not be read, or whose output cannot be written."""

    job: Job
    reason: str


@dataclass
class Tally:
    """Counts the files of a folder, and calls ``on_file`` for each."""

    total: int
    on_file: OnFile | None
    begun: int = 0
    colored: int = 0
    failed: list[tuple[Path, str]] = field(default_factory=list)
    warnings: list[tuple[Path, str]] = field(default_factory=list)
    of_caller: Exception | None = None
    """What a function of the caller has raised."""

    def begin(self, job: Job) -> None:
        """Count a file whose work begins."""
        self.begun += 1
        if self.on_file is not None:
            self.on_file(job.source, self.begun, self.total)

    def guarded(self, call: Callable[P, None] | None) -> Callable[P, None] | None:
        """Return a function of the caller, whose exceptions end the work as they do outside of a folder."""
        if call is None:
            return None

        def guard(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                call(*args, **kwargs)
            except Exception as exc:
                self.of_caller = exc
                raise

        return guard

    def fail_unexpectedly(self, job: Job, exc: Exception) -> None:
        """Note a file whose work has ended with an exception; raise one of the caller's functions again."""
        if exc is self.of_caller:
            raise exc
        self.fail(job, reason_of(exc, job))

    def fail(self, job: Job, reason: str) -> None:
        """Note a file that could not be colored."""
        self.failed.append((job.source, reason))


def reason_of(exc: Exception, job: Job) -> str:
    """Return why a file could not be colored, in one line; the traceback of an unexpected exception is logged."""
    if not isinstance(exc, VidcolorError):
        LOG.debug("%s: unexpected exception", job.source, exc_info=exc)
        return "; ".join([f"{job.source}: {unexpected(exc)}", *getattr(exc, "__notes__", ())])
    return message_with_notes(exc)


def colorize_folder(
    source: str | Path,
    dest: str | Path,
    *,
    colorizer: Predictor,
    options: ColorizeOptions = ColorizeOptions(),
    on_file: OnFile | None = None,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
) -> FolderReport:
    """Color all pictures and films below ``source`` into the same tree below ``dest``.

    Names are kept, except that a format which cannot be written becomes PNG (GIF, HEIC, JPEG 2000, JPEG XL, PBM, PCX,
    PGM, PPM, SGI, TGA). A film in a container other than ``KEPT_FILM_SUFFIXES``, or in one that cannot hold all of its
    streams, becomes Matroska, or MOV or MP4 if these hold more of it; so does an animated GIF or PNG.
    Links are followed for reading; nothing is written outside ``dest``. Hidden folders are not entered, nor is ``dest``
    if it lies below ``source``.

    An exception of one file, of whatever type, is noted in the report, and the work goes on; only Ctrl-C and
    exceptions of ``on_file``, ``on_progress`` and ``on_warning`` end it. A picture that cannot be read, such as the
    raw file of a camera, fails by its name. The second of two files that would be written under one name fails
    likewise, and a folder below ``source`` that cannot be looked into.

    Args:
        source: the folder.
        dest: the output folder.
        colorizer: the network, or anything that predicts colors.
        options: how the files are colored. With ``resume``, files whose output exists stay as they are (unless
            ``overwrite`` is set), and a film that was interrupted goes on.
        on_file: called for every file before its work begins.
        on_progress: called for every frame of the present film.
        on_warning: called before its first picture is colored, for each loss that is known by then.

    Raises:
        InputError: the folder is missing, cannot be read, or holds neither picture nor film.
        OutputError: the output is a file, or the input folder itself.
        OptionError: ``options`` name a list of shots.
    """
    started = time.perf_counter()
    source, dest = Path(source), Path(dest)
    if options.scenes is not None:
        raise OptionError("`scenes`: is the list of one film's shots; color the films of a folder one by one with it")
    plan, finished = plan_folder(source, dest, options.encode), 0
    if options.resume and not options.overwrite:
        plan, finished = _without_finished(plan)
    tally = Tally(len(plan.pictures) + len(plan.films), on_file, failed=list(plan.failed))
    alone = tuple(job for job in plan.pictures if _is_for_itself(job.source))
    _colorize_pictures(tuple(job for job in plan.pictures if job not in alone), dest, tally, colorizer, options)
    _colorize_alone(alone, dest, tally, colorizer, options)
    pictures = tally.colored
    _colorize_films(plan.films, dest, tally, colorizer, options, on_progress, on_warning)
    return FolderReport(
        pictures=pictures,
        films=tally.colored - pictures,
        skipped=sum(count for _, count in plan.skipped_kinds),
        skipped_kinds=plan.skipped_kinds,
        finished=finished,
        failed=tuple(tally.failed),
        warnings=tuple(tally.warnings),
        seconds=time.perf_counter() - started,
    )


def _without_finished(plan: FolderPlan) -> tuple[FolderPlan, int]:
    """Leave out the files that an earlier run has colored, and return how many they are."""
    finished = {job.dest for job in (*plan.pictures, *plan.films) if is_finished(job.dest)}
    for path in finished:
        remove_empty_folder(path)
    return plan.without(finished), len(finished)


def plan_folder(source: Path, dest: Path, options: EncodeOptions) -> FolderPlan:
    """List the pictures and films below ``source`` with their outputs; writes no file.

    Raises:
        InputError: as :func:`colorize_folder`.
        OutputError: as :func:`colorize_folder`.
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
    """Count files by kind; see :attr:`FolderReport.skipped_kinds`."""
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


def _colorize_pictures(
    jobs: tuple[Job, ...], dest: Path, tally: Tally, colorizer: Predictor, options: ColorizeOptions
) -> None:
    pictures = _read(jobs, dest, options)
    with Stage("read", pictures, depth=READ_AHEAD) as reading:
        for batch, colors in round_robin(
            _batches(reading, colorizer, tally), predictors_of(colorizer), call=_colors_or_none
        ):
            for item, ab in zip(batch, colors, strict=True):
                _write(item, ab, tally, colorizer, options)


def _is_for_itself(path: Path) -> bool:
    """Return whether a picture has several pages, or so many pixels that none is read ahead; not if it is damaged."""
    try:
        is_tiff, is_large = path.suffix.lower() in TIFF_SUFFIXES, path.stat().st_size >= LARGE_BYTES
        if is_tiff and count_pages(path) > 1:
            return True
        header = read_header(path) if is_large else None
    except (InputError, OSError):
        return False
    return header is not None and header.width * header.height >= LARGE_PIXELS


def _colorize_alone(
    jobs: tuple[Job, ...], dest: Path, tally: Tally, colorizer: Predictor, options: ColorizeOptions
) -> None:
    """Color pictures one by one, without reading ahead."""
    for job in jobs:
        tally.begin(job)
        try:
            _create_folder(job, dest)
            notes = colorize_image(job.source, job.dest, colorizer=colorizer, options=options)
            tally.colored += 1
            tally.warnings += [(job.source, note) for note in notes]
        except Exception as exc:
            tally.fail(job, reason_of(exc, job))


def _read(
    jobs: tuple[Job, ...], dest: Path, options: ColorizeOptions
) -> Iterator[ReadPicture | KeptPicture | BadPicture]:
    for job in jobs:
        try:
            _create_folder(job, dest)
            check_output(job.dest, job.source, overwrite=options.overwrite)
            picture = read_source(job.source, options)
            if keeps_color(picture, options):
                yield KeptPicture(job, keep_picture(picture, job.dest, overwrite=options.overwrite))
            else:
                yield ReadPicture(job, picture, NetworkView.of(at_render_size(picture.grey, options.render_size)))
        except Exception as exc:
            yield BadPicture(job, reason_of(exc, job))


def _batches(
    pictures: Iterator[ReadPicture | KeptPicture | BadPicture], colorizer: Predictor, tally: Tally
) -> Iterator[tuple[list[ReadPicture], FloatArray]]:
    """Group pictures of equal render size into batches; fewer wait if they take more than :data:`WAITING_BYTES`.

    Yields:
        the pictures, and their grey levels at render size: (N, h, w).
    """
    waiting: dict[tuple[int, ...], list[ReadPicture]] = {}

    def batch(shape: tuple[int, ...]) -> tuple[list[ReadPicture], FloatArray]:
        group = waiting.pop(shape)
        for item in group:
            tally.begin(item.job)
        return group, np.stack([item.view.shown for item in group])

    for item in pictures:
        if isinstance(item, BadPicture):
            tally.begin(item.job)
            tally.fail(item.job, item.reason)
            continue
        if isinstance(item, KeptPicture):
            tally.begin(item.job)
            tally.colored += 1
            tally.warnings += [(item.job.source, note) for note in item.notes]
            continue
        shape = item.view.grey.shape
        waiting.setdefault(shape, []).append(item)
        if len(waiting[shape]) >= colorizer.batch_size:
            yield batch(shape)
        elif sum(other.picture.grey.nbytes for group in waiting.values() for other in group) > WAITING_BYTES:
            yield batch(max(waiting, key=lambda shape: len(waiting[shape])))
    for shape in list(waiting):
        yield batch(shape)


def _colors_or_none(colorizer: Predictor, greys: FloatArray) -> Sequence[FloatArray | None]:
    """Predict the ab of each picture; returns None for all of them if that fails: each is tried by itself then."""
    try:
        return list(colorizer.predict(greys))
    except Exception as exc:
        LOG.debug("a batch of %d pictures failed", len(greys), exc_info=exc)
        return [None] * len(greys)


def _write(
    item: ReadPicture, ab: FloatArray | None, tally: Tally, colorizer: Predictor, options: ColorizeOptions
) -> None:
    full, dest = item.picture.grey, item.job.dest
    try:
        if ab is None:
            ab, notes = predict_colors(full, item.view, colorizer=colorizer, fit=options.fit_render_size)
            tally.warnings += [(item.job.source, note) for note in notes]
        else:
            ab = item.view.neutralized(ab)
        render_picture(item.picture, ab, dest, saturation=options.saturation, overwrite=options.overwrite)
        notes = (*item.picture.notes, *lost_metadata(dest.suffix, item.picture.metadata))
        tally.warnings += [(item.job.source, note) for note in notes]
        tally.colored += 1
    except Exception as exc:
        tally.fail(item.job, reason_of(exc, item.job))


def _colorize_films(
    jobs: tuple[Job, ...],
    dest: Path,
    tally: Tally,
    colorizer: Predictor,
    options: ColorizeOptions,
    on_progress: OnProgress | None,
    on_warning: OnWarning | None,
) -> None:
    if not jobs:
        return
    from vidcolor.pipeline import colorize_video  # a folder of photographs needs no codecs

    for job in jobs:
        tally.begin(job)
        try:
            _create_folder(job, dest)
            report = colorize_video(
                job.source,
                job.dest,
                colorizer=colorizer,
                options=options,
                on_progress=tally.guarded(on_progress),
                on_warning=tally.guarded(on_warning),
            )
            tally.colored += 1
            tally.warnings += [(job.source, warning) for warning in report.warnings]
            for error in report.errors:
                tally.fail(job, error)
        except Exception as exc:
            tally.fail_unexpectedly(job, exc)


def _create_folder(job: Job, dest: Path) -> None:
    """Create the folder of the output.

    Raises:
        OutputError: it cannot be created, or a link leads out of ``dest``.
    """
    folder = job.dest.parent
    if not resolve_path(folder).is_relative_to(resolve_path(dest)):
        raise OutputError(f"{job.dest}: lies outside {dest}, by a link; nothing is written there")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be created ({exc.strerror})") from exc
