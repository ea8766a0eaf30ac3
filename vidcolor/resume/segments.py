"""Segments: the stretches of a film that are encoded each by itself, so that a finished one is finished for good.

A segment begins with a shot wherever that can be had: there the encoder sets a key frame in any case, and no color is
remembered from before. Only a shot that goes on and on is divided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vidcolor.frames import Frame

MIN_FRAMES = 250
"""Shots are joined until they have this many: as far as encoders let key frames lie apart."""
MAX_FRAMES = 500
"""A segment without a cut ends here; twice the distance of key frames, so that none is added."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What an earlier run has left of a film."""

    frames: int = 0
    """How many are encoded, from the first one on."""
    settled: int = 0
    """How many of them nothing that follows depends on: coloring goes on behind these."""
    starts: tuple[int, ...] = ()
    """The times of the frames that open the shots so far, in the film's time base."""
    warnings: tuple[str, ...] = ()
    """What has been found of note."""
    errors: tuple[str, ...] = ()
    """What was damaged and gone over; of a film that is whole, since any other is read again from its beginning."""
    is_whole: bool = False
    """There are no more frames."""


NOTHING = Finished()


def mark_segments(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Set ``opens_segment`` on the first frame, on the first of a shot from :data:`MIN_FRAMES` on, and on the one
    that would be more than :data:`MAX_FRAMES`.

    Depends on the shots only from the beginning of a segment on: frames that begin with a segment are marked as in the
    whole film.
    """
    length = 0
    for frame in frames:
        opens_segment = length in (0, MAX_FRAMES) or (frame.opens_shot and length >= MIN_FRAMES)
        length = 1 if opens_segment else length + 1
        yield replace(frame, opens_segment=opens_segment)
