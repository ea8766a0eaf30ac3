"""Fuzz the readers of scans: the layouts of TIFF, HEIC and JPEG XL, with all pages, and what is written of them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from tests.support.icc_profiles import gamma_curve, grey_profile, rgb_profile

TYPES = (0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 16, 18, 255)
"""Types of values in a directory, known and unknown."""
TAGS = (
    *(254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 281, 282, 284, 296, 305, 317, 320, 322, 323),
    *(324, 325, 330, 338, 339, 347, 530, 532, 700, 33723, 34665, 34675, 34853, 50706),
)
NUMBERS = (
    *(0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 32, 64, 255, 256, 4095, 32773, 32803, 34925, 50000, 65535, 1 << 20, 1 << 31),
    0xFFFFFFFF,
)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'


def scan_seeds() -> dict[str, bytes]:
    """Make scans of 32 by 24 pixels."""
    samples = np.random.default_rng(1).integers(0, 65536, (24, 32, 5), np.uint16)
    return {**dict(_tiffs(samples)), **dict(_telephone_pictures(samples))}


def _tiffs(samples: np.ndarray[Any, np.dtype[np.uint16]]) -> Iterator[tuple[str, bytes]]:
    rgb, grey = samples[..., :3], samples[..., 0]
    shallow = (samples >> 8).astype(np.uint8)
    linear = (grey / np.float32(65535)).astype(np.float32)
    curve = grey_profile(gamma_curve(1.0))
    yield "strips.tif", _tiff(rgb, rowsperstrip=5, resolution=(300, 300), resolutionunit=2)
    yield "by-channel.tif", _tiff(np.moveaxis(rgb, 2, 0), planarconfig="separate", rowsperstrip=8)
    yield "tiles.tif", _tiff(rgb, tile=(16, 16), compression="zlib", predictor=2)
    yield "big-endian.tif", _tiff(rgb, byteorder=">", iccprofile=rgb_profile(gamma_curve(1.8)))
    yield "big.tif", _tiff(grey, "minisblack", bigtiff=True)
    yield "white.tif", _tiff(grey, "miniswhite")
    yield "infrared.tif", _tiff(samples[..., :4], extrasamples=["unspecified"])
    yield "five.tif", _tiff(shallow, extrasamples=["unspecified", "assocalpha"])
    yield "ink.tif", _tiff(samples[..., :4], "separated")
    yield "float.tif", _tiff(linear, "minisblack", iccprofile=curve)
    yield "long.tif", _tiff(grey.astype(np.uint32), "minisblack")
    yield "twelve.tif", _tiff(grey >> 4, "minisblack", extratags=[(281, "H", 1, 4095, True)])
    yield "noted.tif", _tiff(shallow[..., 0], "minisblack", extratags=[(700, "B", len(XMP), XMP, True)])
    image = Image.fromarray(shallow[..., :3])
    for compression in ("tiff_lzw", "packbits", "zstd", "lzma", "jpeg"):
        yield f"{compression}.tif", _saved(image, "TIFF", compression=compression)
    yield "fax.tif", _saved(image.convert("1"), "TIFF", compression="group4")
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(rgb, photometric="rgb", metadata=None)
        tiff.write(shallow[::4, ::4, :3], photometric="rgb", subfiletype=1, metadata=None)
        tiff.write(grey, photometric="minisblack", metadata=None)
    yield "pages.tif", file.getvalue()


def _telephone_pictures(samples: np.ndarray[Any, np.dtype[np.uint16]]) -> Iterator[tuple[str, bytes]]:
    import pillow_heif
    import pillow_jxl  # noqa: F401 (registers the format)

    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Maker"
    image = Image.fromarray((samples[..., :3] >> 8).astype(np.uint8))
    for name, picture in (("color", image), ("grey", image.convert("L")), ("alpha", image.convert("RGBA"))):
        yield f"{name}.heic", _saved(picture, "HEIF", exif=exif, xmp=XMP)
        yield f"{name}.jxl", _saved(picture, "JXL", exif=exif.tobytes())
    yield "two.heic", _saved(image, "HEIF", save_all=True, append_images=[image.rotate(180)])
    deep = io.BytesIO()
    pillow_heif.encode("RGB;16", (32, 24), samples[..., :3].tobytes(), deep)
    yield "deep.heic", deep.getvalue()


def _tiff(samples: np.ndarray[Any, Any], photometric: str = "rgb", **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric=photometric, metadata=None, software=False, **options)
    return file.getvalue()


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def corrupt_tag(chance: Random, data: bytes) -> bytes:
    """Change number, type, count or value of an entry in the first directory of a TIFF; other data stay as they are."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return data
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return data
    (count,) = struct.unpack_from(order + "H", data, start)
    place = start + 2 + 12 * chance.randrange(max(1, count))
    if place + 12 > len(data):
        return data
    changed = bytearray(data)
    field = chance.choice(("tag", "type", "count", "value", "value", "value"))
    if field == "tag":
        struct.pack_into(order + "H", changed, place, chance.choice(TAGS))
    elif field == "type":
        struct.pack_into(order + "H", changed, place + 2, chance.choice(TYPES))
    else:
        struct.pack_into(order + "I", changed, place + (4 if field == "count" else 8), chance.choice(NUMBERS))
    return bytes(changed)


def scan_reader(max_pixels: int) -> Callable[[Path, Random], None]:
    """Return a function that reads all pages of a scan, and writes some of them.

    Args:
        max_pixels: limit for the size of a picture.
    """
    from vidcolor.files.suffixes import picture_name
    from vidcolor.stills import reader
    from vidcolor.stills.kinds import is_picture
    from vidcolor.stills.writer import PICTURE_ENCODERS, lost_metadata, write_picture

    reader.MAX_PICTURE_PIXELS = max_pixels

    def read(path: Path, chance: Random) -> None:
        """Read each page as grey; of small files also the colors; write one in four."""
        is_picture(picture_name(path))
        for page in range(min(reader.count_pages(path), 8)):
            picture = reader.read_picture(path, page)
            assert picture.grey.min() >= 0
            assert picture.grey.max() <= 1
            if picture.grey.size < 1 << 16 and chance.random() < 0.25:
                dest = path.with_suffix(chance.choice([s for s in PICTURE_ENCODERS if s not in (".jpg", ".avif")]))
                dest = dest.with_stem("copy")
                lost_metadata(dest.suffix, picture.metadata)
                write_picture(dest, [np.dstack([picture.grey] * 3)], picture, overwrite=True)
                copied = reader.read_picture(dest)
                assert copied.grey.shape == picture.grey.shape
        if path.stat().st_size < 1 << 16:
            reader.read_rgb(path.read_bytes(), path)

    return read
