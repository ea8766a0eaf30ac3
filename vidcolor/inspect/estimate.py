"""Estimate how long a film takes and how large its output gets, by coloring a few short pieces of it.

The pieces go through the pipeline that colors films, into a temporary file. A film that is no longer than the pieces is
colored as a whole.

Time is wall-clock time without loading the network (:mod:`vidcolor.inspect.time_estimate`).

Size is the size of the pictures' packets and of the other streams' packets, per frame. Keyframes are much larger than
other frames and more frequent in short pieces than in a film. So they are weighted by how often encoders set them
(:data:`KEY_FRAME_INTERVAL`), or by how many there are inside the pieces, if that is more. Pieces begin at keyframes of
the source, often just after a cut, where pictures need more bits than elsewhere: for six clips the estimates were
between a sixth too small and a third too large.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Disposition
from av.video.stream import VideoStream

from vidcolor.color.luma import quarter_turns, stored_render_size
from vidcolor.film_run import FilmRun, film_sizes
from vidcolor.frames import ChromaFormat, VideoSpec
from vidcolor.inference.colorizer import Predictor
from vidcolor.inference.multi_device import predictors_of
from vidcolor.inference.threads import available_cores
from vidcolor.inspect.film import Timing
from vidcolor.inspect.time_estimate import estimate_seconds
from vidcolor.media.demuxing import end_of, packets_of
from vidcolor.media.destinations import FileDestination
from vidcolor.media.hwaccel import open_on_device
from vidcolor.media.items import Jump
from vidcolor.media.probe import choose_video, open_film
from vidcolor.media.rates import frame_rate_of
from vidcolor.media.reader import VideoReader
from vidcolor.media.sources import FileSource
from vidcolor.media.writer import VideoWriter
from vidcolor.motion.scene_list import SceneFile
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import color_pictures
from vidcolor.progress import Progress
from vidcolor.render import render

PIECES = 3
PIECE_SECONDS = 1.5  # of the film
PIECE_FRAMES = 48  # at most, at high frame rates
MIN_FRAMES = 8  # of each piece, even if its time is over
TRIAL_SECONDS = 15.0  # of wall-clock time for all pieces
KEY_FRAME_INTERVAL = 250  # frames: the default of x264 and x265, and of FFmpeg for many others


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What was measured, and the estimates for the whole film; None: unknown."""

    frames: int
    """The number of frames that were colored."""
    pieces: int
    whole_film: bool
    """Whether all frames of the film were colored, so that nothing is extrapolated."""
    seconds_per_frame: float
    bytes_per_frame: float
    """The size of everything in the output that grows with the length of the film."""
    estimated_seconds: float | None
    estimated_bytes: int | None
    estimated_shots: int | None
    """None also if there is no cut in the pieces, because a film may have cuts all the same."""
    warnings: tuple[str, ...]
    """What was found in these frames: shots that keep their colors, and in a whole film everything that changes."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes in bytes of the parts of an output, without the overhead of the container."""

    keys: tuple[int, ...]
    """The size of each keyframe."""
    others: tuple[int, ...]
    """The size of each other picture."""
    natural_keys: int
    """The number of keyframes that do not begin a piece."""
    copied: int
    """The size of all packets of other streams."""
    once: int
    """The size of cover pictures and attachments, which does not grow with the film."""

    def per_frame(self, pieces: int) -> float:
        """Return the average size of a frame with the packets of other streams, in a whole film."""
        frames = len(self.keys) + len(self.others)
        if not self.others:
            picture = sum(self.keys) / frames
        else:
            share = max(self.natural_keys / (frames - pieces), 1 / KEY_FRAME_INTERVAL) if frames > pieces else 1.0
            picture = share * fmean(self.keys) + (1 - share) * fmean(self.others)
        return picture + self.copied / frames


class Excerpts(FileSource):
    """Short pieces of a film in a file, spread over it, as one source of packets.

    Each piece begins at a keyframe: the first at the beginning of the film, others at the one before their place, or at
    the one after it if the one before has been read already. If there is none, there are no further pieces.

    Args:
        path: the file.
        timing: its length and frame rate.
        accelerator: hardware that decodes the film.
    """

    def __init__(self, path: Path, timing: Timing, accelerator: HWAccel | None = None) -> None:
        super().__init__(path, accelerator)
        self.reaches_end = False
        """Whether the packets up to the end of the film were read."""
        self._timing = timing
        self._piece_seconds = TRIAL_SECONDS
        self._deadline = inf
        self._latest: float = -inf
        """The time of the latest picture that was read."""

    def start_clock(self) -> None:
        """Limit the wall-clock time of the first piece from now on; later pieces start the clock themselves."""
        self._deadline = time.perf_counter() + self._piece_seconds

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any] | Jump]:
        """Yield the packets of all streams in each piece, with a :class:`Jump` between two pieces."""
        starts, length = spread(self._timing, stream)
        self._piece_seconds = TRIAL_SECONDS / (1 + len(starts))
        yield from self._piece(packets_of(container), stream, length)
        for start in starts:
            packets = None if self.reaches_end else self._from_keyframe(container, stream, start)
            if packets is None:
                return
            yield Jump()
            self.start_clock()
            yield from self._piece(packets, stream, length)

    def _from_keyframe(
        self, container: InputContainer, stream: VideoStream, start: int
    ) -> Iterator[Packet[Any]] | None:
        """Return the packets from a keyframe on that has not been read yet; None if there is none."""
        for backward in (True, False):
            try:
                container.seek(start, stream=stream, backward=backward)
            except av.FFmpegError:
                continue
            packets = packets_of(container)
            head = []
            for packet in packets:
                head.append(packet)
                if packet.stream.index == stream.index:
                    break
            if head and _time_of(head[-1]) > self._latest:
                return chain(head, packets)
        return None

    def _piece(self, packets: Iterator[Packet[Any]], stream: VideoStream, length: int) -> Iterator[Packet[Any]]:
        """Yield packets until there are ``length`` frames, or fewer when the time is over; flush the decoder then."""
        frames = 0
        for packet in packets:
            if packet.stream.index == stream.index:
                self._latest = max(self._latest, _time_of(packet))
            yield packet
            frames += packet.stream.index == stream.index and packet.size > 0 and not packet.is_discard
            if frames >= length or (frames >= MIN_FRAMES and time.perf_counter() > self._deadline):
                yield end_of(stream)
                return
        self.reaches_end = True


def _time_of(packet: Packet[Any]) -> float:
    """Return when a packet is shown, in units of its stream; minus infinity if it has no time."""
    time_of_showing = packet.dts if packet.pts is None else packet.pts
    return -inf if time_of_showing is None else time_of_showing


def spread(timing: Timing, stream: VideoStream) -> tuple[list[int], int]:
    """Return where the pieces after the first begin, in units of the stream's time base, and the frames of each piece.

    A film that is no longer than all pieces, or of unknown length, gets one long piece.
    """
    assert stream.time_base is not None  # choose_video
    rate = float(frame_rate_of(stream) or PIECE_FRAMES / PIECE_SECONDS)
    length = max(MIN_FRAMES, min(round(PIECE_SECONDS * rate), PIECE_FRAMES))
    if timing.duration_seconds is None or timing.frames is None or timing.frames <= PIECES * length:
        return [], PIECES * length + 1  # one more than there are, so that the end is reached
    begin = timing.start_seconds or 0.0
    seconds = [begin + timing.duration_seconds * piece / PIECES for piece in range(1, PIECES)]
    return [round(second / stream.time_base) for second in seconds], length


def estimate_film(
    path: Path, timing: Timing, suffix: str, *, colorizer: Predictor, options: ColorizeOptions
) -> Estimate:
    """Color pieces of a film into a temporary file, and estimate time and size for the whole film.

    Args:
        path: the film.
        timing: its length and frame rate.
        suffix: the suffix of the output, which selects the container.
        colorizer: the network, or anything that predicts colors.
        options: how the film is colored and encoded.

    Raises:
        VidcolorError: these pieces cannot be colored.
    """

    def read(accelerator: HWAccel | None) -> VideoReader:
        excerpts = Excerpts(path, timing, accelerator)
        return VideoReader(
            excerpts,
            deinterlace=options.deinterlace,
            on_error=options.on_error,
            accelerator=accelerator,
            keep_start=options.keep_start,
        )

    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        output = Path(folder) / f"pieces{suffix}"
        with (
            open_on_device(read, options.hwaccel) as reader,
            VideoWriter(FileDestination(output, overwrite=False), reader=reader, options=options.encode) as writer,
        ):
            excerpts = reader.source
            assert isinstance(excerpts, Excerpts)
            warm_up(colorizer, reader.spec, writer.chroma, options)
            cuts = _Cuts()
            excerpts.start_clock()
            run = FilmRun(cuts.note)
            color_pictures(reader, writer, colorizer=colorizer, options=options, scenes=SceneFile(None), run=run)
        sizes_of_pictures = film_sizes(reader.spec, writer.chroma, reader.picture_bytes, options.render_size)
        result = run.report(sizes_of_pictures, writer.bytes_written, warnings=(), errors=())
        frames = result.frames
        firsts = [0, *(jump for jump in reader.jumps if jump < frames)]
        sizes = measure(output, firsts)
        output_bytes = output.stat().st_size
        found = (*reader.warnings, *reader.errors, *writer.warnings)
        kept = run.kept_colors(options.keep_color)
    pieces = len(firsts)
    whole_film = pieces == 1 and excerpts.reaches_end
    total = frames if whole_film else timing.frames
    inside = cuts.inside(firsts)
    shots = estimate_shots(inside, pieces, frames, total, whole_film=whole_film)
    seconds = result.seconds
    if not whole_film and total is not None:
        openings = pieces + inside
        seconds = estimate_seconds(result, openings=openings, frames=total, shots=shots or 1, cores=available_cores())
    per_frame = sizes.per_frame(pieces)
    estimated_bytes = output_bytes if whole_film else total and round(sizes.once + total * per_frame)
    return Estimate(
        frames=frames,
        pieces=pieces,
        whole_film=whole_film,
        seconds_per_frame=result.seconds / frames if total is None else seconds / total,
        bytes_per_frame=per_frame,
        estimated_seconds=None if total is None else seconds,
        estimated_bytes=estimated_bytes,
        estimated_shots=shots,
        # Pieces are cut out of the film: what is said about their edges does not hold for the film.
        warnings=(*found, *kept) if whole_film else tuple(f"in the frames tried, {line}" for line in kept),
    )


def warm_up(colorizer: Predictor, spec: VideoSpec, chroma: ChromaFormat, options: ColorizeOptions) -> None:
    """Run the network once and compute the color tables, which would delay the first frame only."""
    render(iter(()), spec, chroma, saturation=options.saturation)
    width, height = stored_render_size(spec, options.render_size)
    shape = (height, width) if quarter_turns(spec) % 2 == 0 else (width, height)
    for predictor in predictors_of(colorizer):
        predictor.predict(np.zeros((colorizer.batch_size, *shape), np.float32))


class _Cuts:
    """The numbers of the frames that begin a shot, collected from the progress of a run."""

    def __init__(self) -> None:
        self._openings: list[int] = []
        self._shots = 0

    def note(self, progress: Progress) -> None:
        """Add the latest frame, if it begins a shot."""
        if progress.shots > self._shots:
            self._openings.append(progress.frames - 1)
            self._shots = progress.shots

    def inside(self, firsts: list[int]) -> int:
        """Return how many there are without the ``firsts``, the first frames of the pieces."""
        return len(set(self._openings) - set(firsts))


def estimate_shots(cuts: int, pieces: int, frames: int, total: int | None, *, whole_film: bool) -> int | None:
    """Estimate the number of shots in a film.

    Args:
        cuts: the number of cuts inside the pieces.
        pieces: the number of pieces.
        frames: the number of frames in all pieces.
        total: the number of frames in the film; None: unknown.
        whole_film: whether the pieces are the whole film.
    """
    if whole_film:
        return cuts + 1
    if not cuts or total is None:
        return None
    return 1 + round((total - 1) * cuts / (frames - pieces))


def measure(output: Path, firsts: list[int]) -> Sizes:
    """Return the sizes of the parts of an output; ``firsts`` are the numbers of the frames that begin a piece."""
    pictures: list[tuple[int, int, bool]] = []
    copied = covers = 0
    with open_film(output) as container:
        stream = choose_video(container, output)
        for packet in packets_of(container):
            if packet.stream_index == stream.index and packet.size:
                pictures.append((packet.pts or 0, packet.size, packet.is_keyframe))
            elif packet.stream.disposition & Disposition.attached_pic:
                covers += packet.size
            else:
                copied += packet.size
        attached = sum(len(stream.data) for stream in container.streams if isinstance(stream, AttachmentStream))
    return Sizes(
        keys=tuple(size for _, size, is_key in pictures if is_key),
        others=tuple(size for _, size, is_key in pictures if not is_key),
        natural_keys=sum(is_key and rank not in firsts for rank, (_, _, is_key) in enumerate(sorted(pictures))),
        copied=copied,
        once=covers + attached,
    )
