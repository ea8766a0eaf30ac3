"""Several processes that train one network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.training_samples import TINY
from vidcolor.inference.weights import load_generator
from vidcolor.inference.weights_file import describe
from vidcolor_training.distributed import World

WORKER = Path(__file__).with_name("distributed_worker.py")


@pytest.mark.slow
def test_two_processes_stay_equal(photographs: Path, tmp_path: Path) -> None:
    """Two gloo processes end with the same parameters, one run folder, and count the pictures of both."""
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY.replace("batch_size = 2", "batch_size = 1").replace("pictures = 40", "pictures = 8"))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(WORKER),
        str(recipe),
        str(photographs),
        str(tmp_path),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["pictures"] == second["pictures"] == 12
    for name, value in first["parameters"].items():
        torch.testing.assert_close(value, second["parameters"][name], rtol=0, atol=0)
    weights = tmp_path / "run" / "weights.safetensors"
    load_generator(weights)
    assert describe(weights)["training"]["processes"] == 2


def test_a_world_of_one_changes_nothing() -> None:
    """Alone, averaging and agreeing are no-ops."""
    network = torch.nn.Linear(2, 1)
    network(torch.ones(1, 2)).sum().backward()
    before = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    World().average_gradients(network.parameters())
    assert all(torch.equal(p.grad, b) for p, b in zip(network.parameters(), before, strict=True))
    assert World().agree(0.25, True) == (0.25, True)
