"""Evaluate films: clips through the stages of the pipeline, measured beside the rows "grey" and "truth"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tqdm import tqdm

from vidcolor.errors import InputError
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Predictor
from vidcolor.motion.flow import to_levels
from vidcolor.options import ColorizeOptions
from vidcolor_training.evaluation.clip_versions import SLOW_EVERY, Version, color_versions, label, row_names
from vidcolor_training.evaluation.color_clips import ColorClip, find_films, read_colored_clip
from vidcolor_training.evaluation.film_degradation import FilmDegradation, degrade_clip
from vidcolor_training.evaluation.hues import HueCounts
from vidcolor_training.evaluation.report import EvaluationReport, Figures
from vidcolor_training.evaluation.side_by_side import Exhibit, choose, make_exhibit, publish
from vidcolor_training.evaluation.video_metrics import (
    CDC_FRAMES,
    DRIFT_FRAMES,
    DRIFT_WINDOW,
    MIN_VISIBLE,
    cdc,
    drift,
    match_frames,
    pairs_at,
    warp_error,
)
from vidcolor_training.evaluation.video_table import figures_of_set, gaps_in, over_truth, table

MAX_FRAMES = 240
DEFAULT_SETTINGS: Mapping[str, ColorizeOptions] = {"": ColorizeOptions(), "raw": ColorizeOptions(smoothing=0)}
"""Suffix of a colorizer's name in its rows, and the options for them."""
NOTES = (
    "clips are measured at render size, on their first frames up to max_frames",
    "figures of a row are means over clips; *_over_truth are ratios of these means, speeds are over all frames",
    f"ssim, ciede2000, ab_overlap and hues: every {SLOW_EVERY}th frame",
    "warp_ab_8 and _24: pairs from every 3rd frame on; other figures: all frames",
    "ab is measured as the temporal stage gives it, before any limit to the gamut; cdc and warp_rgb on 8-bit frames",
    "warp errors: mean square over pixels and channels, ab in Lab units, R'G'B' in [0, 1], along the flow of the true "
    f"luma; pairs with less than {MIN_VISIBLE:.0%} of the picture matched do not count; no pair crosses a cut",
    f"drift: RMS wander of a shot's mean a and b in Lab units, after a mean over {DRIFT_WINDOW} frames",
    "network_ms, temporal_ms: for each frame of the film; network_share: frames that went through the network",
)


def _ab(version: Version, t: int) -> FloatArray:
    return np.asarray(version.ab[t])


def _rgb(version: Version, t: int) -> FloatArray:
    return np.asarray(np.moveaxis(version.shown[t], -1, 0).astype(np.float32, order="C") / np.float32(255))


@dataclass(frozen=True)
class Motion:
    """Pairs of frames to compare along the motion: ``gap`` frames apart, beginning at every ``every``-th.

    ``figures``: name of each warp error, and the planes (C, h, w) that it compares.
    """

    gap: int
    every: int
    figures: Mapping[str, Callable[[Version, int], FloatArray]]


MOTIONS = (
    Motion(1, 1, {"warp_ab": _ab, "warp_rgb": _rgb}),
    Motion(8, 3, {"warp_ab_8": _ab}),
    Motion(24, 3, {"warp_ab_24": _ab}),
)
"""Flicker, and slow drift. Every 3rd: again no multiple of the distance of anchors."""

Errors = dict[str, dict[int, float]]
"""Errors by row and by the earlier frame of each pair."""


def evaluate_video(
    sources: Sequence[Path],
    colorizers: Mapping[str, Predictor],
    folder: Path,
    *,
    size: int = 256,
    settings: Mapping[str, ColorizeOptions] | None = None,
    max_frames: int = MAX_FRAMES,
    wear: FilmDegradation | None = None,
) -> EvaluationReport:
    """Color films made grey, as the film pipeline does, and measure them.

    The rows are "grey", each colorizer under each of ``settings`` ("NAME SUFFIX"; by default the defaults of the
    command line, and "raw": every frame through the network, no smoothing), and "truth". The same input gives the same
    figures, speeds apart. Films that are damaged or have no color are listed in ``left_out``.

    Args:
        sources: Films in color, or folders of them.
        colorizers: Colorizers by the names of their rows.
        folder: The folder of the report; ``players/`` and ``strips/`` are written there.
        size: Short side of the render size; the one in ``settings`` is ignored.
        settings: Options by the suffixes of row names.
        max_frames: Frames of each clip; they are in memory in every version.
        wear: The degradation of the films before they are colored, or None.

    Raises:
        InputError: a folder holds no film, or no film can be measured.
        OptionError: two rows would have the same name.
    """
    settings = settings or DEFAULT_SETTINGS
    row_names(colorizers, settings)
    films = find_films(sources)
    folder.mkdir(parents=True, exist_ok=True)
    watched = [label(name, next(iter(settings))) for name in colorizers] or ["truth"]
    items: dict[str, dict[str, Figures]] = {}
    hues: dict[str, HueCounts] = defaultdict(HueCounts.empty)
    clips: dict[str, dict[str, Any]] = {}
    exhibits: list[Exhibit] = []
    left_out: dict[str, str] = {}
    with TemporaryDirectory(dir=folder) as drafts:
        for name, path in tqdm(films.items(), desc="evaluate", unit="film", mininterval=5):
            try:
                clip = read_colored_clip(path, name=name, size=size, max_frames=max_frames)
            except InputError as exc:
                left_out[name] = str(exc).removeprefix(f"{path}: ")
                continue
            clip = clip if wear is None else degrade_clip(clip, wear)
            versions = color_versions(clip, colorizers, settings)
            errors = measure_motion(clip, versions)
            for row, figures in clip_figures(clip, versions, errors).items():
                items.setdefault(row, {})[name] = figures
                hues[row] += versions[row].hues
            clips[name] = describe(clip)
            exhibits.append(exhibit(Path(drafts), clip, versions, errors["warp_ab"], watched))
        if not clips:
            (first, reason) = next(iter(left_out.items()))
            raise InputError(f"expected color films, found none that can be measured; {first}: {reason}")
        shown = [publish(chosen, folder) for chosen in choose(exhibits)]
    means = table(items, {name: clip["frames"] for name, clip in clips.items()})
    of_set = figures_of_set(items, hues)
    return EvaluationReport(
        kind="video",
        rows={row: {**means[row], **of_set[row]} for row in items},
        items=items,
        about={
            "size": size,
            "max_frames": max_frames,
            "wear": None if wear is None else asdict(wear),
            "settings": {label("NAME", suffix): in_words(options) for suffix, options in settings.items()},
            "clips": clips,
            "notes": list(NOTES),
        },
        not_measured=gaps_in(items["truth"]),
        left_out=left_out,
        pictures=[(shown_clip.strip, shown_clip.caption) for shown_clip in shown],
        players=[(shown_clip.player, shown_clip.caption) for shown_clip in shown],
    )


def in_words(options: ColorizeOptions) -> dict[str, float | str]:
    """Return the options that affect the figures."""
    spacing = "by motion" if options.anchor_spacing is None else options.anchor_spacing
    return {"smoothing": options.smoothing, "anchor_spacing": spacing, "saturation": options.saturation}


def describe(clip: ColorClip) -> dict[str, Any]:
    """Describe the measured part of a film."""
    frames, height, width, _ = clip.true.shape
    return {"frames": frames, "size": [width, height], "rate": str(clip.rate), "shots": [len(s) for s in clip.shots]}


def measure_motion(clip: ColorClip, versions: Mapping[str, Version]) -> dict[str, Errors]:
    """Compute the warp errors of all rows along the same flow: figure → row → earlier frame → error."""
    levels = [to_levels(grey) for grey in clip.grey]
    errors: dict[str, Errors] = {}
    for motion in MOTIONS:
        errors |= {figure: {row: {} for row in versions} for figure in motion.figures}
        for match in match_frames(levels, pairs_at(motion.gap, clip.shots, every=motion.every)):
            for figure, planes in motion.figures.items():
                for row, version in versions.items():
                    error = warp_error(planes(version, match.earlier), planes(version, match.later), match)
                    if error is not None:
                        errors[figure][row][match.earlier] = error
    return errors


def clip_figures(clip: ColorClip, versions: Mapping[str, Version], errors: Mapping[str, Errors]) -> dict[str, Figures]:
    """Return all figures of a clip, by row, except those that it is too short or moves too much for."""
    rows = {row: dict(version.figures) for row, version in versions.items()}
    longest = max(map(len, clip.shots))
    for row, version in versions.items():
        rows[row] |= {
            figure: float(np.mean([*by_row[row].values()])) for figure, by_row in errors.items() if by_row[row]
        }
        if longest >= CDC_FRAMES:
            rows[row]["cdc"] = cdc(version.shown, clip.shots)
        if longest >= DRIFT_FRAMES:
            rows[row]["drift"] = drift(version.ab.mean(axis=(2, 3), dtype=np.float64), clip.shots)
    return {row: figures | over_truth(figures, rows["truth"]) for row, figures in rows.items()}


def exhibit(
    folder: Path, clip: ColorClip, versions: Mapping[str, Version], flicker: Errors, watched: Sequence[str]
) -> Exhibit:
    """Write the clip's film and strip; the strip shows where the first of ``watched`` flickers most above the truth."""
    errors = flicker[watched[0]]
    worst = max(errors, key=lambda t: errors[t] - flicker["truth"][t], default=0)
    score = float(np.mean([*errors.values()])) if errors else 0.0
    shown = {row: version.shown for row, version in versions.items()}
    return make_exhibit(folder, clip, shown, watched, flicker=score, worst=worst)
