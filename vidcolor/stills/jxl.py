"""Read from the header of a JPEG XL picture how many bits its samples have (ISO/IEC 18181-1, annex D)."""

from __future__ import annotations

CODESTREAM = b"\xff\x0a"
CODESTREAM_BOXES = (b"jxlc", b"jxlp")
PART_NUMBER_BYTES = {b"jxlc": 0, b"jxlp": 4}
"""In front of the codestream, or of a part of it, in its box."""
DEFAULT_BITS = 8


class _Bits:
    """Reads numbers from bytes, the lowest bit first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        """Return the number in the next ``count`` bits."""
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken

    def choose(self, *ways: tuple[int, int]) -> int:
        """Return a number of which the next two bits say how it is stored: what is added to how many bits."""
        offset, count = ways[self.take(2)]
        return offset + self.take(count)


def bits_per_sample(head: bytes) -> int:
    """Return the bits of a sample, 8 also where the header does not tell.

    Args:
        head: the first bytes of the file.
    """
    if not head.startswith(CODESTREAM):
        places = [(head.find(name), name) for name in CODESTREAM_BOXES if name in head]
        if not places:
            return DEFAULT_BITS
        place, name = min(places)
        head = head[place + 4 + PART_NUMBER_BYTES[name] :]
        if not head.startswith(CODESTREAM):
            return DEFAULT_BITS
    bits = _Bits(head[2:64])
    _skip_size(bits)
    if bits.take(1):  # everything has its default
        return DEFAULT_BITS
    if bits.take(1) and not _skip_extra_fields(bits):
        return DEFAULT_BITS
    if bits.take(1):
        return bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
    return bits.choose((8, 0), (10, 0), (12, 0), (1, 6))


def _skip_size(bits: _Bits) -> None:
    is_small = bits.take(1)

    def side() -> None:
        if is_small:
            bits.take(5)
        else:
            bits.choose((1, 9), (1, 13), (1, 18), (1, 30))

    side()
    if not bits.take(3):  # no ratio: the width is stored, too
        side()


def _skip_extra_fields(bits: _Bits) -> bool:
    """Skip orientation and intrinsic size; return False at a preview or an animation."""
    bits.take(3)
    if bits.take(1):
        _skip_size(bits)
    return not bits.take(1) and not bits.take(1)
