"""The features of a frozen encoder, computed once: on a slow processor most of the time of an epoch."""

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

    ``maps``: float16 (N, S / stride, S / stride, C) each, channels last; ``strides``: of each map; ``dtype``: the one
    that the network computes in under ``autocast``, and that its features are to be given back in.

    Raises:
        NotImplementedError: the network has no encoder.
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
        """Of all maps."""
        return sum(m.nbytes for m in self.maps)


def frozen_encode(network: ColorNetwork) -> Callable[[Tensor], list[Tensor]]:
    """``network.encode`` with the encoder as it is now, in use: batch norm folded, which is twice as fast; no gradient.

    Raises:
        NotImplementedError: the network has no encoder.
    """
    alone = copy.copy(network)
    alone._modules = {"encoder": fold_batch_norm(copy.deepcopy(_encoder(network)).eval())}

    def encode(grey: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return alone.encode(grey)

    return encode


def parameters_sha256(encoder: nn.Module) -> str:
    """Over all parameters and buffers, in order."""
    digest = hashlib.sha256()
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _fingerprint(network: ColorNetwork, shapes: list[tuple[int, ...]]) -> str:
    """Of what decides the features of a set: how the network encodes, and the parameters it does so with."""
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
    """The features of pictures ``start`` to ``stop``, with the encoder as it is in use: its batch norm stands still."""

    def __init__(self, network: ColorNetwork, pictures: PictureSet, device: torch.device, autocast: Autocast) -> None:
        self.encode, self.pictures, self.device, self.autocast = frozen_encode(network), pictures, device, autocast

    def __call__(self, start: int, stop: int) -> list[Tensor]:
        grey = torch.from_numpy(np.array(self.pictures.grey[start:stop])).to(self.device)[:, None].float() / 255
        with self.autocast():
            return [m.to(torch.float16) for m in self.encode(grey)]


def _claim(path: Path) -> None:
    """Take the room of a file that is mapped: without it a full disk would end the process in the middle of a write."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _compute(encode: _Encode, shapes: list[tuple[int, ...]], count: int, folder: Path) -> None:
    """Write the maps and, at the end, the mark that they are whole."""
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
