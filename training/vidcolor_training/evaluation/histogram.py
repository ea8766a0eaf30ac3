"""Draw a histogram as SVG: one set of figures filled, another as a line behind it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WIDTH, HEIGHT = 320, 150
MARGIN_BELOW = 18
BINS = 24


def histogram_svg(values: Sequence[float], others: Sequence[float], *, ceiling: float) -> str:
    """Draw the shares of ``values`` (class ``ours``) and ``others`` (class ``behind``) in equal bins up to ``ceiling``.

    The last bin includes larger figures. The page sets the colors.
    """
    top = ceiling if ceiling > 0 else 1.0
    shares = [_shares(figures, top) for figures in (values, others)]
    plot = HEIGHT - MARGIN_BELOW
    scale = plot * 0.96 / max(max(share.max() for share in shares), 1e-12)
    step = WIDTH / BINS
    bars = "".join(
        f'<rect class="ours" x="{i * step + 0.5:.1f}" y="{plot - s * scale:.1f}" width="{step - 1:.1f}" '
        f'height="{s * scale:.1f}"/>'
        for i, s in enumerate(shares[0])
        if s
    )
    outline = " ".join(f"L{i * step:.1f},{plot - s * scale:.1f} h{step:.1f}" for i, s in enumerate(shares[1]))
    labels = "".join(
        f'<text x="{position * WIDTH:.0f}" y="{HEIGHT - 4}" text-anchor="{anchor}">{label}</text>'
        for position, anchor, label in (
            (0, "start", "0"),
            (0.5, "middle", f"{top / 2:.2g}"),
            (1, "end", f"{top:.2g} and more"),
        )
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{bars}<path class="behind" d="M0,{plot} {outline} V{plot}"/>'
        f'<line class="axis" x1="0" x2="{WIDTH}" y1="{plot}" y2="{plot}"/>{labels}</svg>'
    )


def _shares(figures: Sequence[float], top: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the share of the figures in each bin."""
    clipped = np.minimum(np.asarray(figures, dtype=np.float64), top)
    counts = np.histogram(clipped, bins=BINS, range=(0.0, top))[0]
    return counts / max(len(clipped), 1)


def common_ceiling(rows: Sequence[Sequence[float]]) -> float:
    """Return the end of a common axis: the 98th percentile of all figures, so that outliers do not stretch it."""
    return float(np.percentile(np.concatenate([np.asarray(row, dtype=np.float64) for row in rows]), 98))
