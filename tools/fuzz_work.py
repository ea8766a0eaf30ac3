"""What fuzzing does to unfinished work: one file of its folder is another one; it must not become another film."""

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
from unittest.mock import patch

import numpy as np

from tests.support.clips import Clip, make_clip
from vidcolor.errors import VidcolorError
from vidcolor.files.paths import is_folder
from vidcolor.frames import FloatArray
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Progress
from vidcolor.resume import segments
from vidcolor.resume.segments import Finished
from vidcolor.resume.unfinished import PUBLISHED, folder_of
from vidcolor.resume.work_folder import LOCK, Looks, Published

FILM = Clip(
    size=(48, 32),
    frames=20,
    cuts=(5, 10, 15),
    audio=("eng",),
    options={"crf": "30", "preset": "ultrafast", "threads": "1"},
)
MODIFIED_SECONDS = 1_700_000_000
"""When the film was last changed, always: that belongs to its identity."""
DONE = 17
"""Frames that are written when the work is interrupted."""
OPTIONS = ColorizeOptions(
    render_size=32, anchor_every=5, encode=EncodeOptions(preset="ultrafast", encoder_options={"threads": "1"})
)


class Painter:
    """Colors by brightness, and says who it is."""

    batch_size = 4
    fingerprint = "paint"
    runs_on = "paper"

    def predict(self, grey: FloatArray) -> FloatArray:
        """Bright is yellow, dark is blue."""
        return np.stack((10 * (grey - 0.5), 60 * (grey - 0.5)), axis=1)


class _InterruptedError(Exception):
    """Ends the work."""


@contextmanager
def short_segments() -> Iterator[None]:
    """For as long as the context lasts a short film has several."""
    with patch.object(segments, "MIN_FRAMES", 5), patch.object(segments, "MAX_FRAMES", 8):
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
    """The files of a folder that an interrupted run has left, and the one that it holds when the film is there."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        _film(folder)
        looks = Looks(bytes=len(_whole(folder)), modified_ns=MODIFIED_SECONDS * 10**9)
        with suppress(_InterruptedError):
            _color(folder, stop_at=DONE)
        work = folder_of(folder / "case.mkv")
        found = {path.name: path.read_bytes() for path in work.iterdir() if path.name != LOCK}
    finished = Finished(frames=FILM.frames, settled=15, starts=(0, 200, 400, 600), is_whole=True)
    return {**found, PUBLISHED: json.dumps(asdict(Published(film=looks, finished=finished))).encode()}


def work_reader() -> Callable[[Path, Random], None]:
    """Goes on with work of which one file is the case's."""
    home = Path("home").absolute()
    home.mkdir()
    _film(home)
    whole = _whole(home)
    sound = work_seeds()
    dest, work = home / "case.mkv", folder_of(home / "case.mkv")

    def read(path: Path, chance: Random) -> None:
        """``--resume`` makes the whole film of it, or refuses in one line, and ``--overwrite`` makes it then."""
        shutil.rmtree(work, ignore_errors=True)
        dest.unlink(missing_ok=True)
        work.mkdir()
        for name, data in sound.items():
            if chance.random() < 0.9:
                (work / name).write_bytes(data)
        names = (*sorted(sound), *sorted(sound), "000009.segment", LOCK, "000003.part")
        _put(chance, work / chance.choice(names), path)
        was_there = chance.random() < 0.2
        if was_there:
            dest.write_bytes(whole)
            os.utime(dest, (MODIFIED_SECONDS, MODIFIED_SECONDS))
        is_forged = _has_its_checksum(path.read_bytes()) and path.read_bytes() not in sound.values()
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
    """The case's file under that name, or something that is no file."""
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


# How a file is spoiled beside the ways of all files


def spoil_record(chance: Random, data: bytes) -> bytes:
    """Another value, or another type, in what a file says in JSON; a segment's checksum is made right then."""
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
        values = (
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
    """A segment that is as it was written, if its checksum were all there is to see."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def _has_its_checksum(data: bytes) -> bool:
    return with_checksum(data) == data


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The packets of a segment, and the JSON behind them."""
    end = max(len(data) - 40, 0)
    (length,) = struct.unpack("<Q", data[end : end + 8].ljust(8, b"\0"))
    return data[: max(end - length, 0)], data[max(end - length, 0) : end]


def with_facts(packets: bytes, content: object) -> bytes:
    """A segment of these packets; a string is what it says instead of JSON."""
    text = (content if isinstance(content, str) else json.dumps(content)).encode()
    return with_checksum(packets + text + struct.pack("<Q", len(text)) + bytes(32))
