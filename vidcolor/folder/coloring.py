"""Color a folder of pictures and films: the tree and the names are kept, and a bad file does not stop the rest."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

from vidcolor.errors import OptionError
from vidcolor.folder.pictures import color_pictures
from vidcolor.folder.plan import plan_folder, without_finished
from vidcolor.folder.results import FileResult, FolderReport, Job, OnJob, errors_in, warnings_in
from vidcolor.inference.colorizer import Predictor
from vidcolor.options import ColorizeOptions
from vidcolor.progress import OnFile, OnProgress, OnWarning


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
        plan, finished = without_finished(plan)
    on_job = _counted(on_file, len(plan.pictures) + len(plan.films))
    pictures = list(color_pictures(plan.pictures, dest, colorizer=colorizer, options=options, on_job=on_job))
    films: list[FileResult] = []
    if plan.films:
        from vidcolor.folder.films import color_films  # a folder of photographs needs no codecs

        films = list(
            color_films(
                plan.films,
                dest,
                colorizer=colorizer,
                options=options,
                on_job=on_job,
                on_progress=on_progress,
                on_warning=on_warning,
            )
        )
    return FolderReport(
        pictures=sum(result.is_colored for result in pictures),
        films=sum(result.is_colored for result in films),
        skipped=sum(number for _, number in plan.skipped_kinds),
        skipped_kinds=plan.skipped_kinds,
        finished=finished,
        failed=(*plan.failed, *errors_in([*pictures, *films])),
        warnings=warnings_in([*pictures, *films]),
        seconds=time.perf_counter() - started,
    )


def _counted(on_file: OnFile | None, total: int) -> OnJob:
    """Return a function that calls ``on_file`` with the number of each file, counted from 1."""
    numbers = count(1)

    def on_job(job: Job) -> None:
        if on_file is not None:
            on_file(job.source, next(numbers), total)

    return on_job
