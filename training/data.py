"""Photographs for training: folders and tar shards, decoded once into arrays that are mapped from disk.

A picture becomes a square: the short side brought to ``size``, the middle of the long side kept. What is stored is what
training needs, not R'G'B': the grey level at full size, and ab at half size, where the network speaks.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch.nn import functional as F
from tqdm import tqdm

from vidcolor.color import lightness_to_grey, rgb_to_lab
from vidcolor.errors import InputError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
CACHE_FORMAT = 2
DECODE_BATCH = 64


@dataclass(frozen=True)
class PictureSet:
    """Decoded photographs.

    ``grey``: uint8 (N, S, S), gamma-encoded. ``ab``: int8 (N, 2, S/2, S/2), whole Lab units.
    ``sha256``: over the names and bytes of the files, in order. ``folder`` holds the arrays.
    """

    grey: npt.NDArray[np.uint8]
    ab: npt.NDArray[np.int8]
    names: tuple[str, ...]
    sha256: str
    folder: Path

    def __len__(self) -> int:
        return len(self.grey)


def iterate_files(sources: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all pictures below folders, in tar shards, or given one by one; in sorted order.

    Raises:
        InputError: a source that does not exist or cannot be read.
    """
    for source in sources:
        if source.is_dir():
            for path in sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES):
                yield path.relative_to(source).as_posix(), path.read_bytes()
        elif source.suffix == ".tar" and source.is_file():
            with tarfile.open(source) as shard:
                for member in sorted(shard.getmembers(), key=lambda m: m.name):
                    if Path(member.name).suffix.lower() in SUFFIXES and (stream := shard.extractfile(member)):
                        yield f"{source.name}/{member.name}", stream.read()
        elif source.suffix.lower() in SUFFIXES and source.is_file():
            yield source.name, source.read_bytes()
        else:
            raise InputError(f"{source}: expected a folder of pictures, a .tar of pictures or a picture")


def decode_square(data: bytes, size: int) -> npt.NDArray[np.uint8]:
    """The bytes of a picture to R'G'B' (size, size, 3): short side brought to ``size``, centre kept."""
    with Image.open(io.BytesIO(data)) as image:
        rgb = image.convert("RGB")
    scale = size / min(rgb.size)
    width, height = (max(size, round(side * scale)) for side in rgb.size)
    rgb = rgb.resize((width, height), Image.Resampling.LANCZOS) if scale != 1 else rgb
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(rgb.crop((left, top, left + size, top + size)))


def rgb_to_training(rgb: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """R'G'B' (N, S, S, 3) to grey uint8 (N, S, S) and ab int8 (N, 2, S/2, S/2)."""
    lab = rgb_to_lab(torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 255)
    grey = (lightness_to_grey(lab[:, 0]) * 255).round().clamp(0, 255).to(torch.uint8)
    ab = F.avg_pool2d(lab[:, 1:], 2).round().clamp(-128, 127).to(torch.int8)
    return grey.numpy(), ab.numpy()


def load_pictures(sources: Sequence[Path], *, size: int, cache: Path) -> PictureSet:
    """Decode ``sources`` into ``cache``, or find them there from an earlier run.

    Raises:
        InputError: no picture, or one that cannot be decoded.
    """
    digest = hashlib.sha256(f"{CACHE_FORMAT} {size}".encode())
    names = []
    for name, data in iterate_files(sources):
        names.append(name)
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    if not names:
        raise InputError(f"no picture in {', '.join(map(str, sources))}; expected {', '.join(sorted(SUFFIXES))}")
    sha256 = digest.hexdigest()
    folder = cache / f"pictures-{sha256[:16]}"
    if not (folder / "names.json").exists():
        _decode_all(sources, len(names), size, folder)
        (folder / "names.json").write_text(json.dumps(names))
    grey = np.load(folder / "grey.npy", mmap_mode="r")
    ab = np.load(folder / "ab.npy", mmap_mode="r")
    return PictureSet(grey, ab, tuple(names), sha256, folder)


def _decode_all(sources: Sequence[Path], count: int, size: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    open_array = np.lib.format.open_memmap
    grey = open_array(folder / "grey.npy", mode="w+", dtype=np.uint8, shape=(count, size, size))
    ab = open_array(folder / "ab.npy", mode="w+", dtype=np.int8, shape=(count, 2, size // 2, size // 2))

    def decode(file: tuple[str, bytes]) -> npt.NDArray[np.uint8]:
        try:
            return decode_square(file[1], size)
        except (UnidentifiedImageError, OSError) as exc:
            raise InputError(f"{file[0]}: expected a picture, found something that cannot be decoded: {exc}") from exc

    files = iterate_files(sources)
    with ThreadPoolExecutor(max_workers=4) as pool, tqdm(total=count, desc="decode", unit="picture") as bar:
        start = 0
        while batch := [file for _, file in zip(range(DECODE_BATCH), files, strict=False)]:
            stop = start + len(batch)
            grey[start:stop], ab[start:stop] = rgb_to_training(np.stack(list(pool.map(decode, batch))))
            bar.update(len(batch))
            start = stop
