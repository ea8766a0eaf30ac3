"""Color the pictures of a folder: read ahead, and grouped by equal render size into batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidcolor.color.luma import at_render_size
from vidcolor.color.neutral import NetworkView
from vidcolor.errors import InputError
from vidcolor.folder.results import FileResult, Job, OnJob, create_folder, failure
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Predictor
from vidcolor.inference.multi_device import predictors_of, round_robin
from vidcolor.options import ColorizeOptions
from vidcolor.photograph import colorize_image, keep_picture, predict_colors, read_source, render_picture
from vidcolor.stages import Stage
from vidcolor.stills.own_colors import keeps_color
from vidcolor.stills.reader import SourcePicture, count_pages, read_header
from vidcolor.stills.writer import TIFF_SUFFIXES, check_output, lost_metadata

LOG = logging.getLogger(__name__)
READ_AHEAD = 2  # pictures
LARGE_PIXELS = 1 << 26
"""Pixels from which on a picture is read when its turn comes, not ahead: its grey levels take 256 MB."""
LARGE_BYTES = 1 << 22
"""Bytes below which no file is looked into for its number of pixels."""
WAITING_BYTES = 1 << 30
"""Limit for the grey levels of pictures that wait for others of their size; above it the fullest batch is colored."""


@dataclass(frozen=True)
class ReadPicture:
    """A picture that waits for others of its size."""

    job: Job
    picture: SourcePicture
    view: NetworkView
    """The picture at render size."""


@dataclass(frozen=True)
class PictureBatch:
    """Pictures of equal render size."""

    pictures: tuple[ReadPicture, ...]
    finished: tuple[FileResult, ...]
    """The results of pictures that were read meanwhile and are not to be colored."""

    @property
    def grey(self) -> FloatArray:
        """The grey levels at render size: (N, h, w)."""
        shown = [item.view.shown for item in self.pictures]
        return np.stack(shown) if shown else np.empty((0, 0, 0), np.float32)


def color_pictures(
    jobs: tuple[Job, ...], dest: Path, *, colorizer: Predictor, options: ColorizeOptions, on_job: OnJob
) -> Iterator[FileResult]:
    """Color pictures, and yield what has become of each.

    Args:
        jobs: the pictures.
        dest: the output folder; nothing is written outside.
        colorizer: the network, or anything that predicts colors.
        options: how the pictures are colored.
        on_job: called for every picture before it is colored.
    """
    alone = tuple(job for job in jobs if _is_for_itself(job.source))
    together = tuple(job for job in jobs if job not in alone)
    with Stage("read", _read(together, dest, options), depth=READ_AHEAD) as reading:
        batches = ((batch, batch.grey) for batch in _batches(reading, colorizer.batch_size, on_job))
        for batch, colors in round_robin(batches, predictors_of(colorizer), call=_colors_or_none):
            yield from batch.finished
            for item, ab in zip(batch.pictures, colors, strict=True):
                yield _write(item, ab, colorizer, options)
    for job in alone:
        on_job(job)
        yield _color_alone(job, dest, colorizer, options)


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


def _color_alone(job: Job, dest: Path, colorizer: Predictor, options: ColorizeOptions) -> FileResult:
    """Color a picture by itself, without reading ahead."""
    try:
        create_folder(job, dest)
        notes = colorize_image(job.source, job.dest, colorizer=colorizer, options=options)
    except Exception as exc:
        return failure(job, exc)
    return FileResult(job=job, is_colored=True, warnings=notes)


def _read(jobs: tuple[Job, ...], dest: Path, options: ColorizeOptions) -> Iterator[ReadPicture | FileResult]:
    """Read pictures; yields the result of those that are not to be colored or cannot be."""
    for job in jobs:
        try:
            create_folder(job, dest)
            check_output(job.dest, job.source, overwrite=options.overwrite)
            picture = read_source(job.source, options)
            if keeps_color(picture, options):
                notes = keep_picture(picture, job.dest, overwrite=options.overwrite)
                yield FileResult(job=job, is_colored=True, warnings=notes)
            else:
                yield ReadPicture(job, picture, NetworkView.of(at_render_size(picture.grey, options.render_size)))
        except Exception as exc:
            yield failure(job, exc)


def _batches(pictures: Iterator[ReadPicture | FileResult], batch_size: int, on_job: OnJob) -> Iterator[PictureBatch]:
    """Group pictures by render size; fewer wait for others if they take more than :data:`WAITING_BYTES`."""
    waiting: dict[tuple[int, ...], list[ReadPicture]] = {}
    finished: list[FileResult] = []

    def batch(shape: tuple[int, ...]) -> PictureBatch:
        group, results = tuple(waiting.pop(shape)), tuple(finished)
        finished.clear()
        for item in group:
            on_job(item.job)
        return PictureBatch(group, results)

    for item in pictures:
        if isinstance(item, FileResult):
            on_job(item.job)
            finished.append(item)
            continue
        shape = item.view.grey.shape
        waiting.setdefault(shape, []).append(item)
        if len(waiting[shape]) >= batch_size:
            yield batch(shape)
        elif sum(other.picture.grey.nbytes for group in waiting.values() for other in group) > WAITING_BYTES:
            yield batch(max(waiting, key=lambda shape: len(waiting[shape])))
    for shape in list(waiting):
        yield batch(shape)
    if finished:
        yield PictureBatch((), tuple(finished))


def _colors_or_none(colorizer: Predictor, greys: FloatArray) -> Sequence[FloatArray | None]:
    """Predict the ab of each picture; returns None for all of them if that fails: each is tried by itself then."""
    try:
        return list(colorizer.predict(greys)) if len(greys) else []
    except Exception as exc:
        LOG.debug("a batch of %d pictures failed", len(greys), exc_info=exc)
        return [None] * len(greys)


def _write(item: ReadPicture, ab: FloatArray | None, colorizer: Predictor, options: ColorizeOptions) -> FileResult:
    """Write a picture with its ab at render size; with None, it is predicted again, for this picture alone."""
    full, dest, notes = item.picture.grey, item.job.dest, item.picture.notes
    try:
        if ab is None:
            ab, fitted = predict_colors(full, item.view, colorizer=colorizer, fit=options.fit_render_size)
            notes = (*fitted, *notes)
        else:
            ab = item.view.neutralized(ab)
        render_picture(item.picture, ab, dest, saturation=options.saturation, overwrite=options.overwrite)
        lost = lost_metadata(dest.suffix, item.picture.metadata)
    except Exception as exc:
        return failure(item.job, exc)
    return FileResult(job=item.job, is_colored=True, warnings=(*notes, *lost))
