"""What the stages of reading a film hand on to each other.

Every stage takes and yields an iterator of :data:`Item` in the order of the file. A stage replaces the items that it is
for and passes the others on unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from av.packet import Packet
from av.video.frame import VideoFrame


@dataclass(frozen=True)
class Note:
    """A line for the user about the film."""

    line: str
    is_damage: bool = False
    """Whether a part of the film could not be read; otherwise the line is a warning."""


@dataclass(frozen=True)
class LostPicture:
    """A picture that could not be decoded, in its place among the decoded frames."""

    pts: int
    """In units of the stream's time base."""


@dataclass(frozen=True)
class Jump:
    """A place where the source leaves out a part of the film: what follows does not continue what came before."""


Item: TypeAlias = "Packet[Any] | VideoFrame | Note | LostPicture | Jump"
"""A packet, a decoded frame of the film, or one of the records above."""
