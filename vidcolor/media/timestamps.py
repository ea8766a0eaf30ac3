"""The times of pictures: repaired on the way in, and on the way out their own or counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Protocol

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.frames import Picture
from vidcolor.media.items import Item, Jump, LostPicture, Note

TOLERANCE = Fraction(1, 2)
"""How many frames a counted time may be off without a warning. Matroska's rounding to milliseconds stays below at up to
500 frames per second."""
MAX_HELD = 8
"""How many frames wait at most for a later time. Encoders seldom reorder more."""


def repair_timestamps(items: Iterable[Item], stream: VideoStream) -> Iterator[Item]:
    """Give every frame a pts that is larger than the one before.

    A frame without a pts gets its dts, or else the end of the frame before. Frames whose pts is not larger than the one
    before are held back until a later pts comes, and get times between the two; a :class:`Note` says so once. All
    other frames keep theirs. A :class:`LostPicture` that is not later than the frame before is left out.

    Args:
        items: the decoded frames in the order in which they are shown, and everything else.
        stream: the film.
    """
    assert stream.time_base is not None  # choose_video
    clock = Clock(stream.time_base)
    for item in items:
        yield from clock.take(item)
    yield from clock.release()


class Clock:
    """Sets times that strictly increase.

    Args:
        time_base: of the times, in seconds.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._last: int | None = None
        self._duration = 1  # of the latest frame, at least 1
        self._held: list[Item] = []
        """From the first frame on whose time is not known yet."""
        self._has_noted = False

    def take(self, item: Item) -> Iterator[Item]:
        """Yield what is ready: the item, unless it has to be held back, and what was held back before."""
        if isinstance(item, Jump):
            yield from self.release()
        if not isinstance(item, VideoFrame | LostPicture):
            yield from self._pass(item)
            return
        if isinstance(item, LostPicture) and self._last is None:
            return
        time = self._own_time(item)
        if self._is_later(time):
            yield from self.release(time)
        if self._is_later(time):
            yield self._stamped(item, time)
        elif isinstance(item, VideoFrame):
            yield from self._hold(item)

    def release(self, limit: int | None = None) -> Iterator[Item]:
        """Yield what is held back: its frames spread before ``limit``, or by their dts if there is none."""
        held, self._held = self._held, []
        count, begin = sum(isinstance(item, VideoFrame) for item in held), self._last or 0
        step = Fraction(self._duration)
        if limit is not None:
            step = max(min(step, Fraction(limit - begin, count + 1)), Fraction(1))
        number = 0
        for item in held:
            if not isinstance(item, VideoFrame):
                yield item
                continue
            number += 1
            time = begin + int(number * step)
            if limit is None:
                time = self._estimate() if item.dts is None or not self._is_later(item.dts) else item.dts
            item.duration = int(step)
            yield self._stamped(item, time)

    def _own_time(self, item: VideoFrame | LostPicture) -> int:
        """Return the pts of an item; without one its dts, or else the end of the frame before."""
        if item.pts is not None:
            return item.pts
        assert isinstance(item, VideoFrame)  # a lost picture is known by its time
        return self._estimate() if item.dts is None or not self._is_later(item.dts) else item.dts

    def _estimate(self) -> int:
        return 0 if self._last is None else self._last + self._duration

    def _is_later(self, time: int) -> bool:
        return self._last is None or time > self._last

    def _stamped(self, item: VideoFrame | LostPicture, time: int) -> Item:
        if isinstance(item, VideoFrame):
            item.pts = time
            step = 0 if self._last is None else time - self._last
            self._duration = max(item.duration or step, 1)
        self._last = time
        return item

    def _hold(self, frame: VideoFrame) -> Iterator[Item]:
        if not self._has_noted:
            self._has_noted = True
            seconds = float((self._last or 0) * self._time_base)
            yield Note(
                f"timestamps do not increase at {seconds:.2f} s: such pictures get times between their neighbors"
            )
        self._held.append(frame)
        if sum(isinstance(item, VideoFrame) for item in self._held) >= MAX_HELD:
            yield from self.release()

    def _pass(self, item: Item) -> Iterator[Item]:
        if self._held:
            self._held.append(item)
        else:
            yield item


class Times(Protocol):
    """The times of the output's pictures; called once for each picture, in order."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line if pictures have moved in time."""

    def stamp(self, picture: Picture) -> tuple[int, int]:
        """Return pts and duration in units of the output's time base."""

    def skip(self, count: int, first_pts: int) -> None:
        """Continue after ``count`` more pictures; the film's first one has ``first_pts``."""


class OwnTimes:
    """The times of the source."""

    warnings: tuple[str, ...] = ()

    def stamp(self, picture: Picture) -> tuple[int, int]:
        """Return the picture's own pts and duration."""
        return picture.pts, picture.duration

    def skip(self, count: int, first_pts: int) -> None:
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

    def skip(self, count: int, first_pts: int) -> None:
        """Continue after ``count`` more pictures; the film's first one has ``first_pts``."""
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


class FrameGrid:
    """The nearest frame numbers, for a container that counts in frames and begins at 0.

    The first picture gets number 0; if it comes a frame or more after 0, it is shown from 0 on until the second one. A
    picture whose number is taken gets the next.

    Args:
        source_base: seconds per unit of the pictures' times.
        frame_seconds: how long a frame of the output lasts.
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, source_base: Fraction, frame_seconds: Fraction) -> None:
        self._frames_per_unit = source_base / frame_seconds
        self._first_pts: int | None = None
        self._next = 0

    def stamp(self, picture: Picture) -> tuple[int, int]:
        """Return the picture's number, and a duration of 1."""
        if self._first_pts is None:
            self._first_pts = picture.pts
        begin = int(self._first_pts * self._frames_per_unit)
        number = begin + round((picture.pts - self._first_pts) * self._frames_per_unit)
        number = max(number, self._next) if self._next else 0
        self._next = number + 1
        return number, 1

    def skip(self, count: int, first_pts: int) -> None:
        """Continue after ``count`` pictures, which have at least as many numbers."""
        if count:
            self._first_pts, self._next = first_pts, count


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
