"""Color the films of a folder, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec

from vidcolor.folder.results import FileResult, Job, OnJob, create_folder, failure
from vidcolor.inference.colorizer import Predictor
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import OnProgress, OnWarning

P = ParamSpec("P")


class CallerGuard:
    """Tells exceptions of the caller's functions, which end the work, from those of a film.

    Attributes:
        raised: the exception of a guarded function; None: there was none.
    """

    def __init__(self) -> None:
        self.raised: Exception | None = None

    def guarded(self, call: Callable[P, None] | None) -> Callable[P, None] | None:
        """Return a function of the caller that notes its exception."""
        if call is None:
            return None

        def guard(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                call(*args, **kwargs)
            except Exception as exc:
                self.raised = exc
                raise

        return guard


def color_films(
    jobs: tuple[Job, ...],
    dest: Path,
    *,
    colorizer: Predictor,
    options: ColorizeOptions,
    on_job: OnJob,
    on_progress: OnProgress | None,
    on_warning: OnWarning | None,
) -> Iterator[FileResult]:
    """Color films, and yield what has become of each.

    Args:
        jobs: the films.
        dest: the output folder; nothing is written outside.
        colorizer: the network, or anything that predicts colors.
        options: how the films are colored.
        on_job: called for every film before its work begins.
        on_progress: called for every frame of the present film.
        on_warning: called before its first picture is colored, for each loss that is known by then.
    """
    guard = CallerGuard()
    on_progress, on_warning = guard.guarded(on_progress), guard.guarded(on_warning)
    for job in jobs:
        on_job(job)
        try:
            create_folder(job, dest)
            report = colorize_video(
                job.source,
                job.dest,
                colorizer=colorizer,
                options=options,
                on_progress=on_progress,
                on_warning=on_warning,
            )
        except Exception as exc:
            if exc is guard.raised:
                raise
            yield failure(job, exc)
        else:
            yield FileResult(job=job, is_colored=True, warnings=report.warnings, errors=report.errors)
