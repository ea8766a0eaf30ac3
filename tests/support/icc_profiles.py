"""ICC profiles made by hand for the tests (ICC.1:2022, 7 and 10)."""

from __future__ import annotations

import itertools
import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
ADOBE_RGB_COLORANTS = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""R, G and B of Adobe RGB (1998) in the D50 connection space."""


def gamma_curve(gamma: float) -> bytes:
    """Return a curveType of one gamma."""
    return struct.pack(">4s4xIH2x", b"curv", 1, round(gamma * 256))


def table_curve(gamma: float, entries: int = 1024) -> bytes:
    """Return a curveType that is a table."""
    table = np.round(np.linspace(0, 1, entries) ** gamma * 65535).astype(">u2")
    return struct.pack(">4s4xI", b"curv", entries) + table.tobytes()


def parametric_curve(kind: int, *parameters: float) -> bytes:
    """Return a parametricCurveType."""
    return struct.pack(">4s4xH2x", b"para", kind) + b"".join(_fixed(p) for p in parameters)


def rgb_profile(curve: bytes) -> bytes:
    """Return an RGB profile of three equal curves and the colorants of Adobe RGB (1998)."""
    colorants = {f"{c}XYZ".encode(): _xyz(xyz) for c, xyz in zip("rgb", ADOBE_RGB_COLORANTS, strict=True)}
    return _profile(b"mntr", b"RGB ", b"XYZ ", colorants | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey_profile(curve: bytes) -> bytes:
    """Return a grey profile of one curve."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve})


def cmyk_profile() -> bytes:
    """Return a profile of two steps a channel, from ink to Lab: neutral, L from 100 without ink to 0 with all black."""
    lightness = [255 - round(255 * min(1, k + (c + m + y) / 6)) for c, m, y, k in itertools.product((0, 1), repeat=4)]
    identity = bytes(range(256))
    table = struct.pack(">4s4xBBBx9i", b"mft1", 4, 3, 2, *(65536 * int(i in (0, 4, 8)) for i in range(9)))
    table += identity * 4 + b"".join(bytes((level, 128, 128)) for level in lightness) + identity * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(xyz: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_fixed(value) for value in xyz)


def _profile(kind: bytes, model: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"wtpt": _xyz(D50), **tags}
    head = struct.pack(">4xII4s4s4s12x4s", 0, 0x02400000, kind, model, connection, b"acsp")[4:]
    head = b"\0\0\0\0" + head + bytes(28) + b"".join(_fixed(value) for value in D50)
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, element in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(element))
        body += element + bytes(-len(element) % 4)
    whole = head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]
