"""Divide a film into segments, which are encoded independently, so that finished ones survive an interruption.

A segment starts with a shot where possible, because an encoder inserts a keyframe at a cut anyway and no color state
crosses it. Only a very long shot is divided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vidcolor.frames import Frame

MIN_SEGMENT_FRAMES = 250
"""Frames of a segment before a cut ends it: the usual largest distance of keyframes."""
MAX_SEGMENT_FRAMES = 500
"""Frames of a segment without a cut: twice the usual distance of keyframes, so that no keyframe is added."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How much of a film an earlier run has finished."""

    frames: int = 0
    """Encoded frames, from the first one on."""
    settled: int = 0
    """How many of them lie before the start of the shot in which the earlier run stopped.

    Coloring restarts there, because smoothing needs the whole shot.
    """
    starts: tuple[int, ...] = ()
    """pts of the first frame of each shot so far, in the film's time base."""
    kept: tuple[int, ...] = ()
    """Those of shots that keep the colors that they have."""
    warnings: tuple[str, ...] = ()
    """Warnings so far."""
    errors: tuple[str, ...] = ()
    """Damage that was skipped, of a complete film only; any other is read again from the start."""
    is_whole: bool = False
    """Whether all frames of the film are encoded."""


NOTHING = Finished()
"""The state of a film that no earlier run has worked on."""


def mark_segments(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Set ``opens_segment`` on the first frame of each segment.

    A segment ends before the first shot that starts after :data:`MIN_SEGMENT_FRAMES` frames, and after
    :data:`MAX_SEGMENT_FRAMES` frames at the latest. Marks depend only on the frames since the start of the segment, so
    a film that is resumed at a segment is divided as before.
    """
    length = 0
    for frame in frames:
        opens_segment = length in (0, MAX_SEGMENT_FRAMES) or (frame.opens_shot and length >= MIN_SEGMENT_FRAMES)
        length = 1 if opens_segment else length + 1
        yield replace(frame, opens_segment=opens_segment)
