"""A film, a folder, a pipe and a resumed film on a CPU, in an interpreter that cannot import PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.clips import Clip, make_clip
from vidcolor.resume.unfinished import folder_of

FORBIDDEN = ("torch", "torchvision", "skimage", "scipy", "matplotlib", "tensorboard", "jinja2", "tqdm", "torchmetrics")
"""Packages that only extras bring."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which the packages of the extras look as if they were not installed."""
    blocker = tmp_path / "blocked"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({FORBIDDEN!r}))\n")
    paths = [str(blocker), *sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run(environment: dict[str, str], *arguments: object, feed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command line without PyTorch."""
    line = [sys.executable, "-m", "vidcolor", *map(str, arguments)]
    return subprocess.run(line, env=environment, input=feed, capture_output=True, check=False, timeout=300)


def test_torch_is_out_of_reach(environment: dict[str, str]) -> None:
    """The environment of these tests has no PyTorch."""
    done = subprocess.run([sys.executable, "-c", "import torch"], env=environment, capture_output=True, check=False)
    assert b"ModuleNotFoundError: import of torch halted" in done.stderr


@pytest.mark.slow
def test_everything_on_a_cpu(environment: dict[str, str], tmp_path: Path) -> None:
    """A film with the default weights, a folder, a pipe, a resumed film, ``info``, ``models`` and ``--help`` work."""
    film = make_clip(tmp_path / "film.mkv", Clip(size=(64, 48), frames=12))
    out = tmp_path / "out.mkv"
    done = run(environment, film, "-o", out, "--render-size", 64, "--profile")
    assert done.returncode == 0, done.stderr.decode()
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(folder / "a.png")
    done = run(environment, folder, "-o", tmp_path / "colored", "--render-size", 64)
    assert done.returncode == 0, done.stderr.decode()
    assert np.asarray(Image.open(tmp_path / "colored" / "a.png")).shape == (64, 64, 3)
    done = run(environment, "-", "-o", "-", "--format", "matroska", "--render-size", 64, feed=film.read_bytes())
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"\x1a\x45\xdf\xa3")
    for arguments in (["info", film], ["models"], ["--help"]):
        done = run(environment, *arguments)
        assert done.returncode == 0, done.stderr.decode()
    assert b"their modules need PyTorch" in run(environment, "models").stdout


@pytest.mark.slow
def test_resuming(environment: dict[str, str], tmp_path: Path) -> None:
    """A film that is killed in the middle and resumed equals that of an uninterrupted run."""
    film = make_clip(tmp_path / "film.mkv", Clip(size=(64, 48), frames=400, cuts=(100, 200, 300)))
    whole, out = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    assert run(environment, film, "-o", whole, "--render-size", 64).returncode == 0
    line = [sys.executable, "-m", "vidcolor", str(film), "-o", str(out), "--render-size", "64"]
    victim = subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while victim.poll() is None and not folder_of(out).exists():
        time.sleep(0.02)
    victim.kill()
    victim.wait()
    assert not out.exists()
    done = run(environment, film, "-o", out, "--render-size", 64, "--resume")
    assert done.returncode == 0, done.stderr.decode()
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--device", "cuda"], "--device cuda needs torch, which is not installed: pip install 'vidcolor[gpu]'"),
        (["--weights", "{weights}"], "to run it on a CPU, export it to ONNX where PyTorch is installed"),
    ],
)
def test_says_which_extra_is_missing(
    environment: dict[str, str], tmp_path: Path, tiny_weights: Path, arguments: list[str], line: str
) -> None:
    """What needs PyTorch says so in one line, with the command that installs it."""
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(tiny_weights.read_bytes())
    grey = tmp_path / "grey.png"
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(grey)
    done = run(environment, grey, "-o", tmp_path / "out.png", *(each.format(weights=alone) for each in arguments))
    assert done.returncode == 2
    assert line in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_training_needs_its_extra(environment: dict[str, str], tmp_path: Path, command: str) -> None:
    """The trainer and the evaluator say that they need ``vidcolor[train]``."""
    done = run(environment, command, tmp_path, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "pip install 'vidcolor[train]'" in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
