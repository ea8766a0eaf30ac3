"""The time of a film, estimated from that of its pieces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.reports import REPORT
from vidcolor.inspect.time_estimate import estimate_seconds
from vidcolor.progress import StageTime

PIECES = replace(
    REPORT,
    frames=100,
    anchors=23,
    seconds=12.0,
    first_frame_seconds=2.0,
    last_frame_seconds=11.0,
    stages=(StageTime("decode", 2.0, 2.0), StageTime("generator", 4.6, 4.6), StageTime("encode", 3.0, 3.0)),
)
"""Three pieces without a cut; apart from their beginnings, every fifth frame is an anchor."""


def estimate(frames: int = 1000, shots: int = 1, cores: int = 2, pieces: object = PIECES) -> float:
    return estimate_seconds(pieces, openings=3, frames=frames, shots=shots, cores=cores)  # type: ignore[arg-type]


def test_few_cores_are_shared() -> None:
    """On two cores the film takes half of what all stages need together, plus its beginning and its end."""
    anchors = 1 + 20 * 10
    assert estimate() == pytest.approx(3.0 + (20 + anchors * 0.2 + 30) / 2)


def test_many_cores_wait_for_the_slowest_stage() -> None:
    """On sixteen cores the film takes as long as its slowest stage."""
    assert estimate(cores=16) == pytest.approx(3.0 + 201 * 0.2)
    assert estimate(cores=16, shots=50) == pytest.approx(3.0 + 250 * 0.2)


def test_filling_the_pipeline_counts_once() -> None:
    """A film ten times as long takes less than ten times as long, and no less than its frames alone."""
    short, long = estimate(frames=1000), estimate(frames=10_000)
    assert 9 * (short - 3.0) < long - 3.0 < 10 * short


def test_a_network_that_colors_every_frame() -> None:
    """With every frame an anchor, the film has as many anchors as frames."""
    pieces = replace(PIECES, anchors=100)
    assert estimate(cores=16, pieces=pieces) == pytest.approx(3.0 + 4.6 * 971 / 100)
