"""The ways in which the fuzzer corrupts a valid file: each takes a random generator and bytes, and returns bytes."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from tools.fuzz_scans import corrupt_tag
from tools.fuzz_seeds import join_weights, split_weights
from tools.fuzz_work import corrupt_record

Way = Callable[[Random, bytes], bytes]

EXTREMES: tuple[int, ...] = (
    0,
    1,
    2,
    -1,
    -2,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x40000000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x100000000,
    0x7FFFFFFFFFFFFFFF,
    0x8000000000000000,
)
"""Numbers at the limits of integer types, at which readers overflow or allocate too much."""
FIELDS = tuple(
    # boxes of MP4 and MOV
    b"ftyp mvhd tkhd mdhd hdlr elst stsd avc1 avcC hvcC mp4a esds stts ctts stsc stsz stco stss colr pasp tx3g chpl"
    b" trex mvex tfhd trun tfdt mdat moov free meta ilst data"
    # chunks of AVI and WebP
    b" RIFF avih strh strf idx1 movi 00dc 01wb VP8X ANIM ANMF ALPH EXIF ICCP"
    # chunks of PNG
    b" IHDR PLTE tRNS IDAT iCCP eXIf pHYs zTXt iTXt acTL fcTL fdAT IEND"
    # markers of Y4M, GIF, FLV, JPEG 2000, AVIF, ICC profiles
    b" YUV4 FRAM GIF8 FLV jP ihdr ispe iloc iinf pixi av1C acsp rTRC kTRC rXYZ A2B0 curv para mft1 Exif".split()
)
"""Names of fields, after which extreme numbers are written."""
BINARY_FIELD_CODES = {
    # DocType, TimestampScale, Duration, tracks and their sizes, rates, codecs; clusters, blocks, cues, chapters
    "EBML": "4282 2ad7b1 4489 ae b0 ba 23e383 86 63a2 1f43b675 a3 a1 e7 1c53bb6b 1043a770 54b0 54ba",
    # sequence, picture, pack; H.264 NAL units; transport packets; keys of MXF
    "MPEG": "000001b3 000001b5 000001ba 000001e0 00000001 000001 4740 060e2b34",
    # frame, tables, scan, EXIF
    "JPEG": "ffc0 ffc2 ffc4 ffdb ffda ffe1 ffe2",
    # little-endian: the magic number; tags of size, depth, strips, compression
    "TIFF": "49492a00 00010300 00010400 01010300 01010400 02010300 03010300 06010300 11010400 15010300 16010300"
    " 17010400 3d010300 6987",
}
"""The same for fields without a readable name, in hexadecimal digits."""
BINARY_FIELDS = tuple(bytes.fromhex(code) for codes in BINARY_FIELD_CODES.values() for code in codes.split())


def mutate(chance: Random, seeds: Mapping[str, bytes], kind: str) -> tuple[str, bytes]:
    """Make one case.

    Args:
        chance: the random generator of the case.
        seeds: valid files by name.
        kind: a key of :data:`WAYS_OF_KIND`.

    Returns:
        The name of the file that was corrupted, and its bytes.
    """
    name = chance.choice(sorted(seeds))
    data = seeds[name]
    if not WAYS_OF_KIND[kind]:
        return name, data
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        way = chance.choice((*BYTE_WAYS, splice, *WAYS_OF_KIND[kind]))
        data = splice(chance, data, seeds[chance.choice(sorted(seeds))]) if way is splice else way(chance, data)
    if data.startswith(b"\x89PNG") and chance.random() < 0.7:
        data = with_checksums(data)
    return name, data


def truncate(chance: Random, data: bytes) -> bytes:
    """Cut the end off."""
    return data[: chance.randrange(len(data) + 1)]


def flip_bits(chance: Random, data: bytes) -> bytes:
    """Flip single bits, few or many."""
    corrupted = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 64)) if data else 0):
        corrupted[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(corrupted)


def add_noise(chance: Random, data: bytes) -> bytes:
    """Replace a block by random bytes, or by one byte repeated."""
    start, stop = _span(chance, data)
    block = chance.randbytes(stop - start) if chance.random() < 0.5 else chance.randbytes(1) * (stop - start)
    return data[:start] + block + data[stop:]


def remove_block(chance: Random, data: bytes) -> bytes:
    """Remove a block."""
    start, stop = _span(chance, data)
    return data[:start] + data[stop:]


def repeat_block(chance: Random, data: bytes) -> bytes:
    """Insert a copy of a block, up to fifty times, next to it or elsewhere."""
    start, stop = _span(chance, data)
    place = chance.choice((stop, chance.randrange(len(data) + 1)))
    return data[:place] + data[start:stop] * chance.choice((1, 2, 50)) + data[place:]


def splice(chance: Random, data: bytes, other: bytes = b"") -> bytes:
    """Join the start of one file and the end of another."""
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def write_extreme(chance: Random, data: bytes) -> bytes:
    """Write an extreme number somewhere, more often near the start, where headers are."""
    near = chance.choice((64, 512, len(data)))
    return _put_number(chance, data, chance.randrange(min(near, len(data)) + 1))


def corrupt_field(chance: Random, data: bytes) -> bytes:
    """Write an extreme number just after the name of a known field: sizes, time bases, counts, durations."""
    present = [field for field in (*FIELDS, *BINARY_FIELDS) if field in data]
    if not present:
        return write_extreme(chance, data)
    field = chance.choice(present)
    place = chance.choice([at for at in range(len(data)) if data.startswith(field, at)])
    return _put_number(chance, data, place + chance.choice((-4, len(field), len(field))) + chance.randrange(0, 40))


def _span(chance: Random, data: bytes) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.choice((1, 4, 32, 256, 2048)))


def _put_number(chance: Random, data: bytes, place: int) -> bytes:
    size = chance.choice((1, 2, 4, 4, 8))
    number = chance.choice(EXTREMES) % (1 << 8 * size)
    place = max(0, place)
    return data[:place] + number.to_bytes(size, chance.choice(("big", "little"))) + data[place + size :]


def with_checksums(png: bytes) -> bytes:
    """Return a PNG whose chunks have valid checksums, so that readers do not stop at the checksum."""
    parts, place = [png[:8]], 8
    while place + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, place)
        body = png[place + 4 : place + 8 + length]
        if len(body) < length + 4:
            break
        parts.append(struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body)))
        place += 12 + length
    return b"".join(parts) + png[place:]


# Films and pictures whose headers announce far more than they contain


def film_bomb(chance: Random, data: bytes) -> bytes:
    """Write tables that agree on millions of samples, or huge picture sizes."""
    many = struct.pack(">I", chance.choice((1000, 100_000, 50_000_000, 0x7FFFFFFF)))
    one = struct.pack(">I", 1)
    for name, fields in ((b"stsz", one + many), (b"stts", one + many + one), (b"stsc", one + one + many + one)):
        at = data.rfind(name) + 8
        if at > 8:
            data = data[:at] + fields + data[at + len(fields) :]
    if (at := data.rfind(b"trun") + 4) > 4:
        data = data[:at] + bytes(4) + many + data[at + 8 :]
    if data.startswith(b"GIF8"):
        data = data[:6] + struct.pack("<HH", _side(chance) % 65536, _side(chance) % 65536) + data[10:]
    if data.startswith(b"YUV4"):
        data = b"YUV4MPEG2 W%d H%d F24:1 C420jpeg\nFRAME\n" % (_side(chance), _side(chance)) + data[60:]
    if (at := data.find(b"strf") + 12) > 12:
        data = data[:at] + struct.pack("<II", _side(chance), _side(chance)) + data[at + 8 :]
    return data


def bomb(chance: Random, data: bytes) -> bytes:
    """Return a small file that needs much memory to decode, in place of ``data``."""
    return chance.choice((_png_bomb, _text_bomb, _tiff_bomb, _gif_bomb, _bmp_bomb, _plain_bomb, _webp_bomb))(chance)


def _side(chance: Random) -> int:
    return chance.choice((1, 2, 1000, 6000, 16383, 30000, 65535, 0x7FFFFFFF))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@cache
def _packed_zeros(count: int) -> bytes:
    return zlib.compress(bytes(count), 9)


def _png_bomb(chance: Random) -> bytes:
    depth, color_type = chance.choice(((1, 0), (8, 0), (8, 2), (8, 6), (16, 0), (16, 2), (16, 6), (1, 3)))
    header = struct.pack(">IIBBBBB", _side(chance), _side(chance), depth, color_type, 0, 0, chance.randrange(2))
    pixels = _packed_zeros(chance.choice((10, 100_000, 20_000_000)))
    palette = _chunk(b"PLTE", bytes(6)) if color_type == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + palette + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _text_bomb(chance: Random) -> bytes:
    """Return a PNG of one pixel with text chunks that unpack to 40 MB each."""
    packed = _packed_zeros(40_000_000)
    notes: tuple[bytes, ...] = (_chunk(b"zTXt", b"note\0\0" + packed), _chunk(b"iCCP", b"profile\0\0" + packed))
    notes += (_chunk(b"iTXt", b"note\0\1\0\0\0" + packed),)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(bytes(2)))
    end = _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + chance.choice(notes) * chance.choice((1, 5)) + pixels + end


def _tiff_bomb(chance: Random) -> bytes:
    """Return a TIFF whose strips have extreme sizes, counts and offsets."""
    channels = chance.choice((1, 3, 65535))
    depth = chance.choice((1, 8, 16))
    entries = {
        256: (4, 1, _side(chance)),
        257: (4, 1, _side(chance)),
        258: (3, 1, depth),
        259: (3, 1, chance.choice((1, 5, 7, 8, 32773, 34712, 34925))),
        262: (3, 1, 1 if channels == 1 else 2),
        273: (4, chance.choice((1, 1000, 0x3FFFFFFF)), chance.choice((8, 0xFFFFFFFF))),
        277: (3, 1, channels),
        278: (4, 1, _side(chance)),
        279: (4, chance.choice((1, 0x3FFFFFFF)), chance.choice((0, 16, 0xFFFFFFFF))),
    }
    table = b"".join(struct.pack("<HHII", tag, *entry) for tag, entry in sorted(entries.items()))
    following = chance.choice((0, 8))  # 8: a directory that is its own successor
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + struct.pack("<I", following) + bytes(64)


def _gif_bomb(chance: Random) -> bytes:
    """Return a GIF of thousands of frames, or of 65535 by 65535 pixels."""
    sizes = [chance.choice((1, 1, 65535)) for _ in range(4)]
    frame = b"\x2c\0\0\0\0" + struct.pack("<HH", *sizes[2:]) + b"\0\2\2\x44\1\0"
    screen = b"GIF89a" + struct.pack("<HH", *sizes[:2]) + b"\x80\0\0" + bytes(6)
    return screen + frame * chance.choice((1, 20_000)) + b"\x3b"


def _bmp_bomb(chance: Random) -> bytes:
    size = struct.pack("<ii", _side(chance), chance.choice((1, -1)) * _side(chance))
    bits, compression = chance.choice(((24, 0), (8, 1), (4, 2), (32, 3), (1, 0)))
    info = struct.pack("<I", 40) + size + struct.pack("<HHIIiiII", 1, bits, compression, 0, 0, 0, 2, 0)
    return b"BM" + struct.pack("<IHHI", 200, 0, 0, 62) + info + bytes(8) + b"\xff\0" * 40


def _plain_bomb(chance: Random) -> bytes:
    size = b"%d %d" % (_side(chance), _side(chance))
    return chance.choice((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")) + b"\n" + size + b"\n255\n" + bytes(20)


def _webp_bomb(chance: Random) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "WEBP", lossless=True)
    body = bytearray(buffer.getvalue())
    place = body.index(b"VP8L") + 9
    body[place : place + 4] = struct.pack("<I", 0x0FFFFFFF & chance.getrandbits(32) | 0x03FF3FFF)
    return bytes(body)


# Weights: their header and parameters


def corrupt_header(chance: Random, data: bytes) -> bytes:
    """Change one tensor in the header: its type, shape, offsets or name; or the size of the header."""
    header, numbers = _split(data)
    tensors = sorted(name for name in header if name != "__metadata__")
    if not tensors:
        return data
    name = chance.choice(tensors)
    change = chance.choice(("dtype", "shape", "data_offsets", "rename", "remove", "repeat", "length", "depth", "bulk"))
    if change == "dtype":
        header[name]["dtype"] = chance.choice(
            ("F64", "I64", "I8", "BOOL", "BF16", "F8_E4M3", "C64", "F4", "x", None, 3)
        )
    elif change in ("shape", "data_offsets"):
        header[name][change] = _corrupted_list(chance, header[name][change])
    elif change == "rename":
        header[chance.choice(("", "x", name + "\n", "é" * 1000))] = header.pop(name)
    elif change == "remove":
        del header[name]
    elif change == "repeat":
        header |= {f"{name}{index}": header[name] for index in range(chance.choice((1, 20_000)))}
    elif change == "depth":
        header["__metadata__"] = json.loads("[" * 500 + "]" * 500)
    elif change == "bulk" and isinstance(header.get("__metadata__"), dict):
        header["__metadata__"]["training"] = " " * 5_000_000
    joined = join_weights(header, numbers)
    return struct.pack("<Q", chance.choice(EXTREMES) % 2**64) + joined[8:] if change == "length" else joined


def corrupt_about(chance: Random, data: bytes) -> bytes:
    """Change the name or the configuration of the network."""
    header, numbers = _split(data)
    about = header.get("__metadata__")
    if not isinstance(about, dict) or "config" not in about:
        return data
    field = chance.choice(("format", "network", "config", "config", "config", "config", "config", "training"))
    if field == "network":
        names = ("multiscale_unet", "pretrained_unet", "eccv16", "siggraph17", "unet", "residual", "x", "", "__init__")
        about["network"] = chance.choice(names)
    elif field == "config" and chance.random() < 0.8:
        about["config"] = _corrupted_config(chance, about["config"])
    elif chance.random() < 0.3:
        about.pop(field, None)
    else:
        texts = (
            "[" * 100_000,
            '{"a":' * 100_000,
            "[]",
            "null",
            "NaN",
            "9" * 10_000,
            "é\n",
            '{"filters": 1}',
            "{}",
            '"\\ud800"',
        )
        about[field] = chance.choice(texts)
    return join_weights(header, numbers)


def corrupt_numbers(chance: Random, data: bytes) -> bytes:
    """Write parameters that are not finite."""
    header, numbers = _split(data)
    place = 2 * chance.randrange(len(numbers) // 2 + 1)
    value = chance.choice((b"\0\x7c", b"\0\x7e", b"\xff\xff", b"\0\0\xc0\x7f")) * chance.choice((1, 1000))
    return join_weights(header, (numbers[:place] + value + numbers[place:])[: len(numbers)])


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        header, numbers = split_weights(data)
    except (ValueError, struct.error):
        return {}, data
    return (header, numbers) if isinstance(header, dict) else ({}, data)


def _corrupted_list(chance: Random, numbers: list[int]) -> list[Any]:
    corrupted: list[Any] = list(numbers)
    value: Any = chance.choice((*EXTREMES, 1.5, "x", None, [], 10**30))
    if corrupted and chance.random() < 0.7:
        corrupted[chance.randrange(len(corrupted))] = value
    else:
        corrupted += [value] * chance.choice((1, 1000))
    return corrupted


CONFIG_VALUES: tuple[Any, ...] = (
    0,
    1,
    3,
    -1,
    1000,
    10**6,
    10**9,
    2**62,
    10**30,
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    "x",
    "",
    "9" * 1000,
    None,
    True,
    [],
    {},
    [1],
    [10**9] * 5,
    [[]],
    [None] * 5,
    list(range(1000)),
    [10**6] * 10_000,
)
CONFIG_KEYS = (
    "width",
    "attention_layers",
    "decoder_channels",
    "detail_channels",
    "encoder",
    "filters",
    "blocks",
    "downs",
    "x",
)


def _corrupted_config(chance: Random, text: str) -> str:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(config, dict):
        return text
    for _ in range(chance.choice((1, 1, 2))):
        key = chance.choice((*sorted(config), *sorted(config), chance.choice(CONFIG_KEYS)))
        config[key] = chance.choice(CONFIG_VALUES)
    return json.dumps(config)


BYTE_WAYS: tuple[Way, ...] = (truncate, flip_bits, flip_bits, add_noise, remove_block, repeat_block, write_extreme)
WAYS_OF_KIND: dict[str, tuple[Way, ...]] = {
    "films": (*(corrupt_field,) * 5, film_bomb),
    "pictures": (corrupt_field, corrupt_field, corrupt_field, bomb),
    "scans": (*(corrupt_tag,) * 5, corrupt_field),
    "weights": (corrupt_header, corrupt_header, corrupt_about, corrupt_about, corrupt_about, corrupt_numbers),
    "work": (*(corrupt_record,) * 5,),
    "faults": (),
}
