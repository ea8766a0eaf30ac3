"""Reading photographs. Oracles: the levels that were stored, and Pillow and LittleCMS for what they convert."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, features
from PIL.ExifTags import IFD, Base

from tests.support import icc_profiles
from vidcolor.errors import InputError, ResourceError
from vidcolor.stills import icc
from vidcolor.stills import reader as picture_reader
from vidcolor.stills.kinds import is_picture
from vidcolor.stills.png_writer import chunk
from vidcolor.stills.reader import read_picture, read_rgb

HEIGHT, WIDTH = 12, 20
RNG = np.random.default_rng(7)
LEVELS = RNG.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
COLORS = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
DEEP_LEVELS = RNG.integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
DEEP_COLORS = RNG.integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
LUMA = (0.299, 0.587, 0.114)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    """Save with Pillow, in the format of the suffix."""
    image.save(path, **options)
    return path


def exif_with(**tags: object) -> Image.Exif:
    """EXIF from the names of tags in its first directory."""
    exif = Image.Exif()
    for name, value in tags.items():
        exif[Base[name]] = value
    return exif


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif", ".pgm", ".tga"])
def test_grey_levels_are_those_stored(tmp_path: Path, suffix: str) -> None:
    """A lossless grey picture of 8 bits is read level by level."""
    picture = read_picture(saved(tmp_path / f"a{suffix}", Image.fromarray(LEVELS)))
    np.testing.assert_allclose(picture.grey, LEVELS / 255, atol=1e-6)
    assert (picture.grey.dtype, picture.bit_depth, picture.alpha) == (np.float32, 8, None)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp"])
def test_color_counts_as_its_bt601_luma(tmp_path: Path, suffix: str) -> None:
    """A color picture is reduced to its BT.601 luma."""
    options = {"lossless": True} if suffix == ".webp" else {}
    picture = read_picture(saved(tmp_path / f"a{suffix}", Image.fromarray(COLORS), **options))
    np.testing.assert_allclose(picture.grey, COLORS @ LUMA / 255, atol=1e-5)


@pytest.mark.parametrize("profile", [None, icc.srgb_profile()], ids=["untagged", "sRGB"])
def test_jpeg_gives_its_own_luma_plane(tmp_path: Path, profile: bytes | None) -> None:
    """The grey of a toned JPEG is the Y plane that its decoder has, though R'G'B' would clip."""
    path = saved(tmp_path / "a.jpg", Image.fromarray(COLORS), quality=60, icc_profile=profile)
    with Image.open(path) as stored:
        stored.draft("YCbCr", stored.size)
        luma = np.asarray(stored)[..., 0]
    np.testing.assert_array_equal(np.rint(read_picture(path).grey * 255), luma)


def test_one_bit(tmp_path: Path) -> None:
    """A picture of 1 bit is black and white."""
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(LEVELS > 127)))
    np.testing.assert_array_equal(picture.grey, (LEVELS > 127).astype(np.float32))


def test_palette_with_transparency(tmp_path: Path) -> None:
    """A palette is looked up, and its transparent entry becomes alpha."""
    image = Image.fromarray(LEVELS % 4).convert("P")
    image.putpalette([10, 10, 10, 80, 80, 80, 150, 150, 150, 250, 250, 250])
    picture = read_picture(saved(tmp_path / "a.png", image, transparency=b"\xff\x00\x80\xff"))
    np.testing.assert_allclose(picture.grey * 255, np.array([10, 80, 150, 250])[LEVELS % 4], atol=1e-3)
    np.testing.assert_array_equal(picture.alpha, np.array([255, 0, 128, 255])[LEVELS % 4])


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha(tmp_path: Path, mode: str) -> None:
    """Alpha is kept as stored and does not touch the grey."""
    image = Image.fromarray(LEVELS).convert(mode)
    image.putalpha(Image.fromarray(255 - LEVELS))
    picture = read_picture(saved(tmp_path / "a.png", image))
    np.testing.assert_allclose(picture.grey, LEVELS / 255, atol=1e-6)
    np.testing.assert_array_equal(picture.alpha, 255 - LEVELS)


def test_transparent_level(tmp_path: Path) -> None:
    """A PNG that names one transparent grey level gets alpha."""
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(LEVELS), transparency=int(LEVELS[0, 0])))
    np.testing.assert_array_equal(picture.alpha == 0, LEVELS[0, 0] == LEVELS)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_grey(tmp_path: Path, suffix: str) -> None:
    """A grey picture of 16 bits keeps them all."""
    picture = read_picture(saved(tmp_path / f"a{suffix}", Image.fromarray(DEEP_LEVELS)))
    np.testing.assert_array_equal(np.rint(picture.grey.astype(float) * 65535), DEEP_LEVELS)
    assert picture.bit_depth == 16


def test_deep_transparent_level(tmp_path: Path) -> None:
    """A PNG of 16 bits that names one transparent grey level gets alpha of 16 bits."""
    path = saved(tmp_path / "a.png", Image.fromarray(DEEP_LEVELS), transparency=int(DEEP_LEVELS[3, 4]))
    np.testing.assert_array_equal(read_picture(path).alpha, np.where(DEEP_LEVELS[3, 4] == DEEP_LEVELS, 0, 65535))


def test_deep_negative(tmp_path: Path) -> None:
    """A TIFF of 16 bits where 0 is white is inverted."""
    path = saved(tmp_path / "a.tif", Image.fromarray(DEEP_LEVELS), tiffinfo={262: 0})
    data = bytearray(path.read_bytes())
    entry = data.index(struct.pack("<HHI", 262, 3, 1))  # Pillow writes its own value of the tag
    data[entry + 8 : entry + 10] = struct.pack("<H", 0)
    path.write_bytes(data)
    np.testing.assert_array_equal(np.rint(read_picture(path).grey.astype(float) * 65535), 65535 - DEEP_LEVELS)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_deep_color(tmp_path: Path, suffix: str, channels: int) -> None:
    """A color picture of 16 bits keeps them all, and its alpha."""
    path = tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), DEEP_COLORS[..., [2, 1, 0, 3][:channels]])  # OpenCV stores B, G, R
    picture = read_picture(path)
    np.testing.assert_allclose(picture.grey, DEEP_COLORS[..., :3] @ LUMA / 65535, atol=1e-6)
    assert picture.bit_depth == 16
    if channels == 4:
        np.testing.assert_array_equal(picture.alpha, DEEP_COLORS[..., 3])


def test_deep_pgm(tmp_path: Path) -> None:
    """A PGM of 16 bits keeps them all."""
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + DEEP_LEVELS.astype(">u2").tobytes())
    np.testing.assert_array_equal(np.rint(read_picture(path).grey.astype(float) * 65535), DEEP_LEVELS)


def test_cmyk(tmp_path: Path) -> None:
    """CMYK without profile is read as Pillow converts it."""
    image = Image.fromarray(COLORS).convert("CMYK")
    picture = read_picture(saved(tmp_path / "a.tif", image))
    np.testing.assert_allclose(picture.grey, np.asarray(image.convert("RGB")) @ LUMA / 255, atol=1e-5)


def test_cmyk_profile(tmp_path: Path) -> None:
    """A CMYK profile is applied."""
    ink = Image.fromarray(np.dstack([np.zeros((1, 3, 3), np.uint8), np.array([[0, 128, 255]], np.uint8)]), "CMYK")
    white, middle, black = read_picture(saved(tmp_path / "a.tif", ink, icc_profile=icc_profiles.cmyk_profile())).grey[0]
    assert (round(float(white), 2), round(float(black), 2)) == (1, 0)
    assert middle == pytest.approx(0.466, abs=0.01)  # the sRGB level of L* 50


def test_lab(tmp_path: Path) -> None:
    """L* 50 is the sRGB level 119."""
    image = Image.new("LAB", (2, 2), (128, 128, 128))
    assert read_picture(saved(tmp_path / "a.tif", image)).grey[0, 0] * 255 == pytest.approx(119, abs=1.5)


@pytest.mark.parametrize(("gamma", "deep"), [(1.0, False), (1.8, False), (1.8, True)])
def test_grey_profile(tmp_path: Path, gamma: float, deep: bool) -> None:
    """A grey profile's gamma becomes sRGB's, in 8 bits and in 16."""
    profile = icc_profiles.grey_profile(icc_profiles.gamma_curve(gamma))
    levels = DEEP_LEVELS if deep else LEVELS
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(levels), icc_profile=profile))
    linear = (levels / np.iinfo(levels.dtype).max) ** gamma
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(picture.grey, expected, atol=0.001 if deep else 0.003)


def test_color_profile(tmp_path: Path) -> None:
    """The luma of a wide-gamut picture is that of its sRGB values, with LittleCMS as the oracle."""
    profile = icc_profiles.rgb_profile(icc_profiles.gamma_curve(2.2))
    image = Image.fromarray(COLORS)
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), 1)
    picture = read_picture(saved(tmp_path / "a.png", image, icc_profile=profile))
    np.testing.assert_allclose(picture.grey, np.asarray(converted) @ LUMA / 255, atol=1.5 / 255)


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8, 1 / 2.2])
@pytest.mark.parametrize("levels", [LEVELS, DEEP_LEVELS], ids=["8 bits", "16 bits"])
def test_gamma_of_a_png(tmp_path: Path, levels: np.ndarray, gamma: float) -> None:
    """The gAMA chunk of a PNG is applied, unless it is that of a display or there is an sRGB chunk."""
    path = saved(tmp_path / "a.png", Image.fromarray(levels))
    chunks = path.read_bytes()
    gama = chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    path.write_bytes(chunks[:33] + gama + chunks[33:])
    encoded = levels / np.iinfo(levels.dtype).max
    light = encoded ** (1 / gamma)
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(read_picture(path).grey, encoded if gamma == 1 / 2.2 else expected, atol=1e-5)
    path.write_bytes(chunks[:33] + gama + chunk(b"sRGB", b"\0") + chunks[33:])
    np.testing.assert_allclose(read_picture(path).grey, encoded, atol=1e-6)


@pytest.mark.parametrize(("suffix", "bits", "options"), [(".jp2", 16, ()), (".avif", 10, (cv2.IMWRITE_AVIF_DEPTH, 10))])
def test_bits_that_are_rounded_are_named(tmp_path: Path, suffix: str, bits: int, options: tuple[int, ...]) -> None:
    """Color of more than 8 bits in JPEG 2000 and AVIF is rounded, with a note."""
    path = tmp_path / f"a{suffix}"
    colors = np.random.default_rng(4).integers(0, 65536, (64, 96, 3), np.uint16) >> (16 - bits)
    assert cv2.imwrite(str(path), colors, options)
    picture = read_picture(path)
    assert picture.notes == (f"its {bits} bits are rounded to 8",)
    assert picture.grey.shape == (64, 96)


@pytest.mark.parametrize("suffix", [".pcx", ".sgi"])
def test_old_formats(tmp_path: Path, suffix: str) -> None:
    """PCX and SGI are read level by level."""
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(COLORS))
    assert is_picture(path)
    np.testing.assert_allclose(read_picture(path).grey, COLORS @ LUMA / 255, atol=1e-5)


def test_rgb_profile_on_grey_picture(tmp_path: Path) -> None:
    """A grey picture with an RGB profile is read as three equal channels."""
    profile = icc_profiles.rgb_profile(icc_profiles.gamma_curve(1.0))
    picture = read_picture(saved(tmp_path / "a.jpg", Image.new("L", (8, 8), 128), icc_profile=profile))
    assert picture.grey[0, 0] == pytest.approx(1.055 * (128 / 255) ** (1 / 2.4) - 0.055, abs=0.005)


def test_deep_color_with_table_profile(tmp_path: Path) -> None:
    """An unsupported profile at 16 bits raises InputError that says what to do."""
    path = saved(tmp_path / "a.png", Image.fromarray(DEEP_LEVELS), icc_profile=icc_profiles.cmyk_profile())
    with pytest.raises(InputError, match="convert it to sRGB"):
        read_picture(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "deep png", "deep tiff"])
def test_orientation(tmp_path: Path, orientation: int, kind: str) -> None:
    """Every EXIF orientation is applied."""
    upright = np.full((16, 32), 60, np.uint8)
    upright[:8, :8], upright[:8, 24:] = 250, 150
    turned = undo(orientation, upright)
    *deep, suffix = kind.split()
    path = tmp_path / f"a.{suffix}"
    exif = exif_with(Orientation=orientation)
    if not deep:
        saved(path, Image.fromarray(turned), exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    else:
        deep_picture(path, turned, orientation, exif)
    picture = read_picture(path)
    np.testing.assert_allclose(picture.grey, upright / 255, atol=0.03)
    assert picture.metadata.exif is None


def undo(orientation: int, upright: np.ndarray) -> np.ndarray:
    """What a camera stores that asks for ``orientation`` (EXIF 2.32: where row 0 and column 0 lie)."""
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }
    return np.ascontiguousarray(stored[orientation])


def deep_picture(path: Path, levels: np.ndarray, orientation: int, exif: Image.Exif) -> None:
    """A color picture of 16 bits that asks for an orientation."""
    colors = np.dstack([levels.astype(np.uint16) * 257] * 3)
    data = cv2.imencode(path.suffix, colors)[1].tobytes()
    if path.suffix == ".png":
        chunk = b"eXIf" + exif.tobytes()[6:]
        data = data[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    else:
        directory = struct.unpack_from("<I", data, 4)[0]
        (count,) = struct.unpack_from("<H", data, directory)
        entries = [data[directory + 2 + 12 * i :][:12] for i in range(count)]
        entries = [e for e in entries if e[:2] != struct.pack("<H", 274)]
        entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
        whole = struct.pack("<H", len(entries)) + b"".join(sorted(entries, key=lambda e: e[1::-1])) + bytes(4)
        data = data[:4] + struct.pack("<I", len(data) + len(data) % 2) + data[8:] + bytes(len(data) % 2) + whole
    path.write_bytes(data)


def test_exif_is_kept_and_corrected(tmp_path: Path) -> None:
    """EXIF data is kept; size and color space are those of the upright sRGB picture."""
    exif = exif_with(Orientation=6, ImageDescription="Grandmother", Artist="A. Nonymous")
    exif[IFD.Exif] = {Base.DateTimeOriginal: "1938:07:02 10:00:00", Base.ColorSpace: 65535, Base.ExifImageWidth: WIDTH}
    exif[IFD.GPSInfo] = {1: "N", 2: (52.0, 30.0, 0.0)}
    kept = Image.Exif()
    kept.load(read_picture(saved(tmp_path / "a.jpg", Image.fromarray(LEVELS), exif=exif)).metadata.exif)
    assert kept[Base.ImageDescription] == "Grandmother"
    assert Base.Orientation not in kept
    details = kept.get_ifd(IFD.Exif)
    assert details[Base.DateTimeOriginal] == "1938:07:02 10:00:00"
    assert (details[Base.ColorSpace], details[Base.ExifImageWidth]) == (1, HEIGHT)
    assert kept.get_ifd(IFD.GPSInfo)[2] == (52.0, 30.0, 0.0)


def test_garbled_exif_does_not_matter(tmp_path: Path) -> None:
    """A picture with invalid EXIF data is read as upright, without EXIF."""
    nonsense = b"Exif\0\0MM\0*\0\0\0\x08\0\x09nonsense"
    picture = read_picture(saved(tmp_path / "a.jpg", Image.fromarray(LEVELS), exif=nonsense))
    assert picture.grey.shape == (HEIGHT, WIDTH)
    assert picture.metadata.exif is None


def test_resolution_of_a_scan(tmp_path: Path) -> None:
    """Pixels per inch are read."""
    assert read_picture(saved(tmp_path / "a.jpg", Image.fromarray(LEVELS), dpi=(600, 300))).metadata.dpi == (600, 300)
    assert read_picture(saved(tmp_path / "b.bmp", Image.fromarray(LEVELS), dpi=(0, 0))).metadata.dpi is None


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_several_pictures_are_refused(tmp_path: Path, suffix: str) -> None:
    """An animation, or a TIFF of several pages, is refused in one line that says how many."""
    first, second = Image.fromarray(LEVELS), Image.fromarray(255 - LEVELS)
    path = saved(tmp_path / f"a{suffix}", first, save_all=True, append_images=[second])
    with pytest.raises(InputError, match=r"holds 2 (pictures|pages), expected one"):
        read_picture(path)


def test_jpeg_with_preview(tmp_path: Path) -> None:
    """The preview in a JPEG (MPO) does not count as a second picture."""
    path = tmp_path / "a.jpg"
    Image.fromarray(LEVELS).save(path, "MPO", save_all=True, append_images=[Image.fromarray(LEVELS[::2, ::2])])
    with Image.open(path) as stored:
        assert stored.format == "MPO"
    assert read_picture(path).grey.shape == (HEIGHT, WIDTH)


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture above the limit is refused by its header."""
    monkeypatch.setattr(picture_reader, "MAX_PICTURE_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.raises(InputError, match="20×12 pixels are more than the 239"):
        read_picture(saved(tmp_path / "a.png", Image.fromarray(LEVELS)))


def test_large_scan_is_below_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own limit is disabled while a picture is read, and restored."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_picture(saved(tmp_path / "a.png", Image.fromarray(LEVELS))).grey.shape == (HEIGHT, WIDTH)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_memory_that_does_not_suffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that does not fit into memory raises ResourceError with its name."""

    def fail(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(picture_reader, "luma", fail)
    with pytest.raises(ResourceError, match=r"a\.png: does not fit into memory"):
        read_picture(saved(tmp_path / "a.png", Image.fromarray(LEVELS)))


def test_missing_and_empty(tmp_path: Path) -> None:
    """A missing file and an empty file raise InputError."""
    with pytest.raises(InputError, match=r"nowhere\.png: cannot be read \(No such file or directory\)"):
        read_picture(tmp_path / "nowhere.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match=r"empty\.png: is empty"):
        read_picture(tmp_path / "empty.png")


def test_no_picture(tmp_path: Path) -> None:
    """A text file with the suffix of a picture raises InputError."""
    path = tmp_path / "a.png"
    path.write_text("hello")
    with pytest.raises(InputError, match="is not a picture that can be read"):
        read_picture(path)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "bmp", "gif", "deep png", "deep tif"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_truncated(tmp_path: Path, kind: str, part: float) -> None:
    """A truncated file of any format raises InputError with a message of one line."""
    *deep, suffix = kind.split()
    noise = np.random.default_rng(3).integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    whole = tmp_path / f"whole.{suffix}"
    if deep:
        cv2.imwrite(str(whole), noise)
    else:
        saved(whole, Image.fromarray((noise >> 8).astype(np.uint8)))
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
    with pytest.raises(InputError) as error:
        read_picture(cut)
    assert "\n" not in str(error.value)
    assert str(cut) in str(error.value)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow is built without AVIF")
def test_damaged_avif(tmp_path: Path) -> None:
    """A damaged AVIF is read or raises InputError, and never crashes."""
    path = saved(tmp_path / "a.avif", Image.fromarray(COLORS))
    whole = path.read_bytes()
    start = whole.index(b"mdat") + 4
    damaged = 0
    for position in range(start, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            read_picture(path)
        except InputError as exc:
            damaged += "cannot be decoded" in str(exc)
    assert damaged > 0


ADOBE = icc_profiles.rgb_profile(icc_profiles.gamma_curve(2.19921875))


def kinds_of_picture(folder: Path) -> dict[str, Path]:
    """One file of each way in which a picture can be stored."""
    grey, rgb = Image.fromarray(LEVELS), Image.fromarray(COLORS)
    rgba = Image.merge("RGBA", (*rgb.split(), grey))
    deep = folder / "deep.png", folder / "deep-grey.png", folder / "deep-alpha.png"
    for path, samples in zip(deep, (DEEP_COLORS[..., :3], DEEP_LEVELS, DEEP_COLORS), strict=True):
        assert cv2.imwrite(str(path), samples)
    return {
        "grey": saved(folder / "grey.png", grey),
        "RGB": saved(folder / "rgb.png", rgb),
        "alpha": saved(folder / "rgba.png", rgba),
        "palette": saved(folder / "palette.png", rgb.quantize(16)),
        "one bit": saved(folder / "one-bit.png", Image.fromarray(LEVELS > 127)),
        "CMYK": saved(folder / "cmyk.tif", rgb.convert("CMYK")),
        "Lab": saved(folder / "lab.tif", Image.fromarray(COLORS // 8 + 100, "RGB").convert("LAB")),
        "Adobe RGB": saved(folder / "adobe.png", rgb, icc_profile=ADOBE),
        "grey in Adobe RGB": saved(folder / "grey-adobe.png", grey, icc_profile=ADOBE),
        "upside down": saved(folder / "down.png", rgb, exif=exif_with(Orientation=3)),
        "lying": saved(folder / "lying.png", rgb, exif=exif_with(Orientation=6)),
        **dict(zip(("16 bits", "16 bits, grey", "16 bits, alpha"), deep, strict=True)),
    }


def test_colors_are_those_of_the_grey_levels(tmp_path: Path) -> None:
    """The luma of the colors of a file is what the same file is colored from, however it is stored."""
    for kind, path in kinds_of_picture(tmp_path).items():
        rgb = read_rgb(path.read_bytes(), path)
        assert (rgb.dtype, rgb.shape[2]) == (np.uint8, 3), kind
        np.testing.assert_allclose(rgb @ LUMA / 255, read_picture(path).grey, atol=0.6 / 255, err_msg=kind)


def test_colors_are_those_stored(tmp_path: Path) -> None:
    """A lossless picture in sRGB is read as it was saved, and one in another space as LittleCMS converts it."""
    plain = saved(tmp_path / "a.png", Image.fromarray(COLORS))
    np.testing.assert_array_equal(read_rgb(plain.read_bytes(), plain), COLORS)
    tagged = saved(tmp_path / "b.png", Image.fromarray(COLORS), icc_profile=ADOBE)
    expected = ImageCms.profileToProfile(
        Image.fromarray(COLORS),
        ImageCms.ImageCmsProfile(BytesIO(ADOBE)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    np.testing.assert_allclose(read_rgb(tagged.read_bytes(), tagged).astype(int), np.asarray(expected), atol=1)


def test_colors_of_what_is_no_picture(tmp_path: Path) -> None:
    """Other data and truncated pictures raise InputError with their names."""
    whole = saved(tmp_path / "a.png", Image.effect_noise((150, 150), 80).convert("RGB")).read_bytes()
    with pytest.raises(InputError, match=r"x\.png: is not a picture"):
        read_rgb(b"nothing", "x.png")
    with pytest.raises(InputError, match=r"x\.png: cannot be decoded"):
        read_rgb(whole[:2000], "x.png")
