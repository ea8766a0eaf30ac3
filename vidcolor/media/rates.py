"""The frame rate of a stream, after a check that it can be one."""

from __future__ import annotations

from fractions import Fraction

from av.video.stream import VideoStream

MAX_FRAME_RATE = 1000
"""Frames per second. libav gives higher ones where it has taken the unit of time for a frame, as in raw DV (60000)."""


def frame_rate_of(stream: VideoStream) -> Fraction | None:
    """Return the frames per second of a stream: the average, or else libav's guess; None if neither can be true."""
    rates = (stream.average_rate, stream.guessed_rate)
    return next((rate for rate in rates if rate is not None and 0 < rate <= MAX_FRAME_RATE), None)
