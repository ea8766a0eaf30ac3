"""Fixtures that more than one test file uses."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.samples import small_generator
from vidcolor.inference.loading import export_weights
from vidcolor.inference.weights import save_generator

SHARED_CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"


@pytest.fixture(scope="session")
def shared_clips() -> Path:
    """Return the folder of the development clips beside the checkout; skip the test where there is none."""
    if not SHARED_CLIPS.is_dir():
        pytest.skip("needs the development clips in ../shared/clips")
    return SHARED_CLIPS


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> None:
    """Restore the handlers of SIGINT and SIGHUP, which nohup and background jobs ignore, also in child processes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use an empty cache folder, so that what a user has downloaded changes no result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Make a folder of four pictures, orange above blue."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(4):
        rgb = np.zeros((140, 150, 3), np.uint8)
        rgb[:70], rgb[70:] = (200, 120, 40 + i), (30, 60, 160)
        Image.fromarray(rgb).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a weights file of a small random network, with its ONNX file beside it."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    generator = small_generator()
    save_generator(
        path, generator.state_dict(), network="multiscale_unet", config=generator.config, recipe="", training={}
    )
    export_weights(path, path.with_suffix(".onnx"))
    return path
