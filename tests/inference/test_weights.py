"""Weights files are read as they were written, and anything else is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.samples import SMALL_CONFIG
from vidcolor.errors import WeightsError
from vidcolor.inference.weights import load_generator, save_generator
from vidcolor.inference.weights_file import default_weights, describe
from vidcolor.networks.multiscale_unet import MultiscaleUNet
from vidcolor.networks.pyramid import Pyramid


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network's weights file, read-only."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    generator = MultiscaleUNet(**SMALL_CONFIG)
    save_generator(
        path,
        generator.state_dict(),
        network="multiscale_unet",
        config=generator.config,
        recipe="name = 'x'",
        training={"pictures_seen": 3},
    )
    return path


@pytest.fixture
def saved(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the file that may be changed."""
    return Path(shutil.copy(pristine, tmp_path / "small.safetensors"))


def test_round_trip(saved: Path) -> None:
    """The loaded network is in eval mode and holds the saved numbers, as fp32."""
    generator = load_generator(saved)
    assert not generator.training
    state = generator.state_dict()
    for name, tensor in load_file(saved).items():
        assert torch.equal(state[name], tensor.to(state[name].dtype))
    assert {t.dtype for t in state.values()} == {torch.float32, torch.int64}


def test_large_variances_survive(saved: Path) -> None:
    """Batch norm's variances may be larger than fp16 reaches; what is not finite is not written."""
    generator = MultiscaleUNet(**SMALL_CONFIG)
    state = generator.state_dict()
    name = "block16.join.1.running_var"
    about = {"network": "multiscale_unet", "config": SMALL_CONFIG, "recipe": "", "training": {}}
    save_generator(saved, state | {name: torch.full_like(state[name], 1e6)}, **about)
    assert load_generator(saved).state_dict()[name].max() == 1e6
    with pytest.raises(ValueError, match="not finite"):
        save_generator(saved, state | {name: torch.full_like(state[name], torch.inf)}, **about)


def test_description(saved: Path) -> None:
    """The metadata names network, configuration and training."""
    about = describe(saved)
    assert about["network"] == "multiscale_unet"
    assert about["config"] == SMALL_CONFIG
    assert about["training"] == {"pictures_seen": 3}
    assert about["bytes"] == saved.stat().st_size


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(WeightsError, match=r"nothing\.safetensors: expected a weights file, found no such file"):
        load_generator(tmp_path / "nothing.safetensors")


def test_not_weights_at_all(tmp_path: Path) -> None:
    """Anything that is not safetensors is refused without being unpickled."""
    path = tmp_path / "x.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"expected a \.safetensors file of vidcolor"):
        load_generator(path)


def _changed(saved: Path, **metadata: str) -> Path:
    tensors = load_file(saved)
    about = describe(saved)
    original = {
        "format": "vidcolor-weights-1",
        "network": about["network"],
        "config": json.dumps(about["config"]),
        "recipe": about["recipe"],
        "training": json.dumps(about["training"]),
    }
    save_file(tensors, saved, metadata=original | metadata)
    return saved


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": "other"}, "expected format vidcolor-weights-1, found 'other'"),
        ({"network": "nonsense"}, "expected one of the networks"),
        ({"config": "{"}, "its metadata is incomplete"),
        ({"config": json.dumps({**SMALL_CONFIG, "color": 1})}, "its configuration does not fit"),
        ({"config": json.dumps({**SMALL_CONFIG, "encoder": "nonsense"})}, "its configuration does not fit"),
        ({"config": json.dumps({**SMALL_CONFIG, "width": 80})}, "expected shape"),
        ({"config": json.dumps({**SMALL_CONFIG, "width": 40_000_000})}, "above 4096, more channels"),
        ({"config": json.dumps({**SMALL_CONFIG, "attention_layers": 0})}, "tensors are missing or unknown"),
        ({"config": json.dumps({**SMALL_CONFIG, "attention_layers": 4000})}, "more parameters than the file has"),
    ],
)
def test_contradictions_are_refused(saved: Path, metadata: dict[str, str], message: str) -> None:
    """A file that contradicts itself or the code is refused, before memory is taken."""
    with pytest.raises(WeightsError, match=message):
        load_generator(_changed(saved, **metadata))


def test_default_weights_load() -> None:
    """The default weights load and have less than 40 MB."""
    path = default_weights()
    assert path.stat().st_size < 40_000_000
    assert isinstance(load_generator(), Pyramid)
