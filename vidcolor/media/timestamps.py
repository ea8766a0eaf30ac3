"""The times of pictures: repaired on the way in, and on the way out their own or counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Protocol

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.frames import Picture
from vidcolor.media.items import Item, LostPicture, Note

TOLERANCE = Fraction(1, 2)
"""How many frames a counted time may be off without a warning. Matroska's rounding to milliseconds stays below at up to
500 frames per second."""


def repair_timestamps(items: Iterable[Item], stream: VideoStream) -> Iterator[Item]:
    """Give every frame a pts that is larger than the one before.

    A frame without a pts gets its dts, or else the end of the frame before. Where a pts is not larger than the one
    before, dts are used from there on, and a :class:`Note` says so. A :class:`LostPicture` that is not later than the
    frame before is left out.

    Args:
        items: the decoded frames in the order in which they are shown, and everything else.
        stream: the film.
    """
    assert stream.time_base is not None  # choose_video
    clock = Clock()
    for item in items:
        if isinstance(item, VideoFrame):
            was_faulty = clock.is_faulty
            item.pts = clock.stamp(item)
            if clock.is_faulty and not was_faulty:
                seconds = float(item.pts * stream.time_base)
                yield Note(f"timestamps go back at {seconds:.2f} s; decoding times are used from there")
        elif isinstance(item, LostPicture) and not clock.add(item.pts):
            continue
        yield item


class Clock:
    """Computes times that strictly increase."""

    def __init__(self) -> None:
        self.is_faulty = False
        """Whether a pts was not larger than the one before."""
        self._last: int | None = None
        self._duration = 0

    def stamp(self, frame: VideoFrame) -> int:
        """Return the time of the next frame."""
        last = self._last
        if frame.pts is not None and last is not None and frame.pts <= last:
            self.is_faulty = True
        times = (frame.dts, frame.pts) if self.is_faulty else (frame.pts, frame.dts)
        estimate = 0 if last is None else last + max(self._duration, 1)
        self._last = next((time for time in times if time is not None and (last is None or time > last)), estimate)
        self._duration = frame.duration
        return self._last

    def add(self, pts: int) -> bool:
        """Use this time between two frames; return False where it is not after a frame's."""
        if self._last is None or pts <= self._last:
            return False
        self._last = pts
        return True


class Times(Protocol):
    """The times of the output's pictures; called once for each picture, in order."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line if pictures have moved in time."""

    def stamp(self, picture: Picture) -> tuple[int, int]:
        """Return pts and duration in units of the output's time base."""

    def skip(self, count: int) -> None:
        """Continue after ``count`` more pictures."""


class OwnTimes:
    """The times of the source."""

    warnings: tuple[str, ...] = ()

    def stamp(self, picture: Picture) -> tuple[int, int]:
        """Return the picture's own pts and duration."""
        return picture.pts, picture.duration

    def skip(self, count: int) -> None:
        """Do nothing: every picture has its own time."""


class CountedTimes:
    """The numbers of the pictures from 0, for a container without times.

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
        """Continue after ``count`` more pictures."""
        self._count += count

    def stamp(self, picture: Picture) -> tuple[int, int]:
        """Return the next number, and a duration of 1."""
        number = self._count
        self._count += 1
        exact = picture.pts * self._frames_per_unit
        if not self.warnings and abs(exact - number) > TOLERANCE:
            before, after = float(exact * self._frame_seconds), float(number * self._frame_seconds)
            where = f"the picture at {before:.2f} s comes at {after:.2f} s"
            rate = f"{float(1 / self._frame_seconds):g} frames per second"
            self.warnings = (f"the output holds no times, only {rate}: {where}, and so others",)
        return number, 1


class PictureNumbers:
    """The numbers of pictures, for an encoder that takes no other times, and the times for its packets.

    Args:
        time_base: of the pictures' times.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._times: list[tuple[int, int]] = []  # pts and duration, from the picture ``_first`` on
        self._first = 0

    def add(self, pts: int, duration: int) -> int:
        """Return the number of the next picture, and keep its times."""
        self._times.append((pts, duration))
        return self._first + len(self._times) - 1

    def restore(self, packet: Packet[Any]) -> None:
        """Set the times of a packet to those of its picture. Packets come in the order of their decoding times."""
        assert packet.pts is not None  # the number of a picture
        number = packet.pts
        decoded = number if packet.dts is None else packet.dts
        packet.pts, packet.duration = self._times[number - self._first]
        packet.dts = self._time_of(decoded)
        packet.time_base = self._time_base
        outdated = max(decoded - 1 - self._first, 0)  # one is kept, for the step between two pictures
        del self._times[:outdated]
        self._first += outdated

    def _time_of(self, number: int) -> int:
        """Return the time of a picture; before the first one, pictures are as far apart as the first two."""
        if number >= self._first:
            return self._times[number - self._first][0]
        times = [pts for pts, _ in self._times[:2]]
        step = times[1] - times[0] if len(times) > 1 else max(self._times[0][1], 1)
        return times[0] + (number - self._first) * step
