"""The report of a finished film."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vidcolor.progress import FilmSizes, Report, StageTime

REPORT = Report(
    frames=100,
    anchors=20,
    shots=2,
    seconds=10.0,
    first_frame_seconds=0.5,
    last_frame_seconds=9.5,
    stages=(
        StageTime("decode", 1.0, 0.9),
        StageTime("generator", 8.0, 7.0),
        StageTime("temporal", 2.0, 1.5),
        StageTime("render", 3.0, 3.0),
        StageTime("encode", 5.0, 0.1),
    ),
    sizes=FilmSizes(
        picture_bytes=1920 * 1080 * 3,
        luma=(1920, 1080),
        luma_depth=10,
        chroma=(960, 540),
        encoded_depth=10,
        grey=(455, 256),
    ),
    output_bytes=4,
    warnings=(),
)


def report(**changes: Any) -> Report:
    """Return the sizes of a 1080p film of 10 bits in which every fifth frame is an anchor, with ``changes``."""
    return replace(REPORT, **changes)
