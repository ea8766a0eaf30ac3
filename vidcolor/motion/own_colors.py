"""Find the shots of a film that have colors of their own, such as the interviews between pieces of an archive.

The decision is made at the start of a shot and holds for all of it. Most shots are settled by their first frame; for
the others some frames are held back until :data:`VOTES` of them have been judged. Frames too dark to show a color do
not count. Where a film dissolves from one kind of picture to the other, which is no cut, a shot begins as soon as
:data:`AGAINST` judged frames in a row clearly say the contrary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from vidcolor.color.chroma import dequantize
from vidcolor.color.luma import expand_range, field_luma, resize_plane
from vidcolor.color.own_color import GREY, ColorEvidence, color_evidence, thumbnail_size
from vidcolor.frames import FloatArray, Frame, Picture, Plane, VideoSpec
from vidcolor.options import KeepColor

EVERY = 4
"""Frames from one that is judged to the next."""
VOTES = 3
"""Frames that are judged where one does not settle it."""
MAX_HELD = 12
"""Frames that are held back at the start of a shot; if all were too dark, they are passed on as grey."""
AGAINST = 4
"""Judged frames in a row that say the contrary, from which on a shot of its own begins."""


def mark_own_colors(
    frames: Iterator[Frame], keep: KeepColor, spec: VideoSpec, *, may_divide: bool = True
) -> Iterator[Frame]:
    """Set ``keeps_color`` on the frames of shots that are to keep the colors that they have; drop the others' chroma.

    Args:
        frames: with ``opens_shot``; their pictures have chroma if the film has any.
        keep: ``auto``: shots with colors of their own; ``always``: also tinted ones; ``never``: none.
        spec: of the film.
        may_divide: begin a shot where colors appear or vanish in the middle of one.
    """
    if keep == "never":
        yield from (_decided(frame, keeps_color=False) for frame in frames)
        return
    shot = _Shot(keep, spec, may_divide)
    for frame in frames:
        if frame.opens_shot:
            yield from shot.settle()
            shot = _Shot(keep, spec, may_divide)
        yield from shot.add(frame)
    yield from shot.settle()


@dataclass
class _Shot:
    """The frames of one shot that wait for the decision, and what has been seen so far."""

    keep: KeepColor
    spec: VideoSpec
    may_divide: bool
    held: list[Frame] = field(default_factory=list)
    votes: list[bool] = field(default_factory=list)
    decision: bool | None = None
    against: int = 0
    position: int = 0
    """Frames so far."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame, and yield those that are settled."""
        seen = self._judge(frame.picture) if self.position % EVERY == 0 else None
        self.position += 1
        if self.decision is None:
            self.held.append(frame)
            self._vote(seen)
            if self.decision is not None or len(self.held) == MAX_HELD:
                yield from self.settle()
            return
        yield self._marked(frame, seen, self.decision)

    def settle(self) -> Iterator[Frame]:
        """Decide by the votes so far, and yield the frames that are held back."""
        if self.decision is None and self.votes:
            self.decision = 2 * sum(self.votes) > len(self.votes)
        held, self.held = self.held, []
        for index, frame in enumerate(held):
            # Dark frames before have been passed on as grey ones.
            divides = bool(self.decision) and index == 0 and self.position > len(held) and self.may_divide
            yield replace(_decided(frame, keeps_color=bool(self.decision)), opens_shot=frame.opens_shot or divides)

    def _vote(self, seen: ColorEvidence | None) -> None:
        if seen is None or not seen.is_lit:
            return
        self.votes.append(seen.says_keep(self.keep))
        if seen.is_sure:
            self.decision = self.votes[-1]
        elif len(self.votes) == VOTES:
            self.decision = 2 * sum(self.votes) > VOTES

    def _marked(self, frame: Frame, seen: ColorEvidence | None, decision: bool) -> Frame:
        if seen is not None and seen.is_lit:
            self.against = self.against + 1 if seen.denies(decision, self.keep) else 0
        if self.against < AGAINST or not self.may_divide:
            return _decided(frame, keeps_color=decision)
        self.decision, self.against = not decision, 0
        return replace(_decided(frame, keeps_color=not decision), opens_shot=True, is_disturbed=False)

    def _judge(self, picture: Picture) -> ColorEvidence:
        if picture.chroma is None:
            return GREY
        luma = field_luma(picture)
        size = thumbnail_size(*luma.shape)
        planes = [_thumbnail(plane, size, self.spec) for plane in picture.chroma]
        return color_evidence(expand_range(resize_plane(luma, size), self.spec), np.stack(planes))


def _decided(frame: Frame, *, keeps_color: bool) -> Frame:
    """Mark a frame; chroma that is not kept is dropped, since it would keep the decoded frame in memory."""
    if keeps_color or frame.picture.chroma is None:
        return replace(frame, keeps_color=keeps_color)
    return replace(frame, picture=replace(frame.picture, chroma=None))


def _thumbnail(plane: Plane, size: tuple[int, int], spec: VideoSpec) -> FloatArray:
    """Return Cb or Cr at thumbnail size, in [-0.5, 0.5]."""
    small: Plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return dequantize(small, spec.bit_depth, spec.full_range)
