"""Photographs to arrays."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from vidcolor.errors import InputError
from vidcolor.training.data import load_pictures, rgb_to_training


def test_shards_and_folders_hold_the_same(photographs: Path, tmp_path: Path) -> None:
    """A tar of pictures gives the same arrays as the folder it was made from."""
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        for path in sorted(photographs.iterdir()):
            tar.add(path, path.name)
    a = load_pictures([photographs], size=64, cache=tmp_path / "a")
    b = load_pictures([shard], size=64, cache=tmp_path / "b")
    np.testing.assert_array_equal(a.grey, b.grey)
    np.testing.assert_array_equal(a.ab, b.ab)
    assert a.grey.shape == (4, 64, 64)
    assert a.ab.shape == (4, 2, 32, 32)


def test_the_cache_knows_its_pictures(photographs: Path, tmp_path: Path) -> None:
    """The same pictures come from the cache; one changed byte is a different set."""
    cache = tmp_path / "cache"
    first = load_pictures([photographs], size=64, cache=cache)
    assert load_pictures([photographs], size=64, cache=cache).sha256 == first.sha256
    Image.new("RGB", (80, 80), "red").save(photographs / "0.png")
    assert load_pictures([photographs], size=64, cache=cache).sha256 != first.sha256


def test_a_picture_that_is_none(photographs: Path, tmp_path: Path) -> None:
    """A file that cannot be decoded ends the run and is named."""
    (photographs / "9.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"9\.png: expected a picture"):
        load_pictures([photographs], size=64, cache=tmp_path / "cache")


def test_no_pictures(tmp_path: Path) -> None:
    """An empty folder is said to be one."""
    with pytest.raises(InputError, match="no picture in"):
        load_pictures([tmp_path], size=64, cache=tmp_path / "cache")


def test_targets_are_lab() -> None:
    """ab is scikit-image's, averaged over two by two pixels and rounded."""
    rgb = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    grey, ab = rgb_to_training(rgb)
    lab = rgb2lab(rgb[0])
    expected = lab[..., 1:].reshape(4, 2, 4, 2, 2).mean(axis=(1, 3)).transpose(2, 0, 1)
    np.testing.assert_allclose(ab[0], expected, atol=0.51)
    lightness = rgb2lab(np.repeat(grey[0][..., None], 3, axis=2))[..., 0]
    np.testing.assert_allclose(lightness, lab[..., 0], atol=0.4)
