"""Run a network with PyTorch: on CUDA and MPS devices, and, for whoever trains, on CPUs."""

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
from vidcolor.inference.timing import shortest_time

BATCH_SIZES = {"cpu": 1, "cuda": 32, "mps": 8}
"""Default pictures per call by device type; more are no faster on a CPU (:mod:`vidcolor.inference.threads`)."""
MATRIX_SIZES = {"cpu": 1024, "cuda": 8192, "mps": 4096}
"""Rows and columns, by device type, of the matrices that are timed; larger ones are no faster."""


class TorchEngine:
    """A network prepared for one device; an :class:`~vidcolor.inference.engine.Engine`.

    Args:
        generator: a :class:`vidcolor.networks.ColorNetwork` or a module with its ``forward`` and ``multiple``. It is
            copied and stays as it is.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: of the parameters and activations; None: bf16 on CUDA devices that have it and fp16 on others, fp32
            elsewhere.

    Raises:
        OptionError: this machine has no such device.
    """

    def __init__(self, generator: nn.Module, device: str, dtype: torch.dtype | None) -> None:
        self.device = resolve_device(device)
        with torch.device("cpu"):  # whatever torch's default device is
            self.dtype = dtype or fastest_dtype(self.device)
            folded = fold_batch_norm(copy.deepcopy(generator).eval())
            self.fingerprint = fingerprint(folded)
            self.generator = folded.to(self.device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.runs_on = f"{self.device.type} in {str(self.dtype).removeprefix('torch.')}"
        self.batch_size = BATCH_SIZES[self.device.type]
        self.is_on_cpu = self.device.type == "cpu"
        self.backend = f"PyTorch {torch.__version__}"
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

    def count_operations(self, size: tuple[int, int]) -> int:
        """Count the operations for one picture; see :meth:`vidcolor.inference.engine.Engine.count_operations`."""
        from torch.utils.flop_counter import FlopCounterMode  # which loads a compiler

        width, height = (side + -side % self.multiple for side in size)
        picture = torch.zeros(1, 1, height, width, device=self.device, dtype=self.dtype)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            self.generator(picture)
        return int(counter.get_total_flops())

    def operations_per_second(self) -> float:
        """Measure a matrix product; see :meth:`vidcolor.inference.engine.Engine.operations_per_second`."""
        size = MATRIX_SIZES[self.device.type]
        left, right, product = (torch.ones(size, size, device=self.device, dtype=self.dtype) for _ in range(3))

        def multiply() -> None:
            torch.mm(left, right, out=product)
            if self.device.type != "cpu":
                getattr(torch, self.device.type).synchronize()

        with torch.inference_mode():
            return 2 * size**3 / shortest_time(multiply)


def fastest_dtype(device: torch.device) -> torch.dtype:
    """Return ``torch.bfloat16`` or ``torch.float16`` for a CUDA device, otherwise ``torch.float32``."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float32


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
