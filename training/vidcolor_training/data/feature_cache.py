"""The features of a frozen encoder, computed once for all epochs."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from vidcolor.errors import OutputError
from vidcolor.inference.folding import fold_batch_norm
from vidcolor.networks import ColorNetwork
from vidcolor_training.data.pictures import PictureSet

CACHE_FORMAT = 3
BATCH = 32

Autocast = Callable[[], AbstractContextManager[Any]]


class FeatureCache:
    """``network.encode`` of every picture of a set, mapped from disk beside the pictures.

    Attributes:
        maps: float16 (N, S / stride, S / stride, C) each, channels last.
        strides: The stride of each map.
        dtype: The data type that the network computes in under ``autocast``; features are converted to it.

    Raises:
        NotImplementedError: The network has no encoder.
    """

    def __init__(
        self, network: ColorNetwork, pictures: PictureSet, *, device: torch.device, autocast: Autocast
    ) -> None:
        encode = _Encode(network, pictures, device, autocast)
        shapes = [tuple(m.shape[1:]) for m in encode(0, 1)]
        folder = pictures.folder / f"features-{_fingerprint(network, shapes)[:16]}"
        if not (folder / "complete").exists():
            _compute(encode, shapes, len(pictures), folder)
        self.maps: list[npt.NDArray[np.float16]] = [
            np.asarray(np.load(folder / f"{i}.npy", mmap_mode="r")) for i in range(len(shapes))
        ]
        self.strides = [pictures.size // side for _, side, _ in shapes]
        self.dtype = _dtype_under(autocast, device)

    @property
    def nbytes(self) -> int:
        """Size of all maps in bytes."""
        return sum(m.nbytes for m in self.maps)


def frozen_encode(network: ColorNetwork) -> Callable[[Tensor], list[Tensor]]:
    """Return ``network.encode`` without gradient, with the batch norms of the encoder folded, which is twice as fast.

    Later changes of the encoder's parameters have no effect on it.

    Raises:
        NotImplementedError: The network has no encoder.
    """
    alone = copy.copy(network)
    alone._modules = {"encoder": fold_batch_norm(copy.deepcopy(_encoder(network)).eval())}

    def encode(grey: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return alone.encode(grey)

    return encode


def parameters_sha256(encoder: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, in order."""
    digest = hashlib.sha256()
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _fingerprint(network: ColorNetwork, shapes: list[tuple[int, ...]]) -> str:
    """Return the SHA-256 of what the features depend on: the class of the network and the encoder's parameters."""
    parts = (CACHE_FORMAT, type(network).__qualname__, shapes, parameters_sha256(_encoder(network)))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _encoder(network: ColorNetwork) -> nn.Module:
    if network.encoder is None:
        raise NotImplementedError(f"{type(network).__name__} has no encoder whose features could be kept")
    return network.encoder


def _dtype_under(autocast: Autocast, device: torch.device) -> torch.dtype:
    with autocast():
        if torch.is_autocast_enabled(device.type):
            return torch.get_autocast_dtype(device.type)
    return torch.float32


class _Encode:
    """Computes the features of pictures ``start`` to ``stop`` with the encoder in eval mode."""

    def __init__(self, network: ColorNetwork, pictures: PictureSet, device: torch.device, autocast: Autocast) -> None:
        self.encode, self.pictures, self.device, self.autocast = frozen_encode(network), pictures, device, autocast

    def __call__(self, start: int, stop: int) -> list[Tensor]:
        grey = torch.from_numpy(np.array(self.pictures.grey[start:stop])).to(self.device)[:, None].float() / 255
        with self.autocast():
            return [m.to(torch.float16) for m in self.encode(grey)]


def _claim(path: Path) -> None:
    """Allocate the disk space of a mapped file: a full disk would otherwise kill the process during a write."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _compute(encode: _Encode, shapes: list[tuple[int, ...]], count: int, folder: Path) -> None:
    """Write the maps and, last, the file that marks them as complete."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{i}.npy" for i in range(len(shapes))]
        arrays = [
            np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(count, height, width, channels))
            for path, (channels, height, width) in zip(paths, shapes, strict=True)
        ]
        for path in paths:
            _claim(path)
    except OSError as exc:
        raise OutputError(f"{folder}: the features cannot be written ({exc.strerror or exc}); choose --cache") from exc
    with tqdm(total=count, desc="features", unit="picture") as bar:
        for start in range(0, count, BATCH):
            stop = min(start + BATCH, count)
            for array, m in zip(arrays, encode(start, stop), strict=True):
                array[start:stop] = m.permute(0, 2, 3, 1).cpu().numpy()
            bar.update(stop - start)
    for array in arrays:
        array.flush()
    (folder / "complete").touch()
