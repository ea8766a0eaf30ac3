"""The label, the better direction and the definition of each metric in reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from vidcolor_training.evaluation.blotches import CELLS, MAX_DEVIATION
from vidcolor_training.evaluation.hues import AB_BINS, AB_LIMIT, HUE_STARTS, HUES, MIN_CHROMA

Figured = TypeVar("Figured", bound=Mapping[str, Any])
Better = Literal["lower", "higher", "truth", "none"]


@dataclass(frozen=True)
class MetricInfo:
    """``better``: ``truth`` where the row of the truth is the goal. ``digits``: behind the point."""

    label: str
    group: str
    better: Better
    digits: int
    definition: str


ACCURACY = "Against the truth"
COLOR = "How colorful"
HUE_SHARES = "Hues: pixels of each over the truth's"
HUE_RECALL = "Hues: recall"
HUE_PRECISION = "Hues: precision"
PERCEPTION = "Perceptual distances"
STEADINESS = "How steady"
SPEED = "Speed"
OTHER = "Further figures"
GROUPS = (ACCURACY, COLOR, HUE_SHARES, HUE_RECALL, HUE_PRECISION, PERCEPTION, STEADINESS, SPEED, OTHER)

OVER_CLEAN = "mse_over_clean"
"""Rows that have it show weights under a condition: another thing than weights as they are."""


def _hue_infos() -> dict[str, MetricInfo]:
    """Describe the three figures of every hue."""
    infos: dict[str, MetricInfo] = {}
    for hue, start, end in zip(HUES, HUE_STARTS, (*HUE_STARTS[1:], *HUE_STARTS[:1]), strict=True):
        pixels = f"pixels of chroma > {MIN_CHROMA:.0f} and an angle of ab of {start} to {end}°"
        infos |= {
            f"share_{hue}": MetricInfo(
                hue, HUE_SHARES, "truth", 2, f"{pixels}: their number over their number in the truth, all pictures"
            ),
            f"recall_{hue}": MetricInfo(
                f"{hue} rec.", HUE_RECALL, "higher", 2, f"{pixels} in the truth: the share that has this hue here too"
            ),
            f"precision_{hue}": MetricInfo(
                f"{hue} prec.", HUE_PRECISION, "higher", 2, f"{pixels} here: the share that has this hue in the truth"
            ),
        }
    return infos


METRIC_INFO: Mapping[str, MetricInfo] = {
    "mse": MetricInfo("MSE", ACCURACY, "lower", 5, "mean squared error of R′G′B′ in 0..1; mean over pictures"),
    "mse_over_grey": MetricInfo(
        "MSE ÷ grey", ACCURACY, "lower", 3, "the set's MSE over that of the uncolored pictures: below 1 color helps"
    ),
    OVER_CLEAN: MetricInfo(
        "MSE ÷ clean",
        ACCURACY,
        "lower",
        3,
        "under a condition, the set's MSE over that of the same weights without it, on the same pixels",
    ),
    "largest_change": MetricInfo(
        "change of ab",
        ACCURACY,
        "none",
        2,
        "under a condition, the largest difference of a or b to the same weights without it, Lab units",
    ),
    "worse_than_grey": MetricInfo(
        "worse",
        ACCURACY,
        "lower",
        3,
        "share of the pictures, or clips, whose MSE exceeds the uncolored one's by more than rounding to 8 bits makes",
    ),
    "psnr": MetricInfo(
        "PSNR dB",
        ACCURACY,
        "higher",
        2,
        "of R′G′B′ in floating point (8-bit subtraction wraps around in published code); mean over pictures",
    ),
    "psnr_of_set": MetricInfo(
        "PSNR of set", ACCURACY, "higher", 2, "PSNR of the set's MSE: one photograph that is grey itself cannot lift it"
    ),
    "ssim": MetricInfo(
        "SSIM", ACCURACY, "higher", 4, "Wang et al. 2004 as scikit-image has it: 7 × 7 uniform window, mean over R′G′B′"
    ),
    "mae": MetricInfo("MAE", ACCURACY, "lower", 2, "mean absolute error of R′G′B′ in 0..255"),
    "epsilon_accuracy": MetricInfo(
        "ε-acc. %",
        ACCURACY,
        "higher",
        2,
        "pixels with |difference| ≤ ε in R′, G′ and B′ alike, ε = 5/255 (after Nazeri et al. 2018, who leave ε open)",
    ),
    "cie76": MetricInfo("CIE76", ACCURACY, "lower", 2, "mean ΔE*ab: the distance in CIE Lab (D65)"),
    "ciede2000": MetricInfo("CIEDE2000", ACCURACY, "lower", 2, "mean ΔE00"),
    "colorfulness": MetricInfo(
        "Colorfulness", COLOR, "truth", 2, "Hasler & Süsstrunk 2003, M3, signed opponents as they define it"
    ),
    "colorfulness_absolute": MetricInfo(
        "CF, papers", COLOR, "truth", 2, "the variant in papers on colorization: M3 of the opponents' absolute values"
    ),
    "delta_cf": MetricInfo(
        "ΔCF of set", COLOR, "lower", 2, "|mean CF − mean CF of the truth|, papers' variant; dull and garish cancel"
    ),
    "mean_delta_cf": MetricInfo(
        "mean |ΔCF|", COLOR, "lower", 2, "mean over pictures of each one's own |ΔCF|, papers' variant; nothing cancels"
    ),
    "cf_correlation": MetricInfo(
        "CF correl.",
        COLOR,
        "higher",
        3,
        "Pearson's correlation of the pictures' CF with the truth's, papers' variant; empty where all are equally grey",
    ),
    "ab_overlap": MetricInfo(
        "ab overlap",
        COLOR,
        "higher",
        3,
        f"sum of the minima of the normalised ab histograms of ours and of the truth: {AB_BINS} × {AB_BINS} squares "
        f"over ±{AB_LIMIT:.0f}, all pixels of the set",
    ),
    "flat_steps_over_truth": MetricInfo(
        "flat steps",
        COLOR,
        "truth",
        2,
        f"steps of ab between neighboring cells, {CELLS} a side, where the true L deviates by less than "
        f"{MAX_DEVIATION:.0f}, over the truth's own: blotches raise it, dull colors lower it",
    ),
    "mean_a": MetricInfo("mean a", COLOR, "truth", 2, "of Lab: green to magenta"),
    "mean_b": MetricInfo("mean b", COLOR, "truth", 2, "of Lab: blue to yellow"),
    **_hue_infos(),
    "lpips": MetricInfo(
        "LPIPS", PERCEPTION, "lower", 4, "Zhang et al. 2018, Alex, version 0.1, pictures in −1..1 at their own size"
    ),
    "lpips_over_grey": MetricInfo("LPIPS ÷ grey", PERCEPTION, "lower", 3, "over that of the uncolored pictures"),
    "frechet_efficientnet_lite2": MetricInfo(
        "Fréchet Lite2",
        PERCEPTION,
        "lower",
        3,
        "squared Fréchet distance on EfficientNet-Lite2's pooled last map (352 features); not FID; "
        "small sets make it too large, so compare it only within one report",
    ),
    "fid": MetricInfo(
        "FID",
        PERCEPTION,
        "lower",
        2,
        "Heusel et al. 2017, InceptionV3's last pooling (2048 features); small sets make it too large, "
        "so compare it only within one report",
    ),
    "cdc": MetricInfo(
        "CDC", STEADINESS, "lower", 6, "color distribution consistency (Liu et al. 2021, TCVC); grey's is good as well"
    ),
    "cdc_over_truth": MetricInfo("CDC ÷ truth", STEADINESS, "lower", 3, "over the truth's own, which is not 0"),
    "warp_rgb": MetricInfo(
        "warp R′G′B′", STEADINESS, "lower", 6, "squared error of the next frame warped back (Lai et al. 2018), in 0..1"
    ),
    "warp_ab": MetricInfo("warp ab", STEADINESS, "lower", 3, "the same on ab in Lab units, without the shared luma"),
    "flicker_over_truth": MetricInfo("warp ab ÷ tr.", STEADINESS, "lower", 3, "warp error on ab over the truth's own"),
    "warp_ab_8": MetricInfo("warp ab 8", STEADINESS, "lower", 3, "the same between frames 8 apart"),
    "warp_ab_8_over_truth": MetricInfo("8 ÷ truth", STEADINESS, "lower", 3, "warp ab 8 over the truth's own"),
    "warp_ab_24": MetricInfo("warp ab 24", STEADINESS, "lower", 3, "the same between frames 24 apart"),
    "warp_ab_24_over_truth": MetricInfo("24 ÷ truth", STEADINESS, "lower", 3, "warp ab 24 over the truth's own"),
    "drift": MetricInfo(
        "drift", STEADINESS, "lower", 3, "how far a shot's mean a and b wander around their mean, RMS, Lab units"
    ),
    "drift_over_truth": MetricInfo("drift ÷ truth", STEADINESS, "lower", 3, "over the truth's own"),
    "frames_per_second": MetricInfo("frames/s", SPEED, "higher", 1, "network and temporal stage, without the codec"),
    "network_ms": MetricInfo("network ms", SPEED, "lower", 1, "for each frame of the film"),
    "temporal_ms": MetricInfo("temporal ms", SPEED, "lower", 1, "for each frame of the film"),
    "network_share": MetricInfo("to network", SPEED, "none", 3, "share of the frames that went through the network"),
    "pictures_per_second": MetricInfo(
        "pictures/s", SPEED, "higher", 1, "the network alone, one picture a call, with the way to its device and back"
    ),
}


def metric_info(name: str) -> MetricInfo:
    """Return the description of a metric; of an unknown one its name alone."""
    return METRIC_INFO.get(name) or MetricInfo(name, OTHER, "none", 4, "")


def by_group(names: Iterable[str]) -> dict[str, list[str]]:
    """Group metrics, in the order of :data:`GROUPS` and :data:`METRIC_INFO`."""
    order = {name: index for index, name in enumerate(METRIC_INFO)}
    known = sorted(dict.fromkeys(names), key=lambda name: order.get(name, len(order)))
    groups = {group: [name for name in known if metric_info(name).group == group] for group in GROUPS}
    return {group: members for group, members in groups.items() if members}


def rows_to_print(rows: Mapping[str, Figured], metrics: Iterable[str]) -> dict[str, Figured]:
    """Return all rows, except those under a condition that have none of these metrics."""
    wanted = set(metrics)
    return {name: row for name, row in rows.items() if OVER_CLEAN not in row or wanted & row.keys()}


def format_figure(name: str, figure: float | None) -> str:
    """Format a figure for tables; None, which stands for infinity, as ∞."""
    return "∞" if figure is None else f"{figure:z.{metric_info(name).digits}f}"  # z: no -0.00
