"""Weights files: safetensors that say themselves which network they are for and how they were made.

The metadata (all strings, as safetensors has it) holds ``format``, ``network``, ``config`` (JSON), ``recipe`` (the TOML
text) and ``training`` (JSON: data with its hash, pictures seen, hardware, versions, figures). Weights files are not
trusted: nothing is unpickled, the network is laid out without memory until every shape has been compared, and laying it
out ends where the file has no more tensors for it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from vidcolor.errors import WeightsError, one_line
from vidcolor.files.atomic import atomic_file
from vidcolor.networks import NETWORKS, ColorNetwork, build

FORMAT = "vidcolor-weights-1"
DEFAULT_PACKAGE = "vidcolor_weights"
DEFAULT_NAME = "default.safetensors"
LARGEST_NUMBER = 4096
"""Of channels or layers in a configuration; what a network computes from it then still takes no time and no memory."""
STORED_AS = {torch.float32: frozenset(("F16", "BF16", "F32")), torch.int64: frozenset(("I64",))}
"""What a tensor of a network may be in the file, as safetensors calls it."""
UNFIT = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RuntimeError)
"""What networks raise on keywords and numbers that they were not made for."""


def default_weights() -> Path:
    """The weights that come with vidcolor.

    Raises:
        WeightsError: this installation has none.
    """
    path = Path(str(resources.files(DEFAULT_PACKAGE) / DEFAULT_NAME))
    if not path.is_file():
        raise WeightsError(
            f"{path}: the default weights are missing from this installation; give `weights` or reinstall"
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
        found = f"something else ({one_line(exc)})"
        raise WeightsError(f"{path}: expected a .safetensors file of vidcolor, found {found}") from exc
    if metadata.get("format") != FORMAT:
        found = repr(metadata["format"]) if "format" in metadata else "no format in its metadata"
        raise WeightsError(f"{path}: expected format {FORMAT}, found {found}; train or convert it with this version")
    try:
        config, training = json.loads(metadata["config"]), json.loads(metadata["training"])
        network, recipe = metadata["network"], metadata["recipe"]
    except (KeyError, ValueError, RecursionError) as exc:
        raise WeightsError(f"{path}: its metadata is incomplete or garbled: {one_line(exc)}") from exc
    return {
        "format": FORMAT,
        "network": network,
        "config": config,
        "recipe": recipe,
        "training": training,
        "bytes": path.stat().st_size,
    }


def load_generator(path: str | Path | None = None) -> nn.Module:
    """The network of a weights file, with its parameters as fp32 on the CPU, in eval mode. None: the default weights.

    Raises:
        WeightsError: the file is missing, is none of ours, does not fit the network it names, or holds parameters that
            are not finite.
    """
    path = Path(path) if path is not None else default_weights()
    about = describe(path)
    if about["network"] not in NETWORKS:
        known = ", ".join(sorted(NETWORKS))
        raise WeightsError(f"{path}: expected one of the networks {known}, found {about['network']!r}")
    with safe_open(path, framework="pt") as file:
        try:
            generator = _lay_out(about["network"], about["config"], len(file.keys()))
        except UNFIT as exc:
            reason = one_line(exc)
            raise WeightsError(f"{path}: its configuration does not fit {about['network']!r}: {reason}") from exc
        generator.load_state_dict(_read_state(path, file, generator.state_dict()), strict=True, assign=True)
    return generator.requires_grad_(False).eval()


def _lay_out(network: str, config: dict[str, Any], tensors: int) -> ColorNetwork:
    """The network without memory for its parameters, of which there may be no more than tensors in the file."""
    if not all(number <= LARGEST_NUMBER for number in _numbers(config)):
        raise ValueError(f"a number in it is above {LARGEST_NUMBER}, more channels or layers than a network may have")
    with torch.device("meta"), _Unfilled(), _parameters_counted(tensors):
        return build(network, config)


class _Unfilled(TorchFunctionMode):
    """Parameters are not given values as long as the context lasts. There is no memory for them; and torch loads its
    compiler, which takes two seconds, to find out what random numbers without memory would be.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def _numbers(value: object) -> Iterator[float]:
    """Every number in a value of JSON."""
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, Mapping):
        yield from _numbers_in(value.values())
    elif isinstance(value, list):
        yield from _numbers_in(value)


def _numbers_in(values: Iterable[object]) -> Iterator[float]:
    for value in values:
        yield from _numbers(value)


@contextmanager
def _parameters_counted(most: int) -> Iterator[None]:
    """Raise ValueError, as long as the context lasts, where this thread makes an empty parameter or more than ``most``.

    A network of a million layers takes minutes and gigabytes even without its parameters.
    """
    thread, made = threading.get_ident(), 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal made
        if parameter is None or threading.get_ident() != thread:
            return
        made += 1
        if made > most:
            raise ValueError(f"the network has more parameters than the file has tensors, {most}")
        if parameter.numel() == 0:
            raise ValueError(f"the network has an empty parameter, {name}")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _read_state(path: Path, file: Any, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an opened file, after names, types and shapes have been compared with ``expected``."""
    if wrong := sorted(set(file.keys()) ^ set(expected)):
        raise WeightsError(f"{path}: {len(wrong)} tensors are missing or unknown, the first is {wrong[0]!r}")
    for name, tensor in expected.items():
        stored = file.get_slice(name)
        if stored.get_shape() != list(tensor.shape):
            raise WeightsError(f"{path}: {name}: expected shape {list(tensor.shape)}, found {stored.get_shape()}")
        if stored.get_dtype() not in STORED_AS[tensor.dtype]:
            known = " or ".join(sorted(STORED_AS[tensor.dtype]))
            raise WeightsError(f"{path}: {name}: expected numbers stored as {known}, found {stored.get_dtype()}")
    return {name: _finite(path, file, name).to(tensor.dtype) for name, tensor in expected.items()}


def _finite(path: Path, file: Any, name: str) -> Tensor:
    tensor: Tensor = file.get_tensor(name)
    if not torch.isfinite(tensor).all():
        raise WeightsError(f"{path}: {name}: holds numbers that are not finite; the file is damaged")
    return tensor


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
