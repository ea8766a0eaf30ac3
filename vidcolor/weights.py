"""Weights files: safetensors that say themselves which network they are for and how they were made.

The metadata (all strings, as safetensors has it) holds ``format``, ``network``, ``config`` (JSON), ``recipe`` (the TOML
text) and ``training`` (JSON: data with its hash, pictures seen, hardware, versions, figures). Weights files are not
trusted: nothing is unpickled, and the network is laid out without memory until every shape has been compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn

from vidcolor.atomic import atomic_file
from vidcolor.errors import WeightsError
from vidcolor.networks import NETWORKS, build

FORMAT = "vidcolor-weights-1"
DEFAULT_PACKAGE = "vidcolor.default_weights"
DEFAULT_NAME = "default.safetensors"


def default_weights() -> Path:
    """The weights that come with vidcolor.

    Raises:
        WeightsError: this installation has none.
    """
    path = Path(str(resources.files(DEFAULT_PACKAGE) / DEFAULT_NAME))
    if not path.is_file():
        raise WeightsError(
            f"{path}: the default weights are missing from this installation; give --weights or reinstall"
        )
    return path


def describe(path: Path) -> dict[str, Any]:
    """What a weights file says about itself: format, network, config, recipe, training; and its size in bytes.

    Raises:
        WeightsError: not a weights file of vidcolor.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
    except FileNotFoundError as exc:
        raise WeightsError(f"{path}: expected a weights file, found no such file") from exc
    except (SafetensorError, OSError) as exc:
        raise WeightsError(f"{path}: expected a .safetensors file of vidcolor, found something else ({exc})") from exc
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "no format in its metadata")
        raise WeightsError(f"{path}: expected format {FORMAT}, found {found}; train or convert it with this version")
    try:
        config, training = json.loads(metadata["config"]), json.loads(metadata["training"])
        network, recipe = metadata["network"], metadata["recipe"]
    except (KeyError, ValueError) as exc:
        raise WeightsError(f"{path}: its metadata is incomplete: {exc}") from exc
    return {
        "format": FORMAT,
        "network": network,
        "config": config,
        "recipe": recipe,
        "training": training,
        "bytes": path.stat().st_size,
    }


def load_generator(path: Path | None = None) -> nn.Module:
    """The network of a weights file, with its parameters as fp32 on the CPU, in eval mode. None: the default weights.

    Raises:
        WeightsError: the file is missing, is none of ours, or does not fit the network it names.
    """
    path = path or default_weights()
    about = describe(path)
    if about["network"] not in NETWORKS:
        known = ", ".join(sorted(NETWORKS))
        raise WeightsError(f"{path}: expected one of the networks {known}, found {about['network']!r}")
    try:
        with torch.device("meta"):
            generator = build(about["network"], about["config"])
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as exc:
        raise WeightsError(f"{path}: its configuration does not fit {about['network']!r}: {exc}") from exc
    generator.load_state_dict(_read_state(path, generator.state_dict()), strict=True, assign=True)
    return generator.requires_grad_(False).eval()


def _read_state(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of ``path``, after names and shapes have been compared with ``expected``."""
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        if wrong := sorted(names ^ set(expected)):
            raise WeightsError(f"{path}: {len(wrong)} tensors are missing or unknown, the first is {wrong[0]}")
        for name, tensor in expected.items():
            shape = list(file.get_slice(name).get_shape())
            if shape != list(tensor.shape):
                raise WeightsError(f"{path}: {name}: expected shape {list(tensor.shape)}, found {shape}")
        return {name: file.get_tensor(name).to(tensor.dtype) for name, tensor in expected.items()}


def save_generator(
    path: Path, state: Mapping[str, Tensor], *, network: str, config: Mapping[str, Any], recipe: str,
    training: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write a weights file, under its name only when it is whole.

    Matrices and kernels are stored as fp16; vectors, which weigh next to nothing, as fp32: the variances of batch norm
    can be larger than fp16 reaches.

    Raises:
        ValueError: a number is not finite, here or as fp16.
    """
    half = {k: (v.half() if v.is_floating_point() and v.ndim > 1 else v).cpu().contiguous() for k, v in state.items()}
    for name, tensor in half.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    metadata = {
        "format": FORMAT,
        "network": network,
        "config": json.dumps(config),
        "recipe": recipe,
        "training": json.dumps(training),
    }
    with atomic_file(path, overwrite=True) as part:
        part.write_bytes(serialise(half, metadata=metadata))
