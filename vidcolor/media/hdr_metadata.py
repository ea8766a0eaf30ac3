"""HDR metadata: the mastering display and the light levels, read from libav and written to encoder parameters.

Sources: SMPTE ST 2086 (display), CTA-861.3 (light levels). PyAV gives the raw bytes of libavutil's
``AVMasteringDisplayMetadata`` and ``AVContentLightMetadata``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TypeVar

from vidcolor.frames import LIGHT_STEPS, HdrMetadata

T = TypeVar("T")

_DISPLAY = struct.Struct("=20i2i")  # R, G, B, white: x and y each; min and max luminance; has_primaries, has_luminance
_LEVELS = struct.Struct("=2I")
CHROMATICITY_STEPS = 50_000


def parse_hdr_metadata(display: bytes | None, light_levels: bytes | None) -> HdrMetadata | None:
    """Parse libav's two records, each possibly missing; return None if neither is complete and valid."""
    found = HdrMetadata(_display(display), _light_levels(light_levels))
    return None if found == HdrMetadata(None, None) else found


def _display(record: bytes | None) -> tuple[int, ...] | None:
    if record is None or len(record) < _DISPLAY.size:
        return None
    *numbers, has_primaries, has_luminance = _DISPLAY.unpack(record[: _DISPLAY.size])
    pairs = list(_pairs(numbers))
    if not (has_primaries and has_luminance) or any(divisor <= 0 for _, divisor in pairs):
        return None
    steps = [CHROMATICITY_STEPS] * 8 + [LIGHT_STEPS] * 2
    values = tuple(round(number * step / divisor) for (number, divisor), step in zip(pairs, steps, strict=True))
    fits = all(0 <= value <= CHROMATICITY_STEPS for value in values[:8]) and 0 <= values[8] < values[9] < 1 << 31
    return values if fits else None


def _pairs(items: Sequence[T]) -> Iterator[tuple[T, T]]:
    return zip(items[::2], items[1::2], strict=True)


def _light_levels(record: bytes | None) -> tuple[int, int] | None:
    if record is None or len(record) < _LEVELS.size:
        return None
    brightest, average = _LEVELS.unpack(record[: _LEVELS.size])
    return (brightest, average) if 0 < max(brightest, average) < 1 << 16 else None


def encoder_parameters(codec: str, metadata: HdrMetadata) -> dict[str, str] | None:
    """Return the encoder library's parameters for HDR metadata; None if the encoder cannot store it."""
    names = _NAMES.get(codec)
    if names is None:
        return None
    of_display, of_levels = names
    parameters = {}
    if metadata.display is not None:
        steps = [1] * 10 if codec != "libsvtav1" else [CHROMATICITY_STEPS] * 8 + [LIGHT_STEPS] * 2
        numbers = [f"{value / step:.10g}" for value, step in zip(metadata.display, steps, strict=True)]
        red, green, blue, white = (",".join(pair) for pair in _pairs(numbers[:8]))
        parameters[of_display] = f"G({green})B({blue})R({red})WP({white})L({numbers[9]},{numbers[8]})"
    if metadata.light_levels is not None:
        parameters[of_levels] = "{},{}".format(*metadata.light_levels)
    return parameters


_NAMES = {
    "libx264": ("mastering-display", "cll"),
    "libx265": ("master-display", "max-cll"),
    "libsvtav1": ("mastering-display", "content-light"),
}
