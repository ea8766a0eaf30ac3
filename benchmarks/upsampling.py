"""Compare methods to enlarge chroma from render size with the true chroma of color films.

    python -m benchmarks.upsampling FILM... [--render-size 256] [--every 24] [--sheet SHEET.png]

The true colors of each film are reduced to render size, become Cb and Cr there, and are enlarged again to the film's
chroma size. Prints, for each method, the mean square error in code values of 8 bits, over that of bilinear, and the
time; SHEET shows a piece of each film's first frame in every method's colors.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from vidcolor.color.chroma import ab_to_chroma, channel_offsets, resize, upsample
from vidcolor.color.chroma_table import chroma_table
from vidcolor.color.luma import expand_range, resize_plane, stored_render_size
from vidcolor.color.luma_weights import luma_weights
from vidcolor.frames import ChromaFormat, FloatArray, VideoSpec
from vidcolor.media.pixel_formats import luma_layout, plane_view
from vidcolor.media.probe import choose_video, video_spec
from vidcolor_training.evaluation.color_clips import split_lab, true_colors

SHEET_SIDE = 192


@dataclass(frozen=True)
class UpsamplingCase:
    """A frame: Cb and Cr at render size (2, h, w) with the grey, and the true ones (2, H, W) with the luma."""

    small: FloatArray
    small_grey: FloatArray
    true: FloatArray
    luma: FloatArray
    spec: VideoSpec
    layout: ChromaFormat


def cases(film: Path, render_size: int, every: int) -> Iterator[UpsamplingCase]:
    """Yield every ``every``-th frame of a film in upright 8-bit 4:2:0."""
    with av.open(film) as container:
        stream = choose_video(container, film)
        spec = None
        for number, frame in enumerate(container.decode(stream)):
            if number % every:
                continue
            spec = spec or video_spec(stream, frame, container)
            if frame.format.name not in ("yuv420p", "yuvj420p") or spec.rotation:
                raise SystemExit(f"{film}: expected upright 8-bit 4:2:0, found {frame.format.name}")
            grey, ab = split_lab(true_colors(frame, spec, stored_render_size(spec, render_size))[None])
            width, height = -(-spec.width // 2), -(-spec.height // 2)
            layout = ChromaFormat(
                width=width, height=height, bit_depth=8, subsampling_x=2, subsampling_y=2, siting="left"
            )
            planes = np.stack([plane_view(plane, 8) for plane in frame.planes[1:]]).astype(np.float32)
            scale = 255 if spec.full_range else 224
            luma = plane_view(frame.planes[0], luma_layout(frame.format).bit_depth)
            yield UpsamplingCase(
                ab_to_chroma(grey[0], ab[0], chroma_table(luma_weights(spec))),
                grey[0],
                (planes - 128) / np.float32(scale),
                sited(expand_range(resize_plane(luma, (spec.width, height)), spec)),
                spec,
                layout,
            )


def sited(luma: FloatArray) -> FloatArray:
    """Filter luma (H, 2 W) to the positions of chroma columns, which lie on the first of two."""
    across, down = np.array([0.25, 0.5, 0.25], np.float32), np.array([1], np.float32)
    return np.asarray(cv2.sepFilter2D(luma, -1, across, down), np.float32)[:, ::2]


def large(plane: FloatArray, case: UpsamplingCase, interpolation: int) -> FloatArray:
    """Enlarge a small plane (h, w) to chroma size without luma."""
    return resize(plane, (case.spec.width, case.layout.height), interpolation)[:, ::2]


def plain(interpolation: int) -> Callable[[UpsamplingCase], FloatArray]:
    """Return the method of :func:`large` alone."""
    return lambda case: np.stack([large(plane, case, interpolation) for plane in case.small])


def ours(case: UpsamplingCase) -> FloatArray:
    """Enlarge as vidcolor does."""
    return upsample(case.small, case.spec, case.layout)


def guided(radius: int, epsilon: float) -> Callable[[UpsamplingCase], FloatArray]:
    """Return the guided filter (He & Sun 2015): chroma as a local linear function of luma, fitted at render size."""

    def mean(plane: FloatArray) -> FloatArray:
        return np.asarray(cv2.blur(plane, (2 * radius + 1, 2 * radius + 1)))

    def method(case: UpsamplingCase) -> FloatArray:
        guide = case.small_grey
        guide_mean = mean(guide)
        variance = mean(guide * guide) - guide_mean**2
        planes = []
        for plane in case.small:
            slope = (mean(guide * plane) - guide_mean * mean(plane)) / (variance + np.float32(epsilon))
            offset = mean(plane) - slope * guide_mean
            slope, offset = (large(mean(part), case, cv2.INTER_LINEAR) for part in (slope, offset))
            planes.append(slope * case.luma + offset)
        return np.stack(planes)

    return method


def joint_bilateral(
    sigma_luma: float, sigma_place: float = 0.7, radius: int = 2
) -> Callable[[UpsamplingCase], FloatArray]:
    """Return joint bilateral upsampling (Kopf et al. 2007): neighbors weighted by distance and similarity of luma.

    ``sigma_luma`` in [0, 1]; ``sigma_place`` and ``radius`` in small pixels.
    """

    def method(case: UpsamplingCase) -> FloatArray:
        height, width = case.luma.shape
        h, w = case.small_grey.shape
        y = (np.arange(height, dtype=np.float32) + 0.5) * np.float32(h / height) - 0.5
        x = (np.arange(width, dtype=np.float32) + 0.25) * np.float32(w / width) - 0.5  # on the first of two columns
        near_y, near_x = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
        total = np.zeros((2, height, width), np.float32)
        weights = np.full((height, width), 1e-6, np.float32)
        for dy in range(-radius, radius + 1):
            rows = np.clip(near_y + dy, 0, h - 1)
            by_row = np.exp(-np.square(near_y + dy - y) / (2 * sigma_place**2)).astype(np.float32)
            for dx in range(-radius, radius + 1):
                columns = np.clip(near_x + dx, 0, w - 1)
                by_column = np.exp(-np.square(near_x + dx - x) / (2 * sigma_place**2)).astype(np.float32)
                unlike = case.small_grey[rows][:, columns] - case.luma
                weight = np.exp(-np.square(unlike) / np.float32(2 * sigma_luma**2)) * by_row[:, None] * by_column
                total += weight * case.small[:, rows][:, :, columns]
                weights += weight
        return np.asarray(total / weights)

    return method


METHODS: dict[str, Callable[[UpsamplingCase], FloatArray]] = {
    "nearest": plain(cv2.INTER_NEAREST),
    "bilinear": plain(cv2.INTER_LINEAR),
    "bicubic": plain(cv2.INTER_CUBIC),
    "vidcolor": ours,
    "guided, radius 2, 1e-3": guided(2, 1e-3),
    "guided, radius 1, 1e-3": guided(1, 1e-3),
    "guided, radius 1, 1e-2": guided(1, 1e-2),
    "joint bilateral, .02": joint_bilateral(0.02),
    "joint bilateral, .05": joint_bilateral(0.05),
    "joint bilateral, .1": joint_bilateral(0.1),
    "joint bilateral, .3": joint_bilateral(0.3),
}


def shown(case: UpsamplingCase, chroma: FloatArray) -> FloatArray:
    """Return the middle of the frame at chroma size, BGR, 0 to 255."""
    offsets = channel_offsets(chroma, luma_weights(case.spec))
    rgb = np.clip(np.stack([case.luma + offset for offset in offsets], axis=-1), 0, 1)
    top, left = (max(0, (side - SHEET_SIDE) // 2) for side in rgb.shape[:2])
    return np.asarray(np.rint(rgb[top : top + SHEET_SIDE, left : left + SHEET_SIDE, ::-1] * 255))


def main() -> None:
    """Print errors and times of all methods, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--render-size", type=int, default=256)
    parser.add_argument("--every", type=int, default=24)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    errors: dict[str, list[float]] = {name: [] for name in METHODS}
    seconds = dict.fromkeys(METHODS, 0.0)
    rows = []
    frames = 0
    for film in arguments.films:
        of_film: dict[str, list[float]] = {name: [] for name in METHODS}
        for number, case in enumerate(cases(film, arguments.render_size, arguments.every)):
            frames += 1
            strip = [shown(case, case.true)]
            for name, method in METHODS.items():
                started = time.perf_counter()
                chroma = method(case)
                seconds[name] += time.perf_counter() - started
                of_film[name].append(float(np.square(255 * (chroma - case.true)).mean()))
                strip.append(shown(case, chroma))
            if number == 0 and min(strip[0].shape[:2]) == SHEET_SIDE:
                rows.append(np.concatenate(strip, axis=1))
        for name, found in of_film.items():
            errors[name].append(float(np.mean(found)))
    base = float(np.mean(errors["bilinear"]))
    print(f"{len(arguments.films)} films, {frames} frames; error: mean over films")
    for name, found in errors.items():
        worst = max(a / b for a, b in zip(found, errors["bilinear"], strict=True))
        print(
            f"{name:28s} {np.mean(found):7.2f}  {np.mean(found) / base:5.2f} of bilinear  worst film {worst:5.2f}"
            f"  {1000 * seconds[name] / frames:6.1f} ms"
        )
    if arguments.sheet and rows:
        cv2.imwrite(str(arguments.sheet), np.concatenate(rows).astype(np.uint8))


if __name__ == "__main__":
    main()
