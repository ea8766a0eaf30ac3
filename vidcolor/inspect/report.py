"""The report of ``vidcolor info``: the content of a file, what its colored version keeps, and how long coloring takes.

As JSON (:func:`info_json`) it is one object. All keys are always present, unknown values are ``null``; times are
seconds with three decimals, fractions are strings (``"30000/1001"``), color properties have FFmpeg's names.

==============  ========================================================================================================
``kind``        ``film`` or ``picture``
``path``        as the user gave it
``bytes``       of the file
``container``   film: the demuxer's name, as ffprobe says it
``streams``     film: of each ``index``, ``kind``, ``codec``, ``language``, ``title``, ``colored`` (whether it is the
one) ``chapters``    film: how many
``timing``      film: ``duration_seconds``, ``start_seconds``, ``time_base``, ``frame_rate``, ``constant_rate``,
                ``frames``, ``counting`` (``counted``, ``announced`` by the header, ``estimated``)
``picture``     film: ``width``, ``height``, ``sample_aspect_ratio``, ``rotation``, ``pixel_format``, ``bit_depth``,
                ``range``, ``range_is_assumed``, ``matrix``, ``primaries``, ``transfer``, ``scan``;
                picture: ``format``, ``mode``, ``width``, ``height``, ``bit_depth``, ``orientation``, ``alpha``,
                ``profile``, ``exif_tags``, ``dpi``
``plan``        ``output``, ``refused`` (why, or ``null``), ``warnings``, and ``kept``, ``changed``, ``dropped``: of
                each ``what`` and ``why``
``trial``       film: ``frames``, ``pieces``, ``whole_film``, ``seconds_per_frame``, ``bytes_per_frame``,
                ``estimated_seconds``, ``estimated_bytes``, ``estimated_shots``, ``warnings``; ``null`` without a
                trial
``trial_failed``  film: why coloring the pieces did not work, or ``null``
==============  ========================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from vidcolor.errors import VidcolorError
from vidcolor.inspect.film import FilmInfo, film_info
from vidcolor.inspect.picture import PictureFileInfo, inspect_picture
from vidcolor.inspect.rehearsal import default_output, rehearse_film
from vidcolor.media.outcomes import OutcomeKind, Rehearsal
from vidcolor.media.reader import VideoReader
from vidcolor.options import ColorizeOptions
from vidcolor.stills.kinds import is_picture

if TYPE_CHECKING:
    from vidcolor.inference.colorizer import Predictor
    from vidcolor.inspect.estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class FilmReport:
    """The report on a film."""

    info: FilmInfo
    plan: Rehearsal
    trial: Estimate | None
    trial_failed: str | None
    """Why the trial failed, one line; None: it did not, or there was none."""


@dataclass(frozen=True, kw_only=True)
class PictureReport:
    """The report on a picture."""

    info: PictureFileInfo
    plan: Rehearsal


def inspect_file(
    source: Path, dest: Path | None, *, options: ColorizeOptions, load: Callable[[], Predictor] | None
) -> FilmReport | PictureReport:
    """Inspect a file, rehearse its output, and color a few pieces of it as a trial.

    Args:
        source: a film or a picture.
        dest: path of the output; None: a default name beside the source.
        options: for coloring.
        load: loads the network; called only if there is a trial. None: no trial.

    Raises:
        InputError: the file cannot be read, or holds no picture.
        VidcolorError: raised by ``load``.
    """
    overwrite = options.overwrite or dest is None  # the default name is only shown, never written
    if is_picture(source):
        output = dest or default_output(source, options.encode)
        info, plan = inspect_picture(source, output, options, overwrite=overwrite)
        return PictureReport(info=info, plan=plan)
    with VideoReader(
        source, deinterlace=options.deinterlace, on_error=options.on_error, keep_start=options.keep_start
    ) as reader:
        film = film_info(reader)
        plan = rehearse_film(
            reader, dest or default_output(source, options.encode), options.encode, overwrite=overwrite
        )
    if load is None or plan.refused is not None:
        return FilmReport(info=film, plan=plan, trial=None, trial_failed=None)
    trial, failed = _try(film, plan, load(), options)
    if trial is not None:
        trial = replace(trial, warnings=tuple(line for line in trial.warnings if line not in plan.warnings))
    return FilmReport(info=film, plan=plan, trial=trial, trial_failed=failed)


def _try(
    film: FilmInfo, plan: Rehearsal, colorizer: Predictor, options: ColorizeOptions
) -> tuple[Estimate | None, str | None]:
    from vidcolor.inspect.estimate import estimate_film

    try:
        return estimate_film(film.path, film.timing, plan.output.suffix, colorizer=colorizer, options=options), None
    except VidcolorError as exc:
        return None, str(exc)


def info_json(report: FilmReport | PictureReport) -> dict[str, object]:
    """Convert a report to values that JSON can hold; the module docstring lists the keys."""
    if isinstance(report, PictureReport):
        facts = _plain(asdict(report.info))
        path, size = facts.pop("path"), facts.pop("bytes")
        return {"kind": "picture", "path": path, "bytes": size, "picture": facts, "plan": plan_json(report.plan)}
    trial = None if report.trial is None else _plain(asdict(report.trial))
    return {
        "kind": "film",
        **_plain(asdict(report.info)),
        "plan": plan_json(report.plan),
        "trial": trial,
        "trial_failed": report.trial_failed,
    }


def plan_json(plan: Rehearsal) -> dict[str, object]:
    """Convert a rehearsal to values that JSON can hold."""
    by_kind = {
        kind: [{"what": outcome.what, "why": outcome.why} for outcome in plan.outcomes if outcome.kind == kind]
        for kind in get_args(OutcomeKind)
    }
    return {"output": str(plan.output), "refused": plan.refused, "warnings": list(plan.warnings), **by_kind}


def _plain(facts: Mapping[str, object]) -> dict[str, object]:
    return {key: _plain_value(value) for key, value in facts.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    if isinstance(value, float):
        return round(value, 3)
    return str(value) if isinstance(value, Path | Fraction) else value
