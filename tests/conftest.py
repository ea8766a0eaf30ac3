"""Fixtures that more than one test file uses."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.samples import small_generator
from vidcolor.inference.weights import save_generator

SHARED_CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"


@pytest.fixture(scope="session")
def shared_clips() -> Path:
    """The development clips beside the checkout; the test is skipped where there are none."""
    if not SHARED_CLIPS.is_dir():
        pytest.skip("needs the development clips in ../shared/clips")
    return SHARED_CLIPS


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> None:
    """Undo what nohup and background jobs do: they have SIGINT and SIGHUP ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def nobodys_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own: what a user has downloaded changes no result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Four pictures, orange above blue, in a folder and (two of them) in a shard."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(4):
        rgb = np.zeros((140, 150, 3), np.uint8)
        rgb[:70], rgb[70:] = (200, 120, 40 + i), (30, 60, 160)
        Image.fromarray(rgb).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of a small random network."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    generator = small_generator()
    save_generator(
        path, generator.state_dict(), network="multiscale_unet", config=generator.config, recipe="", training={}
    )
    return path
