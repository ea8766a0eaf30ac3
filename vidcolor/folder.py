"""A folder of pictures and films: the tree and the names are kept, and a bad file does not stop the rest.

Pictures are read ahead, gathered by equal render size, and colored in batches; films follow, one by one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vidcolor.errors import InputError, OptionError, OutputError, ResourceError, VidcolorError, told
from vidcolor.files.paths import is_anything, is_file, is_folder, resolved
from vidcolor.files.suffixes import FILM_SUFFIXES, is_picture, output_name
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Predictor
from vidcolor.inference.multi_device import in_turn, members_of
from vidcolor.options import ColorizeOptions
from vidcolor.photograph import colors_of, picture_shown, read_picture, render_picture
from vidcolor.progress import OnFile, OnProgress
from vidcolor.resume.unfinished import clear_up_behind, is_finished
from vidcolor.stages import Stage
from vidcolor.stills.reader import SourcePicture
from vidcolor.stills.writer import check_output

READ_AHEAD = 2  # pictures
WAITING_BYTES = 1 << 30
"""Grey levels of pictures that wait for others of their size; above it the fullest batch goes as it is."""


@dataclass(frozen=True, kw_only=True)
class FolderReport:
    """A finished folder."""

    pictures: int
    """Colored."""
    films: int
    """Colored."""
    skipped: int
    """Hidden files, and files that are neither picture nor film."""
    finished: int = 0
    """Left as they are because an earlier run, which this one resumes, has written them."""
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
    """One file and where its colored version goes."""

    source: Path
    dest: Path


@dataclass(frozen=True)
class Plan:
    """What a folder holds, in the order of its names."""

    pictures: tuple[Job, ...]
    films: tuple[Job, ...]
    skipped: int
    failed: tuple[tuple[Path, str], ...]
    """What can be seen to fail without opening it."""

    def without(self, finished: set[Path]) -> Plan:
        """Without the jobs whose colored versions are ``finished``."""
        pictures = tuple(job for job in self.pictures if job.dest not in finished)
        films = tuple(job for job in self.films if job.dest not in finished)
        return replace(self, pictures=pictures, films=films)


@dataclass(frozen=True)
class ReadPicture:
    """A picture that waits for others of its size."""

    job: Job
    picture: SourcePicture
    shown: FloatArray
    """(h, w), what the network will see."""


@dataclass(frozen=True)
class BadPicture:
    """A picture that could not be read, or not be written where it belongs."""

    job: Job
    reason: str


@dataclass
class Tally:
    """How far the work is, and whom to tell."""

    total: int
    on_file: OnFile | None
    begun: int = 0
    colored: int = 0
    failed: list[tuple[Path, str]] = field(default_factory=list)
    warnings: list[tuple[Path, str]] = field(default_factory=list)

    def begin(self, job: Job) -> None:
        """Say that work on a file begins."""
        self.begun += 1
        if self.on_file is not None:
            self.on_file(job.source, self.begun, self.total)

    def fail(self, job: Job, reason: str) -> None:
        """Put a bad file down."""
        self.failed.append((job.source, reason))


def colorize_folder(
    source: Path,
    dest: Path,
    *,
    colorizer: Predictor,
    options: ColorizeOptions,
    on_file: OnFile | None = None,
    on_progress: OnProgress | None = None,
) -> FolderReport:
    """Color all pictures and films below ``source`` into the same tree below ``dest``.

    Names are kept, except that a format which cannot be written becomes PNG (GIF, JPEG 2000, PGM, PPM, TGA), and a film
    in a container other than ``KEPT_FILM_SUFFIXES`` becomes Matroska. Links are followed for reading; nothing is
    written outside ``dest``. Hidden folders are not entered, nor is ``dest`` if it lies below ``source``.

    A :class:`VidcolorError` of one file is put down in the report (a film may be what the chosen encoder cannot take),
    and so is the second of two files that would be written under one name. :class:`InputError` and
    :class:`OutputError` are raised where the folder itself is missing, cannot be looked into, holds neither picture nor
    film, or is its own output; :class:`OptionError` where ``options`` name a list of shots. Any other error, and
    Ctrl-C, ends the work.

    With ``options.resume``, files whose output is there stay as they are (unless ``options.overwrite`` says otherwise),
    and the film that was interrupted goes on.

    ``on_file`` hears of every file before its work begins, ``on_progress`` of every frame of the film in hand.
    """
    started = time.perf_counter()
    if options.scenes is not None:
        raise OptionError("--scenes: is the list of one film's shots; color the films of a folder one by one with it")
    plan = plan_folder(source, dest)
    finished: set[Path] = set()
    if options.resume and not options.overwrite:
        finished = {job.dest for job in (*plan.pictures, *plan.films) if is_finished(job.dest)}
        plan = plan.without(finished)
        for path in finished:
            clear_up_behind(path)
    tally = Tally(len(plan.pictures) + len(plan.films), on_file, failed=list(plan.failed))
    _colorize_pictures(plan.pictures, dest, tally, colorizer, options)
    pictures = tally.colored
    _colorize_films(plan.films, dest, tally, colorizer, options, on_progress)
    return FolderReport(
        pictures=pictures,
        films=tally.colored - pictures,
        skipped=plan.skipped,
        finished=len(finished),
        failed=tuple(tally.failed),
        warnings=tuple(tally.warnings),
        seconds=time.perf_counter() - started,
    )


def plan_folder(source: Path, dest: Path) -> Plan:
    """Look through ``source`` and decide what becomes what; opens and writes nothing.

    Raises :class:`InputError` and :class:`OutputError` as :func:`colorize_folder` does.
    """
    if not is_folder(source):
        raise InputError(f"{source}: is no folder; expected one with pictures or films")
    if is_anything(dest) and not is_folder(dest):
        raise OutputError(f"{dest}: is a file; a folder's output is a folder")
    if resolved(dest) == resolved(source):
        raise OutputError(f"{dest}: is the input folder itself; choose another output")
    files = sorted(_walk(source, (resolved(dest),)))
    media = [Job(file, dest / output_name(file.relative_to(source))) for file in files if _is_media(file)]
    jobs, failed = _without_clashes(media)
    if not media:
        raise InputError(f"{source}: holds no picture and no film that can be read")
    pictures = tuple(job for job in jobs if is_picture(job.source))
    films = tuple(job for job in jobs if not is_picture(job.source))
    return Plan(pictures, films, len(files) - len(media), tuple(failed))


def _walk(folder: Path, avoided: tuple[Path, ...]) -> Iterator[Path]:
    """Every file below; ``avoided`` holds the resolved output, and the folders above, which a link may lead back to."""
    real = resolved(folder)
    if real in avoided:
        return
    try:
        entries = list(folder.iterdir())
    except OSError as exc:
        raise InputError(f"{folder}: cannot be looked into ({exc.strerror})") from exc
    for entry in entries:
        if not is_folder(entry):
            yield entry
        elif not entry.name.startswith("."):
            yield from _walk(entry, (*avoided, real))


def _is_media(file: Path) -> bool:
    """A broken link or what cannot be reached counts, so that it is reported; a pipe, whatever its name, does not."""
    named_so = is_picture(file) or file.suffix.lower() in FILM_SUFFIXES
    return named_so and not file.name.startswith(".") and (is_file(file) or not is_anything(file))


def _without_clashes(jobs: list[Job]) -> tuple[list[Job], list[tuple[Path, str]]]:
    """Leave out what would replace another file's output, or an input."""
    inputs = {resolved(job.source) for job in jobs}
    kept: dict[Path, Job] = {}
    failed = []
    for job in jobs:
        if job.dest in kept:
            reason = f"{job.source}: would be written to {job.dest}, as {kept[job.dest].source} is; rename one of them"
            failed.append((job.source, reason))
        elif resolved(job.dest) in inputs:
            reason = f"{job.source}: its output {job.dest} is an input; choose another output folder"
            failed.append((job.source, reason))
        else:
            kept[job.dest] = job
    return list(kept.values()), failed


def _colorize_pictures(
    jobs: tuple[Job, ...], dest: Path, tally: Tally, colorizer: Predictor, options: ColorizeOptions
) -> None:
    reading = Stage("read", _read(jobs, dest, options), depth=READ_AHEAD)
    try:
        for batch, colors in in_turn(_batches(reading, colorizer, tally), members_of(colorizer), ask=_colors_or_none):
            _write_batch(batch, colors, tally, colorizer, options)
    finally:
        reading.close()


def _read(jobs: tuple[Job, ...], dest: Path, options: ColorizeOptions) -> Iterator[ReadPicture | BadPicture]:
    for job in jobs:
        try:
            _make_room(job, dest)
            check_output(job.dest, job.source, overwrite=options.overwrite)
            picture = read_picture(job.source)
            yield ReadPicture(job, picture, picture_shown(picture, options.render_size))
        except VidcolorError as exc:
            yield BadPicture(job, str(exc))


def _batches(
    pictures: Iterator[ReadPicture | BadPicture], colorizer: Predictor, tally: Tally
) -> Iterator[tuple[list[ReadPicture], FloatArray]]:
    """Gather pictures of equal render size, as many as are asked for at once and within :data:`WAITING_BYTES`.

    What the network will see of them comes along: (N, h, w).
    """
    waiting: dict[tuple[int, ...], list[ReadPicture]] = {}

    def batch(shape: tuple[int, ...]) -> tuple[list[ReadPicture], FloatArray]:
        group = waiting.pop(shape)
        for item in group:
            tally.begin(item.job)
        return group, np.stack([item.shown for item in group])

    for item in pictures:
        if isinstance(item, BadPicture):
            tally.begin(item.job)
            tally.fail(item.job, item.reason)
            continue
        shape = item.shown.shape
        waiting.setdefault(shape, []).append(item)
        if len(waiting[shape]) >= colorizer.batch_size:
            yield batch(shape)
        elif sum(other.picture.grey.nbytes for group in waiting.values() for other in group) > WAITING_BYTES:
            yield batch(max(waiting, key=lambda shape: len(waiting[shape])))
    for shape in list(waiting):
        yield batch(shape)


def _colors_or_none(colorizer: Predictor, greys: FloatArray) -> Sequence[FloatArray | None]:
    """ab of each picture; None for all of them where memory does not hold even one."""
    try:
        return list(colorizer.predict(greys))
    except ResourceError:
        return [None] * len(greys)


def _write_batch(
    batch: list[ReadPicture],
    colors: Sequence[FloatArray | None],
    tally: Tally,
    colorizer: Predictor,
    options: ColorizeOptions,
) -> None:
    for item, ab in zip(batch, colors, strict=True):
        try:
            if ab is None:
                ab, notes = colors_of(item.picture, item.shown, colorizer=colorizer, options=options)
                tally.warnings += [(item.job.source, note) for note in notes]
            render_picture(item.picture, ab, item.job.dest, options=options)
            tally.colored += 1
        except VidcolorError as exc:
            tally.fail(item.job, str(exc))


def _colorize_films(
    jobs: tuple[Job, ...],
    dest: Path,
    tally: Tally,
    colorizer: Predictor,
    options: ColorizeOptions,
    on_progress: OnProgress | None,
) -> None:
    if not jobs:
        return
    from vidcolor.pipeline import colorize_video  # a folder of photographs needs no codecs

    for job in jobs:
        tally.begin(job)
        try:
            _make_room(job, dest)
            report = colorize_video(job.source, job.dest, colorizer=colorizer, options=options, on_progress=on_progress)
            tally.colored += 1
            tally.warnings += [(job.source, warning) for warning in report.warnings]
            for error in report.errors:
                tally.fail(job, error)
        except VidcolorError as exc:
            tally.fail(job, told(exc))


def _make_room(job: Job, dest: Path) -> None:
    """Create the folder that the output goes to; it must lie in ``dest`` however links below that one lead."""
    folder = job.dest.parent
    if not resolved(folder).is_relative_to(resolved(dest)):
        raise OutputError(f"{job.dest}: lies outside {dest}, by a link; nothing is written there")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be created ({exc.strerror})") from exc
