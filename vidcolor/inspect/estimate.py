"""How long a film will take and how large it will get, from coloring a few short pieces of it.

The pieces go through the very pipeline that colors films, into a file in the user's temporary folder. A film that is
no longer than the pieces is tried as a whole.

Time: seconds of wall-clock per frame, the whole way, without loading the network. It errs on the slow side: filling and
emptying the pipeline counts more in a short run. Size: the picture's packets and the other streams' packets, by the
frame. Key frames are many times larger than others and more frequent in short pieces than in a film, so they are
weighed by how often encoders set them (:data:`KEY_FRAME_INTERVAL`) and by those that the pieces have inside. Pieces
begin at key frames of the source, often just behind a cut, where pictures cost more than elsewhere: of six clips the
sizes came out between a sixth too small and a third too large.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
from vidcolor.film_run import FilmRun
from vidcolor.frames import ChromaFormat, VideoSpec
from vidcolor.inference.colorizer import Predictor
from vidcolor.inference.multi_device import predictors_of
from vidcolor.inspect.film import Timing
from vidcolor.media.demuxing import end_of
from vidcolor.media.hwaccel import open_on_device
from vidcolor.media.items import Jump
from vidcolor.media.probe import choose_video, open_film
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
PIECE_FRAMES = 48  # at most, for high frame rates
MIN_FRAMES = 8  # of a piece, however slow they are
TRIAL_SECONDS = 15.0  # of wall-clock, after which the pieces are cut short
KEY_FRAME_INTERVAL = 250  # frames: the default of x264, x265 and FFmpeg's habit for others


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What was measured, and what that makes of the whole film. ``None``: unknown."""

    frames: int
    """How many were tried."""
    pieces: int
    whole_film: bool
    """Nothing is extrapolated: all frames were tried."""
    seconds_per_frame: float
    bytes_per_frame: float
    """Of everything in the output that grows with the film's length."""
    estimated_seconds: float | None
    estimated_bytes: int | None
    estimated_shots: int | None
    """None also where no cut was seen in the pieces, which says little about a film."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a trial's output is made of, in bytes, without what the container needs for itself."""

    keys: tuple[int, ...]
    """Of each key frame."""
    others: tuple[int, ...]
    """Of each other picture."""
    natural_keys: int
    """How many key frames do not begin a piece."""
    copied: int
    """All packets of the other streams."""
    once: int
    """Cover pictures and attachments: as large in the whole film."""

    def per_frame(self, pieces: int) -> float:
        """What one more frame adds, on average over a film."""
        frames = len(self.keys) + len(self.others)
        if not self.others:
            picture = sum(self.keys) / frames
        else:
            share = max(self.natural_keys / (frames - pieces), 1 / KEY_FRAME_INTERVAL) if frames > pieces else 1.0
            picture = share * fmean(self.keys) + (1 - share) * fmean(self.others)
        return picture + self.copied / frames


class Excerpts(FileSource):
    """Short pieces of a film in a file, spread over it, as one source of packets.

    Each piece begins at a keyframe. The first is the beginning of the film. There are no more pieces where the film has
    no later keyframe.
    """

    def __init__(self, path: Path, timing: Timing, accelerator: HWAccel | None = None) -> None:
        super().__init__(path, accelerator)
        self.reaches_end = False
        """Whether the packets up to the end of the film were read."""
        self._timing = timing
        self._piece_seconds = TRIAL_SECONDS
        self._deadline = inf

    def start_clock(self) -> None:
        """Limit the wall-clock time of the first piece from now on; later pieces start the clock themselves."""
        self._deadline = time.perf_counter() + self._piece_seconds

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any] | Jump]:
        """Yield the packets of all streams in each piece, with a :class:`Jump` between two pieces."""
        starts, length = spread(self._timing, stream)
        self._piece_seconds = TRIAL_SECONDS / (1 + len(starts))
        yield from self._piece(container.demux(), stream, length)
        for start in starts:
            if self.reaches_end:
                return
            try:
                container.seek(start, stream=stream, backward=False)
            except av.FFmpegError:
                return  # there is no later keyframe
            yield Jump()
            self.start_clock()
            yield from self._piece(container.demux(), stream, length)

    def _piece(self, packets: Iterator[Packet[Any]], stream: VideoStream, length: int) -> Iterator[Packet[Any]]:
        """Yield packets until there are ``length`` frames, or fewer when the time is over; flush the decoder then."""
        frames = 0
        for packet in packets:
            yield packet
            frames += packet.stream.index == stream.index and packet.size > 0 and not packet.is_discard
            if frames >= length or (frames >= MIN_FRAMES and time.perf_counter() > self._deadline):
                yield end_of(stream)
                return
        self.reaches_end = True


def spread(timing: Timing, stream: VideoStream) -> tuple[list[int], int]:
    """Return where the pieces after the first begin, in units of the stream's time base, and the frames of each piece.

    A film that is no longer than all pieces, or of unknown length, gets one long piece.
    """
    assert stream.time_base is not None  # choose_video
    rate = float(stream.average_rate or stream.guessed_rate or PIECE_FRAMES / PIECE_SECONDS)
    length = max(MIN_FRAMES, min(round(PIECE_SECONDS * rate), PIECE_FRAMES))
    if timing.duration_seconds is None or timing.frames is None or timing.frames <= PIECES * length:
        return [], PIECES * length + 1  # one more than there are, so that the end is reached
    begin = timing.start_seconds or 0.0
    seconds = [begin + timing.duration_seconds * piece / PIECES for piece in range(1, PIECES)]
    return [round(second / stream.time_base) for second in seconds], length


def try_film(path: Path, timing: Timing, suffix: str, *, colorizer: Predictor, options: ColorizeOptions) -> Trial:
    """Color pieces of a film into a temporary file, and measure.

    Args:
        path: the film.
        timing: what is known of its length.
        suffix: of the output, which names the kind of file.

    Raises:
        VidcolorError: whatever coloring the film would raise in these pieces.
    """

    def read(accelerator: HWAccel | None) -> VideoReader:
        excerpts = Excerpts(path, timing, accelerator)
        return VideoReader(excerpts, deinterlace=options.deinterlace, accelerator=accelerator)

    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        output = Path(folder) / f"trial{suffix}"
        with (
            open_on_device(read, options.hwaccel) as reader,
            VideoWriter(output, like=reader, options=options.encode, overwrite=False) as writer,
        ):
            excerpts = reader.source
            assert isinstance(excerpts, Excerpts)
            warm_up(colorizer, reader.spec, writer.chroma, options)
            cuts = _Cuts()
            excerpts.start_clock()
            run = FilmRun(cuts.note)
            color_pictures(reader, writer, colorizer=colorizer, options=options, scenes=SceneFile(None), run=run)
        seconds, frames = run.seconds, run.frames  # with what the encoder held back
        firsts = [0, *(jump for jump in reader.jumps if jump < frames)]
        sizes = measure(output, firsts)
        output_bytes = output.stat().st_size
    pieces = len(firsts)
    whole_film = pieces == 1 and excerpts.reaches_end
    total = frames if whole_film else timing.frames
    per_frame = sizes.per_frame(pieces)
    estimated_bytes = output_bytes if whole_film else total and round(sizes.once + total * per_frame)
    return Trial(
        frames=frames,
        pieces=pieces,
        whole_film=whole_film,
        seconds_per_frame=seconds / frames,
        bytes_per_frame=per_frame,
        estimated_seconds=total and total * seconds / frames,
        estimated_bytes=estimated_bytes,
        estimated_shots=estimate_shots(cuts.inside(firsts), pieces, frames, total, whole_film=whole_film),
    )


def warm_up(colorizer: Predictor, spec: VideoSpec, chroma: ChromaFormat, options: ColorizeOptions) -> None:
    """Do once what only the first frame of a film has to wait for: ask the network, and tabulate the colors."""
    render(iter(()), spec, chroma, saturation=options.saturation)
    width, height = stored_render_size(spec, options.render_size)
    shape = (height, width) if quarter_turns(spec) % 2 == 0 else (width, height)
    for predictor in predictors_of(colorizer):
        predictor.predict(np.zeros((colorizer.batch_size, *shape), np.float32))


class _Cuts:
    """Listens to the progress for frames that open a shot."""

    def __init__(self) -> None:
        self._openings: list[int] = []
        self._shots = 0

    def note(self, progress: Progress) -> None:
        if progress.shots > self._shots:
            self._openings.append(progress.frames - 1)
            self._shots = progress.shots

    def inside(self, firsts: list[int]) -> int:
        """How many, without those at the seams of the pieces."""
        return len(set(self._openings) - set(firsts))


def estimate_shots(cuts: int, pieces: int, frames: int, total: int | None, *, whole_film: bool) -> int | None:
    """How many shots ``total`` frames have, if ``frames`` in ``pieces`` have that many ``cuts`` inside the pieces."""
    if whole_film:
        return cuts + 1
    if not cuts or total is None:
        return None
    return 1 + round((total - 1) * cuts / (frames - pieces))


def measure(output: Path, firsts: list[int]) -> Sizes:
    """Look through a trial's output: what its size is made of."""
    pictures: list[tuple[int, int, bool]] = []
    copied = covers = 0
    with open_film(output) as container:
        stream = choose_video(container, output)
        for packet in container.demux():
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
