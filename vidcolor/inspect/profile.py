"""Profile the stages of a film and compare them with a roofline model of this machine.

The floor of a stage is the lower bound of its time by the roofline model: the bytes that it must read and write over
the bandwidth of a copy by one core, or its operations over the rate of a matrix product. A stage can be faster than
its floor if it uses several cores or its planes stay in the cache.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from vidcolor.color.luma import MIN_SHORT_SIDE
from vidcolor.inference.colorizer import Colorizer, Predictor
from vidcolor.inference.multi_device import predictors_of
from vidcolor.inspect import roofline
from vidcolor.progress import FilmSizes, Report

FLOAT_BYTES = 4
"""Bytes of a float32."""

OVERHEADS = {
    "decode": "entropy decoding, prediction, cuts",
    "generator": "small layers, layout, transfers",
    "temporal": "search for motion, branches",
    "render": "passes over planes in float",
    "encode": "search for motion, choice of modes",
}
"""By stage, the work that the floor does not count."""


@dataclass(frozen=True, kw_only=True)
class MachineRates:
    """The measured peak rates of this machine: the roofs of the roofline model."""

    bytes_per_second: float
    """Memory bandwidth of one core, reads and writes."""
    operations_per_second: float | None
    """Multiplications and additions of all devices that the network runs on; None: its operations cannot be counted."""
    operations_on: str | None
    """Device and arithmetic of the network, for instance ``cpu in bfloat16``."""


@dataclass(frozen=True, kw_only=True)
class StageProfile:
    """The times of one stage per frame that this run has written."""

    name: str
    busy_ms: float
    """Wall-clock time of the stage, without waiting for other stages."""
    cpu_ms: float
    """CPU time of the stage's own thread and of those that call the network for it."""
    share: float
    """Share of the film's wall-clock time. Stages overlap, so the sum may exceed 1."""
    floor_bytes: int | None
    """Bytes that the stage must read and write; None for the generator."""
    floor_operations: float | None
    """Operations of the network; None for other stages, and where they cannot be counted."""
    floor_ms: float | None
    """Lower bound of the time by the roofline model; None: it is not known."""
    gap: str
    """The work that the floor does not count."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The times of one film and its stages."""

    frames: int
    """Frames that this run has written."""
    seconds: float
    """Wall-clock time of the whole film."""
    fps: float
    """Frames per second of wall-clock time."""
    first_frame_seconds: float
    """Time until the first frame was written."""
    last_frame_seconds: float
    """Time until the last frame was written."""
    peak_memory_bytes: int | None
    """Largest resident memory of the process before the measurements; None: unknown on this system."""
    peaks: MachineRates
    stages: tuple[StageProfile, ...]


def decode_bytes(sizes: FilmSizes) -> int:
    """Count the traffic per frame: the decoder writes all planes; resizing reads luma and writes grey."""
    return sizes.picture_bytes + _luma_bytes(sizes) + _grey_bytes(sizes)


def temporal_bytes(sizes: FilmSizes) -> int:
    """Count the traffic per frame: grey and ab at half the render size are read and written."""
    width, height = sizes.grey
    if min(width, height) >= 2 * MIN_SHORT_SIDE:
        width, height = round(width / 2), round(height / 2)
    return 2 * 3 * width * height * FLOAT_BYTES


def render_bytes(sizes: FilmSizes) -> int:
    """Count the traffic per frame: luma, grey and ab are read; Cb and Cr are written."""
    return _luma_bytes(sizes) + 3 * _grey_bytes(sizes) + _chroma_bytes(sizes)


def encode_bytes(sizes: FilmSizes) -> int:
    """Count the traffic per frame: the encoder reads all planes."""
    width, height = sizes.luma
    return width * height * _sample_bytes(sizes.encoded_depth) + _chroma_bytes(sizes)


TRAFFIC: dict[str, Callable[[FilmSizes], int]] = {
    "decode": decode_bytes,
    "temporal": temporal_bytes,
    "render": render_bytes,
    "encode": encode_bytes,
}
"""By stage, a function that counts the bytes read and written per frame; the generator is limited by arithmetic."""


def _luma_bytes(sizes: FilmSizes) -> int:
    return sizes.luma[0] * sizes.luma[1] * _sample_bytes(sizes.luma_depth)


def _grey_bytes(sizes: FilmSizes) -> int:
    return sizes.grey[0] * sizes.grey[1] * FLOAT_BYTES


def _chroma_bytes(sizes: FilmSizes) -> int:
    """Return the bytes of Cb and Cr together."""
    return 2 * sizes.chroma[0] * sizes.chroma[1] * _sample_bytes(sizes.encoded_depth)


def _sample_bytes(bit_depth: int) -> int:
    return 1 if bit_depth <= 8 else 2


def profile_film(report: Report, colorizer: Predictor) -> Profile | None:
    """Measure the machine, count the operations of the network, and profile a finished film. Takes a second or two.

    Args:
        report: of the film.
        colorizer: that the film was colored with.

    Returns:
        The profile; None if this run has written no frame.
    """
    if report.first_frame_seconds is None:
        return None
    peak_memory_bytes = peak_resident_bytes()
    operations, per_second, runs_on = None, None, None
    colorizers = [each for each in predictors_of(colorizer) if isinstance(each, Colorizer)]
    if colorizers:
        first = colorizers[0].engine
        operations = first.count_operations(report.sizes.grey)
        per_second = len(colorizers) * first.operations_per_second()
        runs_on = first.runs_on
    machine = MachineRates(
        bytes_per_second=roofline.bytes_per_second(), operations_per_second=per_second, operations_on=runs_on
    )
    return profile(report, operations, machine, peak_memory_bytes)


def profile(report: Report, operations: int | None, machine: MachineRates, peak_memory_bytes: int | None) -> Profile:
    """Compute the profile of a film from measurements.

    Args:
        report: of the film.
        operations: of the network for one picture; None: unknown.
        machine: peak rates.
        peak_memory_bytes: of the process; None: unknown.

    Raises:
        ValueError: this run has written no frame.
    """
    frames = report.frames - report.frames_before
    if report.first_frame_seconds is None or frames < 1:
        raise ValueError(f"expected a film of which this run has written something, got {frames} frames")
    stages = []
    for time in report.stages:
        floor_bytes = TRAFFIC[time.name](report.sizes) if time.name in TRAFFIC else None
        floor_operations = None
        if time.name == "generator" and operations is not None:
            floor_operations = operations * report.anchors / frames
        stages.append(
            StageProfile(
                name=time.name,
                busy_ms=1000 * time.busy_seconds / frames,
                cpu_ms=1000 * time.cpu_seconds / frames,
                share=time.busy_seconds / report.seconds,
                floor_bytes=floor_bytes,
                floor_operations=floor_operations,
                floor_ms=roofline_ms(floor_bytes, floor_operations, machine),
                gap=OVERHEADS[time.name],
            )
        )
    return Profile(
        frames=frames,
        seconds=report.seconds,
        fps=frames / report.seconds,
        first_frame_seconds=report.first_frame_seconds,
        last_frame_seconds=report.last_frame_seconds,
        peak_memory_bytes=peak_memory_bytes,
        peaks=machine,
        stages=tuple(stages),
    )


def roofline_ms(floor_bytes: int | None, floor_operations: float | None, machine: MachineRates) -> float | None:
    """Return the lower bound of a time in ms by the roofline model; None if neither bytes nor operations are known."""
    if floor_bytes is not None:
        return 1000 * floor_bytes / machine.bytes_per_second
    if floor_operations is not None and machine.operations_per_second is not None:
        return 1000 * floor_operations / machine.operations_per_second
    return None


def peak_resident_bytes() -> int | None:
    """Return the largest resident memory of this process; None on Windows, where it is unknown."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def profile_json(profile: Profile) -> dict[str, Any]:
    """Convert a profile to dictionaries for JSON, with six significant digits."""
    return {key: _rounded(value) for key, value in asdict(profile).items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
