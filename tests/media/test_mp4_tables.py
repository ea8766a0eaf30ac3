"""What an MP4 announces, on boxes made by hand and on sound films."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tests.support.clips import Clip, make_clip
from tools.fuzz_seeds import remuxed
from vidcolor.errors import InputError
from vidcolor.media.mp4_tables import MAX_SAMPLES_PER_BYTE, check_announced_samples

MANY = 10**9


def box(name: str, contents: bytes = b"") -> bytes:
    """A box with its length in four bytes."""
    return struct.pack(">I4s", 8 + len(contents), name.encode()) + contents


def long_box(name: str, contents: bytes) -> bytes:
    """A box with its length in eight bytes."""
    return struct.pack(">I4sQ", 1, name.encode(), 16 + len(contents)) + contents


def last_box(name: str, contents: bytes) -> bytes:
    """A box that reaches to the end of the file."""
    return struct.pack(">I4s", 0, name.encode()) + contents


def track(table: bytes) -> bytes:
    """A table of samples in the boxes that it lies in."""
    return box("trak", box("tkhd", bytes(84)) + box("mdia", box("minf", box("vmhd", bytes(12)) + box("stbl", table))))


def one_size(samples: int) -> bytes:
    """Samples of one byte each."""
    return box("stsz", struct.pack(">III", 0, 1, samples))


def fragment(samples: int) -> bytes:
    """Samples that have nothing of their own."""
    return box(
        "moof", box("mfhd", bytes(8)) + box("traf", box("tfhd", bytes(8)) + box("trun", struct.pack(">II", 0, samples)))
    )


START = box("ftyp", b"isom" + bytes(8))


@pytest.mark.parametrize(
    "file",
    [
        START + box("moov", track(one_size(MANY))),
        START + long_box("mdat", bytes(20)) + long_box("moov", track(one_size(MANY))),
        START + last_box("moov", track(one_size(MANY))),
        START + box("moov", track(one_size(5)) + track(one_size(MANY))),
        START + fragment(3) + box("mdat", bytes(9)) + fragment(MANY),
        box("moov", track(one_size(MANY))),
        box("ftxp", b"what begins with an unknown box") + box("moov", track(one_size(MANY))),
        START + box("moov", track(one_size(MANY)))[:-4] + struct.pack(">I", MANY) + b"\0\0\0\1",
    ],
)
def test_too_many_samples(tmp_path: Path, file: bytes) -> None:
    """Wherever the table lies, the file is refused by name and numbers."""
    path = tmp_path / "a.mp4"
    path.write_bytes(file)
    with pytest.raises(InputError, match=rf"a\.mp4: announces 1,000,000,0\d\d samples in {len(file)} bytes"):
        check_announced_samples(path)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"moov",
        START,
        START + box("moov", track(one_size(6 * 200))),  # as many to a byte as old sound has
        START + box("moov", track(box("stsz", struct.pack(">III", 0, 0, MANY)))),  # each needs four bytes: libav looks
        START + box("moov", track(one_size(MANY)[:10])),
        b"RIFF" + bytes(4) + b"AVI " + box("moov", track(one_size(MANY))),
    ],
)
def test_what_passes(tmp_path: Path, file: bytes) -> None:
    """Sound tables, tables that are cut short, and other kinds of file."""
    path = tmp_path / "a.mp4"
    path.write_bytes(file)
    check_announced_samples(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi"])
def test_sound_films_pass(tmp_path: Path, suffix: str) -> None:
    """What muxers write."""
    check_announced_samples(make_clip(tmp_path / f"a{suffix}", Clip(audio=("eng",))))


def test_sound_fragments_pass(tmp_path: Path) -> None:
    """Fragmented MP4."""
    source = make_clip(tmp_path / "a.mp4", Clip())
    check_announced_samples(remuxed(source, tmp_path / "b.mp4", {"movflags": "frag_keyframe+empty_moov"}))


def test_the_limit_counts_from_the_size(tmp_path: Path) -> None:
    """A file of holes may announce what its size could hold, and no sample more."""
    path = tmp_path / "a.mp4"
    for excess in (0, 1):
        path.write_bytes(START + box("moov", track(one_size(MAX_SAMPLES_PER_BYTE * 10**6 + excess))))
        os.truncate(path, 10**6)
        if excess:
            with pytest.raises(InputError, match="announces 64,000,001 samples in 1,000,000 bytes"):
                check_announced_samples(path)
        else:
            check_announced_samples(path)
