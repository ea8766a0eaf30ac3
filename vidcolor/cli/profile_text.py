"""What ``--profile`` prints: a table of the stages, and three lines below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.filesize import decimal

if TYPE_CHECKING:
    from vidcolor.inspect.profile import Profile, StageProfile

COLUMNS = "{:<9}  {:>7}  {:>7}  {:>6}  {:>8}  {:<13}  {}"


def profile_lines(profile: Profile) -> Iterator[str]:
    """Yield the lines, with at most 100 characters each; milliseconds are per frame."""
    yield COLUMNS.format("stage", "busy ms", "CPU ms", "share", "floor ms", "to be done", "above the floor")
    for stage in profile.stages:
        yield COLUMNS.format(
            stage.name,
            f"{stage.busy_ms:.2f}",
            f"{stage.cpu_ms:.2f}",
            f"{stage.share:.0%}",
            "?" if stage.floor_ms is None else f"{stage.floor_ms:.3f}",
            to_be_done(stage),
            stage.gap,
        )
    end_seconds = profile.seconds - profile.last_frame_seconds
    memory = "" if profile.peak_memory_bytes is None else f"; memory at most {decimal(profile.peak_memory_bytes)}"
    yield f"{profile.fps:.1f} frames a second over the whole film{memory}"
    yield f"{profile.first_frame_seconds:.2f} s to the first frame written, {end_seconds:.2f} s after the last one"
    yield f"floors: {', '.join(peaks_of(profile))}; CPU: the stage's own threads alone"


def to_be_done(stage: StageProfile) -> str:
    """Return the work of a stage for each frame: ``4.7 MB`` or ``1.2 GFLOP``."""
    if stage.floor_bytes is not None:
        return decimal(stage.floor_bytes)
    return "?" if stage.floor_operations is None else f"{stage.floor_operations / 1e9:.3g} GFLOP"


def peaks_of(profile: Profile) -> Iterator[str]:
    """Yield the measured peaks of the machine."""
    yield f"{profile.peaks.bytes_per_second / 1e9:.3g} GB/s"
    if profile.peaks.operations_per_second is not None:
        yield f"{profile.peaks.operations_per_second / 1e9:.0f} GFLOP/s on {profile.peaks.operations_on}"
