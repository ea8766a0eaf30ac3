"""Run a network with PyTorch: on CUDA and MPS devices, and on CPUs."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from vidcolor.errors import OptionError
from vidcolor.frames import FloatArray
from vidcolor.inference.folding import fold_batch_norm
from vidcolor.inference.packing import pack
from vidcolor.inference.precision import fastest_dtype, format_arithmetic, int8_pays

BATCH_SIZES = {"cpu": 1, "cuda": 32, "mps": 8}
"""Default pictures per call by device type; more are no faster on a CPU (:mod:`vidcolor.inference.threads`)."""


class TorchEngine:
    """A network prepared for one device; an :class:`~vidcolor.inference.engine.Engine`.

    Args:
        generator: a :class:`vidcolor.networks.ColorNetwork` or a module with its ``forward`` and ``multiple``. It is
            copied and stays as it is.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: of the parameters and activations; None: the fastest arithmetic of the device
            (:mod:`vidcolor.inference.precision`), which may be int8 in large layers and fp32 in the others.

    Raises:
        OptionError: this machine has no such device.
    """

    def __init__(self, generator: nn.Module, device: str, dtype: torch.dtype | None) -> None:
        self.device = resolve_device(device)
        with torch.device("cpu"):  # whatever torch's default device is
            self.dtype = dtype or fastest_dtype(self.device)
            self.int8 = dtype is None and int8_pays(self.device, self.dtype)
            folded = fold_batch_norm(copy.deepcopy(generator).eval())
            self.fingerprint = fingerprint(folded)
            network = folded.to(self.device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.generator = pack(network, int8=self.int8) if self.device.type == "cpu" else network
        self.runs_on = f"{self.device.type} in {format_arithmetic(self.dtype, self.int8)}"
        self.batch_size = BATCH_SIZES[self.device.type]
        self.is_on_cpu = self.device.type == "cpu"
        self.multiple: int = generator.get_submodule("").multiple  # type: ignore[assignment]
        self.takes_hints = bool(getattr(generator, "takes_hints", False))

    def run(self, maps: Sequence[FloatArray]) -> FloatArray:
        """Run the network once; see :meth:`vidcolor.inference.engine.Engine.run`."""
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            try:
                ab: Any = self.generator(*(torch.from_numpy(each).to(self.device, self.dtype) for each in maps))
                return ab.float().cpu().contiguous().numpy()  # type: ignore[no-any-return]
            except RuntimeError as exc:
                if not is_out_of_memory(exc):
                    raise
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                raise MemoryError(str(exc)) from exc


def fingerprint(network: nn.Module) -> str:
    """Return a BLAKE2b hash of the names, types, shapes and values of all parameters and buffers: 32 hex digits."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def is_out_of_memory(exc: BaseException) -> bool:
    """Return whether an exception means that memory does not suffice; torch raises a plain RuntimeError on a CPU."""
    phrases = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
    return isinstance(exc, MemoryError | torch.OutOfMemoryError) or any(phrase in str(exc) for phrase in phrases)


def resolve_device(name: str) -> torch.device:
    """Return the device of a name: ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto`` for the best that there is.

    Raises:
        OptionError: the name is unknown, or this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise OptionError(f"`device` {name}: expected auto, cpu, cuda, cuda:N or mps") from exc
    available = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if (device.index or 0) >= available.get(device.type, 0):
        raise OptionError(f"`device` {name}: this machine has no such device; try `device` cpu")
    return device
