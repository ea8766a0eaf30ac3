"""Segment files are read as they were written, and damage is detected."""

from __future__ import annotations

import os
from array import array
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from av.packet import Packet

from tools.fuzz_work import with_facts
from vidcolor.errors import OutputError
from vidcolor.resume.segment_file import (
    DamagedSegmentError,
    SegmentDraft,
    SegmentFacts,
    decoding_times,
    presentation_times,
    read_facts,
    read_packets,
    reordering,
)

TIMES = [100, 108, 104, 102, 106, 110]
"""Times (pts) in decoding order, with two levels of B-frames."""


def packet(pts: int | None, payload: bytes) -> Packet[Any]:
    """A packet as from an encoder."""
    made: Packet[Any] = Packet(payload)
    made.pts, made.duration, made.is_keyframe = pts, 2, pts == TIMES[0]
    return made


def write(path: Path) -> SegmentFacts:
    """Write a segment of six packets."""
    draft = SegmentDraft(path)
    for number, pts in enumerate(TIMES):
        draft.add(packet(pts, bytes([number]) * (number + 1)))
    facts = SegmentFacts(
        film="f00d",
        number=0,
        frames=len(TIMES),
        packets_bytes=draft.packets_bytes,
        opens_shot=True,
        starts=(100, 106),
        kept=(106,),
        delay=draft.delay,
        next_opens_shot=None,
        headers="0a0b",
        warnings=("one", "two"),
        errors=("three",),
    )
    draft.finish(facts)
    return facts


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Facts, packets, their order and times are kept; nothing else is left in the folder."""
    path = tmp_path / "000000.segment"
    facts = write(path)
    assert read_facts(path) == facts
    stored = list(read_packets(path, facts))
    assert [one.pts for one in stored] == TIMES
    assert [one.payload for one in stored] == [bytes([number]) * (number + 1) for number in range(6)]
    assert [one.is_keyframe for one in stored] == [True] + [False] * 5
    assert {one.duration for one in stored} == {2}
    assert presentation_times(path, facts) == sorted(TIMES)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_it_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    """Until it is finished there is a temporary file, and discarding removes it."""
    draft = SegmentDraft(tmp_path / "000000.segment")
    draft.add(packet(0, b"payload"))
    assert [file.suffix for file in tmp_path.iterdir()] == [".part"]
    draft.discard()
    assert list(tmp_path.iterdir()) == []


def test_every_cut_and_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """Truncation at any byte and a flipped bit in any byte are detected."""
    path = tmp_path / "000000.segment"
    write(path)
    content = path.read_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        for damaged in (content[:place], bytes(flipped)):
            path.write_bytes(damaged)
            with pytest.raises(DamagedSegmentError, match="000000"):
                read_facts(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": "6"}, r"expected int, found str @ \$\.frames"),
        ({"starts": [0, None]}, r"expected int, found NoneType @ \$\.starts"),
        ({"number": 10**30}, r"up to 63 bits, found 100 bits @ \$\.number"),
        ({"more": 1}, "expected the fields"),
        ({"delay": 5}, "its packets do not match"),
        ({"packets_bytes": 1}, "its packets do not match"),
    ],
)
def test_what_another_version_wrote(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    """Metadata with other fields or types is refused, even with a valid checksum."""
    path = tmp_path / "000000.segment"
    facts = write(path)
    path.write_bytes(with_facts(path.read_bytes()[: facts.packets_bytes], {**asdict(facts), **change}))
    with pytest.raises(DamagedSegmentError, match=f"000000.segment: .*{words}"):
        read_facts(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A folder and a named pipe are refused without reading."""
    (tmp_path / "000000.segment").mkdir()
    os.mkfifo(tmp_path / "000001.segment")
    for path in tmp_path.iterdir():
        with pytest.raises(DamagedSegmentError, match="is no file"):
            read_facts(path)


def test_packets_without_a_time_are_refused(tmp_path: Path) -> None:
    """A packet without pts raises OutputError."""
    draft = SegmentDraft(tmp_path / "000000.segment")
    with pytest.raises(OutputError, match="without times"):
        draft.add(packet(None, b"payload"))
    draft.discard()


@pytest.mark.parametrize(
    ("times", "delay"),
    [([], 0), ([5], 0), ([0, 1, 2, 3], 0), ([0, 2, 1, 3], 1), (TIMES, 2), ([0, 8, 4, 2, 1, 3, 6, 5, 7], 3)],
)
def test_decoding_times(times: list[int], delay: int) -> None:
    """Decoding times ascend and are never later than pts; the delay is the smallest that allows this."""
    assert reordering(times) == delay
    if not times:
        return
    decoding = list(decoding_times(array("q", sorted(times)), delay))
    assert len(decoding) == len(times)
    assert all(one < other for one, other in pairwise(decoding))
    assert all(dts <= pts for dts, pts in zip(decoding, times, strict=True))
    if delay:
        shorter = list(decoding_times(array("q", sorted(times)), delay - 1))
        assert any(dts > pts for dts, pts in zip(shorter, times, strict=True))
