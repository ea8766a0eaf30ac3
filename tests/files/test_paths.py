"""Queries of paths and checks of destinations."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vidcolor.errors import OutputError
from vidcolor.files.paths import check_destination, is_file, is_folder, is_stream, path_exists


def test_what_stands_there(tmp_path: Path) -> None:
    """Links count as their targets, and a broken link does not exist."""
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "broken").symlink_to("nowhere")
    names = ("", "file", "pipe", "link", "broken", "nowhere", "file/below")
    found = [[ask(tmp_path / name) for ask in (is_folder, is_file, path_exists)] for name in names]
    folder, file, pipe, nothing = [True, False, True], [False, True, True], [False, False, True], [False] * 3
    assert found == [folder, file, pipe, file, nothing, nothing, nothing]


def test_streams_are_not_replaced(tmp_path: Path) -> None:
    """A named pipe is a stream, also through a link; as a file it is refused, with ``overwrite`` too."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "file").touch()
    assert [is_stream(tmp_path / name) for name in ("pipe", "link", "file", "nowhere")] == [True, True, False, False]
    for name in ("pipe", "link"):
        with pytest.raises(OutputError, match="is a device or a named pipe"):
            check_destination(tmp_path / name, overwrite=True)


def test_what_may_not_be_looked_at_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlike Path.exists, no query raises PermissionError."""

    def refuse(path: Path, **settings: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    assert not any(ask(Path("file")) for ask in (is_folder, is_file, path_exists))


def test_destinations(tmp_path: Path) -> None:
    """A new name is accepted, an existing one with overwrite; the input itself and a broken link are not."""
    source, old, broken = tmp_path / "source", tmp_path / "old", tmp_path / "broken"
    source.touch()
    old.touch()
    broken.symlink_to("nowhere")
    check_destination(tmp_path / "new", source=source, overwrite=False)
    check_destination(old, source=source, overwrite=True)
    check_destination(old, source=tmp_path / "nowhere", overwrite=True)
    for dest, overwrite, reason in (
        (old, False, "exists already"),
        (broken, False, "exists already"),
        (source, True, "is the input itself"),
        (tmp_path, True, "is a folder"),
        (tmp_path / "none" / "new", True, "its folder does not exist"),
        (tmp_path / ("long" * 100), True, "cannot be written"),
    ):
        with pytest.raises(OutputError, match=reason):
            check_destination(dest, source=source, overwrite=overwrite)
