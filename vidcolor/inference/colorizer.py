"""From luma to ab: padding, device, data type and batches around a generator. No state between calls."""

from __future__ import annotations

import hashlib
import logging
from threading import Lock
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from vidcolor.color.luma import MIN_SHORT_SIDE
from vidcolor.errors import OptionError, ResourceError
from vidcolor.frames import FloatArray
from vidcolor.inference.folding import fold_batch_norm
from vidcolor.inference.packing import pack
from vidcolor.inference.precision import fastest_dtype, in_words, int8_pays
from vidcolor.networks.network import HINT_CHANNELS

log = logging.getLogger(__name__)

BATCH_SIZES = {"cpu": 1, "cuda": 32, "mps": 8}  # on a CPU more are no faster; see vidcolor.inference.threads


class Predictor(Protocol):
    """Anything that says which color a grey picture has; what the pipeline asks for."""

    batch_size: int
    """How many pictures are worth handing over in one call."""

    def predict(self, grey: FloatArray) -> FloatArray:
        """(N, h, w) grey levels in [0, 1], any size, to (N, 2, h, w) ab in Lab units. Every picture on its own."""
        ...


class Guided(Predictor, Protocol):
    """A predictor that can be told colors."""

    takes_hints: bool
    """False: it cannot after all, as its network takes none."""

    def predict(self, grey: FloatArray, hints: FloatArray | None = None) -> FloatArray:
        """As a :class:`Predictor`; ``hints`` are (N, 3, h, w), in the form of :meth:`Colorizer.predict`."""
        ...


class Colorizer:
    """A generator, ready to be asked, by several threads at once too.

    Args:
        generator: grey (N, 1, H, W) and hints to ab (N, 2, H, W); has ``multiple``. It is folded and moved: hand over
            a copy if it is to be trained further.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        batch_size: pictures a call; None: by device.
        dtype: None: the fastest arithmetic that the device has (:mod:`vidcolor.inference.precision`), which may be
            8-bit integers in large layers and fp32 in the others. A type: this one everywhere.

    Raises:
        OptionError: a device that this machine does not have.
    """

    def __init__(
        self,
        generator: nn.Module,
        *,
        device: str = "auto",
        batch_size: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.device = resolve_device(device)
        self.dtype = dtype or fastest_dtype(self.device)
        self.int8 = dtype is None and int8_pays(self.device, self.dtype)
        self.batch_size = batch_size or BATCH_SIZES[self.device.type]
        self._halving = Lock()
        self.multiple: int = generator.get_submodule("").multiple  # type: ignore[assignment]
        self.takes_hints = bool(getattr(generator, "takes_hints", False))
        folded = fold_batch_norm(generator.eval())
        self.fingerprint = fingerprint(folded)
        self.runs_on = f"{self.device.type} in {in_words(self.dtype, self.int8)}"
        network = folded.to(self.device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator = pack(network, int8=self.int8) if self.device.type == "cpu" else network

    def predict(self, grey: FloatArray, hints: FloatArray | None = None) -> FloatArray:
        """Color grey pictures, each on its own.

        Args:
            grey: float32 (N, h, w), gamma-encoded, in [0, 1]; any N and any size.
            hints: float32 (N, 3, h, w): a and b in units of AB_SCALE times the confidence, and the confidence in
                [0, 1], as :class:`vidcolor.networks.ColorNetwork` takes them. None: no hints.

        Returns:
            ab, float32 (N, 2, h, w), Lab units.

        Raises:
            OptionError: hints, and the network takes none.
            ResourceError: memory does not suffice for one picture; for fewer than a batch it is halved.
            ValueError: hints of another shape.
        """
        if hints is not None:
            self._check_hints(hints, (len(grey), HINT_CHANNELS, *grey.shape[1:]))
        colored: list[FloatArray] = []
        start = 0
        while start < len(grey):
            batch = slice(start, start + self.batch_size)
            ab = self._try_batch(grey[batch], None if hints is None else hints[batch])
            if ab is not None:
                colored.append(ab)
                start += len(ab)
        return np.concatenate(colored)

    def _try_batch(self, grey: FloatArray, hints: FloatArray | None) -> FloatArray | None:
        """None where memory does not suffice: the batch size is halved then, for this call and all others."""
        try:
            return self._predict_batch(grey, hints)
        except (MemoryError, RuntimeError) as exc:
            if not is_out_of_memory(exc):
                raise
            shape = f"{grey.shape[2]}×{grey.shape[1]}"
            if len(grey) == 1:
                hint = "choose a smaller `render_size`, or `fit_render_size`"
                raise ResourceError(
                    f"the memory of {self.device} does not hold one picture of {shape}; {hint}"
                ) from exc
        halved = len(grey) // 2
        with self._halving:
            if halved < self.batch_size:  # or else another thread has been here
                log.warning(
                    "the memory of %s does not hold %d pictures of %s: %d at a time from here",
                    self.device,
                    len(grey),
                    shape,
                    halved,
                )
                self.batch_size = halved
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _check_hints(self, hints: FloatArray, expected: tuple[int, ...]) -> None:
        if not self.takes_hints:
            raise OptionError("hints: these weights are of a network that takes none; choose others with `weights`")
        if hints.shape != expected:
            raise ValueError(f"expected hints of shape {expected}, got {hints.shape}")

    def _predict_batch(self, grey: FloatArray, hints: FloatArray | None) -> FloatArray:
        h, w = grey.shape[1:]
        pad_h, pad_w = -h % self.multiple, -w % self.multiple
        top, left = pad_h // 2, pad_w // 2
        around = ((top, pad_h - top), (left, pad_w - left))
        inputs = [np.pad(grey, ((0, 0), *around), mode="edge")[:, None]]
        if hints is not None:
            inputs.append(np.pad(hints, ((0, 0), (0, 0), *around)))  # nothing is known outside
        with torch.inference_mode():
            ab: Any = self.generator(*(torch.from_numpy(maps).to(self.device, self.dtype) for maps in inputs))
            return ab[:, :, top : top + h, left : left + w].float().cpu().contiguous().numpy()  # type: ignore[no-any-return]


def fingerprint(network: nn.Module) -> str:
    """Hexadecimal digits that are the same for the same parameters only."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether an exception of torch says that memory does not suffice: on a CPU it is a plain RuntimeError."""
    says_so = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
    return isinstance(exc, MemoryError | torch.OutOfMemoryError) or any(words in str(exc) for words in says_so)


def largest_render_size(colorizer: Predictor, wanted: int, aspect: float) -> int:
    """The largest short side, up to ``wanted``, of which one picture fits into memory: that, or smaller by quarters.

    Args:
        aspect: width over height, of which the longer side counts.

    Raises:
        ResourceError: not even the smallest fits.
    """
    size = wanted
    while True:
        long_side = round(size * max(aspect, 1 / aspect))
        try:
            colorizer.predict(np.zeros((1, size, long_side), np.float32))
        except ResourceError:
            smaller = size * 3 // 4
            if smaller < MIN_SHORT_SIDE:
                raise
            size = smaller
        else:
            return size


def resolve_device(name: str) -> torch.device:
    """``auto`` and the names that torch knows, to a device that is really there.

    Raises:
        OptionError: it is not.
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
