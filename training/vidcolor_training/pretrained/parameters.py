"""Read published parameters from safetensors, or from pickles of which only tensors are unpickled."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidcolor.errors import WeightsError

UNREADABLE = (
    SafetensorError,
    pickle.UnpicklingError,
    struct.error,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""The exceptions of safetensors and the unpickler for other files."""


def read_parameters(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file, or of a ``state_dict`` saved by torch, on the CPU.

    Raises:
        WeightsError: The file does not exist, or is neither.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise WeightsError(f"{path}: expected a file of parameters, found no such file") from exc
    except UNREADABLE as exc:
        raise WeightsError(f"{path}: expected parameters as .safetensors or .pth, found something else") from exc
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: expected a state_dict of tensors, found {type(state).__name__}")
    return dict(state)


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], *, where: Path) -> None:
    """Load ``state`` into ``module``; ``where`` is the file that ``state`` comes from.

    Raises:
        WeightsError: A tensor is missing, unknown, or has another shape.
    """
    expected = module.state_dict()
    if wrong := sorted(set(state) ^ set(expected)):
        raise WeightsError(f"{where}: {len(wrong)} tensors are missing or unknown, the first is {wrong[0]}")
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            found = list(state[name].shape)
            raise WeightsError(f"{where}: {name}: expected shape {list(tensor.shape)}, found {found}")
    module.load_state_dict(state, strict=True)
