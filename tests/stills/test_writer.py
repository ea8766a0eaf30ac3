"""Writing pictures; Pillow, OpenCV and tifffile read them back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.ExifTags import IFD, Base

from vidcolor.errors import OutputError
from vidcolor.stills import icc
from vidcolor.stills import writer as picture_writer
from vidcolor.stills.metadata import Metadata
from vidcolor.stills.reader import SourcePicture, read_picture
from vidcolor.stills.writer import write_picture

HEIGHT, WIDTH = 13, 21
RNG = np.random.default_rng(11)
RGB = RNG.random((HEIGHT, WIDTH, 3), dtype=np.float32)
SMOOTH = np.dstack(np.meshgrid(*(np.linspace(0.2, 0.8, n, dtype=np.float32) for n in (160, 120))))
SMOOTH = np.dstack((SMOOTH, SMOOTH.mean(axis=-1)))


def source(path: Path, **known: object) -> SourcePicture:
    """A grey picture of 8 bits without metadata."""
    return replace(SourcePicture(path=path, grey=RGB[..., 0], bit_depth=8, alpha=None), **known)


def exif_of_a_scan() -> bytes:
    """EXIF data as the reader returns it."""
    exif = Image.Exif()
    exif[Base.ImageDescription] = "The harbour"
    exif[IFD.Exif] = {Base.DateTimeOriginal: "1921:05:01 12:00:00"}
    exif[IFD.GPSInfo] = {1: "N", 2: (54.0, 20.0, 0.0)}
    return exif.tobytes()


SCAN = Metadata(exif=exif_of_a_scan(), dpi=(300.0, 600.0))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
def test_lossless_formats_keep_every_level(tmp_path: Path, suffix: str) -> None:
    """Eight bits are rounded once and read back as they are."""
    path = tmp_path / f"b{suffix}"
    write_picture(path, [RGB], source(tmp_path / "a.png"))
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), np.rint(RGB * 255))


@pytest.mark.parametrize(("suffix", "tolerance"), [(".jpg", 4), (".webp", 6), (".avif", 4)])
def test_lossy_formats_stay_close(tmp_path: Path, suffix: str, tolerance: float) -> None:
    """A smooth picture is read back within a few levels."""
    if suffix not in picture_writer.PICTURE_ENCODERS:
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / f"b{suffix}"
    write_picture(path, [SMOOTH], source(tmp_path / "a.png", grey=SMOOTH[..., 0]))
    with Image.open(path) as image:
        np.testing.assert_allclose(np.asarray(image.convert("RGB")), SMOOTH * 255, atol=tolerance)


def test_jpeg_keeps_chroma_at_full_size(tmp_path: Path) -> None:
    """JPEG is written as 4:4:4."""
    write_picture(tmp_path / "b.jpg", [SMOOTH], source(tmp_path / "a.png", grey=SMOOTH[..., 0]))
    with Image.open(tmp_path / "b.jpg") as image:
        assert {(h, v) for _, h, v, _ in image.layer} == {(1, 1)}


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_formats_keep_every_level(tmp_path: Path, suffix: str, alpha: bool) -> None:
    """Sixteen bits in, sixteen bits out, with OpenCV as the reader."""
    mask = RNG.integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16) if alpha else None
    path = tmp_path / f"b{suffix}"
    write_picture(path, [RGB], source(tmp_path / "a.png", bit_depth=16, alpha=mask))
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored[..., 2::-1], np.rint(RGB * np.float32(65535)))
    if alpha:
        np.testing.assert_array_equal(stored[..., 3], mask)


def test_deep_source_in_a_shallow_format(tmp_path: Path) -> None:
    """Sixteen bits become eight where the format has no more, alpha too."""
    alpha = RNG.integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
    write_picture(tmp_path / "b.webp", [RGB], source(tmp_path / "a.png", bit_depth=16, alpha=alpha))
    with Image.open(tmp_path / "b.webp") as image:
        np.testing.assert_array_equal(np.asarray(image.getchannel("A")), alpha // 257)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_alpha_is_kept(tmp_path: Path, suffix: str) -> None:
    """Alpha comes back level by level."""
    alpha = RNG.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    path = tmp_path / f"b{suffix}"
    write_picture(path, [RGB], source(tmp_path / "a.png", alpha=alpha))
    with Image.open(path) as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image.getchannel("A")), alpha)


def test_tiff_is_sound(tmp_path: Path) -> None:
    """A second, strict reader agrees on layout, alpha and resolution."""
    alpha = np.full((HEIGHT, WIDTH), 77, np.uint8)
    write_picture(tmp_path / "b.tif", [RGB], source(tmp_path / "a.tif", alpha=alpha, metadata=Metadata(dpi=(600, 600))))
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        (page,) = tiff.pages
        assert (page.photometric.name, page.compression.name) == ("RGB", "ADOBE_DEFLATE")
        assert page.shape == (HEIGHT, WIDTH, 4)
        assert page.extrasamples[0].name == "UNASSALPHA"
        assert page.tags["XResolution"].value == (600, 1)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_is_not_dropped_in_silence(tmp_path: Path, suffix: str) -> None:
    """A format without alpha refuses a transparent picture and leaves no file."""
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    write_picture(tmp_path / f"opaque{suffix}", [RGB], source(tmp_path / "a.png", alpha=alpha))
    alpha[3, 4] = 254
    with pytest.raises(OutputError, match=r"holds no transparency, which a\.png has; write \.png"):
        write_picture(tmp_path / f"b{suffix}", [RGB], source(tmp_path / "a.png", alpha=alpha))
    assert [file.name for file in tmp_path.iterdir()] == [f"opaque{suffix}"]


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "avif", "deep png", "deep tif"])
def test_metadata_and_profile(tmp_path: Path, kind: str) -> None:
    """The sRGB profile, EXIF data and resolution are written in every format that supports them."""
    *deep, suffix = kind.split()
    if f".{suffix}" not in picture_writer.PICTURE_ENCODERS:
        pytest.skip("this Pillow has no AVIF")
    like = source(tmp_path / "a.tif", bit_depth=16 if deep else 8, metadata=SCAN)
    path = tmp_path / f"b.{suffix}"
    write_picture(path, [RGB], like)
    with Image.open(path) as image:
        assert image.info["icc_profile"] == icc.srgb_profile()
    again = read_picture(path)
    assert again.bit_depth == like.bit_depth
    exif = Image.Exif()
    exif.load(again.metadata.exif)
    assert exif[Base.ImageDescription] == "The harbour"
    assert exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "1921:05:01 12:00:00"
    assert exif.get_ifd(IFD.GPSInfo)[2] == (54.0, 20.0, 0.0)
    if suffix not in ("webp", "avif"):  # these have no place for it but EXIF
        assert again.metadata.dpi == pytest.approx(SCAN.dpi, abs=0.02)


def test_equal_pictures_are_equal_files(tmp_path: Path) -> None:
    """Equal pictures give equal files."""
    for name in ("b.png", "c.png"):
        write_picture(tmp_path / name, [RGB], source(tmp_path / "a.png", bit_depth=16))
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()


@pytest.mark.parametrize("name", ["b.gif", "b.pdf", "b"])
def test_unknown_format(tmp_path: Path, name: str) -> None:
    """The message names the suffix and the supported ones."""
    with pytest.raises(OutputError, match=r"cannot be written as '.*'; choose one of \.jpg, "):
        write_picture(tmp_path / name, [RGB], source(tmp_path / "a.png"))


def test_existing_output(tmp_path: Path) -> None:
    """An existing file stays as it is, unless it may be overwritten."""
    path = tmp_path / "b.png"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_picture(path, [RGB], source(tmp_path / "a.png"))
    assert path.read_text() == "mine"
    write_picture(path, [RGB], source(tmp_path / "a.png"), overwrite=True)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("way", ["same name", "symbolic link", "hard link"])
def test_output_is_never_the_input(tmp_path: Path, way: str) -> None:
    """The input is not overwritten, by its name or a link, even with overwrite."""
    original, path = tmp_path / "a.png", tmp_path / "b.png"
    original.write_text("original")
    if way == "same name":
        path = original
    elif way == "symbolic link":
        path.symlink_to(original)
    else:
        os.link(original, path)
    with pytest.raises(OutputError, match="is the input itself"):
        write_picture(path, [RGB], source(original), overwrite=True)
    assert original.read_text() == "original"


def test_folders(tmp_path: Path) -> None:
    """A missing folder and a folder as destination are refused."""
    with pytest.raises(OutputError, match="its folder does not exist"):
        write_picture(tmp_path / "nowhere" / "b.png", [RGB], source(tmp_path / "a.png"))
    (tmp_path / "b.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_picture(tmp_path / "b.png", [RGB], source(tmp_path / "a.png"), overwrite=True)


@pytest.mark.parametrize(
    ("error", "seen"), [(OSError(28, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_nothing_is_left_of_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, seen: type[BaseException]
) -> None:
    """A full disk or Ctrl-C leaves neither half a file nor a temporary one."""

    def fail(handle: object, bands: object, size: object, metadata: object) -> None:
        raise error

    monkeypatch.setattr(picture_writer, "PICTURE_ENCODERS", {".png": fail})
    with pytest.raises(seen):
        write_picture(tmp_path / "b.png", [RGB], source(tmp_path / "a.png"))
    assert list(tmp_path.iterdir()) == []
