"""What one run over a film has done so far, and its report at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction

from vidcolor.color.luma import quarter_turns, stored_render_size
from vidcolor.frames import ChromaFormat, Frame, Picture, VideoSpec
from vidcolor.motion.scene_list import format_time
from vidcolor.options import KeepColor
from vidcolor.progress import FilmSizes, OnProgress, OnWarning, Progress, Report, StageTime
from vidcolor.resume.segments import NOTHING, Finished
from vidcolor.stages import Stages

MAX_NAMED_SHOTS = 5
"""How many shots that keep their colors have a line of their own when they are found."""


class FilmRun:
    """The counters of one run over a film. Seconds count from when the object is made.

    Args:
        on_progress: called after every frame that is written.
        on_warning: called for each of the first shots that keep the colors that they have, when one begins.
    """

    def __init__(self, on_progress: OnProgress | None = None, on_warning: OnWarning | None = None) -> None:
        self._began = time.perf_counter()
        self._on_progress = on_progress
        self._on_warning = on_warning
        self._first_pts = 0
        self._time_base = Fraction(1)
        self._stages: tuple[StageTime, ...] = ()
        self._anchors = 0
        self._first_frame_seconds: float | None = None
        self._last_frame_seconds = 0.0
        self.before: Finished = NOTHING
        """What an earlier run has finished."""
        self.frames = 0
        """How many frames are written, those of the earlier run included."""
        self.shot_starts: list[int] = []
        """pts of the first frame of each shot, in units of the film's time base."""
        self.kept_starts: list[int] = []
        """Those of shots that keep the colors that they have."""

    @property
    def seconds(self) -> float:
        """Wall-clock time since the run began."""
        return time.perf_counter() - self._began

    def start(self, before: Finished, first: Picture, time_base: Fraction) -> None:
        """Count on from what an earlier run has finished, if any.

        Args:
            before: what it has finished.
            first: the film's first picture.
            time_base: seconds per unit of pts.
        """
        self.before = before
        self._first_pts, self._time_base = first.pts, time_base
        self.frames = before.frames
        self.shot_starts = list(before.starts)
        self.kept_starts = list(before.kept)

    def count(self, frame: Frame, stages: Stages, total_frames: int | None) -> None:
        """Count a frame that has been written, and call ``on_progress``.

        Args:
            frame: all its stages are done.
            stages: those that the frame has come through.
            total_frames: an estimate for the whole film; None: unknown.
        """
        self.frames += 1
        self._anchors += frame.is_anchor
        if frame.opens_shot:
            self.shot_starts.append(frame.picture.pts)
            if frame.keeps_color:
                self._count_kept(frame.picture.pts)
        if self._first_frame_seconds is None:
            self._first_frame_seconds = self.seconds
        if self._on_progress is not None:
            self._on_progress(
                Progress(
                    frames=self.frames,
                    frames_before=self.before.frames,
                    total_frames=total_frames,
                    shots=len(self.shot_starts),
                    seconds=self.seconds,
                    bottleneck=stages.bottleneck,
                )
            )

    def _count_kept(self, pts: int) -> None:
        self.kept_starts.append(pts)
        if self._on_warning is not None and len(self.kept_starts) <= MAX_NAMED_SHOTS:
            self._on_warning(f"the shot at {self._time_of(pts)} keeps the colors that it has")

    def _time_of(self, pts: int) -> str:
        return format_time((pts - self._first_pts) * self._time_base)

    def end(self, stages: Stages) -> None:
        """Note that the last frame has been written and the ``stages`` are closed."""
        self._last_frame_seconds = self.seconds
        self._stages = tuple(StageTime(clock.name, clock.busy_seconds, clock.cpu_seconds) for clock in stages.clocks)

    def kept_colors(self, keep: KeepColor) -> tuple[str, ...]:
        """Return a line that says which shots have kept the colors that they have; none if no shot has.

        Args:
            keep: the option.
        """
        if not self.kept_starts:
            return ()
        count, total = len(self.kept_starts), len(self.shot_starts)
        own = "" if keep == "always" else " of its own" if count in (1, total) else " of their own"
        if count == total:
            what = f"the film has colors{own} throughout and keeps them"
        else:
            has, keeps = ("has", "keeps") if count == 1 else ("have", "keep")
            first = self._time_of(self.kept_starts[0])
            what = f"{count} of {total} shots {has} colors{own} and {keeps} them, the first at {first}"
        return (f"{what}; `keep_color` never colors {'it' if count in (1, total) else 'them'} anew",)

    def report(self, sizes: FilmSizes, output_bytes: int, *, warnings: Sequence[str], errors: Sequence[str]) -> Report:
        """Sum up a finished film; a line that occurs several times in ``warnings`` or ``errors`` is kept once."""
        return Report(
            frames=self.frames,
            frames_before=self.before.frames,
            anchors=self._anchors,
            shots=len(self.shot_starts),
            seconds=self.seconds,
            first_frame_seconds=self._first_frame_seconds,
            last_frame_seconds=self._last_frame_seconds,
            stages=self._stages,
            sizes=sizes,
            output_bytes=output_bytes,
            warnings=tuple(dict.fromkeys((*self.before.warnings, *warnings))),
            errors=tuple(dict.fromkeys((*self.before.errors, *errors))),
        )


def film_sizes(spec: VideoSpec, chroma: ChromaFormat, picture_bytes: int, render_size: int) -> FilmSizes:
    """Return how much data every picture of a film has on its way to an encoder that takes ``chroma``."""
    width, height = stored_render_size(spec, render_size)
    return FilmSizes(
        picture_bytes=picture_bytes,
        luma=(spec.width, spec.height),
        luma_depth=spec.bit_depth,
        chroma=(chroma.width, chroma.height),
        encoded_depth=chroma.bit_depth,
        grey=(height, width) if quarter_turns(spec) % 2 else (width, height),
    )
