"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from vidcolor.errors import OutputError
from vidcolor.files.atomic import AtomicFile, atomic_file


def test_published_file_has_its_name_and_ordinary_permissions(tmp_path: Path) -> None:
    """The file appears complete, with the mode of any new file, and nothing else is left."""
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    file = AtomicFile(tmp_path / "film.mp4", overwrite=False)
    assert not file.destination.exists()
    file.path.write_bytes(b"whole")
    file.publish()
    assert file.destination.read_bytes() == b"whole"
    assert stat.S_IMODE(file.destination.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == [file.destination, ordinary]


def test_discard_leaves_nothing(tmp_path: Path) -> None:
    """A discarded file is gone, also when it is discarded twice."""
    file = AtomicFile(tmp_path / "film.mp4", overwrite=False)
    file.discard()
    file.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Without overwrite, an existing file stays and the temporary one is removed."""
    file = AtomicFile(tmp_path / "film.mp4", overwrite=False)
    file.destination.write_bytes(b"another's")
    with pytest.raises(OutputError, match="has appeared"):
        file.publish()
    assert file.destination.read_bytes() == b"another's"
    assert list(tmp_path.iterdir()) == [file.destination]


@pytest.mark.parametrize("taken", [False, True])
def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool) -> None:
    """Without hard links the file is renamed, but not over an existing one."""

    def refuse(source: Path, destination: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    file = AtomicFile(tmp_path / "film.mp4", overwrite=False)
    if taken:
        file.destination.write_bytes(b"another's")
        with pytest.raises(OutputError, match="has appeared"):
            file.publish()
    else:
        file.publish()
    assert list(tmp_path.iterdir()) == [file.destination]


def test_overwrite_replaces(tmp_path: Path) -> None:
    """With overwrite, the old file is there until it is replaced."""
    destination = tmp_path / "film.mp4"
    destination.write_bytes(b"old")
    file = AtomicFile(destination, overwrite=True)
    file.path.write_bytes(b"new")
    assert destination.read_bytes() == b"old"
    file.publish()
    assert destination.read_bytes() == b"new"


def test_refusals_come_at_once(tmp_path: Path) -> None:
    """An existing file, a folder and a missing folder are refused before any work."""
    (tmp_path / "film.mp4").touch()
    for destination, words in [
        (tmp_path / "film.mp4", "`overwrite`"),
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "film.mp4", "does not exist"),
    ]:
        with pytest.raises(OutputError, match=words), atomic_file(destination, overwrite=False):
            pytest.fail("the block is not entered")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_unwritable_folder(tmp_path: Path) -> None:
    """A folder that is not writable is refused before any work."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="takes no files"):
            AtomicFile(tmp_path / "film.mp4", overwrite=False)
    finally:
        tmp_path.chmod(0o700)


def test_file_appears_at_the_end(tmp_path: Path) -> None:
    """Within the block the name does not exist; after it there is no temporary file."""
    path = tmp_path / "a.txt"
    with atomic_file(path, overwrite=True) as part:
        part.write_text("whole")
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "whole"


def test_longest_name(tmp_path: Path) -> None:
    """A name of 255 bytes, the limit of file systems, can be written."""
    path = tmp_path / ("a" * 251 + ".txt")
    with atomic_file(path, overwrite=True) as part:
        part.write_text("whole")
    assert path.read_text() == "whole"


@pytest.mark.parametrize(
    ("error", "seen"), [(OSError(28, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_failure_keeps_what_was_there(tmp_path: Path, error: BaseException, seen: type[BaseException]) -> None:
    """If the block raises, an existing file stays and the new one is removed."""
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail_half_way() -> None:
        with atomic_file(path, overwrite=True) as part:
            part.write_text("half")
            raise error

    with pytest.raises(seen):
        fail_half_way()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
