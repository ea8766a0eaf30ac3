"""LPIPS against torchmetrics' own network, both with the same AlexNet at random."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision.models import alexnet

from vidcolor.errors import WeightsError
from vidcolor_training.evaluation import lpips


@pytest.fixture
def random_alexnet(tmp_path: Path) -> Path:
    """A file of AlexNet's convolutions, as torchvision names and lays them out."""
    torch.manual_seed(0)
    path = tmp_path / "alexnet.safetensors"
    save_file({f"features.{name}": value for name, value in alexnet().features.state_dict().items()}, path)
    return path


def test_lpips_agrees_with_torchmetrics(random_alexnet: Path) -> None:
    """The same distances for pictures of two sizes; equal pictures have none."""
    ours = lpips.load_lpips(random_alexnet)
    oracle = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
    parts = dict(oracle.net.named_parameters())
    for name, value in ours.network.features.state_dict().items():
        part = next(part for part in parts if part.partition(".")[2] == name)
        parts[part].copy_(value)
    for size in (64, 71):
        pred, true = torch.rand(2, 3, 3, size, size)
        expected = oracle(pred, true, normalize=True).flatten()
        torch.testing.assert_close(ours(pred, true), expected)
        assert expected.min() > 1e-4
    assert ours(true, true).abs().max() == 0


def test_a_file_with_something_else_is_refused(random_alexnet: Path, tmp_path: Path) -> None:
    """A missing file, one that is no file of parameters, and one of another network are told apart."""
    with pytest.raises(WeightsError, match="No such file"):
        lpips.load_lpips(tmp_path / "nothing.safetensors")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(WeightsError, match="cannot be read"):
        lpips.load_lpips(tmp_path / "text.pth")
    save_file({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="expected the parameters of AlexNetFeatures"):
        lpips.load_lpips(tmp_path / "other.safetensors")


def test_without_torchmetrics_there_is_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which package to install."""
    monkeypatch.setattr(lpips, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"install vidcolor\[train\]"):
        lpips.published_heads()
