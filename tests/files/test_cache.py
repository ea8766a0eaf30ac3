"""Arrays in the cache folder are loaded, or computed again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vidcolor.color.chroma_table import chroma_table
from vidcolor.color.luma_weights import BT601
from vidcolor.files.cache import cache_folder, load_or_compute
from vidcolor.frames import FloatArray

SHAPE = (3, 4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def code(tmp_path: Path) -> ModuleType:
    """A module that the cached array depends on."""
    module = ModuleType("code")
    module.__file__ = str(tmp_path / "code.py")
    Path(module.__file__).write_text("one")
    return module


@pytest.fixture
def ask(code: ModuleType) -> tuple[Callable[[], FloatArray], list[int]]:
    """A function that loads or computes an array, and a list with an entry per computation."""
    made: list[int] = []

    def make() -> FloatArray:
        made.append(1)
        return np.full(SHAPE, len(made), np.float32)

    return lambda: load_or_compute("thing", [code], SHAPE, make), made


def test_made_once(ask: tuple[Callable[[], FloatArray], list[int]]) -> None:
    """The second call loads the array."""
    get, made = ask
    first, second = get(), get()
    np.testing.assert_array_equal(first, second)
    assert len(made) == 1


def test_other_code_makes_it_anew(ask: tuple[Callable[[], FloatArray], list[int]], code: ModuleType) -> None:
    """After a change of the code the array is computed again, and only the old file of its name is removed."""
    get, made = ask
    load_or_compute("thing-too", [code], SHAPE, lambda: np.zeros(SHAPE, np.float32))
    get()
    Path(str(code.__file__)).write_text("two")
    assert get()[0, 0] == 2
    assert len(made) == 2
    assert sorted(path.name.rpartition("-")[0] for path in cache_folder().iterdir()) == ["thing", "thing-too"]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"nonsense", None])
def test_what_is_broken_is_made_again(ask: tuple[Callable[[], FloatArray], list[int]], content: bytes | None) -> None:
    """A file that is truncated, of another format or of another shape is replaced."""
    get, made = ask
    get()
    (path,) = cache_folder().iterdir()
    if content is None:
        np.save(path, np.zeros((9, 9), np.float32))
    else:
        path.write_bytes(content)
    assert get().shape == SHAPE
    assert len(made) == 2
    get()
    assert len(made) == 2


def test_where_nothing_can_be_kept(ask: tuple[Callable[[], FloatArray], list[int]]) -> None:
    """If the folder cannot be created, the array is computed every time."""
    get, _ = ask
    cache_folder().parent.mkdir()
    cache_folder().write_text("")
    assert get()[0, 0] == 1
    assert get()[0, 0] == 2


def test_code_that_cannot_be_read(ask: tuple[Callable[[], FloatArray], list[int]], code: ModuleType) -> None:
    """If the code is in an archive, the array is computed and not stored."""
    get, _ = ask
    code.__file__ = "archive.zip/code.py"
    assert get()[0, 0] == 1
    assert not cache_folder().exists()


def test_a_user_without_a_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without HOME and without an entry among the users, the cache lies among the temporary files."""
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("pwd.getpwuid", _no_such_user)
    assert cache_folder() == tmp_path / "vidcolor-cache"


def _no_such_user(uid: int) -> None:
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def test_a_table_read_is_the_table_made() -> None:
    """A table from the cache equals the computed one to the last bit."""
    made = chroma_table.__wrapped__(BT601)
    read = chroma_table.__wrapped__(BT601)
    assert len(list(cache_folder().iterdir())) == 1
    np.testing.assert_array_equal(made.tiles, read.tiles)
