"""The colorizer: any size, any batch, any device name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.samples import small_generator
from vidcolor.errors import OptionError
from vidcolor.inference.colorizer import Colorizer, resolve_device


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    """A small random network in fp32 on the CPU."""
    return Colorizer(small_generator(1), device="cpu", batch_size=3, dtype=torch.float32)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 1), (7, 200)])
def test_any_size(colorizer: Colorizer, size: tuple[int, int]) -> None:
    """The ab planes have the size of the picture, whatever that is."""
    ab = colorizer.predict(np.random.default_rng(0).random((1, *size), dtype=np.float32))
    assert ab.shape == (1, 2, *size)
    assert ab.dtype == np.float32
    assert np.isfinite(ab).all()


def test_pictures_do_not_see_each_other(colorizer: Colorizer) -> None:
    """A picture's color does not depend on the batch it comes in, beyond rounding."""
    grey = np.random.default_rng(1).random((7, 64, 64), dtype=np.float32)
    together = colorizer.predict(grey)
    alone = np.concatenate([colorizer.predict(grey[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(together, alone, atol=1e-2)


def test_padding_is_cut_off_where_it_was_put(colorizer: Colorizer) -> None:
    """A picture whose border repeats itself gets the same color as with that border cut off."""
    inner = np.random.default_rng(2).random((1, 50, 60), dtype=np.float32)
    padded = np.pad(inner, ((0, 0), (7, 7), (2, 2)), mode="edge")
    np.testing.assert_allclose(colorizer.predict(padded)[:, :, 7:57, 2:62], colorizer.predict(inner), atol=1e-3)


def test_hints_lie_where_they_were_put(colorizer: Colorizer) -> None:
    """Padding moves hints as it moves the picture: a hint differs most from none at its own place."""
    grey = np.full((1, 72, 104), 0.5, np.float32)
    hints = np.zeros((1, 3, 72, 104), np.float32)
    hints[:, :, 8:16, 80:88] = 1
    change = np.abs(colorizer.predict(grey, hints) - colorizer.predict(grey)).sum(axis=(0, 1))
    row, column = np.unravel_index(change.argmax(), change.shape)
    assert 4 <= row < 20
    assert 76 <= column < 92


def test_hints_go_with_their_pictures(colorizer: Colorizer) -> None:
    """In several batches every picture gets its own hints; hints of zeros are none."""
    grey = np.random.default_rng(4).random((5, 32, 32), dtype=np.float32)
    hints = np.zeros((5, 3, 32, 32), np.float32)
    hints[4] = 1
    change = np.abs(colorizer.predict(grey, hints) - colorizer.predict(grey)).max(axis=(1, 2, 3))
    assert (change[:4] == 0).all()
    assert change[4] > 0


def test_hints_that_cannot_be_taken(colorizer: Colorizer) -> None:
    """Hints of another shape, and hints for a network without an input for them, are refused."""
    grey = np.zeros((1, 32, 32), np.float32)
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 32\)"):
        colorizer.predict(grey, np.zeros((1, 2, 32, 32), np.float32))
    deaf = small_generator(1)
    deaf.takes_hints = False
    with pytest.raises(OptionError, match="takes none"):
        Colorizer(deaf, device="cpu").predict(grey, np.zeros((1, 3, 32, 32), np.float32))


@pytest.mark.parametrize("name", ["cuda:99", "nonsense", "mps:7"])
def test_unknown_device(name: str) -> None:
    """A device that is not there is a usage error that names it."""
    with pytest.raises(OptionError, match=f"`device` {name}"):
        resolve_device(name)


def test_bf16_is_close(colorizer: Colorizer) -> None:
    """The data type changes rounding and nothing else."""
    half = Colorizer(small_generator(1), device="cpu", batch_size=1, dtype=torch.bfloat16)
    grey = np.random.default_rng(3).random((1, 32, 32), dtype=np.float32)
    difference = np.abs(half.predict(grey) - colorizer.predict(grey))
    assert difference.mean() < 2.0
