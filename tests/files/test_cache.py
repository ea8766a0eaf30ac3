"""What is kept in the cache folder comes back as it was, or is made again."""

from __future__ import annotations

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
    """A module that what is kept depends on."""
    module = ModuleType("code")
    module.__file__ = str(tmp_path / "code.py")
    Path(module.__file__).write_text("one")
    return module


@pytest.fixture
def ask(code: ModuleType) -> tuple[Callable[[], FloatArray], list[int]]:
    """Asks for an array, and how often it has been made."""
    made: list[int] = []

    def make() -> FloatArray:
        made.append(1)
        return np.full(SHAPE, len(made), np.float32)

    return lambda: load_or_compute("thing", [code], SHAPE, make), made


def test_made_once(ask: tuple[Callable[[], FloatArray], list[int]]) -> None:
    """The second time it is read."""
    get, made = ask
    first, second = get(), get()
    np.testing.assert_array_equal(first, second)
    assert len(made) == 1


def test_other_code_makes_it_anew(ask: tuple[Callable[[], FloatArray], list[int]], code: ModuleType) -> None:
    """A byte is enough, and what was kept goes, but not what other names have."""
    get, made = ask
    load_or_compute("thing-too", [code], SHAPE, lambda: np.zeros(SHAPE, np.float32))
    get()
    Path(str(code.__file__)).write_text("two")
    assert get()[0, 0] == 2
    assert len(made) == 2
    assert sorted(path.name.rpartition("-")[0] for path in cache_folder().iterdir()) == ["thing", "thing-too"]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"nonsense", None])
def test_what_is_broken_is_made_again(ask: tuple[Callable[[], FloatArray], list[int]], content: bytes | None) -> None:
    """Truncated, something else, or of another shape."""
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
    """A file stands where the folder should be."""
    get, _ = ask
    cache_folder().parent.mkdir()
    cache_folder().write_text("")
    assert get()[0, 0] == 1
    assert get()[0, 0] == 2


def test_code_that_cannot_be_read(ask: tuple[Callable[[], FloatArray], list[int]], code: ModuleType) -> None:
    """It may lie in an archive."""
    get, _ = ask
    code.__file__ = "archive.zip/code.py"
    assert get()[0, 0] == 1
    assert not cache_folder().exists()


def test_a_table_read_is_the_table_made() -> None:
    """To the last bit."""
    made = chroma_table.__wrapped__(BT601)
    read = chroma_table.__wrapped__(BT601)
    assert len(list(cache_folder().iterdir())) == 1
    np.testing.assert_array_equal(made.tiles, read.tiles)
