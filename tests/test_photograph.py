"""Photographs from grey to color, with colorizers that make no secret of what they do."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.support.clips import make_clip
from vidcolor.color.luma import at_render_size
from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.frames import FloatArray
from vidcolor.options import ColorizeOptions, KeepColor
from vidcolor.photograph import colorize_image
from vidcolor.pipeline import colorize_video
from vidcolor.stills.kinds import is_picture
from vidcolor.stills.reader import count_pages, read_picture

OPTIONS = ColorizeOptions(render_size=64)
LUMA = np.array((0.299, 0.587, 0.114))


class OneColor:
    """Gives every pixel the same ab, and remembers what it was shown."""

    batch_size = 4

    def __init__(self, a: float = 0, b: float = 0) -> None:
        self.ab = np.array((a, b), np.float32)
        self.shown: list[FloatArray] = []

    def predict(self, grey: FloatArray) -> FloatArray:
        """The same for everything."""
        self.shown.extend(grey)
        return np.broadcast_to(self.ab[:, None, None], (len(grey), 2, *grey.shape[1:])).copy()


def photograph(path: Path, height: int = 90, width: int = 150, **options: object) -> Path:
    """A grey picture of a gradient with grain and a bright block, without which it would show nothing to color."""
    levels = np.add.outer(np.linspace(40, 120, height), np.linspace(0, 80, width))
    levels[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] += 50
    levels += np.random.default_rng(2).normal(0, 6, levels.shape)
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(path, **options)
    return path


def levels_of(path: Path) -> np.ndarray:
    """(H, W, 3) levels of a stored picture."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(float)


def test_no_color_leaves_the_picture_alone(tmp_path: Path) -> None:
    """With ab of zero a PNG comes back level by level."""
    source = photograph(tmp_path / "a.png")
    colorize_image(source, tmp_path / "b.png", colorizer=OneColor(), options=OPTIONS)
    np.testing.assert_array_equal(levels_of(tmp_path / "b.png"), levels_of(source))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_color_arrives_and_luma_stays(tmp_path: Path, suffix: str) -> None:
    """Positive b is yellow, positive a is red, and the BT.601 luma is the source's."""
    source = photograph(tmp_path / f"a{suffix}")
    colorize_image(source, tmp_path / f"b{suffix}", colorizer=OneColor(10, 30), options=OPTIONS)
    colors = levels_of(tmp_path / f"b{suffix}")
    red, green, blue = colors.mean(axis=(0, 1))
    assert red > green > blue + 20
    np.testing.assert_allclose(colors @ LUMA, levels_of(source) @ LUMA, atol=1.01 if suffix == ".png" else 5)


def in_color(path: Path, **options: object) -> Path:
    """A picture with a red and a green half."""
    levels = levels_of(photograph(path.with_name("grey.png")))
    levels[:, :75] *= (1.1, 0.6, 0.5)
    levels[:, 75:] *= (0.6, 1.0, 0.5)
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_colors_of_its_own_are_kept(tmp_path: Path, suffix: str) -> None:
    """A picture in color comes out byte for byte, is not shown to the network, and a line says so."""
    source, colorizer = in_color(tmp_path / f"a{suffix}"), OneColor(10, 30)
    notes = colorize_image(source, tmp_path / f"b{suffix}", colorizer=colorizer, options=OPTIONS)
    assert (tmp_path / f"b{suffix}").read_bytes() == source.read_bytes()
    assert (tmp_path / f"b{suffix}").stat().st_mtime_ns == source.stat().st_mtime_ns
    assert not colorizer.shown
    assert notes == ("has colors of its own and keeps them; `keep_color` never colors it anew",)


def test_kept_colors_in_another_format(tmp_path: Path) -> None:
    """Where the output has another format it has the same colors, upright, without the mark of a machine."""
    exif = Image.Exif()
    exif[0x0112] = 6
    source = in_color(tmp_path / "a.jpg", quality=95, subsampling=0, exif=exif)
    colorize_image(source, tmp_path / "b.png", colorizer=OneColor(10, 30), options=OPTIONS)
    expected = np.rot90(levels_of(source), -1)
    np.testing.assert_allclose(levels_of(tmp_path / "b.png"), expected, atol=1)
    with Image.open(tmp_path / "b.png") as image:
        assert b"trainedAlgorithmicMedia" not in str(image.info).encode()
        assert "vidcolor" not in str(image.info)


def test_colors_that_are_not_to_be_kept(tmp_path: Path) -> None:
    """On request a picture in color is colored anew, and a sepia print is kept."""
    source = in_color(tmp_path / "a.png")
    never, always = (replace(OPTIONS, keep_color=keep) for keep in ("never", "always"))
    assert colorize_image(source, tmp_path / "b.png", colorizer=OneColor(), options=never) == ()
    red, green, blue = levels_of(tmp_path / "b.png").mean(axis=(0, 1))
    assert red == green == blue
    Image.fromarray(np.full((40, 40, 3), (190, 150, 100), np.uint8)).save(tmp_path / "sepia.png")
    colorize_image(tmp_path / "sepia.png", tmp_path / "c.png", colorizer=OneColor(), options=always)
    assert (tmp_path / "c.png").read_bytes() == (tmp_path / "sepia.png").read_bytes()


def test_toned_scan_loses_its_tone(tmp_path: Path) -> None:
    """A sepia print comes out in the network's color, not in its own."""
    sepia = np.broadcast_to(np.array((190, 150, 100), np.uint8), (40, 40, 3))
    Image.fromarray(sepia).save(tmp_path / "a.png")
    colorize_image(tmp_path / "a.png", tmp_path / "b.png", colorizer=OneColor(), options=OPTIONS)
    np.testing.assert_array_equal(levels_of(tmp_path / "b.png"), np.rint(sepia @ LUMA)[..., None].repeat(3, axis=2))


def test_negative(tmp_path: Path) -> None:
    """A scan of a negative is inverted, for the network and in the output; a film is refused."""
    source = photograph(tmp_path / "a.png")
    colorizer = OneColor()
    options = ColorizeOptions(render_size=64, negative=True)
    colorize_image(source, tmp_path / "b.png", colorizer=colorizer, options=options)
    np.testing.assert_array_equal(levels_of(tmp_path / "b.png"), 255 - levels_of(source))
    assert colorizer.shown[0].mean() == pytest.approx(1 - levels_of(source).mean() / 255, abs=0.01)
    with pytest.raises(OptionError, match="`negative`: is for photographs"):
        colorize_video(make_clip(tmp_path / "a.mp4"), tmp_path / "b.mp4", colorizer=OneColor(), options=options)


def test_network_sees_the_picture_upright(tmp_path: Path) -> None:
    """A photograph that lies on its side is shown, and stored, standing."""
    exif = Image.Exif()
    exif[0x0112] = 6
    source = photograph(tmp_path / "a.jpg", exif=exif)
    colorizer = OneColor(10, 30)
    colorize_image(source, tmp_path / "b.jpg", colorizer=colorizer, options=OPTIONS)
    assert colorizer.shown[0].shape == (107, 64)
    assert levels_of(tmp_path / "b.jpg").shape == (150, 90, 3)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((900, 1500), (64, 107)),  # short side at render size
        ((1500, 900), (107, 64)),
        ((40, 60), (40, 60)),  # never enlarged
        ((8, 12), (32, 48)),  # unless there is nothing to see
        ((100, 20000), (20, 4096)),  # a strip
        ((1, 1), (32, 32)),
    ],
)
def test_render_size(tmp_path: Path, size: tuple[int, int], shown: tuple[int, int]) -> None:
    """What the network is shown, by the size of the picture."""
    picture = read_picture(photograph(tmp_path / "a.png", *size))
    assert at_render_size(picture.grey, 64).shape == shown


def test_sixteen_bits_stay(tmp_path: Path) -> None:
    """A 16-bit scan keeps levels that 8 bits do not have."""
    levels = np.linspace(20000, 22000, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    colorize_image(tmp_path / "a.png", tmp_path / "b.tif", colorizer=OneColor(10, 10), options=OPTIONS)
    again = read_picture(tmp_path / "b.tif")
    assert again.bit_depth == 16
    np.testing.assert_allclose(again.grey * 65535, levels, atol=2)


@pytest.mark.parametrize(("source", "suffix"), [("a.tif", ".tif"), ("a.tif", ".png"), ("color.png", ".png")])
def test_memory_of_a_large_scan(tmp_path: Path, source: str, suffix: str) -> None:
    """Beside the grey levels, 4 bytes a pixel, memory holds only bands, whatever the size of the scan."""
    levels = np.add.outer(np.arange(2000) * 10, np.arange(2000) * 10).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="minisblack")
    cv2.imwrite(str(tmp_path / "color.png"), np.stack([levels] * 3, axis=-1))
    tracemalloc.start()
    colorize_image(tmp_path / source, tmp_path / f"b{suffix}", colorizer=OneColor(10, 10), options=OPTIONS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bands = 110 * 2**20  # bytes for a band of 2^20 pixels: colors and gamut in float32, code values, filtered rows
    assert peak < 4 * levels.size + bands


@pytest.mark.parametrize(
    ("ink", "keep", "line"),
    [((220, 30, 30), "auto", True), ((220, 30, 30), "never", False), ((140, 120, 100), "auto", False)],
)
def test_a_strong_tint_has_a_line(tmp_path: Path, ink: tuple[int, int, int], keep: KeepColor, line: bool) -> None:
    """A drawing in one color is not told from a tint, but it is said that its color is lost; sepia goes without."""
    pixels = np.full((96, 96, 3), 255, np.uint8)
    pixels[20:80, 20:80] = ink
    Image.fromarray(pixels).save(tmp_path / "a.png")
    options = replace(OPTIONS, keep_color=keep)
    warnings = colorize_image(tmp_path / "a.png", tmp_path / "b.png", colorizer=OneColor(), options=options)
    assert any("is taken for a tint and colored anew" in warning for warning in warnings) == line


@pytest.mark.parametrize("name", ["b.gif", "a.png", "there.png"])
def test_output_is_checked_before_work(tmp_path: Path, name: str) -> None:
    """An output that cannot be is refused before the network is asked."""
    source = photograph(tmp_path / "a.png")
    (tmp_path / "there.png").touch()
    colorizer = OneColor()
    with pytest.raises(OutputError):
        colorize_image(source, tmp_path / name, colorizer=colorizer, options=OPTIONS)
    assert colorizer.shown == []


def test_every_page_of_a_tiff_is_colored(tmp_path: Path) -> None:
    """Pages of any size and depth come back as pages, each with its own metadata; other formats hold one picture."""
    deep = np.linspace(0, 65535, 60 * 40).reshape(60, 40).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(deep, photometric="minisblack", metadata=None, description="first", resolution=(300, 300))
        tiff.write((deep[:30] >> 8).astype(np.uint8), photometric="minisblack", metadata=None, description="second")
    colorize_image(tmp_path / "a.tif", tmp_path / "b.tif", colorizer=OneColor(10, 10), options=OPTIONS)
    assert count_pages(tmp_path / "b.tif") == 2
    for page, expected in enumerate((deep / 65535, (deep[:30] >> 8) / 255)):
        again = read_picture(tmp_path / "b.tif", page)
        np.testing.assert_allclose(again.grey, expected, atol=0.006 if page else 3e-5)
        assert again.bit_depth == (8 if page else 16)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert [page.description for page in tiff.pages] == ["first", "second"]
        assert [page.tags["PageNumber"].value for page in tiff.pages] == [(0, 2), (1, 2)]
        np.testing.assert_array_equal(tiff.pages[0].shape, (60, 40, 3))
    with pytest.raises(OutputError, match=r"'\.png' holds one picture, and a\.tif has 2 pages; write \.tif"):
        colorize_image(tmp_path / "a.tif", tmp_path / "c.png", colorizer=OneColor(), options=OPTIONS)


def test_bad_input_leaves_nothing(tmp_path: Path) -> None:
    """A damaged picture gives an InputError and no file."""
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    with pytest.raises(InputError):
        colorize_image(tmp_path / "a.png", tmp_path / "b.png", colorizer=OneColor(), options=OPTIONS)
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.JPG", True), ("a.jpeg", True), ("a.gif", True), ("a.tiff", True), ("a.mp4", False), ("jpg", False)],
)
def test_is_picture(name: str, expected: bool) -> None:
    """By suffix, whatever its case."""
    assert is_picture(Path(name)) is expected
