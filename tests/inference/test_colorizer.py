"""The colorizer: any size, any batch, any device name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.samples import small_generator
from vidcolor.errors import OptionError, ResourceError
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Colorizer, largest_render_size
from vidcolor.inference.torch_engine import is_out_of_memory, resolve_device


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
    """Hints are padded like the picture: a hint changes color most at its own position."""
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
    """A device that does not exist raises OptionError with its name."""
    with pytest.raises(OptionError, match=f"`device` {name}"):
        resolve_device(name)


def test_bf16_is_close(colorizer: Colorizer) -> None:
    """The data type changes rounding and nothing else."""
    half = Colorizer(small_generator(1), device="cpu", batch_size=1, dtype=torch.bfloat16)
    grey = np.random.default_rng(3).random((1, 32, 32), dtype=np.float32)
    difference = np.abs(half.predict(grey) - colorizer.predict(grey))
    assert difference.mean() < 2.0


class SmallMemory:
    """Predicts nothing, and only for pictures of so many pixels at most."""

    batch_size = 1

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels

    def predict(self, grey: FloatArray) -> FloatArray:
        """Return zeros, or raise as a colorizer does that has not enough memory."""
        if grey.size > self.pixels:
            raise ResourceError("too large")
        return np.zeros((len(grey), 2, *grey.shape[1:]), np.float32)


@pytest.mark.parametrize(
    ("pixels", "aspect", "expected"),
    [
        (256 * 512, 2.0, 256),
        (256 * 512 - 1, 2.0, 192),  # three quarters
        (192 * 384 - 1, 0.5, 144),  # and three quarters of that, upright as well
        (45 * 90, 2.0, 45),
        (33 * 66, 2.0, 33),
    ],
)
def test_largest_render_size(pixels: int, aspect: float, expected: int) -> None:
    """The short side is made smaller in steps of a quarter until one picture fits into memory."""
    assert largest_render_size(SmallMemory(pixels), 256, aspect) == expected


def test_no_render_size_fits() -> None:
    """Below 32 pixels a picture is not worth coloring."""
    with pytest.raises(ResourceError, match="too large"):
        largest_render_size(SmallMemory(32 * 32), 256, 2.0)
    assert largest_render_size(SmallMemory(32 * 32), 32, 1.0) == 32
    assert largest_render_size(SmallMemory(32 * 32), 43, 1.0) == 32
    with pytest.raises(ResourceError, match="too large"):
        largest_render_size(SmallMemory(32 * 32), 42, 1.0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError(), True),
        (RuntimeError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("not enough memory: you tried to allocate"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
    ],
)
def test_errors_of_memory(error: Exception, expected: bool) -> None:
    """They are told from others by what the libraries write."""
    assert is_out_of_memory(error) == expected


def test_names_of_devices() -> None:
    """The CPU has one number; ``auto`` finds something everywhere."""
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("cpu:0").type == "cpu"
    with pytest.raises(OptionError, match="no such device"):
        resolve_device("cpu:1")
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}


def test_fingerprints() -> None:
    """Networks with the same parameters have the same fingerprint, others another one; it has 32 hexadecimal digits."""
    one, same, other = (Colorizer(small_generator(s), device="cpu", dtype=torch.float32) for s in (1, 1, 2))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert len(bytes.fromhex(one.fingerprint)) == 16
