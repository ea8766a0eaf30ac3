"""Records of the progress and the result of coloring, for callers to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a film. Passed to ``on_progress`` after every written frame."""

    frames: int
    """Written so far."""
    frames_before: int = 0
    """How many of them were written by an earlier run, which this one resumes."""
    total_frames: int | None
    """An estimate from the container; None if it has none."""
    shots: int
    seconds: float
    """Since the run began."""
    bottleneck: str
    """The name of the slowest stage."""

    @property
    def fps(self) -> float:
        """Frames per second of wall-clock time, on average since the run began."""
        return (self.frames - self.frames_before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """Estimated seconds that remain; None if the length is unknown or nothing is written yet."""
        if self.total_frames is None or self.fps == 0:
            return None
        return max(self.total_frames - self.frames, 0) / self.fps


@dataclass(frozen=True)
class StageTime:
    """The time of one stage of the pipeline for a film, as :class:`vidcolor.stages.StageClock` measures it."""

    name: str
    busy_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class FilmSizes:
    """How much data every picture of a film has."""

    picture_bytes: int
    """Of all planes of a decoded picture."""
    luma: tuple[int, int]
    """(width, height)."""
    luma_depth: int
    """Bits of decoded luma."""
    chroma: tuple[int, int]
    """(width, height) of each of Cb and Cr as they are encoded."""
    encoded_depth: int
    """Bits of all planes as they are encoded."""
    grey: tuple[int, int]
    """(width, height) of the network's input, upright."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result for a film. Seconds count from the beginning of the run."""

    frames: int
    frames_before: int = 0
    """How many of them were written by an earlier run, which this one resumes."""
    anchors: int
    """How many of the frames of this run the network colored."""
    shots: int
    seconds: float
    first_frame_seconds: float | None
    """When the first frame was encoded; None if none was left."""
    last_frame_seconds: float
    """When the last frame was encoded. Frames that the encoder holds back, and the joining of segments, follow."""
    stages: tuple[StageTime, ...]
    """In the order of the pipeline, for the frames of this run."""
    sizes: FilmSizes
    output_bytes: int
    warnings: tuple[str, ...]
    """One line for each thing that could not be kept as it was."""
    errors: tuple[str, ...] = ()
    """One line for each damaged place that was skipped, with ``on_error`` set to ``keep-grey``."""


OnProgress = Callable[[Progress], None]

OnWarning = Callable[[str], None]
"""Called with each line of a report's warnings that is known before the first picture is colored."""

OnFile = Callable[[Path, int, int], None]
"""Called when work on a file begins, with its path, its number (from 1), and the number of pictures and films."""
