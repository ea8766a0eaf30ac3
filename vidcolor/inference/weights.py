"""Read and write weights files: safetensors whose metadata names the network and how it was trained.

:mod:`vidcolor.inference.weights_file` describes the metadata. Weights files are not trusted: nothing is unpickled,
the network is built on the meta device, without memory, until all shapes have been compared, and building stops where
it has more parameters than the file has tensors.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from vidcolor.errors import WeightsError, one_line
from vidcolor.files.atomic import atomic_file
from vidcolor.inference.weights_file import WEIGHTS_FORMAT, default_weights, describe
from vidcolor.networks import NETWORKS, ColorNetwork, build

MAX_CONFIG_NUMBER = 4096
"""Largest number in a configuration, of channels or layers, so that building a network takes little time and memory."""
STORED_AS = {torch.float32: frozenset(("F16", "BF16", "F32")), torch.int64: frozenset(("I64",))}
"""Data type of a parameter to the types in which a file may store it, by their names in safetensors."""
BUILD_ERRORS = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RuntimeError)
"""What networks raise for configurations that they do not support."""


def load_generator(path: str | Path | None = None) -> nn.Module:
    """Load the network of a weights file, with fp32 parameters on the CPU, in eval mode.

    Args:
        path: None: the default weights.

    Raises:
        WeightsError: the file is missing or not a weights file, does not fit the network that it names, or holds
            parameters that are not finite.
    """
    path = Path(path) if path is not None else default_weights()
    about = describe(path)
    if about["network"] not in NETWORKS:
        known = ", ".join(sorted(NETWORKS))
        raise WeightsError(f"{path}: expected one of the networks {known}, found {about['network']!r}")
    with safe_open(path, framework="pt") as file, torch.device("cpu"):  # whatever torch's default device is
        try:
            generator = _build_on_meta(about["network"], about["config"], len(file.keys()))
        except BUILD_ERRORS as exc:
            reason = one_line(exc)
            raise WeightsError(f"{path}: its configuration does not fit {about['network']!r}: {reason}") from exc
        generator.load_state_dict(_read_state(path, file, generator.state_dict()), strict=True, assign=True)
    return generator.requires_grad_(False).eval()


def _build_on_meta(network: str, config: dict[str, Any], tensors: int) -> ColorNetwork:
    """Build a network without memory for its parameters; raise ValueError if it has more than ``tensors`` of them."""
    if not all(number <= MAX_CONFIG_NUMBER for number in _numbers(config)):
        raise ValueError(
            f"a number in it is above {MAX_CONFIG_NUMBER}, more channels or layers than a network may have"
        )
    with torch.device("meta"), _SkipInitialization(), _limit_parameters(tensors):
        return build(network, config).float()  # whatever torch's default data type is


class _SkipInitialization(TorchFunctionMode):
    """A context in which the functions of ``torch.nn.init`` do nothing.

    On the meta device there is nothing to initialize, and torch would load its compiler for it, which takes two
    seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def _numbers(value: object) -> Iterator[float]:
    """Yield every number in a JSON value."""
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
def _limit_parameters(limit: int) -> Iterator[None]:
    """Raise ValueError within the context when this thread creates an empty parameter or more than ``limit`` of them.

    A network of a million layers takes minutes and gigabytes even without memory for its parameters.
    """
    thread, created = threading.get_ident(), 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal created
        if parameter is None or threading.get_ident() != thread:
            return
        created += 1
        if created > limit:
            raise ValueError(f"the network has more parameters than the file has tensors, {limit}")
        if parameter.numel() == 0:
            raise ValueError(f"the network has an empty parameter, {name}")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _read_state(path: Path, file: Any, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read the tensors of an open file after comparing names, types and shapes with ``expected``."""
    if wrong := sorted(set(file.keys()) ^ set(expected)):
        raise WeightsError(f"{path}: {len(wrong)} tensors are missing or unknown, the first is {wrong[0]!r}")
    for name, tensor in expected.items():
        stored = file.get_slice(name)
        if stored.get_shape() != list(tensor.shape):
            raise WeightsError(f"{path}: {name}: expected shape {list(tensor.shape)}, found {stored.get_shape()}")
        if stored.get_dtype() not in STORED_AS[tensor.dtype]:
            known = " or ".join(sorted(STORED_AS[tensor.dtype]))
            raise WeightsError(f"{path}: {name}: expected numbers stored as {known}, found {stored.get_dtype()}")
    return {name: _read_finite(path, file, name).to(tensor.dtype) for name, tensor in expected.items()}


def _read_finite(path: Path, file: Any, name: str) -> Tensor:
    """Read one tensor; raise WeightsError unless all its values are finite."""
    tensor: Tensor = file.get_tensor(name)
    if not torch.isfinite(tensor).all():
        raise WeightsError(f"{path}: {name}: holds numbers that are not finite; the file is damaged")
    return tensor


def save_generator(
    path: Path,
    state: Mapping[str, Tensor],
    *,
    network: str,
    config: Mapping[str, Any],
    recipe: str,
    training: Mapping[str, Any],
) -> None:
    """Write a weights file; it appears under its name when it is complete.

    Tensors of two or more dimensions are stored as fp16, vectors as fp32, because variances of batch norm may exceed
    the range of fp16.

    Args:
        path: is overwritten.
        state: the ``state_dict`` of the network.
        network: a name in :data:`vidcolor.networks.NETWORKS`.
        config: the keywords that build the network.
        recipe: TOML text.
        training: facts about the training, as JSON can hold them.

    Raises:
        ValueError: a value is not finite, in ``state`` or as fp16.
    """
    half = {k: (v.half() if v.is_floating_point() and v.ndim > 1 else v).cpu().contiguous() for k, v in state.items()}
    for name, tensor in half.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    metadata = {
        "format": WEIGHTS_FORMAT,
        "network": network,
        "config": json.dumps(config),
        "recipe": recipe,
        "training": json.dumps(training),
    }
    with atomic_file(path, overwrite=True) as part:
        part.write_bytes(serialize(half, metadata=metadata))
