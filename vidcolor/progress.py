"""What a running job says about itself; how it is shown is the caller's affair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A film on its way. Passed to ``on_progress`` after every written frame."""

    frames: int
    """Written so far."""
    frames_before: int = 0
    """How many of them an earlier run has written."""
    total_frames: int | None
    """An estimate from the container; None where it says nothing."""
    shots: int
    seconds: float
    """Since the work began."""
    bottleneck: str
    """The stage that the others wait for."""

    @property
    def fps(self) -> float:
        """Frames per second of wall-clock time, on average since the beginning."""
        return (self.frames - self.frames_before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go; None where the length is unknown or nothing is written yet."""
        if self.total_frames is None or self.fps == 0:
            return None
        return max(self.total_frames - self.frames, 0) / self.fps


@dataclass(frozen=True)
class StageTime:
    """What one stage of the pipeline has taken for a film, as :class:`vidcolor.stages.StageClock` counts it."""

    name: str
    busy_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class FilmSizes:
    """How much there is in every picture of a film."""

    picture_bytes: int
    """Of a picture as it is decoded, all planes."""
    luma: tuple[int, int]
    """(width, height)."""
    luma_depth: int
    """Bits of luma as it is decoded."""
    chroma: tuple[int, int]
    """(width, height) of Cb, and of Cr, as they are encoded."""
    encoded_depth: int
    """Bits of all planes as they are encoded."""
    grey: tuple[int, int]
    """(width, height) of what the network sees, upright."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A finished film. Seconds count from when work on it began."""

    frames: int
    frames_before: int = 0
    """How many of them an earlier run has written."""
    anchors: int
    """How many of those that this run has written the network was asked for."""
    shots: int
    seconds: float
    first_frame_seconds: float | None
    """When the encoder had the first frame; None where none was left to be written."""
    last_frame_seconds: float
    """When it had the last one. What follows is for the frames that it holds back, and for joining segments."""
    stages: tuple[StageTime, ...]
    """In the order of the pipeline; for what this run has written."""
    sizes: FilmSizes
    output_bytes: int
    warnings: tuple[str, ...]
    """One line each for what could not be kept as it was."""
    errors: tuple[str, ...] = ()
    """One line each for what was damaged and gone over, as asked: the film is whole but for these places."""


OnProgress = Callable[[Progress], None]

OnFile = Callable[[Path, int, int], None]
"""Called with the source, its place from 1, and the number of pictures and films, when work on the file begins."""
