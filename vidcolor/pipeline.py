"""The film on one screen: decode → shots → generator → temporal → render → encode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from vidcolor.color.luma import shrink, stored_render_size
from vidcolor.color.luma_weights import luma_weights
from vidcolor.errors import InputError, OptionError
from vidcolor.film_run import FilmRun, film_sizes
from vidcolor.frames import Frame, Picture, Plane, VideoSpec
from vidcolor.generator import colorize_anchors
from vidcolor.inference.colorizer import Predictor, largest_render_size
from vidcolor.inference.multi_device import predictors_of
from vidcolor.inference.threads import limit_threads
from vidcolor.media.destinations import Destination, FilmOutput, NumberedDestination, PipeDestination, find_destination
from vidcolor.media.image_sequence_writer import SequenceWriter
from vidcolor.media.opening import open_reader
from vidcolor.media.pipes import PipeInput
from vidcolor.media.reader import VideoReader
from vidcolor.media.sources import FilmInput
from vidcolor.media.writer import VideoWriter
from vidcolor.motion.anchors import mark_anchors
from vidcolor.motion.borders import mark_borders, neutralize_borders
from vidcolor.motion.duplicates import expand_duplicates, merge_duplicates
from vidcolor.motion.own_colors import mark_own_colors
from vidcolor.motion.propagation import smooth_and_propagate
from vidcolor.motion.scene_list import SceneFile, ShotList
from vidcolor.motion.shots import mark_cuts
from vidcolor.options import ColorizeOptions, KeepColor
from vidcolor.progress import OnProgress, OnWarning, Report
from vidcolor.render import render
from vidcolor.resume.identity import Identity
from vidcolor.resume.segment_writer import SegmentWriter
from vidcolor.resume.segments import NOTHING, Finished, mark_segments
from vidcolor.resume.work_folder import WorkFolder
from vidcolor.stages import Stages

Writer = VideoWriter | SegmentWriter | SequenceWriter

QUEUE_DEPTH = 4  # frames between two stages: evens out steps of different length, and fits into memory at any size


def colorize_video(
    source: FilmInput,
    dest: FilmOutput,
    *,
    colorizer: Predictor,
    options: ColorizeOptions = ColorizeOptions(),
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
) -> Report:
    """Color a film. The luma, the timestamps and all other streams of ``source`` go to ``dest`` as they are.

    Memory depends on the picture's size and on the options, not on the film's length.

    Args:
        source: a file, a pipe (:mod:`vidcolor.media.pipes`), numbered pictures (:mod:`vidcolor.media.image_sequence`).
        dest: likewise.
        colorizer: the network, or anything that predicts colors.
        options: how the film is colored and encoded.
        on_progress: called after every written frame.
        on_warning: called before the first picture is colored, for each loss that is known by then; later for shots
            that keep the colors that they have.

    Raises:
        VidcolorError: see :mod:`vidcolor.errors`. After this and any other exception: if ``dest`` is a file, finished
            segments are kept for ``resume``, and a note on the exception says so. If none is finished, nothing is left
            behind.
    """
    destination = find_destination(dest, source, overwrite=options.overwrite, resume=options.resume)
    return color_film(
        source, destination, colorizer=colorizer, options=options, on_progress=on_progress, on_warning=on_warning
    )


def color_film(
    source: FilmInput | VideoReader,
    destination: Destination,
    *,
    colorizer: Predictor,
    options: ColorizeOptions,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
) -> Report:
    """Color a film as :func:`colorize_video` does, to a destination that has been checked.

    A ``source`` that is open already is closed at the end.
    """
    if options.negative:
        raise OptionError("`negative`: is for photographs; make the film positive first (ffmpeg -vf negate)")
    run = FilmRun(on_progress, on_warning)
    scenes = SceneFile(options.scenes)
    with opened(source, options) as reader:
        check_matrix(reader)
        options, fitted = reduce_render_size(options, colorizer, reader.spec)
        with open_writer(destination, reader=reader, colorizer=colorizer, options=options, scenes=scenes) as writer:
            tell((*finished_in(writer).warnings, *reader.warnings, *writer.warnings, *fitted), on_warning)
            color_pictures(reader, writer, colorizer=colorizer, options=options, scenes=scenes, run=run)
    notes = scenes.finish([(pts - reader.first.pts) * reader.spec.time_base for pts in run.shot_starts])
    kept = run.kept_colors(options.keep_color)
    return run.report(
        film_sizes(reader.spec, writer.chroma, reader.picture_bytes, options.render_size),
        writer.bytes_written,
        warnings=(*reader.warnings, *writer.warnings, *fitted, *notes, *kept),
        errors=(*reader.errors, *writer.errors),
    )


def color_pictures(
    reader: VideoReader,
    writer: Writer,
    *,
    colorizer: Predictor,
    options: ColorizeOptions,
    scenes: SceneFile,
    run: FilmRun,
) -> None:
    """Color those pictures of an open film that no earlier run has encoded, and write them to an open output."""
    run.start(finished_in(writer), reader.first, reader.spec.time_base)
    with limit_threads(), Stages(depth=QUEUE_DEPTH, interrupt=reader.interrupt) as stages:
        pictures = shrink(pictures_to_color(reader, run.before), reader.spec, options.render_size)
        shots = scenes.shots(reader.spec.time_base, reader.first.pts)
        colored = color_frames(
            mark_shots(pictures, reader.spec, options.keep_color, shots),
            colorizer,
            options.smoothing,
            options.anchor_spacing,
            stage=stages.start,
        )
        # The first of them are encoded already: they are colored again only to warm up the moving averages.
        new = islice(colored, run.before.frames - run.before.settled, None)
        rendered = stages.start("render", render(new, reader.spec, writer.chroma, saturation=options.saturation))
        for frame in stages.run_here("encode", encode(rendered, writer)):
            run.count(frame, stages, reader.spec.estimated_frames)
        run.end(stages)


def mark_shots(
    pictures: Iterator[Frame], spec: VideoSpec, keep_color: KeepColor, shots: ShotList | None
) -> Iterator[Frame]:
    """Mark where shots begin, and which of them keep the colors that they have.

    Args:
        pictures: grey, at render size.
        spec: of the film.
        keep_color: as in :class:`ColorizeOptions`.
        shots: where shots begin, if that is known.
    """
    if shots is None:
        return mark_own_colors(mark_cuts(pictures), keep_color, spec)
    return mark_own_colors(shots.apply(mark_cuts(pictures)), keep_color, spec, may_divide=False)


def color_frames(
    shots: Iterator[Frame],
    colorizer: Predictor,
    smoothing: float,
    anchor_spacing: int | None,
    *,
    stage: Callable[[str, Iterator[Frame]], Iterator[Frame]],
) -> Iterator[Frame]:
    """Set ab on every frame: generator → temporal.

    Args:
        shots: the frames, at render size, with the marks of :func:`mark_shots`.
        colorizer: called for batches of anchors.
        smoothing: as in :class:`ColorizeOptions`.
        anchor_spacing: likewise.
        stage: called with each stage's name and its frames; returns the frames, for instance ahead in a thread.
    """
    with_segments = mark_segments(mark_borders(shots))
    merged = merge_duplicates(with_segments) if anchor_spacing is None else with_segments
    frames = stage("decode", mark_anchors(merged, anchor_spacing))
    colored = stage("generator", colorize_anchors(frames, colorizer))
    steady = neutralize_borders(smooth_and_propagate(colored, strength=smoothing))
    return stage("temporal", expand_duplicates(steady))


def encode(rendered: Iterator[tuple[Frame, Plane, Plane]], writer: Writer) -> Iterator[Frame]:
    """Write every frame with its Cb and Cr planes; yields it once it is written."""
    for frame, cb, cr in rendered:
        if isinstance(writer, SegmentWriter):
            writer.start_frame(frame)
        writer.write(frame.picture, cb, cr)
        yield frame


def pictures_to_color(reader: VideoReader, done: Finished) -> Iterator[Picture]:
    """Return the pictures from which coloring starts: all, or those from the last unfinished shot on.

    There are none where all are encoded already.
    """
    return iter(()) if done.is_whole else islice(reader.pictures(), done.settled, None)


def check_matrix(reader: VideoReader) -> None:
    """Raise InputError if the film's matrix is not one of R'G'B' weights, before anything is written."""
    try:
        luma_weights(reader.spec)
    except InputError as exc:
        raise InputError(f"{reader.source.name}: {exc}") from exc


def tell(warnings: Iterable[str], on_warning: OnWarning | None) -> None:
    """Pass on each of the warnings once."""
    for line in dict.fromkeys(warnings):
        if on_warning is not None:
            on_warning(line)


def finished_in(writer: Writer) -> Finished:
    """Return what an earlier run has finished."""
    return writer.finished if isinstance(writer, SegmentWriter) else NOTHING


def reduce_render_size(
    options: ColorizeOptions, colorizer: Predictor, spec: VideoSpec
) -> tuple[ColorizeOptions, tuple[str, ...]]:
    """Reduce ``options.render_size`` to what memory holds, with ``options.fit_render_size``.

    Returns:
        the options, and a warning where the size is smaller than the one asked for.
    """
    if not options.fit_render_size:
        return options, ()
    width, height = stored_render_size(spec, options.render_size)
    wanted = min(width, height)
    size = wanted
    for predictor in predictors_of(colorizer):
        size = largest_render_size(predictor, size, width / height)
    if size == wanted:
        return options, ()
    line = f"the network sees the film with a short side of {size} pixels instead of {wanted}: memory holds no more"
    return replace(options, render_size=size), (line,)


def opened(source: FilmInput | VideoReader, options: ColorizeOptions) -> VideoReader:
    """Open a film that is not open yet."""
    if isinstance(source, VideoReader):
        return source
    return open_reader(source, options)


def open_writer(
    destination: Destination,
    *,
    reader: VideoReader,
    colorizer: Predictor,
    options: ColorizeOptions,
    scenes: SceneFile,
) -> Writer:
    """Open the output. A film that goes from file to file is written in segments, so that it can be resumed."""
    if isinstance(destination, NumberedDestination):
        return SequenceWriter(destination, reader=reader, options=options.encode)
    if isinstance(destination, PipeDestination) or isinstance(reader.film, PipeInput):
        return VideoWriter(destination, reader=reader, options=options.encode)
    identity = Identity.of(reader.source.files, options, scenes=scenes.given, predictor=colorizer)
    work = WorkFolder(destination, identity, resume=options.resume)
    return SegmentWriter(work, reader=reader, options=options.encode)
