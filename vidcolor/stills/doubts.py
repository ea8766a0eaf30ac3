"""Find pictures for which coloring is of little use."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidcolor.frames import FloatArray

SAMPLED_PIXELS = 1 << 20
"""Pixels that are looked at, in even steps; all, of a picture that has fewer."""
BLACK, WHITE = 0.06, 0.94
"""Levels below and above which there is no room for color."""
MIN_SHARE = 0.03
"""Share of the pixels that are black and that are white in a picture of dots or lines."""
MAX_GREY_SHARE = 0.05
"""Share of the pixels between them in such a picture, where JPEG blurs the edges."""
BILEVEL = (
    "almost all of its pixels are black or white, which hold no color: "
    "scan it in grey levels, or blur its dots to grey first (descreen)"
)


MAX_OF_12_BITS = 4095 / 65535
"""The brightest level of samples of 12 bits in the low bits of 16."""


def doubts_about(grey: FloatArray, bit_depth: int) -> Iterator[str]:
    """Yield a line if a picture has no grey levels, as dithered scans, or is as dark as 12 bits stored in 16.

    Args:
        grey: (H, W) in [0, 1].
        bit_depth: of the file, 8 or 16.
    """
    brightest = float(grey.max())
    if bit_depth == 16 and 0 < brightest <= MAX_OF_12_BITS + 1e-6:
        yield (
            f"its brightest level is {brightest:.1%} of white, as where samples of 12 bits or fewer are stored in 16: "
            "scale it to white first"
        )
    step = max(1, int(np.sqrt(grey.size / SAMPLED_PIXELS)))
    sample = grey[::step, ::step]
    black, white = float((sample < BLACK).mean()), float((sample > WHITE).mean())
    if min(black, white) >= MIN_SHARE and 1 - black - white <= MAX_GREY_SHARE:
        yield BILEVEL
