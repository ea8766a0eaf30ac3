"""Join finished segments to a film, without encoding again."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from av.packet import Packet

from vidcolor.errors import OutputError
from vidcolor.resume.segment_file import (
    DamagedSegmentError,
    decoding_times,
    presentation_times,
    read_facts,
    read_packets,
)
from vidcolor.resume.work_folder import WorkFolder


def check_segments(work: WorkFolder) -> None:
    """Check that all segments are still complete, and that there is room for the film beside them.

    Raises:
        OutputError: a segment is damaged or has been replaced, or the disk has not enough space.
    """
    try:
        for index, facts in enumerate(work.segments):
            if read_facts(work.segment_path(index)) != facts:
                raise DamagedSegmentError(f"{work.segment_path(index)}: has been replaced")
    except DamagedSegmentError as exc:
        raise OutputError(f"{exc}; the segments of {work.name} cannot be joined") from exc
    needed = sum(facts.packets_bytes for facts in work.segments)
    with work.naming_errors():
        disk = shutil.disk_usage(work.path)
    free = disk.free
    if free < needed and disk.total > 0:  # some network shares do not know their size
        what = f"joining its segments needs {needed:,} bytes beside them, the disk has {free:,} left"
        raise OutputError(f"{work.name}: {what}; free some space")


def joined_packets(work: WorkFolder, time_base: Fraction) -> Iterator[Packet[Any]]:
    """Yield the packets of all segments, with decoding times like those of one encoder.

    Args:
        work: the folder with the segments.
        time_base: seconds per unit of the times in the segments.
    """
    segments = [(work.segment_path(index), facts) for index, facts in enumerate(work.segments)]
    presentation = array("q")
    for path, facts in segments:
        presentation.extend(presentation_times(path, facts))
    decoding = decoding_times(presentation, max(facts.delay for _, facts in segments))
    for path, facts in segments:
        for stored in read_packets(path, facts):
            packet: Packet[Any] = Packet(stored.payload)
            packet.pts, packet.dts, packet.duration = stored.pts, next(decoding), stored.duration
            packet.time_base = time_base
            packet.is_keyframe = stored.is_keyframe
            yield packet
