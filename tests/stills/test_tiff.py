"""Reading TIFF in the layouts of scanners, written by tifffile, Pillow or here; the oracle is what went in."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from tests.support import icc_profiles
from vidcolor.errors import InputError
from vidcolor.stills.reader import count_pages, read_picture, read_rgb

HEIGHT, WIDTH = 37, 53
RNG = np.random.default_rng(5)
DEEP = RNG.integers(0, 65536, (HEIGHT, WIDTH, 5), dtype=np.uint16)
SHALLOW = (DEEP >> 8).astype(np.uint8)
LUMA = np.array((0.299, 0.587, 0.114))

Array = npt.NDArray[np.generic]


def written(path: Path, samples: Array, photometric: str = "rgb", **options: object) -> Path:
    """A TIFF by tifffile; (H, W) or (H, W, channels)."""
    tifffile.imwrite(path, samples, photometric=photometric, metadata=None, **options)
    return path


LAYOUTS = {
    "strips": {"rowsperstrip": 7},
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "Deflate": {"compression": "zlib"},
    "Deflate with predictor": {"compression": "zlib", "predictor": 2, "rowsperstrip": 10},
    "tiles": {"tile": (16, 32)},
    "Deflate in tiles": {"compression": "zlib", "predictor": 2, "tile": (32, 16)},
}


@pytest.mark.parametrize("planar", [False, True], ids=["interleaved", "by channel"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("samples", [DEEP, SHALLOW], ids=["16 bits", "8 bits"])
def test_color_in_any_layout(tmp_path: Path, samples: Array, layout: str, planar: bool) -> None:
    """Colors are read sample by sample, also from channels that are stored one after the other."""
    rgb = samples[..., :3]
    stored, more = (np.moveaxis(rgb, 2, 0), {"planarconfig": "separate"}) if planar else (rgb, {})
    picture = read_picture(written(tmp_path / "a.tif", stored, **LAYOUTS[layout], **more))
    np.testing.assert_allclose(picture.grey, rgb @ LUMA / np.iinfo(rgb.dtype).max, atol=1e-6)
    assert (picture.bit_depth, picture.alpha, picture.notes) == (8 * rgb.itemsize, None, ())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_grey_in_any_layout(tmp_path: Path, layout: str) -> None:
    """Grey levels of 16 bits are read sample by sample, also where 0 is white."""
    grey = DEEP[..., 0]
    path = written(tmp_path / "a.tif", grey, "minisblack", **LAYOUTS[layout])
    np.testing.assert_allclose(read_picture(path).grey, grey / 65535, atol=1e-7)
    path = written(tmp_path / "b.tif", grey, "miniswhite", **LAYOUTS[layout])
    np.testing.assert_allclose(read_picture(path).grey, 1 - grey / 65535, atol=1e-6)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "zstd", "lzma", "tiff_adobe_deflate", "jpeg"])
def test_compression(tmp_path: Path, compression: str) -> None:
    """Every compression that libtiff knows is read; JPEG, which is lossy, approximately."""
    path = tmp_path / "a.tif"
    smooth = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)).astype(np.uint8)
    Image.fromarray(smooth).save(path, compression=compression)
    tolerance = 0.01 if compression == "jpeg" else 1e-6
    np.testing.assert_allclose(read_picture(path).grey, smooth / 255, atol=tolerance)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_samples(tmp_path: Path, bits: int) -> None:
    """Samples of other than whole bytes are unpacked; rows begin at whole bytes."""
    levels = DEEP[..., 0] >> (16 - bits)
    flags = (levels[..., None] >> np.arange(bits)[::-1]) & 1
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_of_bytes(np.packbits(flags.reshape(HEIGHT, -1).astype(np.uint8), axis=1).tobytes(), bits))
    picture = read_picture(path)
    np.testing.assert_allclose(picture.grey, levels / (2**bits - 1), atol=1e-6)
    assert picture.bit_depth == 16


def tiff_of_bytes(strip: bytes, bits: int, **tags: int) -> bytes:
    """A grey TIFF of one strip, with further tags by number."""
    numbers = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: 1, 273: 0, 277: 1, 278: HEIGHT, 279: len(strip)}
    numbers |= {int(name[1:]): value for name, value in tags.items()}
    numbers[273] = 8 + 2 + 12 * len(numbers) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(numbers.items()))
    return struct.pack("<2sHIH", b"II", 42, 8, len(numbers)) + entries + bytes(4) + strip


def test_reversed_bits(tmp_path: Path) -> None:
    """FillOrder 2 means that the bits of every byte are stored in reverse."""
    path = tmp_path / "a.tif"
    flags = np.unpackbits(SHALLOW[..., :1], axis=2)[..., ::-1]
    path.write_bytes(tiff_of_bytes(np.packbits(flags, axis=2).tobytes(), 8, t266=2))
    np.testing.assert_allclose(read_picture(path).grey, SHALLOW[..., 0] / 255, atol=1e-6)


@pytest.mark.parametrize("samples", [DEEP, SHALLOW], ids=["16 bits", "8 bits"])
@pytest.mark.parametrize("colors", [1, 3])
def test_infrared_is_not_transparency(tmp_path: Path, samples: Array, colors: int) -> None:
    """A channel of unspecified meaning, as scanners write their infrared, is left out with a note."""
    photometric = "rgb" if colors == 3 else "minisblack"
    path = written(tmp_path / "a.tif", samples[..., : colors + 1], photometric, extrasamples=["unspecified"])
    picture = read_picture(path)
    assert picture.alpha is None
    assert picture.notes == (
        "a channel that is neither color nor transparency, such as a scanner's infrared, is left out",
    )
    expected = samples[..., :3] @ LUMA if colors == 3 else samples[..., 0]
    np.testing.assert_allclose(picture.grey, expected / np.iinfo(samples.dtype).max, atol=1e-6)


def test_alpha_after_infrared(tmp_path: Path) -> None:
    """Of five channels the one that is declared as alpha is alpha."""
    path = written(tmp_path / "a.tif", DEEP, extrasamples=["unspecified", "unassalpha"])
    np.testing.assert_array_equal(read_picture(path).alpha, DEEP[..., 4])


def test_associated_alpha(tmp_path: Path) -> None:
    """Colors that are multiplied by alpha are divided by it."""
    alpha = np.full((HEIGHT, WIDTH), 32768, np.uint16)
    path = written(tmp_path / "a.tif", np.dstack((DEEP[..., :3] // 2, alpha)), extrasamples=["assocalpha"])
    picture = read_picture(path)
    np.testing.assert_allclose(picture.grey, DEEP[..., :3] @ LUMA / 65535, atol=1e-4)
    np.testing.assert_array_equal(picture.alpha, alpha)


def test_twelve_bits_in_sixteen(tmp_path: Path) -> None:
    """MaxSampleValue 4095 makes 4095 white; without it the picture is read as it stands."""
    levels = DEEP[..., 0] >> 4
    declared = written(tmp_path / "a.tif", levels, "minisblack", extratags=[(281, "H", 1, 4095, True)])
    picture = read_picture(declared)
    np.testing.assert_allclose(picture.grey, levels / 4095, atol=1e-6)
    assert picture.notes == ("its samples use 12 of 16 bits (MaxSampleValue), and are scaled to white",)
    plain = read_picture(written(tmp_path / "b.tif", levels, "minisblack"))
    assert "as where samples of 12 bits" in plain.notes[0]
    np.testing.assert_allclose(plain.grey, levels / 65535, atol=1e-6)


def test_integers_of_32_bits(tmp_path: Path) -> None:
    """White is the largest number."""
    path = written(tmp_path / "a.tif", DEEP[..., 0].astype(np.uint32) * 65537, "minisblack")
    np.testing.assert_allclose(read_picture(path).grey, DEEP[..., 0] / 65535, atol=1e-6)


@pytest.mark.parametrize("predictor", [False, True])
def test_floating_point_with_profile(tmp_path: Path, predictor: bool) -> None:
    """Linear samples become sRGB by their profile."""
    linear = RNG.random((HEIGHT, WIDTH), np.float32)
    profile = icc_profiles.grey_profile(icc_profiles.gamma_curve(1.0))
    path = written(
        tmp_path / "a.tif", linear, "minisblack", iccprofile=profile, compression="zlib" if predictor else None
    )
    if predictor:
        path = float_predicted(tmp_path / "b.tif", linear, profile)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(read_picture(path).grey, expected, atol=1e-5)


def float_predicted(path: Path, linear: npt.NDArray[np.float32], profile: bytes) -> Path:
    """A grey TIFF with predictor 3: per row, first bytes first, then differences."""
    planes = linear.astype(">f4").view(np.uint8).reshape(HEIGHT, WIDTH, 4).swapaxes(1, 2).reshape(HEIGHT, -1)
    differences = np.diff(planes, axis=1, prepend=np.uint8(0))
    data = tiff_of_bytes(differences.tobytes(), 32, t317=3, t339=3, t34675=0)
    entry = data.index(struct.pack("<HHI", 34675, 4, 1))
    pointer = struct.pack("<HHII", 34675, 7, len(profile), len(data))
    path.write_bytes(data[:entry] + pointer + data[entry + 12 :] + profile)
    return path


@pytest.mark.parametrize(
    ("samples", "options", "reason"),
    [
        (
            DEEP[..., 0] / np.float32(65535),
            {"photometric": "minisblack"},
            "floating-point samples and no color profile",
        ),
        (DEEP[..., 0].astype(np.int16), {"photometric": "minisblack"}, "signed samples of 16 bits"),
        (DEEP[..., :3].astype(np.complex64), {}, "complex samples"),
        (DEEP[..., :3], {"photometric": "cielab"}, "samples of kind CIELAB"),
    ],
    ids=["float", "signed", "complex", "Lab"],
)
def test_refused_with_the_reason(tmp_path: Path, samples: Array, options: dict[str, str], reason: str) -> None:
    """What is not read is refused by what it is."""
    with pytest.raises(InputError, match=reason) as error:
        read_picture(written(tmp_path / "a.tif", samples, **options))
    assert "first" in str(error.value) or "save it as grey or RGB" in str(error.value)


@pytest.mark.parametrize("field", [0, 1, 2])
def test_missing_strips(tmp_path: Path, field: int) -> None:
    """Strips that are absent, beyond the file or cut short are an error, never unwritten memory."""
    strip = SHALLOW[..., 0].tobytes()
    whole = tiff_of_bytes(strip, 8, t278=10 if field == 0 else HEIGHT, t273=0)
    damaged = [whole, whole[:-1], whole[: -len(strip)]][field]
    (tmp_path / "a.tif").write_bytes(damaged)
    with pytest.raises(InputError, match="cannot be decoded as a picture"):
        read_picture(tmp_path / "a.tif")


def test_masks_and_copies_are_no_pages(tmp_path: Path) -> None:
    """An infrared page (a mask) and a thumbnail do not count; the first page is read."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(DEEP[..., :3], photometric="rgb", metadata=None)
        tiff.write(SHALLOW[::4, ::4, :3], photometric="rgb", subfiletype=1, metadata=None)
        tiff.write(DEEP[..., 3], photometric="minisblack", subfiletype=2, metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[2].tags[254].overwrite(4)
    assert count_pages(path) == 1
    picture = read_picture(path)
    np.testing.assert_allclose(picture.grey, DEEP[..., :3] @ LUMA / 65535, atol=1e-6)
    assert len(picture.notes) == 1


@pytest.mark.parametrize("page", [0, 1])
def test_page(tmp_path: Path, page: int) -> None:
    """Every page can be read by its number."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(SHALLOW[..., 0], photometric="minisblack", metadata=None)
        tiff.write(DEEP[..., 1], photometric="minisblack", metadata=None)
    assert count_pages(path) == 2
    expected = SHALLOW[..., 0] / 255 if page == 0 else DEEP[..., 1] / 65535
    np.testing.assert_allclose(read_picture(path, page).grey, expected, atol=1e-6)


@pytest.mark.parametrize(("compression", "name"), [(34712, "JPEG2000"), (50001, "WEBP"), (34887, "LERC")])
def test_compression_is_named(tmp_path: Path, compression: int, name: str) -> None:
    """A compression that is not supported is the reason, not damage."""
    (tmp_path / "a.tif").write_bytes(tiff_of_bytes(SHALLOW[..., 0].tobytes(), 8, t259=compression))
    with pytest.raises(InputError, match=f"has compression {name}, which cannot be read"):
        read_picture(tmp_path / "a.tif")


def test_preview_of_a_raw_file(tmp_path: Path) -> None:
    """A file whose first directory is a reduced copy of what is in its sub-directories is a camera's raw file."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(SHALLOW[::4, ::4, :3], photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        tiff.write(DEEP[..., 0], photometric="minisblack", metadata=None)
    with pytest.raises(InputError, match="raw file of a camera; develop it first"):
        read_picture(path)


@pytest.mark.parametrize("extra", ["DNG", "sensor"])
def test_raw_is_refused_by_name(tmp_path: Path, extra: str) -> None:
    """The raw file of a camera is to be developed."""
    tags = {"t50706": 1} if extra == "DNG" else {"t262": 32803}
    (tmp_path / "a.tif").write_bytes(tiff_of_bytes(SHALLOW[..., 0].tobytes(), 8, **tags))
    with pytest.raises(InputError, match="raw file of a camera; develop it first"):
        read_picture(tmp_path / "a.tif")


def test_colors(tmp_path: Path) -> None:
    """The colors of 16 bits are rounded to 8; CMYK of 16 bits is converted as it is at 8."""
    path = written(tmp_path / "a.tif", DEEP[..., :3])
    np.testing.assert_allclose(read_rgb(path.read_bytes(), path), DEEP[..., :3] / 257, atol=0.51)
    path = written(tmp_path / "b.tif", DEEP[..., :4], "separated")
    expected = Image.fromarray(SHALLOW[..., :4], "CMYK").convert("RGB")
    np.testing.assert_allclose(read_rgb(path.read_bytes(), path).astype(int), np.asarray(expected), atol=2)


def test_directories_that_form_a_loop(tmp_path: Path) -> None:
    """A directory that names itself as the next one is an error, not an endless number of pages."""
    data = bytearray(tiff_of_bytes(SHALLOW[..., 0].tobytes(), 8))
    (count,) = struct.unpack_from("<H", data, 8)
    struct.pack_into("<I", data, 10 + 12 * count, 8)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match="cannot be decoded as a picture"):
        count_pages(tmp_path / "a.tif")


def test_no_pixels(tmp_path: Path) -> None:
    """A picture of no width is refused."""
    (tmp_path / "a.tif").write_bytes(tiff_of_bytes(b"", 8, t256=0))
    with pytest.raises(InputError, match="holds no pixels"):
        read_picture(tmp_path / "a.tif")
