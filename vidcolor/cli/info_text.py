"""What ``vidcolor info`` prints: headings, and rows of a label and a text below each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, get_args

from rich.filesize import decimal

from vidcolor.media.outcomes import OutcomeKind, Rehearsal

if TYPE_CHECKING:
    from vidcolor.inspect.estimate import Estimate
    from vidcolor.inspect.film import FilmInfo, PictureInfo, StreamInfo, Timing
    from vidcolor.inspect.picture import PictureFileInfo
    from vidcolor.inspect.report import FilmReport, PictureReport

Row = tuple[str, str]
Section = tuple[str, list[Row]]


def film_sections(report: FilmReport) -> list[Section]:
    """Return the sections about a film."""
    info = report.info
    sections = [
        (f"{info.path}: {info.container}, {decimal(info.bytes)}", list(_contents(info))),
        ("picture", list(_picture(info.picture))),
        ("timing", list(_timing(info.timing))),
        (f"as {report.plan.output}", list(_plan(report.plan))),
    ]
    if report.trial is not None:
        sections.append(("estimate", list(_trial(report.trial))))
    if report.trial_failed is not None:
        sections.append(("estimate", [("failed", report.trial_failed)]))
    return sections


def picture_sections(report: PictureReport) -> list[Section]:
    """Return the sections about a photograph."""
    info = report.info
    return [
        (f"{info.path}: {info.format}, {decimal(info.bytes)}", list(_picture_file(info))),
        (f"as {report.plan.output}", list(_plan(report.plan))),
    ]


def _contents(info: FilmInfo) -> Iterator[Row]:
    for stream in info.streams:
        yield f"stream {stream.index}", _stream(stream)
    if info.chapters:
        yield "chapters", str(info.chapters)


def _stream(stream: StreamInfo) -> str:
    language = None if stream.language == "und" else stream.language
    title = f"“{stream.title}”" if stream.title else None
    colored = "this one is colored" if stream.colored else None
    return ", ".join(filter(None, (stream.kind, stream.codec, language, title, colored)))


def _picture(picture: PictureInfo) -> Iterator[Row]:
    shape = picture.sample_aspect_ratio
    pixels = f", pixels {shape.numerator}:{shape.denominator}" if shape not in (None, 1) else ""
    yield "size", f"{picture.width}×{picture.height}{pixels}"
    if picture.rotation:
        yield "rotation", f"to be shown turned by {picture.rotation}° counter-clockwise"
    assumed = " (assumed)" if picture.range_is_assumed else ""
    yield "format", f"{picture.pixel_format}, {picture.bit_depth} bits, {picture.range} range{assumed}"
    colors = {"matrix": picture.matrix, "primaries": picture.primaries, "transfer": picture.transfer}
    yield "colors", ", ".join(f"{name} {value or 'not said'}" for name, value in colors.items())
    yield "scan", "interlaced and progressive frames" if picture.scan == "mixed" else picture.scan


def _timing(timing: Timing) -> Iterator[Row]:
    if timing.duration_seconds is not None:
        start = f", starts at {timing.start_seconds:.3f} s" if timing.start_seconds else ""
        yield "duration", f"{_clock(timing.duration_seconds)}{start}"
    if timing.frame_rate is not None:
        rate = f"{float(timing.frame_rate):.6g} frames a second"
        yield "rate", rate + {True: ", constant", False: " on average, varying", None: ""}[timing.constant_rate]
    if timing.frames is not None:
        yield "frames", f"{timing.frames} ({timing.counting})"
    yield "time base", f"{timing.time_base} s"


def _plan(plan: Rehearsal) -> Iterator[Row]:
    if plan.refused is not None:
        yield "refused", plan.refused
    for kind in get_args(OutcomeKind):
        label = kind
        for outcome in plan.outcomes:
            if outcome.kind == kind:
                yield label, f"{outcome.what}: {outcome.why}" if kind == "kept" else outcome.why
                label = ""
    reasons = {outcome.why for outcome in plan.outcomes}
    yield from _listed("warning", (line for line in plan.warnings if line not in reasons))


def _listed(label: str, lines: Iterable[str]) -> Iterator[Row]:
    """Yield a row for each line, the first one with a label."""
    for line in lines:
        yield label, line
        label = ""


def _trial(trial: Estimate) -> Iterator[Row]:
    pieces = "one piece" if trial.pieces == 1 else f"{trial.pieces} pieces"
    yield "tried", f"{trial.frames} frames, {'the whole film' if trial.whole_film else f'in {pieces}'}"
    speed = f"{1 / trial.seconds_per_frame:.3g} frames a second"
    time = "length unknown" if trial.estimated_seconds is None else f"about {_clock(round(trial.estimated_seconds))}"
    yield "time", f"{time}, at {speed}"
    size = "length unknown" if trial.estimated_bytes is None else f"about {decimal(trial.estimated_bytes)}"
    yield "size", f"{size}, {decimal(round(trial.bytes_per_frame))} a frame"
    yield "shots", _shots(trial)
    yield from _listed("warning", trial.warnings)


def _shots(trial: Estimate) -> str:
    if trial.estimated_shots is None:
        return f"unknown: no cut in the {trial.frames} frames tried"
    return str(trial.estimated_shots) if trial.whole_film else f"about {trial.estimated_shots}"


def _picture_file(info: PictureFileInfo) -> Iterator[Row]:
    turned = "" if info.orientation == 1 else f", turned upright (EXIF orientation {info.orientation})"
    pages = f", the first of {info.pages} pages" if info.pages > 1 else ""
    yield "size", f"{info.width}×{info.height}{turned}{pages}"
    yield "format", f"{info.mode}, {info.bit_depth} bits, {'with' if info.alpha else 'without'} transparency"
    yield "profile", info.profile or "none, taken as sRGB"
    yield "EXIF", f"{info.exif_tags} tags" if info.exif_tags else "none"
    if info.dpi:
        yield "dpi", f"{info.dpi[0]:g}×{info.dpi[1]:g}"


def _clock(seconds: float) -> str:
    """``0:01:02`` or ``0:01:02.480``."""
    return str(timedelta(milliseconds=round(seconds * 1000))).removesuffix("000")
