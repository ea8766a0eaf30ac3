"""Fuzz unfinished work: replace one file of the work folder, and check that resuming gives the same film or refuses."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from tests.support.clips import Clip, make_clip
from tests.support.painter import Painter
from vidcolor.errors import VidcolorError
from vidcolor.files.paths import is_folder
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Progress
from vidcolor.resume import segments
from vidcolor.resume.segments import Finished
from vidcolor.resume.unfinished import PUBLISHED, folder_of
from vidcolor.resume.work_folder import LOCK, FileStamp, Published

FILM = Clip(
    size=(48, 32),
    frames=20,
    cuts=(5, 10, 15),
    audio=("eng",),
    options={"crf": "30", "preset": "ultrafast", "threads": "1"},
)
MODIFIED_SECONDS = 1_700_000_000
"""The film's time of modification, which belongs to its identity."""
DONE = 17
"""Frames written before the interruption."""
OPTIONS = ColorizeOptions(
    render_size=32, anchor_every=5, encode=EncodeOptions(preset="ultrafast", encoder_options={"threads": "1"})
)


class _InterruptedError(Exception):
    """Interrupts the coloring."""


@contextmanager
def short_segments() -> Iterator[None]:
    """Make segments so short, within the context, that a short film has several."""
    with patch.object(segments, "MIN_SEGMENT_FRAMES", 5), patch.object(segments, "MAX_SEGMENT_FRAMES", 8):
        yield


def _color(folder: Path, options: ColorizeOptions = OPTIONS, *, stop_at: int = 0) -> Path:
    def on_progress(progress: Progress) -> None:
        if progress.frames == stop_at:
            raise _InterruptedError

    dest = folder / "case.mkv"
    with short_segments():
        colorize_video(folder / "in.mkv", dest, colorizer=Painter(), options=options, on_progress=on_progress)
    return dest


def _film(folder: Path) -> None:
    make_clip(folder / "in.mkv", FILM, bitexact=True)
    os.utime(folder / "in.mkv", (MODIFIED_SECONDS, MODIFIED_SECONDS))


def _whole(folder: Path) -> bytes:
    dest = _color(folder)
    whole = dest.read_bytes()
    dest.unlink()
    return whole


def work_seeds() -> dict[str, bytes]:
    """Return the files that an interrupted run leaves, and the one that marks a published film."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        _film(folder)
        looks = FileStamp(bytes=len(_whole(folder)), modified_ns=MODIFIED_SECONDS * 10**9)
        with suppress(_InterruptedError):
            _color(folder, stop_at=DONE)
        work = folder_of(folder / "case.mkv")
        found = {path.name: path.read_bytes() for path in work.iterdir() if path.name != LOCK}
    finished = Finished(frames=FILM.frames, settled=15, starts=(0, 200, 400, 600), is_whole=True)
    return {**found, PUBLISHED: json.dumps(asdict(Published(film=looks, finished=finished))).encode()}


def work_reader() -> Callable[[Path, Random], None]:
    """Return a function that resumes work in which one file is replaced by that of the case."""
    home = Path("home").absolute()
    home.mkdir()
    _film(home)
    whole = _whole(home)
    seed_files = work_seeds()
    dest, work = home / "case.mkv", folder_of(home / "case.mkv")

    def read(path: Path, chance: Random) -> None:
        """Resume: the film must come out whole, or be refused in one line, and then be made by overwriting."""
        shutil.rmtree(work, ignore_errors=True)
        dest.unlink(missing_ok=True)
        work.mkdir()
        for name, data in seed_files.items():
            if chance.random() < 0.9:
                (work / name).write_bytes(data)
        names = (*sorted(seed_files), *sorted(seed_files), "000009.segment", LOCK, "000003.part")
        _put(chance, work / chance.choice(names), path)
        was_there = chance.random() < 0.2
        if was_there:
            dest.write_bytes(whole)
            os.utime(dest, (MODIFIED_SECONDS, MODIFIED_SECONDS))
        is_forged = _has_its_checksum(path.read_bytes()) and path.read_bytes() not in seed_files.values()
        try:
            _color(home, replace(OPTIONS, resume=True))
        except VidcolorError:
            assert dest.exists() == was_there
            if not any(map(is_folder, work.glob("*"))):
                _color(home, replace(OPTIONS, overwrite=True))
                assert dest.read_bytes() == whole
            raise
        assert is_forged or dest.read_bytes() == whole
        assert not work.exists() or any(map(is_folder, work.iterdir()))

    return read


def _put(chance: Random, place: Path, path: Path) -> None:
    """Put the file of the case, or something that is not a file, at a place."""
    place.unlink(missing_ok=True)
    kind = chance.choice(("file",) * 12 + ("folder", "link", "pipe", "nowhere"))
    if kind == "file":
        shutil.copyfile(path, place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(path.absolute() if kind == "link" else place.with_name(kind))


# How records are corrupted, besides the ways for all files


def corrupt_record(chance: Random, data: bytes) -> bytes:
    """Change a value or a type in the JSON of a file; a segment then gets a matching checksum."""
    body, text = (b"", data) if data.startswith(b"{") else _split(data)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return with_checksum(data)
    if not isinstance(content, dict) or not content:
        return data
    holder, name = content, chance.choice(sorted(content))
    while isinstance(holder[name], dict) and holder[name] and chance.random() < 0.8:
        holder = holder[name]
        name = chance.choice(sorted(holder))
    change = chance.choice(("value", "value", "value", "remove", "more", "depth"))
    if change == "value":
        values: tuple[Any, ...] = (
            0,
            1,
            -1,
            2**31,
            2**63,
            10**30,
            1.5,
            None,
            True,
            "",
            "x",
            "\ud800",
            [],
            {},
            [0],
            ["x"],
            [None],
            {"x": 1},
        )
        holder[name] = chance.choice(values)
    elif change == "remove":
        del holder[name]
    elif change == "more":
        holder["more"] = 1
    if not body:
        return b"[" * 100_000 if change == "depth" else json.dumps(content).encode()
    return with_facts(body, "[" * 100_000 if change == "depth" else content)


def with_checksum(data: bytes) -> bytes:
    """Return the bytes of a segment with a checksum that matches them."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def _has_its_checksum(data: bytes) -> bool:
    return with_checksum(data) == data


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Return the packets of a segment, and the JSON after them."""
    end = max(len(data) - 40, 0)
    (length,) = struct.unpack("<Q", data[end : end + 8].ljust(8, b"\0"))
    return data[: max(end - length, 0)], data[max(end - length, 0) : end]


def with_facts(packets: bytes, content: object) -> bytes:
    """Return a segment of these packets and this content as JSON; a string is taken as it is."""
    text = (content if isinstance(content, str) else json.dumps(content)).encode()
    return with_checksum(packets + text + struct.pack("<Q", len(text)) + bytes(32))
