"""Photographs and films to arrays."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.color import rgb2lab

from tests.support import icc_profiles
from tests.support.clips import Clip, make_clip
from vidcolor.errors import InputError
from vidcolor_training.data import pictures as module
from vidcolor_training.data.pictures import decode_square, fit_square, load_pictures, rgb_to_training


def make_shard(folder: Path, path: Path) -> Path:
    """The files of a folder as a tar."""
    with tarfile.open(path, "w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
    return path


def test_shards_and_folders_hold_the_same(photographs: Path, tmp_path: Path) -> None:
    """A tar of pictures gives the same arrays as the folder it was made from."""
    a = load_pictures([photographs], size=64, cache=tmp_path / "a")
    b = load_pictures([make_shard(photographs, tmp_path / "shard.tar")], size=64, cache=tmp_path / "b")
    np.testing.assert_array_equal(a.grey, b.grey)
    np.testing.assert_array_equal(a.ab, b.ab)
    assert a.grey.shape == (4, 64, 64)
    assert a.ab.shape == (4, 2, 64, 64)
    assert (a.size, len(a)) == (64, 4)


def test_the_cache_knows_its_pictures(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pictures come from the cache, undecoded; one changed byte is a different set."""
    cache = tmp_path / "cache"
    first = load_pictures([photographs], size=64, cache=cache)
    with monkeypatch.context() as patch:
        patch.setattr(module, "decode_square", None)
        again = load_pictures([photographs], size=64, cache=cache)
    np.testing.assert_array_equal(first.ab, again.ab)
    assert (again.sha256, again.names, again.files) == (first.sha256, first.names, first.files)
    Image.new("RGB", (80, 80), "red").save(photographs / "0.png")
    assert load_pictures([photographs], size=64, cache=cache).sha256 != first.sha256


def test_the_list_of_files(photographs: Path, tmp_path: Path) -> None:
    """Every file is listed with its own SHA-256."""
    pictures = load_pictures([photographs], size=64, cache=tmp_path / "cache")
    expected = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in photographs.iterdir()}
    assert dict(pictures.files) == expected
    assert pictures.names == tuple(sorted(expected))


def test_an_interrupted_decoding_is_done_again(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run that was stopped while decoding left behind is not taken for the whole."""
    with monkeypatch.context() as patch:

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(module, "mean_chroma", stop)
        with pytest.raises(KeyboardInterrupt):
            load_pictures([photographs], size=64, cache=tmp_path / "cache")
    assert len(load_pictures([photographs], size=64, cache=tmp_path / "cache")) == 4


def test_bad_and_grey_pictures_are_left_out(photographs: Path, tmp_path: Path) -> None:
    """What cannot be decoded is named, what has no color is counted, and the rest is kept under its own names."""
    (photographs / "0a.png").write_bytes(b"nothing")
    whole = io.BytesIO()
    Image.effect_noise((150, 150), 80).convert("RGB").save(whole, "JPEG")
    (photographs / "1a.jpg").write_bytes(whole.getvalue())
    (photographs / "2a.jpg").write_bytes(whole.getvalue()[:2000])
    pictures = load_pictures([photographs], size=64, cache=tmp_path / "cache")
    assert pictures.names == ("0.png", "1.png", "2.png", "3.png")
    assert len(pictures) == 4
    assert len(pictures.files) == 7
    bad, cut_short, grey = pictures.skipped
    assert bad.startswith("0a.png: is not a picture that can be read")
    assert cut_short.startswith("2a.jpg: cannot be decoded")
    assert grey == "1 pictures without color, the first: 1a.jpg"
    np.testing.assert_array_equal(pictures.grey[:, 0, 0], pictures.grey[0, 0, 0])


def test_files_that_cannot_be_read(photographs: Path, tmp_path: Path) -> None:
    """A folder named like a picture and a broken link are listed, and the others are used."""
    (photographs / "x.jpg").mkdir()
    (photographs / "y.jpg").symlink_to(photographs / "gone.jpg")
    pictures = load_pictures([photographs], size=64, cache=tmp_path / "cache")
    assert len(pictures) == 4
    assert [line.partition(": ")[0] for line in pictures.skipped] == ["x.jpg", "y.jpg"]
    assert all("cannot be read (" in line for line in pictures.skipped)


def test_nothing_but_bad_pictures(tmp_path: Path) -> None:
    """A set without a single good picture is an error, each time."""
    (tmp_path / "a.png").write_bytes(b"nothing")
    for _ in range(2):
        with pytest.raises(InputError, match=r"no picture that can be used.*a\.png"):
            load_pictures([tmp_path], size=64, cache=tmp_path / "cache")


def test_no_pictures(tmp_path: Path) -> None:
    """An empty folder is said to be one."""
    with pytest.raises(InputError, match="no picture and no film in"):
        load_pictures([tmp_path], size=64, cache=tmp_path / "cache")


@pytest.mark.parametrize("kept", [0.6, 0.99])
def test_a_truncated_shard(kept: float, photographs: Path, tmp_path: Path) -> None:
    """A shard that is cut off ends the work with one line that names it."""
    for path in photographs.iterdir():
        Image.effect_noise((150, 150), 80).save(path)
    shard = make_shard(photographs, tmp_path / "shard.tar")
    whole = shard.read_bytes().rstrip(b"\0")
    shard.write_bytes(whole[: round(kept * len(whole))])
    with pytest.raises(InputError, match=r"shard\.tar: expected a whole tar file"):
        load_pictures([shard], size=64, cache=tmp_path / "cache")


@pytest.mark.parametrize("name", ["missing.tar", "missing", "notes.txt", "missing.mp4"])
def test_sources_that_are_none(name: str, tmp_path: Path) -> None:
    """What is no folder, shard, picture or film is refused."""
    (tmp_path / "notes.txt").write_text("words\n" * 100)
    with pytest.raises(InputError, match=name):
        load_pictures([tmp_path / name], size=64, cache=tmp_path / "cache")


def test_films_and_pictures_mix(photographs: Path, tmp_path: Path) -> None:
    """Films, in a folder or given by name whatever it is, follow the pictures; damaged ones are named."""
    make_clip(photographs / "in_folder.mp4", Clip(color=True, cuts=(6,)))
    made = make_clip(tmp_path / "by_name.mkv", Clip(color=True, frames=4))
    made = made.rename(tmp_path / "by_name.film")
    (photographs / "broken.avi").write_bytes(b"RIFF" + bytes(1000))
    pictures = load_pictures([photographs, made], size=48, cache=tmp_path / "cache")
    assert [name.partition("@")[0] for name in pictures.names] == [
        "0.png",
        "1.png",
        "2.png",
        "3.png",
        "in_folder.mp4",
        "in_folder.mp4",
        "by_name.film",
    ]
    assert pictures.grey.shape == (7, 48, 48)
    assert len(pictures.skipped) == 1
    assert "broken.avi" in pictures.skipped[0]
    assert [name for name, _ in pictures.files[-3:]] == ["broken.avi", "in_folder.mp4", "by_name.film"]


def test_photographs_are_upright() -> None:
    """The orientation that a camera notes is undone."""
    image = Image.new("RGB", (64, 64), "blue")
    image.paste("red", (0, 0, 64, 32))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    stored = io.BytesIO()
    image.save(stored, "PNG", exif=exif)
    assert decode_square(stored.getvalue(), 64, name="a.png")[63, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("size", [(20_001, 1), (3, 20_001)])
def test_the_middle_of_a_strip(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a strip only the middle is enlarged, so it needs no more memory than other pictures."""
    resized: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def spy(image: Image.Image, to: tuple[int, int], resample: Image.Resampling) -> Image.Image:
        resized.append(to)
        return resize(image, to, resample)

    image = Image.new("RGB", size, "blue")
    width, height = (min(length, 21) for length in size)
    image.paste(
        "red", ((size[0] - width) // 2, (size[1] - height) // 2, (size[0] + width) // 2, (size[1] + height) // 2)
    )
    monkeypatch.setattr(Image.Image, "resize", spy)
    square = fit_square(image, 16)
    assert square.shape == (16, 16, 3)
    assert (square == (255, 0, 0)).all()
    assert max(resized[0]) <= 64


@pytest.mark.parametrize("suffix", [".avif", ".gif", ".jp2", ".tga"])
def test_whatever_the_product_reads(suffix: str, tmp_path: Path) -> None:
    """Every format that can be colored can be learned from, in a folder as in a shard."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (64, 64), (200, 100, 50)).save(folder / f"a{suffix}")
    for source in (folder, make_shard(folder, tmp_path / "shard.tar")):
        pictures = load_pictures([source], size=64, cache=tmp_path / "cache")
        assert pictures.skipped == ()
        expected = rgb2lab(np.array([[[200, 100, 50]]], np.uint8))[0, 0, 1:]
        np.testing.assert_allclose(pictures.ab[0, :, 32, 32], expected, atol=3)


def test_color_profiles_are_obeyed(tmp_path: Path) -> None:
    """The same color has the same ab whether it is stored in sRGB or, with its profile, in Adobe RGB."""
    profile = icc_profiles.rgb_profile(icc_profiles.gamma_curve(2.19921875))
    srgb = Image.new("RGB", (64, 64), (60, 160, 70))
    adobe = ImageCms.profileToProfile(
        srgb, ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(profile)), outputMode="RGB"
    )
    adobe.save(tmp_path / "adobe.png", icc_profile=profile)
    srgb.save(tmp_path / "srgb.png")
    as_stored, plain = (np.asarray(Image.open(tmp_path / name))[0, 0] for name in ("adobe.png", "srgb.png"))
    assert np.abs(as_stored.astype(int) - plain).max() > 20
    pictures = load_pictures([tmp_path], size=64, cache=tmp_path / "cache")
    np.testing.assert_allclose(pictures.ab[0], pictures.ab[1], atol=1)
    np.testing.assert_allclose(pictures.grey[0].astype(int), pictures.grey[1], atol=1)


def test_targets_are_lab() -> None:
    """Ab is scikit-image's at full size, rounded; grey has its lightness."""
    rgb = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    grey, ab = rgb_to_training(rgb)
    lab = rgb2lab(rgb[0])
    np.testing.assert_allclose(ab[0], lab[..., 1:].transpose(2, 0, 1), atol=0.51)
    lightness = rgb2lab(np.repeat(grey[0][..., None], 3, axis=2))[..., 0]
    np.testing.assert_allclose(lightness, lab[..., 0], atol=0.4)
