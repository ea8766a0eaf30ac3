"""Which times the pictures get in the output: their own, or none, where a container only counts them."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

from vidcolor.frames import Picture

TOLERANCE = Fraction(1, 2)  # frames: Matroska's milliseconds are no more than this away at up to 500 frames per second


class Times(Protocol):
    """Gives times to the pictures of a film; is asked once for each, in order."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line if pictures have moved in time."""

    def stamp(self, picture: Picture) -> tuple[int, int]:
        """Time and duration, in units of the output's time base."""

    def skip(self, count: int) -> None:
        """Go on behind so many pictures."""


class OwnTimes:
    """Those of the source."""

    warnings: tuple[str, ...] = ()

    def stamp(self, picture: Picture) -> tuple[int, int]:
        return picture.pts, picture.duration

    def skip(self, count: int) -> None:
        """Every picture knows its own."""


class CountedTimes:
    """One frame after the other from zero, for a container without times.

    Args:
        source_base: seconds per unit of the pictures' times.
        frame_seconds: how long a frame of the output lasts.
    """

    warnings: tuple[str, ...]
    """One line once a picture has moved by more than ``TOLERANCE`` frames."""

    def __init__(self, source_base: Fraction, frame_seconds: Fraction) -> None:
        self._frames_per_unit = source_base / frame_seconds
        self._frame_seconds = frame_seconds
        self._count = 0
        self.warnings = ()

    def skip(self, count: int) -> None:
        self._count += count

    def stamp(self, picture: Picture) -> tuple[int, int]:
        number = self._count
        self._count += 1
        true = picture.pts * self._frames_per_unit
        if not self.warnings and abs(true - number) > TOLERANCE:
            was, comes = float(true * self._frame_seconds), float(number * self._frame_seconds)
            where = f"the picture at {was:.2f} s comes at {comes:.2f} s"
            rate = f"{float(1 / self._frame_seconds):g} frames per second"
            self.warnings = (f"the output holds no times, only {rate}: {where}, and so others",)
        return number, 1
