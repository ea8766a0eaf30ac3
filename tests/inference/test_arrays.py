"""Arrays and images that programs pass to the colorizer."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.color_films import two_colors
from tests.support.icc_profiles import gamma_curve, grey_profile
from tests.support.samples import SMALL_CONFIG, small_generator
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.weights import load_generator, save_generator
from vidcolor.options import ColorizeOptions

LUMA = np.array((0.299, 0.587, 0.114))
OPTIONS = ColorizeOptions(render_size=48)


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    """A small random network in fp32 on the CPU."""
    return Colorizer(small_generator(1), device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    """Grey code values of 8 bits, (48, 64)."""
    return np.random.default_rng(0).integers(60, 180, (48, 64)).astype(np.uint8)


@pytest.mark.parametrize(
    "convert",
    [
        lambda codes: codes,
        lambda codes: codes.astype(np.uint16) * 257,
        lambda codes: codes / 255,
        lambda codes: torch.from_numpy(codes / np.float32(255)),
        lambda codes: list(codes / 255),
        lambda codes: np.asfortranarray(codes / 255),
    ],
    ids=["uint8", "uint16", "float64", "tensor", "list", "column by column"],
)
def test_levels_of_any_type(colorizer: Colorizer, codes: np.ndarray, convert: Callable[[np.ndarray], Any]) -> None:
    """The same levels get the same colors in every data type."""
    expected = colorizer.predict(codes[None] / np.float32(255))
    np.testing.assert_allclose(colorizer.predict(convert(codes[None])), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("grey", "error", "message"),
    [
        (np.full((1, 8, 8), 200.0), ValueError, r"\[0, 1\], got 200 to 200"),
        (np.full((1, 8, 8), -0.5), ValueError, r"\[0, 1\], got -0.5"),
        (np.full((1, 8, 8), np.nan), ValueError, "not finite"),
        (np.full((1, 8, 8), np.inf), ValueError, "not finite"),
        (np.zeros((1, 8, 8), np.int64), TypeError, "got int64"),
        (np.zeros((1, 8, 8), bool), TypeError, "got bool"),
        (np.zeros((8, 8)), ValueError, r"\(N, h, w\), got \(8, 8\); Colorizer.colorize"),
        (np.zeros((1, 1, 8, 8)), ValueError, r"\(N, h, w\), got \(1, 1, 8, 8\)"),
        (np.zeros((9, 8, 3)), ValueError, r"\(N, h, w\), got \(9, 8, 3\); Colorizer.colorize"),
        (np.zeros((1, 0, 8)), ValueError, r"got \(1, 0, 8\)"),
        (Image.new("RGB", (9, 8)), ValueError, r"got \(8, 9, 3\); Colorizer.colorize"),
    ],
)
def test_arrays_that_are_no_grey_pictures(
    colorizer: Colorizer, grey: np.ndarray, error: type[Exception], message: str
) -> None:
    """Anything that is not grey in [0, 1] is refused with what was expected and what was found."""
    with pytest.raises(error, match=message):
        colorizer.predict(grey)


def test_overshoot_is_clipped(colorizer: Colorizer, codes: np.ndarray) -> None:
    """Levels slightly beyond black and white, as resampling leaves them, count as black and white."""
    grey = codes[None] / np.float32(255)
    grey[0, :2] = [[-0.05], [1.05]]
    np.testing.assert_array_equal(colorizer.predict(grey), colorizer.predict(grey.clip(0, 1)))


def test_no_pictures(colorizer: Colorizer) -> None:
    """No picture in, no picture out."""
    assert colorizer.predict(np.empty((0, 8, 9), np.float32)).shape == (0, 2, 8, 9)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_one_grey_picture(colorizer: Colorizer, codes: np.ndarray, dtype: type[np.number[Any]]) -> None:
    """A grey array becomes R'G'B' of the same data type, with its luma and with color."""
    grey = codes.astype(dtype) * {np.uint8: 1, np.uint16: 257}.get(dtype, 1 / 255)
    grey = grey.astype(dtype)
    colored = colorizer.colorize(grey, options=OPTIONS)
    white = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    assert colored.shape == (48, 64, 3)
    assert colored.dtype == dtype
    np.testing.assert_allclose(colored @ LUMA / white, grey / white, atol=0.003)
    assert np.ptp(colored / white, axis=2).mean() > 0.01
    np.testing.assert_array_equal(colorizer.colorize(grey[..., None], options=OPTIONS), colored)


def test_one_picture_in_color(colorizer: Colorizer, codes: np.ndarray) -> None:
    """Three equal channels are colored as one; alpha is kept; views of any strides are taken."""
    expected = colorizer.colorize(codes, options=OPTIONS)
    rgb = np.dstack([codes] * 3)
    np.testing.assert_allclose(colorizer.colorize(rgb, options=OPTIONS), expected, atol=1)
    np.testing.assert_allclose(colorizer.colorize(rgb[..., ::-1], options=OPTIONS), expected, atol=1)
    rgba = colorizer.colorize(np.dstack([rgb, codes]), options=OPTIONS)
    np.testing.assert_allclose(rgba[..., :3], expected, atol=1)
    np.testing.assert_array_equal(rgba[..., 3], codes)


def test_a_picture_with_colors_of_its_own(colorizer: Colorizer, caplog: pytest.LogCaptureFixture) -> None:
    """It comes back as it is, and a line in the log says so; on request it is colored anew."""
    rgb = two_colors()
    np.testing.assert_array_equal(colorizer.colorize(rgb, options=OPTIONS), rgb)
    assert "keeps them" in caplog.text
    anew = colorizer.colorize(rgb, options=replace(OPTIONS, keep_color="never"))
    assert np.abs(anew.astype(int) - rgb).mean() > 10


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_images_of_any_mode(colorizer: Colorizer, codes: np.ndarray, mode: str) -> None:
    """An image gives an image of its size, with alpha where it had any, as its array does."""
    image = Image.fromarray(codes).convert(mode)
    colored = colorizer.colorize(image, options=OPTIONS)
    assert isinstance(colored, Image.Image)
    assert (colored.mode, colored.size) == ("RGBA" if mode.endswith("A") else "RGB", image.size)
    expected = colorizer.colorize(np.asarray(image.convert("RGB")), options=OPTIONS)
    np.testing.assert_allclose(np.asarray(colored.convert("RGB")).astype(int), expected, atol=1)


def test_images_upright_and_in_srgb(colorizer: Colorizer, codes: np.ndarray) -> None:
    """The EXIF orientation is applied, and levels are converted to sRGB, in which linear ones are brighter."""
    stored, exif = BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(codes).save(stored, "PNG", exif=exif, icc_profile=grey_profile(gamma_curve(1)))
    with Image.open(stored) as image:
        colored = colorizer.colorize(image, options=OPTIONS)
    assert colored.size == (48, 64)
    assert (np.asarray(colored) @ LUMA).mean() > codes.mean() + 20


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (np.zeros((2, 8, 9, 3)), ValueError, "Colorizer.predict takes several"),
        (np.zeros((8, 9, 2)), ValueError, r"got \(8, 9, 2\)"),
        (np.zeros((0, 9)), ValueError, r"got \(0, 9\)"),
        (np.zeros((8, 9), np.int32), TypeError, "got int32"),
        (np.full((8, 9, 3), 255.0), ValueError, "got 255 to 255"),
        (Image.new("I", (9, 8)), TypeError, "mode I; pass it as an array"),
    ],
)
def test_what_is_no_picture(colorizer: Colorizer, picture: Any, error: type[Exception], message: str) -> None:
    """Anything else is refused with what was expected and what was found."""
    with pytest.raises(error, match=message):
        colorizer.colorize(picture)


@pytest.mark.parametrize("copy_of", [pickle.dumps, copy.copy, copy.deepcopy])
def test_colorizers_are_not_copied(colorizer: Colorizer, copy_of: Callable[[Colorizer], object]) -> None:
    """Pickling and copying end with an error that says what to do instead."""
    with pytest.raises(TypeError, match=r"one in each process: load_colorizer\("):
        copy_of(colorizer)


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.bfloat16])
def test_several_of_one_generator(codes: np.ndarray, dtype: torch.dtype | None) -> None:
    """A generator stays as it is, so that any number of colorizers can be made of it."""
    generator = small_generator(1)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    one, other = (Colorizer(generator, device="cpu", dtype=dtype) for _ in range(2))
    np.testing.assert_array_equal(one.predict(codes[None]), other.predict(codes[None]))
    after = generator.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_whatever_torch_is_set_to(tmp_path: Any, codes: np.ndarray) -> None:
    """Default data type, default device and autocast of the calling program change nothing."""
    path = tmp_path / "small.safetensors"
    state = small_generator(1).state_dict()
    save_generator(path, state, network="multiscale_unet", config=SMALL_CONFIG, recipe="", training={})
    expected = Colorizer(load_generator(path), device="cpu").predict(codes[None])
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
            found = Colorizer(load_generator(path), device="cpu").predict(codes[None])
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, expected)
