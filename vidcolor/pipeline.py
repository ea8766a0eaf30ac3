"""The film in one screen: decode → shots → generator → temporal → render → encode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from vidcolor.color.luma import quarter_turns, shrink, stored_render_size
from vidcolor.frames import ChromaFormat, FloatArray, Frame, VideoSpec
from vidcolor.inference.colorizer import Predictor, largest_render_size
from vidcolor.inference.multi_device import in_turn, members_of, predict_any, workers_of
from vidcolor.inference.threads import shared_with_encoder
from vidcolor.media.destinations import FilmOutput
from vidcolor.media.hwaccel import read_film
from vidcolor.media.image_sequence import PicturePattern
from vidcolor.media.image_sequence_writer import SequenceWriter
from vidcolor.media.pipes import PipeInput, PipeOutput
from vidcolor.media.reader import VideoReader
from vidcolor.media.sources import FilmInput
from vidcolor.media.writer import VideoWriter
from vidcolor.motion.anchors import mark_anchors
from vidcolor.motion.duplicates import expand_duplicates, merge_duplicates
from vidcolor.motion.propagation import smooth_and_propagate
from vidcolor.motion.scene_list import SceneFile, ShotList
from vidcolor.motion.shots import mark_cuts
from vidcolor.options import ColorizeOptions
from vidcolor.progress import FilmSizes, OnProgress, Progress, Report, StageTime
from vidcolor.render import render
from vidcolor.resume.identity import Identity
from vidcolor.resume.segment_writer import SegmentWriter
from vidcolor.resume.segments import NOTHING, Finished, mark_segments
from vidcolor.resume.unfinished import check_resumable
from vidcolor.stages import Stage, StageClock

T = TypeVar("T")
Writer = VideoWriter | SegmentWriter | SequenceWriter

QUEUE_DEPTH = 4  # frames between two stages: enough to ride out an uneven step, little enough to keep at any size


def colorize_video(
    source: FilmInput,
    dest: FilmOutput,
    *,
    colorizer: Predictor,
    options: ColorizeOptions,
    on_progress: OnProgress | None = None,
) -> Report:
    """Color a film. The luma, the timestamps and all other streams of ``source`` go to ``dest`` as they are.

    Either may be the path of a file, a pipe (:mod:`vidcolor.media.pipes`) or numbered pictures
    (:mod:`vidcolor.media.image_sequence`).
    Memory depends on the picture's size and on the options, not on the film's length.

    Raises:
        VidcolorError: see :mod:`vidcolor.errors`. What is finished of a file ``dest`` is kept then, as after any other
            exception, and a note on the exception says so; where nothing is, nothing is left.
    """
    began = time.perf_counter()
    scenes = SceneFile(options.scenes)
    with open_reader(source, options) as reader:
        options, fitted = fit_render_size(options, colorizer, reader.spec)
        with open_writer(source, dest, like=reader, colorizer=colorizer, options=options, scenes=scenes) as writer:
            colored = color_pictures(
                reader,
                writer,
                colorizer=colorizer,
                options=options,
                scenes=scenes,
                on_progress=on_progress,
                began=began,
            )
    notes = scenes.finish(colored.starts)
    return Report(
        frames=colored.frames,
        frames_before=finished_in(writer).frames,
        anchors=colored.anchors,
        shots=len(colored.starts),
        seconds=time.perf_counter() - began,
        first_frame_seconds=colored.first_frame_seconds,
        last_frame_seconds=colored.last_frame_seconds,
        stages=colored.stages,
        sizes=sizes_of(reader, writer.chroma, options.render_size),
        output_bytes=writer.bytes_written,
        warnings=tuple(
            dict.fromkeys((*finished_in(writer).warnings, *reader.warnings, *writer.warnings, *fitted, *notes))
        ),
        errors=tuple(dict.fromkeys((*finished_in(writer).errors, *(reader.damage.lines if reader.damage else ())))),
    )


@dataclass(frozen=True, kw_only=True)
class Colored:
    """What came of the pictures of a film; the fields without a word are those of :class:`Report`."""

    frames: int
    starts: list[Fraction]
    """When each shot begins, in seconds from the first picture."""
    anchors: int
    first_frame_seconds: float | None
    last_frame_seconds: float
    stages: tuple[StageTime, ...]


def color_pictures(
    reader: VideoReader,
    writer: Writer,
    *,
    colorizer: Predictor,
    options: ColorizeOptions,
    scenes: SceneFile,
    on_progress: OnProgress | None,
    began: float,
) -> Colored:
    """Everything between an open film and an open output.

    ``began`` is the ``time.perf_counter`` from which seconds count.
    """
    clocks: list[StageClock] = []
    with ExitStack() as running:
        running.enter_context(shared_with_encoder())

        def stage(name: str, frames: Iterator[T]) -> Iterator[T]:
            started = running.enter_context(Stage(name, frames, depth=QUEUE_DEPTH))
            running.callback(reader.interrupt)  # before a stage is closed: one of them may wait for a pipe
            clocks.append(started.clock)
            return started

        done = finished_in(writer)
        unsettled = islice(reader.pictures(), done.settled, None) if not done.is_whole else iter(())
        pictures = shrink(unsettled, reader.spec, options.render_size)
        shots = scenes.shots(reader.spec.time_base, reader.first.pts)
        colored = color_frames(pictures, colorizer=colorizer, options=options, stage=stage, shots=shots)
        new = islice(colored, done.frames - done.settled, None)
        rendered = stage("render", render(new, reader.spec, writer.chroma, saturation=options.saturation))
        encode = StageClock("encode")
        clocks.append(encode)
        number, starts, anchors = done.frames, list(done.starts), 0
        first_frame_seconds: float | None = None
        for number, (frame, cb, cr) in enumerate(rendered, start=done.frames + 1):
            started, cpu_started = time.perf_counter(), time.thread_time()
            if isinstance(writer, SegmentWriter):
                writer.turn_to(frame)
            writer.write(frame.picture, cb, cr)
            encode.busy_seconds += time.perf_counter() - started
            encode.cpu_seconds += time.thread_time() - cpu_started
            anchors += frame.is_anchor
            if first_frame_seconds is None:
                first_frame_seconds = time.perf_counter() - began
            if frame.opens_shot:
                starts.append(frame.picture.pts)
            if on_progress is not None:
                on_progress(
                    Progress(
                        frames=number,
                        frames_before=done.frames,
                        total_frames=reader.spec.estimated_frames,
                        shots=len(starts),
                        seconds=time.perf_counter() - began,
                        bottleneck=max(clocks, key=lambda clock: clock.busy_seconds).name,
                    )
                )
        last_frame_seconds = time.perf_counter() - began
    return Colored(
        frames=number,
        starts=[(start - reader.first.pts) * reader.spec.time_base for start in starts],
        anchors=anchors,
        first_frame_seconds=first_frame_seconds,
        last_frame_seconds=last_frame_seconds,
        stages=tuple(StageTime(clock.name, clock.busy_seconds, clock.cpu_seconds) for clock in clocks),
    )


def sizes_of(reader: VideoReader, chroma: ChromaFormat, render_size: int) -> FilmSizes:
    """How much there is in every picture of this film, on its way to an encoder that wants ``chroma``."""
    width, height = stored_render_size(reader.spec, render_size)
    return FilmSizes(
        picture_bytes=reader.picture_bytes,
        luma=(reader.spec.width, reader.spec.height),
        luma_depth=reader.spec.bit_depth,
        chroma=(chroma.width, chroma.height),
        encoded_depth=chroma.bit_depth,
        grey=(height, width) if quarter_turns(reader.spec) % 2 else (width, height),
    )


def fit_render_size(
    options: ColorizeOptions, colorizer: Predictor, spec: VideoSpec
) -> tuple[ColorizeOptions, tuple[str, ...]]:
    """The options with a render size that memory holds, if that is asked for, and a line where it is not the wanted."""
    if not options.fit_render_size:
        return options, ()
    width, height = stored_render_size(spec, options.render_size)
    wanted = min(width, height)
    size = wanted
    for member in members_of(colorizer):
        size = largest_render_size(member, size, width / height)
    if size == wanted:
        return options, ()
    line = f"the network sees the film with a short side of {size} pixels instead of {wanted}: memory holds no more"
    return replace(options, render_size=size), (line,)


def open_reader(film: FilmInput, options: ColorizeOptions) -> VideoReader:
    """Open a film. A pipe is waited for in another thread, because in what libav calls back Ctrl-C would be lost."""

    def read(film: FilmInput) -> VideoReader:
        by = partial(VideoReader, film, deinterlace=options.deinterlace, on_error=options.on_error)
        return read_film(lambda accelerator: by(accelerator=accelerator), options.hwaccel)

    if not isinstance(film, PipeInput):
        return read(film)
    with Stage("open", map(read, [film]), depth=1) as opening:
        try:
            return next(opening)
        except BaseException:
            film.interrupt()
            raise


def open_writer(
    source: FilmInput,
    dest: FilmOutput,
    *,
    like: VideoReader,
    colorizer: Predictor,
    options: ColorizeOptions,
    scenes: SceneFile,
) -> Writer:
    """What writes to this kind of place. A film in a file is kept as it grows, if its source can be read again."""
    if options.resume:
        check_resumable(source, dest)
    if isinstance(dest, PicturePattern):
        return SequenceWriter(dest, like=like, options=options.encode, overwrite=options.overwrite)
    if isinstance(dest, PipeOutput) or isinstance(source, PipeInput):
        return VideoWriter(dest, like=like, options=options.encode, overwrite=options.overwrite)
    identity = Identity.of(like.source.files, options, scenes=scenes.given, predictor=colorizer)
    return SegmentWriter(
        Path(dest),
        like=like,
        identity=identity,
        options=options.encode,
        resume=options.resume,
        overwrite=options.overwrite,
    )


def finished_in(writer: Writer) -> Finished:
    """What an earlier run has left."""
    return writer.finished if isinstance(writer, SegmentWriter) else NOTHING


def color_frames(
    pictures: Iterator[Frame],
    *,
    colorizer: Predictor,
    options: ColorizeOptions,
    stage: Callable[[str, Iterator[Frame]], Iterator[Frame]],
    shots: ShotList | None = None,
) -> Iterator[Frame]:
    """Give ab to every frame: shots → generator → temporal. ``stage`` is told the name of each, and drives it.

    ``shots``: where they begin, if that is known.
    """
    cut = mark_cuts(pictures) if shots is None else shots.apply(mark_cuts(pictures))
    segments = mark_segments(cut)
    distinct = merge_duplicates(segments) if options.anchor_spacing is None else segments
    frames = stage("decode", mark_anchors(distinct, options.anchor_spacing))
    colored = stage("generator", colorize_anchors(frames, colorizer))
    return stage("temporal", expand_duplicates(smooth_and_propagate(colored, strength=options.smoothing)))


def colorize_anchors(frames: Iterator[Frame], colorizer: Predictor) -> Iterator[Frame]:
    """Ask the network for the anchors among ``frames``, a batch at a time; the others pass through, in order."""
    for batch, ab in in_turn(anchor_batches(frames, colorizer), workers_of(colorizer), ask=predict_any):
        colors = iter(ab)
        for frame in batch:
            yield replace(frame, ab=next(colors)) if frame.is_anchor else frame


def anchor_batches(frames: Iterator[Frame], colorizer: Predictor) -> Iterator[tuple[list[Frame], FloatArray]]:
    """All ``frames``, in batches for the network, and the grey of the anchors in each: (N, h, w).

    A segment that begins with a shot begins a batch: it gets the same batches whether there are frames before or not,
    and so the same colors, to the last bit.
    """
    waiting: list[Frame] = []
    anchors: list[FloatArray] = []

    def batch() -> tuple[list[Frame], FloatArray]:
        return waiting, np.stack(anchors) if anchors else np.empty((0, *waiting[0].grey.shape), np.float32)

    for frame in frames:
        if waiting and frame.opens_segment and frame.opens_shot:
            yield batch()
            waiting, anchors = [], []
        waiting.append(frame)
        if frame.is_anchor:
            anchors.append(frame.grey)
        if len(anchors) >= colorizer.batch_size:
            yield batch()
            waiting, anchors = [], []
    if waiting:
        yield batch()
