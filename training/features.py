"""The features of a frozen encoder, computed once: on a slow processor most of the time of an epoch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from vidcolor.networks.generator import Generator
from vidcolor.training.data import PictureSet

BATCH = 32


def parameters_sha256(encoder: torch.nn.Module) -> str:
    """Over all parameters and buffers, in order."""
    digest = hashlib.sha256()
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class FeatureCache:
    """``Generator.encode`` of every picture of a set, float16, mapped from disk beside the pictures."""

    def __init__(self, generator: Generator, pictures: PictureSet, *, device: torch.device, autocast: Any) -> None:
        folder = pictures.folder / f"features-{parameters_sha256(generator.encoder)[:16]}"
        if not (folder / "complete").exists():
            _compute(generator, pictures, folder, device, autocast)
        paths = sorted(folder.glob("*.npy"))
        self.maps: list[npt.NDArray[np.float16]] = [np.load(path, mmap_mode="r") for path in paths]

    def batch(self, indices: npt.NDArray[np.int64], device: torch.device) -> list[Tensor]:
        """The six maps of the pictures at ``indices`` (sorted or not), channels last."""
        return [
            torch.from_numpy(m[indices]).to(device, torch.bfloat16).contiguous(memory_format=torch.channels_last)
            for m in self.maps
        ]


def _compute(generator: Generator, pictures: PictureSet, folder: Path, device: torch.device, autocast: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator.encoder.eval()
    arrays: list[npt.NDArray[np.float16]] = []
    for start in tqdm(range(0, len(pictures), BATCH), desc="features", unit="batch"):
        grey = torch.from_numpy(np.array(pictures.grey[start : start + BATCH])).to(device)[:, None].float() / 255
        with torch.inference_mode(), autocast():
            maps = [m.float().cpu().numpy() for m in generator.encode(grey)]
        if not arrays:
            arrays = [
                np.lib.format.open_memmap(
                    folder / f"{i}.npy", mode="w+", dtype=np.float16, shape=(len(pictures), *m.shape[1:])
                )
                for i, m in enumerate(maps)
            ]
        for array, m in zip(arrays, maps, strict=True):
            array[start : start + len(m)] = m
    (folder / "complete").touch()
