"""Where the time of a film went, and what could not be less on this machine.

A floor is what a stage would take if nothing but the memory, or the arithmetic, held it up: bytes that it must read and
write over the bandwidth of a copy by one core, operations over the rate of a product of matrices. A stage below its
floor had more cores for it, or planes that had never left the cache.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from vidcolor.color.luma import MIN_SHORT_SIDE
from vidcolor.inference.colorizer import Colorizer, Predictor
from vidcolor.inference.multi_device import predictors_of
from vidcolor.inspect import roofline as peaks
from vidcolor.progress import FilmSizes, Report

FLOAT_BYTES = 4

GAPS = {
    "decode": "entropy decoding, prediction, cuts",
    "generator": "small layers, layout, transfers",
    "temporal": "search for motion, branches",
    "render": "passes over planes in float",
    "encode": "search for motion, choice of modes",
}
"""What a stage does above its floor."""


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """What this machine can do at its best."""

    bytes_per_second: float
    operations_per_second: float | None
    """Of all devices that the network runs on; None where its operations cannot be counted."""
    operations_on: str | None
    """Where, and in which type: those of the network, as in ``cpu in bfloat16``."""


@dataclass(frozen=True, kw_only=True)
class StageProfile:
    """One stage, by the frame that this run has written."""

    name: str
    busy_ms: float
    cpu_ms: float
    """Of the stage's own thread, and of those that ask the network for it."""
    share: float
    """Of the film's wall-clock. Stages overlap, so that all shares may come to more than 1."""
    floor_bytes: int | None
    """What the floor is made of: bytes, read and written; or, for the generator, operations."""
    floor_operations: float | None
    floor_ms: float | None
    """None where it is not known."""
    gap: str
    """What there is between the floor and the time."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Where the time of one film went."""

    frames: int
    """That this run has written."""
    seconds: float
    fps: float
    first_frame_seconds: float
    last_frame_seconds: float
    peak_memory_bytes: int | None
    """Resident, of the whole process, before anything was measured; None where the system does not say."""
    peaks: Peaks
    stages: tuple[StageProfile, ...]


def decode_bytes(sizes: FilmSizes) -> int:
    """The decoder writes all planes; shrinking reads the luma, and writes the grey."""
    return sizes.picture_bytes + _source_luma(sizes) + _grey(sizes)


def temporal_bytes(sizes: FilmSizes) -> int:
    """Grey and ab, at half of the render size as the stage has them, are read and written."""
    width, height = sizes.grey
    if min(width, height) >= 2 * MIN_SHORT_SIDE:
        width, height = round(width / 2), round(height / 2)
    return 2 * 3 * width * height * FLOAT_BYTES


def render_bytes(sizes: FilmSizes) -> int:
    """Reads the luma, grey and ab; writes Cb and Cr."""
    return _source_luma(sizes) + 3 * _grey(sizes) + _chroma(sizes)


def encode_bytes(sizes: FilmSizes) -> int:
    """The encoder reads all planes."""
    width, height = sizes.luma
    return width * height * _sample(sizes.encoded_depth) + _chroma(sizes)


BYTES: dict[str, Callable[[FilmSizes], int]] = {
    "decode": decode_bytes,
    "temporal": temporal_bytes,
    "render": render_bytes,
    "encode": encode_bytes,
}
"""What a stage must read and write for each frame; the generator is not held up by memory."""


def _source_luma(sizes: FilmSizes) -> int:
    return sizes.luma[0] * sizes.luma[1] * _sample(sizes.luma_depth)


def _grey(sizes: FilmSizes) -> int:
    return sizes.grey[0] * sizes.grey[1] * FLOAT_BYTES


def _chroma(sizes: FilmSizes) -> int:
    """Cb and Cr."""
    return 2 * sizes.chroma[0] * sizes.chroma[1] * _sample(sizes.encoded_depth)


def _sample(bit_depth: int) -> int:
    return 1 if bit_depth <= 8 else 2


def profile_film(report: Report, colorizer: Predictor) -> Profile | None:
    """Where the time of the film went that ``report`` tells of; measures the machine, and counts operations.

    That takes a second or two, a part of it for loading what counts.

    None where nothing was left to be done for it.
    """
    if report.first_frame_seconds is None:
        return None
    peak_memory_bytes = peak_resident_bytes()
    operations, per_second, runs_on = None, None, None
    devices = {each.device: each for each in predictors_of(colorizer) if isinstance(each, Colorizer)}
    if devices:
        member = next(iter(devices.values()))
        operations = peaks.operations_of(member, report.sizes.grey)
        per_second = len(devices) * peaks.operations_per_second(member.device, member.dtype, int8=member.int8)
        runs_on = member.runs_on
    machine = Peaks(bytes_per_second=peaks.bytes_per_second(), operations_per_second=per_second, operations_on=runs_on)
    return profile(report, operations, machine, peak_memory_bytes)


def profile(report: Report, operations: int | None, machine: Peaks, peak_memory_bytes: int | None) -> Profile:
    """The same, from what was measured. ``operations``: of the network for one picture.

    Raises ValueError where this run has written no frame.
    """
    frames = report.frames - report.frames_before
    if report.first_frame_seconds is None or frames < 1:
        raise ValueError(f"expected a film of which this run has written something, got {frames} frames")
    stages = []
    for time in report.stages:
        floor_bytes = BYTES[time.name](report.sizes) if time.name in BYTES else None
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
                floor_ms=floor_ms(floor_bytes, floor_operations, machine),
                gap=GAPS[time.name],
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


def floor_ms(floor_bytes: int | None, floor_operations: float | None, machine: Peaks) -> float | None:
    """Milliseconds at the machine's best; None where neither is known."""
    if floor_bytes is not None:
        return 1000 * floor_bytes / machine.bytes_per_second
    if floor_operations is not None and machine.operations_per_second is not None:
        return 1000 * floor_operations / machine.operations_per_second
    return None


def peak_resident_bytes() -> int | None:
    """The most memory that this process has had; None on Windows, which does not say."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def profile_json(profile: Profile) -> dict[str, Any]:
    """The same for a script, with six significant digits: the fields of :class:`Profile` and those in them."""
    return {key: _rounded(value) for key, value in asdict(profile).items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
