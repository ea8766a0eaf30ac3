"""The code points of ITU-T H.273 (matrix, primaries, transfer) and their names in FFmpeg."""

from __future__ import annotations

UNSPECIFIED = 2
"""Code point of all three."""

MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
}
"""MatrixCoefficients."""
PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
"""ColorPrimaries."""
TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
"""TransferCharacteristics."""


def name_of(code: int, names: dict[int, str]) -> str | None:
    """Return the name of a code point in ``names``: None if it is unspecified, ``reserved (N)`` if it has no name."""
    if code in (UNSPECIFIED, 0) and code not in names:
        return None
    return names.get(code, f"reserved ({code})")
