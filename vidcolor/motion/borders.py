"""Follow the borders of a film through each shot.

What one frame shows of a border may be too much, where the picture beside it is as dark, or too little, where dust lies
on it. So within a shot a border is accepted from the first frame on that shows it beyond doubt, and it is as
wide as the narrowest that any two frames in a row have shown, give or take the weave of the film. State begins anew in
each shot, so a film that is resumed at a shot gets the same borders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from vidcolor.color.borders import MIXED_PIXELS, Axis, Side, accepted_widths, assemble, averaged_levels, neutral_borders
from vidcolor.frames import NO_BORDERS, Frame

WEAVE = 0.02
"""How far a border may move from frame to frame, in parts of the side of the picture."""


def mark_borders(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Set ``borders`` on every frame. Frames need ``opens_shot`` and ``is_disturbed``."""
    tracker = Tracker()
    borders = NO_BORDERS
    for frame in frames:
        if frame.opens_shot:
            tracker, borders = Tracker(), NO_BORDERS
        if not frame.is_disturbed:
            borders = assemble(averaged_levels(frame.grey), tracker.widths)
        yield replace(frame, borders=borders)


def neutralize_borders(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Set ab to 0 in the borders of every frame."""
    for frame in frames:
        assert frame.ab is not None  # smooth_and_propagate
        yield replace(frame, ab=neutral_borders(frame.ab, frame.grey, frame.borders)) if frame.borders else frame


@dataclass
class SideOfShot:
    """One border during a shot; widths in pixels."""

    width: int
    """The narrowest that two frames in a row have shown."""
    latest: int
    """What the latest frame has shown."""
    is_accepted: bool = False

    def follow(self, side: Side, is_accepted: bool, slack: int) -> int:
        """Take the border as the next frame shows it; return its width in that frame, 0 if it is not accepted."""
        self.width = min(self.width, max(side.width, self.latest))
        self.latest = side.width
        self.is_accepted = self.is_accepted or is_accepted
        if not self.is_accepted or not self.width:
            return 0
        return min(max(side.width, self.width), self.width + slack) + MIXED_PIXELS


@dataclass
class Tracker:
    """The borders of one shot."""

    pairs: dict[Axis, tuple[SideOfShot, SideOfShot]] = field(default_factory=dict)

    def widths(self, axis: Axis, one: Side, other: Side, length: int) -> tuple[int, int]:
        """Return the widths of two opposite borders in the next frame (:func:`vidcolor.color.borders.assemble`)."""
        if axis not in self.pairs:
            self.pairs[axis] = SideOfShot(one.width, one.width), SideOfShot(other.width, other.width)
        slack = round(WEAVE * length)
        seen = accepted_widths(axis, one, other, length)
        first, second = (
            tracked.follow(side, width > 0, slack)
            for tracked, side, width in zip(self.pairs[axis], (one, other), seen, strict=True)
        )
        return first, second
