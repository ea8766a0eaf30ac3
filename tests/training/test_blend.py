"""Weights between two others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from tests.support.samples import SMALL_CONFIG, small_generator
from vidcolor.errors import OptionError, OutputError
from vidcolor.inference.weights import load_generator, save_generator
from vidcolor.inference.weights_file import describe
from vidcolor.networks import build
from vidcolor_training.blend import blend, main
from vidcolor_training.evaluation.provenance import file_sha256


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two weights files of one small network."""
    paths = tmp_path / "accurate.safetensors", tmp_path / "alive.safetensors"
    for seed, path in enumerate(paths):
        about = {"network": "multiscale_unet", "config": SMALL_CONFIG, "recipe": f"seed = {seed}"}
        save_generator(path, small_generator(seed).state_dict(), **about, training={"pictures_seen": seed})
    return paths


@pytest.mark.parametrize(
    "share", [0.25, pytest.param(0.0, marks=pytest.mark.slow), pytest.param(1.0, marks=pytest.mark.slow)]
)
def test_every_parameter_lies_between(pair: tuple[Path, Path], tmp_path: Path, share: float) -> None:
    """A share of the way from the first to the second, as far as fp16 goes."""
    output = tmp_path / "blend.safetensors"
    blend(*pair, output, share=share)
    accurate, alive, blended = (load_generator(path).state_dict() for path in (*pair, output))
    for name, tensor in blended.items():
        expected = (1 - share) * accurate[name] + share * alive[name]
        torch.testing.assert_close(tensor, expected.to(tensor.dtype), atol=1e-3, rtol=1e-3)


def test_it_says_what_it_is_made_of(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """The recipe is that of the second; both files are named by their hashes, with their training."""
    output = tmp_path / "blend.safetensors"
    result = CliRunner().invoke(main, [*map(str, pair), "-o", str(output), "--share", "0.5"])
    assert result.exit_code == 0, result.output
    about = describe(output)
    assert about["recipe"] == "seed = 1"
    assert about["training"]["blend"]["with"] == {"sha256": file_sha256(pair[0]), "training": {"pictures_seen": 0}}
    assert about["training"]["blend"]["of"]["sha256"] == file_sha256(pair[1])
    assert about["training"]["blend"]["share"] == 0.5


def test_other_networks_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Two different networks have nothing between them; a file that is there is not replaced."""
    other = tmp_path / "other.safetensors"
    save_generator(
        other, build("cnn4", {"filters": 4}).state_dict(), network="cnn4", config={"filters": 4}, recipe="", training={}
    )
    with pytest.raises(OptionError, match="found two that differ"):
        blend(pair[0], other, tmp_path / "out.safetensors", share=0.5)
    with pytest.raises(OutputError, match="exists already"):
        blend(*pair, other, share=0.5)
