"""Metrics of films: unwanted changes of color over time, as functions of arrays. No pair of frames crosses a cut.

Color distribution consistency and drift ignore motion, so they are not zero for a true film, and a moving camera raises
them. The warp error follows the motion, along a flow estimated on the *true luma*, so that all rows of a table are
measured at the same pixels. Compare all of them with the truth's own figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

from vidcolor.frames import FloatArray, Levels
from vidcolor.motion.flow import flow_to, pixel_grid, warp
from vidcolor_training.evaluation.color_clips import Pictures

Floats = npt.NDArray[np.float64]
Shots = Sequence[range]

CDC_STRIDES = (1, 2, 4)
CDC_FRAMES = max(CDC_STRIDES) + 1
"""A shot this long has pairs at every stride."""
MIN_VISIBLE = 0.5
"""Share of the picture that must be matched for a pair of frames to count. Below, the flow has lost its way, and what
it still calls visible are chance matches: there the truth's own error rises a hundredfold."""
DRIFT_WINDOW = 8
"""Frames that are averaged before drift is measured: flicker faster than this is not drift."""
DRIFT_FRAMES = 24
"""Shorter shots have no time to drift."""


def cdc(frames: Pictures, shots: Shots | None = None) -> float:
    """Color distribution consistency (Liu et al. 2021, TCVC): lower is steadier; natural logarithm, not × 1000.

    For each of R, G, B: histograms of 256 bins; the Jensen–Shannon divergence of frames t and t + d, mean over t; mean
    of the strides d = 1, 2, 4; mean of the channels. Never zero for a true film; grey scores well, since only its luma
    changes.

    Args:
        frames: uint8 (T, h, w, 3).
        shots: pairs across a cut do not count; None: a single shot, which is the published definition.

    Raises:
        ValueError: no shot of at least 5 frames.
    """
    shots = shots or (range(len(frames)),)
    if max(map(len, shots)) < CDC_FRAMES:
        raise ValueError(f"expected a shot of at least {CDC_FRAMES} frames, got {[len(shot) for shot in shots]}")
    histogram = np.stack([_histograms(frame) for frame in frames])
    return float(np.mean([_mean_divergence(histogram, shots, stride) for stride in CDC_STRIDES]))


def _histograms(frame: Pictures) -> Floats:
    """Return the histograms (3, 256) of a frame (h, w, 3), as shares."""
    counts = [np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(frame, -1, 0)]
    return np.stack(counts) / frame[..., 0].size


def _mean_divergence(histogram: Floats, shots: Shots, stride: int) -> float:
    earlier = [t for t, _ in pairs_at(stride, shots)]
    return float(jensen_shannon(histogram[earlier], histogram[np.add(earlier, stride)]).mean())


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Compute the divergence of distributions along the last axis, natural logarithm: 0 equal, log 2 disjoint."""
    middle = (p + q) / 2
    return np.asarray((rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / 2)


def pairs_at(gap: int, shots: Shots, *, every: int = 1) -> list[tuple[int, int]]:
    """Return pairs of frames ``gap`` apart within a shot, starting at every ``every``-th frame of it."""
    return [(t, t + gap) for shot in shots for t in shot[: -gap or None][::every]]


@dataclass(frozen=True)
class Match:
    """The motion from one frame to a later one.

    ``flow``: float32 (h, w, 2), x and y from each pixel of ``earlier`` to its place in ``later``. ``visible``: bool
    (h, w), where that can be trusted.
    """

    earlier: int
    later: int
    flow: FloatArray
    visible: npt.NDArray[np.bool_]


def match_frames(levels: Sequence[Levels], pairs: Sequence[tuple[int, int]]) -> Iterator[Match]:
    """Match pairs of frames of the true film by their grey levels, uint8 (h, w): dense inverse search, medium preset.

    The temporal stage estimates its flow with another preset: the metric must not use the flow that it measures.
    """
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for earlier, later in pairs:
        forward = flow_to(levels[later], levels[earlier], estimator)
        backward = flow_to(levels[earlier], levels[later], estimator)
        yield Match(earlier, later, forward, visible(forward, backward))


def visible(forward: FloatArray, backward: FloatArray) -> npt.NDArray[np.bool_]:
    """Return the pixels without occlusion or motion edge, as Lai et al. (2018) compute them after Ruder et al. (2016).

    With w the flow (h, w, 2) from here, and w' the one back, brought here: occluded where
    |w + w'|² > 0.01 (|w|² + |w'|²) + 0.5, a motion edge where |∇u|² + |∇v|² > 0.01 |w|² + 0.002. Beyond them, what
    leaves the picture is not visible either: a steady pan would pass the first test there.
    """
    back = np.moveaxis(warp(np.moveaxis(backward, -1, 0).copy(), forward), 0, -1)
    length = _squared(forward)
    occluded = _squared(forward + back) > 0.01 * (length + _squared(back)) + 0.5
    motion_edge = _squared_gradient(forward) > 0.01 * length + 0.002
    return ~(occluded | motion_edge | _leaves(forward))


def _squared(flow: FloatArray) -> FloatArray:
    return np.asarray(np.square(flow).sum(axis=-1))


def _squared_gradient(flow: FloatArray) -> FloatArray:
    """Compute |∇u|² + |∇v|² by differences of neighbors, zero at the last row and column."""
    across = np.diff(flow, axis=1, append=flow[:, -1:])
    down = np.diff(flow, axis=0, append=flow[-1:])
    return _squared(across) + _squared(down)


def _leaves(flow: FloatArray) -> npt.NDArray[np.bool_]:
    height, width = flow.shape[:2]
    places = pixel_grid(height, width) + flow
    last = np.array((width - 1, height - 1), np.float32)
    return np.asarray(((places < 0) | (places > last)).any(axis=-1))


def warp_error(earlier: FloatArray, later: FloatArray, match: Match) -> float | None:
    """Compute Σ M (warp(O_later) - O_earlier)² / Σ M over pixels and channels (Lai et al. 2018).

    M is ``match.visible``. Returns None for a mean of M below :data:`MIN_VISIBLE`. The paper takes an error of zero
    for an empty M, which would favor films that cannot be measured.

    Args:
        earlier: float32 (C, h, w): R'G'B' in [0, 1], or ab in Lab units.
        later: Likewise.
        match: The motion between them.
    """
    if match.visible.mean() < MIN_VISIBLE:
        return None
    squared = np.square(warp(later, match.flow) - earlier).mean(axis=0)
    return float(squared[match.visible].mean(dtype=np.float64))


def drift(mean_ab: Floats, shots: Shots) -> float:
    """Compute how far the mean color of the picture wanders within a shot, in Lab units.

    The mean a and b of each frame, averaged over :data:`DRIFT_WINDOW` frames to leave flicker out, then their root mean
    square distance from their own mean over the shot: √(var a + var b). Not the range, which grows with a shot's
    length. Mean of the shots of at least :data:`DRIFT_FRAMES` frames, weighted by their frames. Things that come and go
    move the true mean as well: the truth's own drift is the measure.

    Args:
        mean_ab: float64 (T, 2), the mean a and b of each frame.
        shots: The frames of each shot.

    Raises:
        ValueError: no shot is that long.
    """
    long = [shot for shot in shots if len(shot) >= DRIFT_FRAMES]
    if not long:
        raise ValueError(f"expected a shot of at least {DRIFT_FRAMES} frames, got {[len(shot) for shot in shots]}")
    wander = [_wander(mean_ab[shot.start : shot.stop]) for shot in long]
    return float(np.average(wander, weights=[len(shot) for shot in long]))


def _wander(mean_ab: Floats) -> float:
    slow = np.lib.stride_tricks.sliding_window_view(mean_ab, DRIFT_WINDOW, axis=0).mean(axis=-1)
    return float(np.sqrt(slow.var(axis=0).sum()))
