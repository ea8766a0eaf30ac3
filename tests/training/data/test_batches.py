"""Pictures to batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vidcolor.networks import ColorNetwork
from vidcolor_training.data import batches as module
from vidcolor_training.data.batch import Batch
from vidcolor_training.data.batches import Batches, DeviceMaps, MappedMaps, expected_views, order
from vidcolor_training.data.feature_cache import FeatureCache
from vidcolor_training.data.pictures import PictureSet
from vidcolor_training.recipes.recipe import StageRecipe

CPU = torch.device("cpu")
SIZE = 128


class Pooled(ColorNetwork):
    """Means of the grey as features: what they must be after a cut is known."""

    def __init__(self) -> None:
        super().__init__({})
        self.encoder = nn.Identity()

    def encode(self, grey: Tensor) -> list[Tensor]:
        """Two channels at stride 4, one at 64."""
        fine = nn.functional.avg_pool2d(grey, 4)
        return [torch.cat((fine, -fine), dim=1), nn.functional.avg_pool2d(grey, 64)]


def make_pictures(folder: Path, count: int = 10) -> PictureSet:
    """Pictures of noise; in number n, a is n everywhere and b is related to the grey."""
    random = np.random.default_rng(0)
    grey = random.integers(0, 256, (count, SIZE, SIZE), np.uint8)
    a = np.broadcast_to(np.arange(count, dtype=np.int8)[:, None, None], grey.shape)
    ab = np.stack((a, (grey // 2).astype(np.int8)), axis=1)
    names = tuple(str(i) for i in range(count))
    return PictureSet(grey, ab, names, (), (), "0", folder)


def stage(**changes: Any) -> StageRecipe:
    """A stage at full size."""
    settings: dict[str, Any] = {
        "size": SIZE,
        "name": "s",
        "pictures": 1,
        "share": 1,
        "learning_rate": 1,
        "losses": {"l1": 1},
    }
    return StageRecipe(**settings | changes)


def make_batches(folder: Path, **changes: Any) -> Batches:
    """Four pictures a batch."""
    settings: dict[str, Any] = {"batch_size": 4, "device": CPU, "seed": 7}
    return Batches(make_pictures(folder), **settings | changes)


def tensors(batch: Batch) -> Iterator[Tensor]:
    """All that a batch holds."""
    yield from (batch.grey, batch.clean_grey, batch.ab)
    yield from () if batch.hints is None else (batch.hints,)
    yield from batch.semantics or ()


def assert_same(one: Batch, other: Batch) -> None:
    """Equal to the bit."""
    for a, b in zip(tensors(one), tensors(other), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("changes", [{"size": 64, "damage": True}, {"size": 64, "view": "resize"}])
def test_a_batch_depends_on_its_number_alone(changes: dict[str, Any], tmp_path: Path) -> None:
    """The same in any order, from any object, from the stream; another number or seed gives another batch."""
    one, other = make_batches(tmp_path), make_batches(tmp_path)
    later = one.batch(5, stage(**changes), hints=True)
    for step in (0, 3):
        one.batch(step, stage(**changes), hints=True)
    assert_same(later, other.batch(5, stage(**changes), hints=True))
    streamed = list(islice(other.stream(4, stage(**changes), hints=True), 2))
    assert_same(later, streamed[1])
    assert not torch.equal(later.ab, streamed[0].ab)
    assert not torch.equal(later.ab, make_batches(tmp_path, seed=8).batch(5, stage(**changes), hints=True).ab)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_picture_once_an_epoch(world: int, tmp_path: Path) -> None:
    """Over all ranks each picture comes once before any comes again, in another order each time."""
    ranks = [make_batches(tmp_path, rank=rank, world=world) for rank in range(world)]
    seen = [int(i) for step in range(10) for rank in ranks for i in rank.indices(step)]
    a_round = 5 * world * 4  # pictures after which an epoch ends with a batch again: 5 steps of 4, of 10 pictures
    for start in range(0, len(seen), a_round):
        assert np.bincount(seen[start : start + a_round]).tolist() == [2 * world] * 10
    assert seen[:a_round] != seen[a_round:]
    assert sorted(seen[:4]) == seen[:4]


def test_balanced_sources() -> None:
    """Shares grow with the size of a source to the power of 1 - balance; the mean over epochs is the expectation."""
    names = ["one.tar/a-1.avif", "one.tar/b-1.avif", *(f"two.tar/c-{i}.avif" for i in range(8)), "plain.png"]
    assert expected_views(names, 0.0).tolist() == [1.0] * 11
    views = expected_views(names, 1.0)
    np.testing.assert_allclose(views[[0, 1, -1]], 11 / 4)
    np.testing.assert_allclose(views[2:10], 11 / 4 / 8)
    epochs = [order(7, epoch, views) for epoch in range(400)]
    assert all(len(epoch) == 11 for epoch in epochs)
    counted = np.bincount(np.concatenate(epochs), minlength=11)
    np.testing.assert_allclose(counted / 400, views, atol=0.1)
    assert not np.array_equal(epochs[0], epochs[1])
    assert np.array_equal(epochs[0], order(7, 0, views))


def test_ranks_draw_apart(tmp_path: Path) -> None:
    """Two ranks never hold the same picture at the same step of an epoch, and damage theirs differently."""
    first, second = (make_batches(tmp_path, rank=rank, world=2) for rank in range(2))
    assert not set(first.indices(0)) & set(second.indices(0))
    one, other = (rank.batch(0, stage(damage=True), hints=True) for rank in (first, second))
    assert not torch.equal(one.grey - one.clean_grey, other.grey - other.clean_grey)


def test_a_set_smaller_than_a_batch(tmp_path: Path) -> None:
    """Pictures are repeated rather than batches made smaller."""
    batches = Batches(make_pictures(tmp_path, 3), batch_size=8, device=CPU, seed=0)
    assert np.bincount(batches.indices(0)).tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])


def test_what_a_batch_holds(tmp_path: Path) -> None:
    """Shapes, units and ranges; grey and colors are of the same pictures and the same places."""
    batch = make_batches(tmp_path).batch(0, stage(size=64), hints=True)
    assert batch.grey.shape == batch.clean_grey.shape == (4, 1, 64, 64)
    assert batch.ab.shape == (4, 2, 64, 64)
    assert batch.hints is not None
    assert batch.hints.shape == (4, 3, 64, 64)
    assert batch.semantics is None
    assert torch.equal(batch.grey, batch.clean_grey)
    assert all(t.dtype == torch.float32 for t in tensors(batch))
    a, b = batch.ab[:, 0], batch.ab[:, 1]
    assert (a - a.mean(dim=(1, 2), keepdim=True).round()).abs().max() <= 0.5
    assert (b - (batch.grey[:, 0] * 255 / 2).floor()).abs().max() <= 0.5 + 1e-3
    assert (b - b.round()).abs().max() > 0.4  # dithered


def test_damage_is_of_the_grey_alone(tmp_path: Path) -> None:
    """A damaged stage shows the network another grey; the clean one and the colors are those of an undamaged stage."""
    batches = make_batches(tmp_path)
    damaged, clean = (batches.batch(0, stage(damage=d), hints=False) for d in (True, False))
    assert not torch.equal(damaged.grey, clean.grey)
    assert torch.equal(damaged.clean_grey, clean.grey)
    assert torch.equal(damaged.ab, clean.ab)
    assert damaged.hints is None


def test_crops_differ_and_some_are_mirrored(tmp_path: Path) -> None:
    """Each picture of a batch is cut at a place of its own, half of them mirrored."""
    batches = make_batches(tmp_path)
    cuts = [batches.choose_cut(step, stage(size=64))[0] for step in range(50)]
    tops, lefts = (torch.cat([getattr(cut, name) for cut in cuts]) for name in ("tops", "lefts"))
    assert (tops % 2 == 0).all()
    assert tops.min() == 0
    assert max(tops.max(), lefts.max()) == SIZE - 64
    assert len(tops.unique()) > 20
    assert not torch.equal(tops, lefts)
    assert 0.3 < torch.cat([cut.mirrored for cut in cuts]).float().mean() < 0.7


def test_resized_views_show_nearly_all(tmp_path: Path) -> None:
    """Squares of 80 to 100 % of the side, made smaller with their mean kept: no aliasing of noise."""
    batches = make_batches(tmp_path)
    whole = stage(size=64, view="resize")
    sides = [batches.choose_cut(step, whole)[0].side for step in range(50)]
    assert round(0.8 * SIZE) <= min(sides) < 0.85 * SIZE
    assert 0.95 * SIZE < max(sides) <= SIZE
    closer = stage(size=64, view="resize", smallest_view=0.4)
    assert min(batches.choose_cut(step, closer)[0].side for step in range(50)) < 0.45 * SIZE
    grey = batches.batch(0, whole, hints=False).grey
    assert grey.shape == (4, 1, 64, 64)
    assert grey.mean() == pytest.approx(0.5, abs=0.02)
    assert grey.std() < 0.8 * np.std(np.arange(256) / 255)


def test_features_are_cut_with_the_picture(tmp_path: Path) -> None:
    """Cached features show the same places as the grey, at every stride, also mirrored."""
    pictures = make_pictures(tmp_path)
    features = FeatureCache(Pooled(), pictures, device=CPU, autocast=nullcontext)
    batches = Batches(pictures, batch_size=4, device=CPU, seed=0, features=features)
    for step in range(5):
        batch = batches.batch(step, stage(size=64, frozen_encoder=True), hints=False)
        assert batch.semantics is not None
        for found, expected in zip(batch.semantics, Pooled().encode(batch.grey), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert batch.semantics[0].is_contiguous(memory_format=torch.channels_last)
    assert batches.batch(0, stage(size=64), hints=False).semantics is None


def test_maps_on_the_device_are_cut_as_those_on_disk(tmp_path: Path) -> None:
    """Both ways give the same squares."""
    array = np.random.default_rng(0).integers(0, 99, (10, 3, SIZE // 4, SIZE // 4), np.uint8)
    cut, _ = make_batches(tmp_path).choose_cut(0, stage(size=64))
    mapped, device = MappedMaps(array, 4, pinned=False), DeviceMaps(array, 4, CPU)
    assert torch.equal(mapped.cut(cut), device.cut(cut))


@pytest.fixture
def reading_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches on the CPU that read ahead as those for a GPU do."""
    monkeypatch.setattr(Batches, "reads_ahead", property(lambda self: True))


def threads() -> list[str]:
    """The names of the threads that read ahead."""
    return [thread.name for thread in threading.enumerate() if thread.name == "vidcolor-batches"]


@pytest.mark.usefixtures("reading_ahead")
def test_reading_ahead_changes_nothing(tmp_path: Path) -> None:
    """The stream with a thread gives the batches that are asked for one by one; its thread ends with it."""
    batches = make_batches(tmp_path)
    stream = batches.stream(3, stage(size=64, damage=True), hints=True)
    for step, batch in zip(range(3, 6), stream, strict=False):
        assert threads()
        assert_same(batch, batches.batch(step, stage(size=64, damage=True), hints=True))
    del stream
    assert not threads()


@pytest.mark.usefixtures("reading_ahead")
def test_the_thread_ends_when_the_loop_raises(tmp_path: Path) -> None:
    """An error in the loop over batches leaves no thread behind."""

    def train() -> None:
        for _ in make_batches(tmp_path).stream(0, stage(), hints=False):
            assert threads()
            raise FloatingPointError

    with pytest.raises(FloatingPointError) as caught:
        train()
    del caught
    assert not threads()


@pytest.mark.usefixtures("reading_ahead")
def test_errors_of_the_thread_reach_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong while reading ahead is raised where batches are asked for."""

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(module.MappedMaps, "cut", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        next(make_batches(tmp_path).stream(0, stage(), hints=False))
    assert not threads()
