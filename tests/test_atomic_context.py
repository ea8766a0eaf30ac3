"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidcolor.atomic import atomic_file
from vidcolor.errors import OutputError


def test_file_appears_at_the_end(tmp_path: Path) -> None:
    """Until the block is left there is nothing under the name, and afterwards nothing beside it."""
    path = tmp_path / "a.txt"
    with atomic_file(path, overwrite=True) as part:
        part.write_text("whole")
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "whole"


def test_longest_name(tmp_path: Path) -> None:
    """A name of 255 bytes, the most that file systems take, leaves room for the file beside it."""
    path = tmp_path / ("a" * 251 + ".txt")
    with atomic_file(path, overwrite=True) as part:
        part.write_text("whole")
    assert path.read_text() == "whole"


@pytest.mark.parametrize(
    ("error", "seen"), [(OSError(28, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_failure_keeps_what_was_there(tmp_path: Path, error: BaseException, seen: type[BaseException]) -> None:
    """An older file of that name stays, and the new one vanishes."""
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
