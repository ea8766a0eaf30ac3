"""The versions of a clip: grey, colored by the stages of the pipeline, and true; each with its figures."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from vidcolor.errors import OptionError
from vidcolor.frames import FloatArray, Frame
from vidcolor.inference.colorizer import Predictor
from vidcolor.motion.shots import mark_cuts
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import color_frames
from vidcolor_training.data.batch import join_rgb
from vidcolor_training.evaluation.color_clips import ColorClip, Pictures, grey_frames
from vidcolor_training.evaluation.hues import HueCounts, count_hues
from vidcolor_training.evaluation.metrics import (
    LabPicture,
    RgbFloat,
    ciede2000,
    colorfulness,
    colorfulness_absolute,
    mse,
    psnr,
    ssim,
)
from vidcolor_training.evaluation.report import Figures

SLOW_EVERY = 5
"""SSIM, CIEDE2000 and hues are measured on every 5th frame: no multiple of the default distance of anchors, lest they
be measured on anchors alone."""


@dataclass(frozen=True)
class Version:
    """One row's rendering of a clip: ``ab`` float32 (T, 2, h, w), ``shown`` uint8 (T, h, w, 3), and its figures.

    ``hues``: counted on every :data:`SLOW_EVERY`-th frame.
    """

    ab: FloatArray
    shown: Pictures
    figures: Figures
    hues: HueCounts


@dataclass
class Stopwatch(Iterator[Frame]):
    """An iterator that measures the seconds spent in a stage and in all stages before it."""

    source: Iterator[Frame]
    seconds: float = 0.0

    def __next__(self) -> Frame:
        started = time.perf_counter()
        try:
            return next(self.source)
        finally:
            self.seconds += time.perf_counter() - started


def label(name: str, suffix: str) -> str:
    """Return the name of the row of a colorizer with one of the settings."""
    return f"{name} {suffix}".strip()


def row_names(colorizers: Collection[str], settings: Collection[str]) -> list[str]:
    """Return the names of all rows of a table, in order.

    Raises:
        OptionError: Two rows would have the same name.
    """
    rows = ["grey", *(label(name, suffix) for name in colorizers for suffix in settings), "truth"]
    twice = next((row for row in rows if rows.count(row) > 1), None)
    if twice is not None:
        raise OptionError(f"expected rows of different names, found {twice!r} twice; rename one of the weights")
    return rows


def color_versions(
    clip: ColorClip, colorizers: Mapping[str, Predictor], settings: Mapping[str, ColorizeOptions]
) -> dict[str, Version]:
    """Return the versions of a clip by row: grey, each colorizer with each of the settings, truth."""
    neutral = (np.repeat(grey[..., None], 3, axis=2).astype(np.float64) for grey in clip.grey)
    versions = {"grey": make_version(clip, np.zeros_like(clip.ab), neutral)}
    for name, colorizer in colorizers.items():
        for suffix, options in settings.items():
            ab, speeds = color(clip, colorizer, options)
            version = make_version(clip, ab, map(join, clip.grey, ab))
            version.figures.update(speeds)
            versions[label(name, suffix)] = version
    versions["truth"] = make_version(clip, clip.ab, (picture / 255 for picture in clip.true))
    return versions


def color(clip: ColorClip, colorizer: Predictor, options: ColorizeOptions) -> tuple[FloatArray, Figures]:
    """Color a clip with the stages of the pipeline; return ab float32 (T, 2, h, w), and the speeds."""
    colorizer.predict(clip.seen[:1].repeat(colorizer.batch_size, axis=0))  # the first call plans the network's work
    watches: dict[str, Stopwatch] = {}

    def stage(name: str, frames: Iterator[Frame]) -> Iterator[Frame]:
        watches[name] = Stopwatch(frames)
        return watches[name]

    pictures = grey_frames(clip.seen)
    shots = mark_cuts(pictures)
    frames = list(color_frames(shots, colorizer, options.smoothing, options.anchor_spacing, stage=stage))
    decode, generator, temporal = (watches[name].seconds for name in ("decode", "generator", "temporal"))
    speeds = {
        "network_share": float(np.mean([frame.is_anchor for frame in frames])),
        "network_ms": 1000 * (generator - decode) / len(frames),
        "temporal_ms": 1000 * (temporal - generator) / len(frames),
        "frames_per_second": len(frames) / (temporal - decode),
    }
    ab = np.stack([frame.ab for frame in frames if frame.ab is not None])
    return ab * np.float32(options.saturation), speeds


def make_version(clip: ColorClip, ab: FloatArray, pictures: Iterable[RgbFloat]) -> Version:
    """Return the version made of ``pictures``, rounded to 8 bits, and its figures against the true ones."""
    shown = np.empty_like(clip.true)
    found: dict[str, list[float]] = {}
    hues = HueCounts.empty()
    for t, rgb in enumerate(pictures):
        shown[t] = np.rint(rgb * 255)
        pred, true = LabPicture(rgb), LabPicture(clip.true[t] / 255)
        figures = measure_frame(pred, true)
        if t % SLOW_EVERY == 0:
            figures |= measure_slowly(pred, true)
            hues += count_hues(pred.lab[..., 1:], true.lab[..., 1:])
        for name, figure in figures.items():
            found.setdefault(name, []).append(figure)
    return Version(ab, shown, {name: float(np.mean(values)) for name, values in found.items()}, hues)


def measure_frame(pred: LabPicture, true: LabPicture) -> Figures:
    """Return the figures that every frame gets."""
    return {
        "mse": mse(pred.rgb, true.rgb),
        "psnr": psnr(pred.rgb, true.rgb),
        "colorfulness": colorfulness(pred.rgb),
        "colorfulness_absolute": colorfulness_absolute(pred.rgb),
    }


def measure_slowly(pred: LabPicture, true: LabPicture) -> Figures:
    """Return the figures that every :data:`SLOW_EVERY`-th frame gets."""
    return {"ssim": ssim(pred.rgb, true.rgb), "ciede2000": ciede2000(pred.lab, true.lab)}


def join(grey: FloatArray, ab: FloatArray) -> RgbFloat:
    """Join grey (h, w) and ab (2, h, w) to R'G'B' (h, w, 3), clipped to [0, 1]."""
    rgb = join_rgb(torch.from_numpy(grey)[None, None], torch.from_numpy(ab)[None])[0]
    picture: RgbFloat = rgb.clamp(0, 1).permute(1, 2, 0).double().numpy()
    return picture
