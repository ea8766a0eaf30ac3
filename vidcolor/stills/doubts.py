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


def doubts_about(grey: FloatArray) -> Iterator[str]:
    """Yield a line if a picture (H, W) in [0, 1] has no grey levels, as scans of 1 bit and dithered ones."""
    step = max(1, int(np.sqrt(grey.size / SAMPLED_PIXELS)))
    sample = grey[::step, ::step]
    black, white = float((sample < BLACK).mean()), float((sample > WHITE).mean())
    if min(black, white) >= MIN_SHARE and 1 - black - white <= MAX_GREY_SHARE:
        yield BILEVEL
