"""Decode the packets of a film, and find out which pictures are lost."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.media.damage import DamageError
from vidcolor.media.items import Item, Jump, LostPicture, Note

UNTIMED_FORMATS = frozenset({"avi", "mxf"})
"""Containers that may store the order of decoding only, without the times at which pictures are shown."""


def decode(
    items: Iterable[Item], stream: VideoStream, *, keep_going: bool, is_stills: bool, may_be_untimed: bool = False
) -> Iterator[Item]:
    """Replace the packets of ``stream`` with the frames that they decode to.

    Packets before the first frame that cannot be decoded are left out with a warning, since a recording may begin
    between two keyframes.

    Args:
        items: the packets of all streams.
        stream: the picture stream.
        keep_going: yield a :class:`LostPicture` for each picture that cannot be decoded; otherwise raise an error.
        is_stills: each packet is a still image, so the first one must decode, too.
        may_be_untimed: the container is one of :data:`UNTIMED_FORMATS`.

    Raises:
        DamageError: a packet cannot be decoded.
    """
    assert stream.time_base is not None  # choose_video
    lost = LostPictures(stream.time_base)
    order = DecodingOrder() if may_be_untimed else None
    has_begun, skipped = False, 0
    early: list[int] | None = []  # times of packets before the film's first frame
    for item in items:
        if not isinstance(item, Packet) or item.stream.index != stream.index:
            if isinstance(item, Jump):
                has_begun, order = False, order and DecodingOrder()
            if not isinstance(item, Packet) or item.size > 0:  # an empty packet only flushes the decoder of its stream
                yield item
            continue
        if order is not None:
            order = order.enter(item)
        if keep_going:
            lost.expect(item)
        if early is not None and item.size and item.pts is not None and not item.is_discard:
            early.append(item.pts)
        try:
            frames = item.decode()
        except av.FFmpegError as exc:
            if order is not None and not has_begun:
                order = DecodingOrder()
            if has_begun and keep_going:
                lost.add_failure(str(exc.strerror))
            elif has_begun or is_stills:
                raise DamageError(str(exc.strerror)) from exc
            else:
                skipped += 1
            continue
        for frame in frames:
            if order is not None:
                order.stamp(frame)
            undecoded = sum(frame.pts is not None and pts < frame.pts for pts in early or ())
            if skipped:
                yield Note(f"{skipped} damaged packets before the first picture were skipped")
            elif undecoded:
                what = "1 picture is" if undecoded == 1 else f"{undecoded} pictures are"
                yield Note(f"the film begins between two keyframes: {what} left out before the first one")
            has_begun, skipped, early = True, 0, None
            if frame.pts is not None:
                yield from lost.before(frame.pts)
            yield frame
    yield from lost.at_end()


class DecodingOrder:
    """Gives frames the times of packets in the order of decoding, where a container stores no others.

    libav guesses when pictures are shown, and guesses them late by the frames that the decoder holds back, and wrong
    where a packet holds two frames (packed B-frames of DivX). But frames come out of the decoder in their order, each
    when the packet of its own time, and of that delay, goes in.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._delay: int | None = None

    def enter(self, packet: Packet[Any]) -> DecodingOrder | None:
        """Note a packet that goes into the decoder, and make its dts its only time.

        Returns:
            the object, or None if the first packet shows that the container does store times.
        """
        if not packet.size:
            return self
        if self._first is None:
            if packet.pts is None or packet.dts is None or not 0 <= packet.dts < packet.pts:
                return None
            self._first = packet.dts
        packet.pts = packet.dts
        return self

    def stamp(self, frame: VideoFrame) -> None:
        """Set the pts of a frame; None for those that come out at the end."""
        if self._delay is None and frame.dts is not None and self._first is not None:
            self._delay = frame.dts - self._first
        frame.pts = None if frame.dts is None or self._delay is None else frame.dts - self._delay


class LostPictures:
    """The pictures that a decoder has failed on: those whose times went into it and have not come out.

    A failure does not say which picture it is about. So it is assigned to the first one that is missing from then on.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._failures: list[str] = []  # not yet assigned to a picture
        self._expected: list[int] = []  # a heap of times

    def expect(self, packet: Packet[Any]) -> None:
        """Note the time of a packet that goes into the decoder."""
        if packet.size and packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._expected, packet.pts)

    def add_failure(self, reason: str) -> None:
        """Note that the decoder has refused a packet."""
        self._failures.append(reason)

    def before(self, pts: int | None) -> Iterator[Item]:
        """Yield a :class:`Note` and a :class:`LostPicture` for each picture that is lost before this time."""
        missing = []
        while self._expected and (pts is None or self._expected[0] <= pts):
            expected = heapq.heappop(self._expected)
            if expected != pts:
                missing.append(expected)
        for lost in missing[: len(self._failures)]:
            what = f"the picture at {float(lost * self._time_base):.2f} s cannot be decoded ({self._failures.pop(0)})"
            yield Note(f"{what}; the one before is repeated", is_damage=True)
            yield LostPicture(lost)

    def at_end(self) -> Iterator[Item]:
        """Yield what is lost up to the end of the film, and a :class:`Note` for each failure without a picture."""
        yield from self.before(None)
        for reason in self._failures:
            line = f"a packet of the film cannot be decoded ({reason}); no picture is known to be missing"
            yield Note(line, is_damage=True)
        self._failures.clear()


def note_concealment(items: Iterable[Item], stream: VideoStream, *, keep_going: bool) -> Iterator[Item]:
    """Pass everything on; yield a :class:`Note` for frames with damage that the decoder has concealed.

    Args:
        items: the decoded frames and everything else.
        stream: the picture stream.
        keep_going: note each frame as damage; otherwise yield one warning at the end.
    """
    assert stream.time_base is not None  # choose_video
    concealed: list[float] = []
    for item in items:
        if isinstance(item, VideoFrame) and item.is_corrupt:
            concealed.append(float((item.pts or 0) * stream.time_base))
            if keep_going:
                line = f"the picture at {concealed[-1]:.2f} s is damaged, the decoder has concealed parts of it"
                yield Note(line, is_damage=True)
        yield item
    if concealed and not keep_going:
        which = "a damaged picture" if len(concealed) == 1 else f"{len(concealed)} damaged pictures, the first"
        yield Note(f"{which} at {concealed[0]:.2f} s: the decoder has concealed the damaged parts")
