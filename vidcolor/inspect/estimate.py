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
from pathlib import Path
from statistics import fmean

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.stream import AttachmentStream, Disposition

from vidcolor.color.luma import quarter_turns, stored_render_size
from vidcolor.film_run import FilmRun
from vidcolor.frames import ChromaFormat, Picture, VideoSpec
from vidcolor.inference.colorizer import Predictor
from vidcolor.inference.multi_device import predictors_of
from vidcolor.inspect.film import Timing
from vidcolor.media.hwaccel import read_film
from vidcolor.media.interlacing import Deinterlacing
from vidcolor.media.probe import choose_video, open_film
from vidcolor.media.reader import VideoReader
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


class Excerpts(VideoReader):
    """Short pieces of a film, spread over it, read as if they were a film."""

    firsts: list[int]
    """The number of each piece's first picture, counted from 0 over all pieces; grows while they are read."""
    whole_film: bool
    """Whether every picture of the film was read."""

    def __init__(
        self,
        path: Path,
        timing: Timing,
        *,
        deinterlace: Deinterlacing | None,
        accelerator: HWAccel | None = None,
    ) -> None:
        super().__init__(path, deinterlace=deinterlace, accelerator=accelerator)
        self._starts, self._length = spread(timing, self.spec)
        self.firsts = []
        self.whole_film = False

    def pictures(self) -> Iterator[Picture]:
        """The pictures of all pieces; to be called once. It ends where the film has no later key frame."""
        read = 0
        for start in (None, *self._starts):
            if start is not None and not self._jump(start):
                return
            for number, picture in enumerate(self._piece(with_first=start is None)):
                if number == 0:
                    self.firsts.append(read)
                read += 1
                yield picture

    def _piece(self, *, with_first: bool) -> Iterator[Picture]:
        """One piece, up to its length or as far as it comes in its share of :data:`TRIAL_SECONDS`."""
        deadline = time.perf_counter() + TRIAL_SECONDS / (1 + len(self._starts))
        if with_first:
            yield self.first
        for number in range(with_first, self._length):
            if number >= MIN_FRAMES and time.perf_counter() > deadline:
                return
            following = next(self._frames, None)
            if following is None:
                self.whole_film = not self._starts
                return
            yield self._picture(*following)

    def _jump(self, start: int) -> bool:
        """Go on at the first key frame from ``start``, in ticks. False where there is none, or no way to it."""
        try:
            self.container.seek(start, stream=self.stream, backward=False)
        except av.FFmpegError:
            return False  # and what the decoder still holds belongs to the piece before
        self._frames.close()
        self._frames = self._read()
        return True


def spread(timing: Timing, spec: VideoSpec) -> tuple[list[int], int]:
    """Where the pieces after the first begin, in ticks, and how many frames each has.

    A film that is no longer than all pieces, or of unknown length, gets one long piece.
    """
    rate = float(spec.frame_rate or PIECE_FRAMES / PIECE_SECONDS)
    length = max(MIN_FRAMES, min(round(PIECE_SECONDS * rate), PIECE_FRAMES))
    if timing.duration_seconds is None or timing.frames is None or timing.frames <= PIECES * length:
        return [], PIECES * length + 1  # one more than there are, so that the end is reached
    begin = timing.start_seconds or 0.0
    seconds = [begin + timing.duration_seconds * piece / PIECES for piece in range(1, PIECES)]
    return [round(second / spec.time_base) for second in seconds], length


def try_film(path: Path, timing: Timing, suffix: str, *, colorizer: Predictor, options: ColorizeOptions) -> Trial:
    """Color pieces of a film into a temporary file, and measure.

    Args:
        path: the film.
        timing: what is known of its length.
        suffix: of the output, which names the kind of file.

    Raises:
        VidcolorError: whatever coloring the film would raise in these pieces.
    """

    def read(accelerator: HWAccel | None) -> Excerpts:
        return Excerpts(path, timing, deinterlace=options.deinterlace, accelerator=accelerator)

    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        output = Path(folder) / f"trial{suffix}"
        with (
            read_film(read, options.hwaccel) as reader,
            VideoWriter(output, like=reader, options=options.encode, overwrite=False) as writer,
        ):
            warm_up(colorizer, reader.spec, writer.chroma, options)
            cuts = _Cuts()
            run = FilmRun(cuts.note)
            color_pictures(reader, writer, colorizer=colorizer, options=options, scenes=SceneFile(None), run=run)
        seconds, frames = run.seconds, run.frames  # with what the encoder held back
        sizes = measure(output, reader.firsts)
        output_bytes = output.stat().st_size
    pieces, whole_film = len(reader.firsts), reader.whole_film
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
        estimated_shots=estimate_shots(cuts.inside(reader.firsts), pieces, frames, total, whole_film=whole_film),
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
