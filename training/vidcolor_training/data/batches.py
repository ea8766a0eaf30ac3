"""Make batches on the device: choose pictures, cut and mirror them, degrade them, and add hints.

Batch number n is a function of the seed, n and the rank alone. So a resumed run continues exactly where it stopped,
without stored state, and the ranks of a run divide each epoch without communication.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vidcolor.stages import Stage
from vidcolor_training.data.augment import damage, noise_source
from vidcolor_training.data.batch import Batch
from vidcolor_training.data.feature_cache import FeatureCache
from vidcolor_training.data.hints import simulate_hints
from vidcolor_training.data.pictures import PictureSet
from vidcolor_training.recipes.recipe import CROP_STEP, StageRecipe

READ_AHEAD = 2  # batches
MEMORY_SHARE = 0.5  # of what is free on a GPU may hold pictures and features
MOVE_AT_ONCE = 256  # pictures
PLACE_STEP = 2  # pixels: a crop keeps the grid of maps at half size

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """One square of each picture of a batch, all of one side, some mirrored; positions in pixels of the full size."""

    indices: Indices
    tops: Tensor
    """(N,), int64."""
    lefts: Tensor
    mirrored: Tensor
    """(N,), bool."""
    side: int


class MappedMaps:
    """One map of each picture, mapped from disk.

    Args:
        array: (N, C, S / stride, S / stride), a view in any order of memory.
        stride: Pixels of the picture for each pixel of the map.
        pinned: Whether squares are cut into pinned memory, which a GPU can read asynchronously.
    """

    def __init__(self, array: npt.NDArray[Any], stride: int, *, pinned: bool) -> None:
        self.array, self.stride, self.pinned = array, stride, pinned
        self.dtype = torch.from_numpy(np.empty(0, array.dtype)).dtype
        channels_last = array.shape[1] > 1 and array.strides[1] == array.itemsize
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format

    def cut(self, cut: Cut) -> Tensor:
        """Return the squares (n, C, side / stride, side / stride) on the CPU, in the memory order of the array."""
        side = cut.side // self.stride
        shape = (len(cut.indices), self.array.shape[1], side, side)
        squares = torch.empty(shape, dtype=self.dtype, memory_format=self.memory_format, pin_memory=self.pinned)
        tops, lefts = (cut.tops // self.stride).tolist(), (cut.lefts // self.stride).tolist()
        places = zip(squares.numpy(), cut.indices, tops, lefts, cut.mirrored.tolist(), strict=True)
        for square, index, top, left, mirrored in places:
            found = self.array[index, :, top : top + side, left : left + side]
            square[:] = found[..., ::-1] if mirrored else found
        return squares


class DeviceMaps:
    """One map of each picture, in the memory of a GPU; see :class:`MappedMaps`."""

    def __init__(self, array: npt.NDArray[Any], stride: int, device: torch.device) -> None:
        n, channels, side, _ = array.shape
        self.stride = stride
        self.maps = torch.empty(0)
        for start in range(0, n, MOVE_AT_ONCE):
            part = torch.from_numpy(array[start : start + MOVE_AT_ONCE].transpose(0, 2, 3, 1).copy())
            if start == 0:
                self.maps = torch.empty((n, side, side, channels), dtype=part.dtype, device=device)
            self.maps[start : start + len(part)] = part.to(device)

    def cut(self, cut: Cut) -> Tensor:
        """Return the squares (n, C, side / stride, side / stride) on the device, channels last."""
        device, side = self.maps.device, cut.side // self.stride
        pictures = torch.from_numpy(cut.indices).to(device)[:, None, None]
        tops, lefts, mirrored = (values.to(device)[:, None] for values in (cut.tops, cut.lefts, cut.mirrored))
        inside = torch.arange(side, device=device)
        rows = inside + tops // self.stride
        columns = torch.where(mirrored, inside.flip(0), inside) + lefts // self.stride
        return self.maps[pictures, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


class Batches:
    """The batches of a run.

    Pictures and features are held in the memory of the GPU where they fit (``on_device``).

    Args:
        pictures: The pictures of all ranks.
        batch_size: Pictures in a batch of one rank.
        device: Where the batches are needed.
        seed: The seed of the run.
        rank: The number of this process.
        world: The number of processes.
        features: Cached features, for the stages that use them.
        balance: See :attr:`vidcolor_training.recipes.recipe.DataRecipe.balance`.
    """

    def __init__(
        self,
        pictures: PictureSet,
        *,
        batch_size: int,
        device: torch.device,
        seed: int,
        rank: int = 0,
        world: int = 1,
        features: FeatureCache | None = None,
        balance: float = 0.0,
    ) -> None:
        views = expected_views(pictures.names, balance)
        # Two epochs are kept, because a batch may reach into the next.
        self._epoch = lru_cache(maxsize=2)(lambda epoch: order(seed, epoch, views))
        self.batch_size, self.device, self.seed, self.rank, self.world = batch_size, device, seed, rank, world
        self.pictures, self.features = pictures, features
        arrays: list[tuple[npt.NDArray[Any], int]] = [(pictures.grey[:, None], 1), (pictures.ab, 1)]
        if features is not None:
            pairs = zip(features.maps, features.strides, strict=True)
            arrays += [(array.transpose(0, 3, 1, 2), stride) for array, stride in pairs]
        self.on_device = fits(sum(array.nbytes for array, _ in arrays), device)
        pinned = device.type == "cuda"
        self._maps = [
            DeviceMaps(array, stride, device) if self.on_device else MappedMaps(array, stride, pinned=pinned)
            for array, stride in arrays
        ]

    @property
    def reads_ahead(self) -> bool:
        """Whether :meth:`stream` reads in a thread; on the CPU a thread would take time from the network."""
        return self.device.type == "cuda" and not self.on_device

    def batch(self, step: int, stage: StageRecipe, *, hints: bool) -> Batch:
        """Return batch number ``step``: a function of the seed, ``step``, the rank and ``stage`` alone."""
        cut, random = self.choose_cut(step, stage)
        return self._finish(self._read(cut, stage), random, stage, hints=hints)

    def stream(self, first_step: int, stage: StageRecipe, *, hints: bool) -> Generator[Batch]:
        """Yield the batches from ``first_step`` on, without end.

        A thread reads ahead if the device is a GPU and the pictures are on disk. It ends when the generator is closed
        or garbage-collected.
        """
        if not self.reads_ahead:
            yield from (self.batch(step, stage, hints=hints) for step in count(first_step))
        choices = (self.choose_cut(step, stage) for step in count(first_step))
        read = ((self._read(cut, stage), random) for cut, random in choices)
        with Stage("batches", read, depth=READ_AHEAD) as ahead:
            for maps, random in ahead:
                yield self._finish(maps, random, stage, hints=hints)

    def indices(self, step: int) -> Indices:
        """Return the indices of the pictures in batch number ``step``, ascending.

        The batches of all ranks together contain every picture as often as its share, then again in another order.
        """
        first = (step * self.world + self.rank) * self.batch_size
        epochs, places = np.divmod(np.arange(first, first + self.batch_size), len(self.pictures))
        chosen = [self._epoch(int(e))[p] for e, p in zip(epochs, places, strict=True)]
        return np.sort(np.array(chosen, np.int64))

    def choose_cut(self, step: int, stage: StageRecipe) -> tuple[Cut, torch.Generator]:
        """Return where the pictures of a batch are cut, and the generator for its other random choices."""
        words = np.random.SeedSequence([self.seed, step, self.rank]).generate_state(1, np.uint64)
        random = torch.Generator().manual_seed(int(words[0]) >> 1)
        n, size = self.batch_size, self.pictures.size
        side = stage.size
        if stage.view == "resize":
            side = int(torch.randint(round(stage.smallest_view * size), size + 1, (), generator=random))
        step_between = CROP_STEP if self._uses_features(stage) else PLACE_STEP
        places = torch.randint(0, (size - side) // step_between + 1, (2, n), generator=random) * step_between
        mirrored = torch.rand(n, generator=random) < 0.5
        return Cut(self.indices(step), places[0], places[1], mirrored, side), random

    def _uses_features(self, stage: StageRecipe) -> bool:
        return stage.cached and self.features is not None

    def _read(self, cut: Cut, stage: StageRecipe) -> list[Tensor]:
        """Read grey uint8 (N, 1, s, s), ab int8 (N, 2, s, s) and, where used, features; ``s``: side of the cut."""
        return [maps.cut(cut) for maps in (self._maps if self._uses_features(stage) else self._maps[:2])]

    def _finish(self, maps: list[Tensor], random: torch.Generator, stage: StageRecipe, *, hints: bool) -> Batch:
        grey, ab, *semantics = (m.to(self.device, non_blocking=True) for m in maps)
        clean = _resize(grey.to(torch.float32, memory_format=torch.contiguous_format) / 255, stage.size)
        ab = _resize(ab.to(torch.float32, memory_format=torch.contiguous_format), stage.size)
        ab = dither(ab, random)
        return Batch(
            grey=damage(clean, random) if stage.damage else clean,
            clean_grey=clean,
            ab=ab,
            hints=simulate_hints(ab, random, stage.hinted) if hints else None,
            semantics=[m.to(self.features.dtype) for m in semantics] if self.features and semantics else None,
        )


def fits(nbytes: int, device: torch.device) -> bool:
    """Return whether ``nbytes`` may be copied to ``device``: never to the CPU, where the files are mapped."""
    return device.type == "cuda" and nbytes <= MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]


def dither(ab: Tensor, generator: torch.Generator) -> Tensor:
    """Add uniform noise of one unit to ab, so that a discriminator cannot learn the rounding to whole units."""
    source = noise_source(generator, ab.device)
    return torch.rand(ab.shape, generator=source, device=ab.device).sub_(0.5).add_(ab)


def expected_views(names: Sequence[str], balance: float) -> npt.NDArray[np.float64]:
    """Return how often each picture should be seen in an epoch: float64 (N,), adding up to N.

    A picture of a source of n pictures has a share of n^-balance.
    """
    sources = [source_of(name) for name in names]
    sizes = Counter(sources)
    shares = np.array([sizes[source] ** -balance for source in sources])
    views: npt.NDArray[np.float64] = shares * (len(names) / shares.sum())
    return views


def source_of(name: str) -> str:
    """Return the source in a picture's name: its last part up to the first hyphen, ``a`` of ``shard.tar/a-1f.avif``."""
    return name.rsplit("/", 1)[-1].split("-", 1)[0]


def order(seed: int, epoch: int, views: npt.NDArray[np.float64]) -> Indices:
    """Return the pictures of one epoch, the same for all ranks: each as often as expected, in random order.

    Numbers of views are rounded at random (systematic resampling), so that their means over epochs are ``views``.

    Args:
        seed: The seed of the run.
        epoch: The number of the epoch.
        views: The result of :func:`expected_views`.
    """
    random = np.random.default_rng([seed, epoch])
    ends = np.cumsum(views)
    places = (np.arange(len(views)) + random.random()) * (ends[-1] / len(views))
    return random.permutation(np.searchsorted(ends, places, side="right").astype(np.int64))


def _resize(maps: Tensor, size: int) -> Tensor:
    if maps.shape[-1] == size:
        return maps
    return F.interpolate(maps, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
