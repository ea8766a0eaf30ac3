"""Decode training pictures of folders, tar shards and films once, into arrays that are mapped from disk.

A picture becomes a square: the short side brought to ``size``, the middle of the long side kept. What is stored is what
training needs, not R'G'B': the grey level and ab, both at full size.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from tqdm import tqdm

from vidcolor.errors import InputError, OutputError
from vidcolor.files.atomic import atomic_file
from vidcolor.files.suffixes import FILM_SUFFIXES, has_picture_suffix
from vidcolor.media.probe import choose_video, open_film
from vidcolor.networks.lab import lightness_to_grey, rgb_to_lab
from vidcolor.stills.reader import Rgb, read_rgb
from vidcolor_training.data.films import sample_film

CACHE_FORMAT = 4
DECODE_BATCH = 64
MAX_ASPECT = 4  # what is longer is cropped before resizing; 1 × 60,000 would become 256 × 15,360,000
MIN_CHROMA = 1.0  # Lab units, mean over a picture; photographs with less are grey and are left out
INDEX = "index.json"  # written last: a cache without it is not whole


@dataclass(frozen=True)
class PictureSet:
    """Decoded pictures.

    ``grey``: uint8 (N, S, S), gamma-encoded. ``ab``: int8 (N, 2, S, S), whole Lab units. ``names``: of the N pictures.
    ``files``: name and SHA-256 of every file that was read. ``skipped``: one line each for what was left out.
    ``sha256``: over ``files`` and the size. ``folder`` holds the arrays.
    """

    grey: npt.NDArray[np.uint8]
    ab: npt.NDArray[np.int8]
    names: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    skipped: tuple[str, ...]
    sha256: str
    folder: Path

    def __len__(self) -> int:
        return len(self.grey)

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        side: int = self.grey.shape[-1]
        return side


@dataclass(frozen=True)
class PictureFile:
    """A picture's file. ``problem``: why it cannot be read, or None; then ``data`` is empty."""

    name: str
    data: bytes
    problem: str | None = None


def iterate_files(sources: Iterable[Path]) -> Iterator[PictureFile]:
    """Yield all pictures below folders, in tar shards, or given one by one; in sorted order.

    Hidden files are left out.

    Raises:
        InputError: a source that does not exist or cannot be read.
    """
    for source in sources:
        if source.is_dir():
            for path in _below(source, has_picture_suffix):
                yield _read_file(path.relative_to(source).as_posix(), path)
        elif source.suffix == ".tar" and source.is_file():
            yield from _iterate_shard(source)
        elif has_picture_suffix(source) and source.is_file():
            yield _read_file(source.name, source)
        else:
            raise InputError(f"{source}: expected a folder of pictures, a .tar of pictures or a picture")


def _read_file(name: str, path: Path) -> PictureFile:
    try:
        return PictureFile(name, path.read_bytes())
    except OSError as exc:
        return PictureFile(name, b"", f"cannot be read ({exc.strerror or exc})")


def _below(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if wanted(p) and not p.name.startswith("."))


def _is_film(path: Path) -> bool:
    return path.suffix.lower() in FILM_SUFFIXES


def _iterate_shard(path: Path) -> Iterator[PictureFile]:
    try:
        with tarfile.open(path) as shard:
            for member in sorted(shard.getmembers(), key=lambda m: m.name):
                if has_picture_suffix(Path(member.name)) and (stream := shard.extractfile(member)):
                    yield PictureFile(f"{path.name}/{member.name}", stream.read())
    except (tarfile.TarError, OSError) as exc:
        raise InputError(f"{path}: expected a whole tar file, found a damaged one ({exc}); copy it again") from exc


def split_sources(sources: Iterable[Path]) -> tuple[list[Path], list[tuple[str, Path]]]:
    """Split sources into those that :func:`iterate_files` reads, and the films: given one by one, or below folders.

    Raises:
        InputError: a source that is neither.
    """
    stills: list[Path] = []
    films: list[tuple[str, Path]] = []
    for source in sources:
        if source.is_dir():
            stills.append(source)
            films += [(path.relative_to(source).as_posix(), path) for path in _below(source, _is_film)]
        elif source.suffix.lower() == ".tar" or has_picture_suffix(source):
            stills.append(source)
        elif _is_film(source) or _opens_as_film(source):
            films.append((source.name, source))
        else:
            raise InputError(f"{source}: expected a folder, a .tar of pictures, a picture or a film")
    return stills, films


def _opens_as_film(path: Path) -> bool:
    try:
        with open_film(path) as container:
            choose_video(container, path)
            return container.format.name != "tty"  # libav's reading of any text
    except InputError:
        return False


def decode_file(file: PictureFile, size: int) -> Rgb:
    """Decode a picture's file as :func:`decode_square` does.

    Raises:
        InputError: it cannot be read, or as :func:`decode_square`.
    """
    if file.problem is not None:
        raise InputError(f"{file.name}: {file.problem}")
    return decode_square(file.data, size, name=file.name)


def decode_square(data: bytes, size: int, *, name: str) -> Rgb:
    """Decode the bytes of a picture to R'G'B' (size, size, 3) in sRGB: short side brought to ``size``, center kept.

    Raises:
        InputError: as :func:`vidcolor.stills.reader.read_rgb`, with ``name``.
    """
    return fit_square(Image.fromarray(read_rgb(data, name)), size)


def fit_square(rgb: Image.Image, size: int) -> Rgb:
    """Resize a picture to short side ``size`` and crop its center to (size, size, 3)."""
    rgb = _center(rgb, MAX_ASPECT * min(rgb.size))
    scale = size / min(rgb.size)
    width, height = (max(size, round(side * scale)) for side in rgb.size)
    rgb = rgb.resize((width, height), Image.Resampling.LANCZOS) if scale != 1 else rgb
    return np.asarray(_center(rgb, size))


def _center(rgb: Image.Image, side: int) -> Image.Image:
    """Crop the center of a picture to a square of ``side`` pixels, or to less where the picture ends."""
    width, height = (min(length, side) for length in rgb.size)
    left, top = (rgb.width - width) // 2, (rgb.height - height) // 2
    return rgb.crop((left, top, left + width, top + height))


def rgb_to_training(rgb: Rgb) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """Convert R'G'B' uint8 (N, S, S, 3) to grey uint8 (N, S, S) and ab int8 (N, 2, S, S), whole Lab units."""
    lab = rgb_to_lab(torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 255)
    grey = (lightness_to_grey(lab[:, 0]) * 255).round().clamp(0, 255).to(torch.uint8)
    ab = lab[:, 1:].round().clamp(-128, 127).to(torch.int8)
    return grey.numpy(), ab.numpy()


def mean_chroma(ab: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
    """Return the mean chroma of each picture (N,) of ab (N, 2, S, S)."""
    a, b = ab[:, 0].astype(np.float32), ab[:, 1].astype(np.float32)
    mean: npt.NDArray[np.float32] = np.hypot(a, b).mean(axis=(1, 2))
    return mean


def load_pictures(sources: Sequence[Path], *, size: int, cache: Path) -> PictureSet:
    """Decode ``sources`` into ``cache``, or find them there from an earlier run.

    A picture or film that cannot be decoded, and pictures without color, are left out and listed in ``skipped``. One
    process may decode into a cache at a time.

    Raises:
        InputError: a source that cannot be read, or no picture that can be used.
        OutputError: the cache cannot be written.
    """
    stills, films = split_sources(sources)
    files = tuple(_hashes(stills, films))
    if not files:
        raise InputError(f"no picture and no film in {', '.join(map(str, sources))}")
    sha256 = hashlib.sha256(json.dumps([CACHE_FORMAT, size, files]).encode()).hexdigest()
    folder = cache / f"pictures-{sha256[:16]}"
    if not (folder / INDEX).exists():
        try:
            _decode_all(stills, films, size, folder, known=None if films else len(files))
        except OSError as exc:
            raise OutputError(f"{folder}: cannot be written ({exc.strerror or exc})") from exc
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    count = len(index["names"])
    grey = np.memmap(folder / "grey.u8", np.uint8, "r", shape=(count, size, size))
    ab = np.memmap(folder / "ab.s8", np.int8, "r", shape=(count, 2, size, size))
    names, skipped = tuple(index["names"]), tuple(index["skipped"])
    return PictureSet(np.asarray(grey), np.asarray(ab), names, files, skipped, sha256, folder)


def _hashes(stills: Sequence[Path], films: Sequence[tuple[str, Path]]) -> Iterator[tuple[str, str]]:
    for file in iterate_files(stills):
        yield file.name, hashlib.sha256(file.data).hexdigest()
    for name, path in films:
        try:
            with path.open("rb") as film:
                yield name, hashlib.file_digest(film, "sha256").hexdigest()
        except OSError as exc:
            raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc


def _decode_all(
    stills: Sequence[Path], films: Sequence[tuple[str, Path]], size: int, folder: Path, *, known: int | None
) -> None:
    """Write the arrays and, at the end, the index; ``known`` is the number of pictures where that can be known."""
    folder.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    bad: list[str] = []
    grey_names: list[str] = []
    pictures = _squares(stills, films, size, bad)
    with (
        (folder / "grey.u8").open("wb") as grey_file,
        (folder / "ab.s8").open("wb") as ab_file,
        tqdm(total=known, desc="decode", unit="picture") as bar,
    ):
        while batch := list(islice(pictures, DECODE_BATCH)):
            grey, ab = rgb_to_training(np.stack([rgb for _, rgb in batch]))
            colored = mean_chroma(ab) >= MIN_CHROMA
            grey_file.write(grey[colored].tobytes())
            ab_file.write(ab[colored].tobytes())
            for (name, _), is_colored in zip(batch, colored, strict=True):
                (names if is_colored else grey_names).append(name)
            bar.update(len(batch))
    skipped = [*bad, *_count_grey(grey_names)]
    if not names:
        raise InputError(f"no picture that can be used; {len(skipped)} reasons, the first: {skipped[0]}")
    with atomic_file(folder / INDEX, overwrite=True) as path:
        path.write_text(json.dumps({"names": names, "skipped": skipped}), encoding="utf-8")


def _count_grey(names: Sequence[str]) -> list[str]:
    return [f"{len(names)} pictures without color, the first: {names[0]}"] if names else []


def _squares(
    stills: Sequence[Path], films: Sequence[tuple[str, Path]], size: int, bad: list[str]
) -> Iterator[tuple[str, Rgb]]:
    """Every picture as R'G'B' (size, size, 3); what cannot be decoded is put down in ``bad``."""

    def decode(file: PictureFile) -> Rgb | str:
        try:
            return decode_file(file, size)
        except InputError as exc:
            return str(exc)

    files = iterate_files(stills)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while batch := list(islice(files, DECODE_BATCH)):
            for file, rgb in zip(batch, pool.map(decode, batch), strict=True):
                if isinstance(rgb, str):
                    bad.append(rgb)
                else:
                    yield file.name, rgb
    for _, path in films:
        try:
            for name, rgb in sample_film(path):
                yield name, fit_square(Image.fromarray(rgb), size)
        except InputError as exc:
            bad.append(str(exc))
