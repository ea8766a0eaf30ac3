"""From clips to rows."""

from __future__ import annotations

import math

from vidcolor_training.evaluation.video_table import gaps_in, table

TRUTH = {"a": {"warp_ab": 1.0, "psnr": math.inf, "cdc": 2.0}, "b": {"warp_ab": 3.0, "psnr": math.inf}}
OURS = {
    "a": {
        "warp_ab": 4.0,
        "psnr": 20.0,
        "cdc": 1.0,
        "flicker_over_truth": 4.0,
        "network_ms": 30.0,
        "temporal_ms": 2.0,
        "network_share": 1.0,
        "frames_per_second": 31.25,
    },
    "b": {
        "warp_ab": 2.0,
        "psnr": 24.0,
        "flicker_over_truth": 2 / 3,
        "network_ms": 10.0,
        "temporal_ms": 2.0,
        "network_share": 0.2,
        "frames_per_second": 83.3,
    },
}


def test_means_and_ratios() -> None:
    """Means over the clips that have a figure; ratios of means; speeds over all frames; infinity is None."""
    rows = table({"ours": OURS, "truth": TRUTH}, {"a": 100, "b": 300})
    assert rows["ours"] == {
        "warp_ab": 3.0,
        "psnr": 22.0,
        "cdc": 1.0,
        "flicker_over_truth": 1.5,
        "cdc_over_truth": 0.5,
        "network_ms": 15.0,
        "temporal_ms": 2.0,
        "network_share": 0.4,
        "frames_per_second": 1000 / 17,
    }
    assert rows["truth"]["psnr"] is None


def test_no_ratio_to_nothing() -> None:
    """A truth that does not flicker at all gives no ratio."""
    still = {"a": {"warp_ab": 0.0}}
    assert table({"ours": {"a": {"warp_ab": 1.0}}, "truth": still}, {"a": 9})["ours"] == {"warp_ab": 1.0}


def test_gaps_are_named() -> None:
    """A metric that some or all clips lack is listed with the clips and the reason."""
    gaps = gaps_in(TRUTH)
    assert gaps["cdc"] == "not on b: no shot of 5 frames"
    assert gaps["drift"] == "not on any clip: no shot of 24 frames"
    assert "warp_ab" not in gaps
