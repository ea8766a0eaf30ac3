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


@dataclass(frozen=True, kw_only=True)
class Report:
    """A finished film."""

    frames: int
    shots: int
    seconds: float
    output_bytes: int
    warnings: tuple[str, ...]
    """One line each for what could not be kept as it was."""
    errors: tuple[str, ...] = ()
    """One line each for what was damaged and gone over, as asked: the film is whole but for these places."""


OnProgress = Callable[[Progress], None]

OnFile = Callable[[Path, int, int], None]
"""Called with the source, its place from 1, and the number of pictures and films, when work on the file begins."""
