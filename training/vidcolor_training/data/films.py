"""Choose frames of films as training pictures: a few of each shot, all different, in true colors.

A film is read once, and only a few frames are in memory. Shots are found as for coloring
(:mod:`vidcolor.motion.shots`). Each stretch of a shot gives its sharpest frame, which avoids motion blur, dissolves and
flashes. Frames that are black, flat, or nearly equal to an earlier one of the film are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream

from vidcolor.color.luma import quarter_turns, shrink
from vidcolor.color.luma_weights import BT601, BT709, WEIGHTS_BY_MATRIX, luma_weights
from vidcolor.errors import InputError
from vidcolor.frames import FloatArray, Picture, VideoSpec
from vidcolor.media.pixel_formats import luma_layout, read_luma
from vidcolor.media.probe import choose_video, open_film, video_spec
from vidcolor.motion.shots import mark_cuts
from vidcolor.stills.reader import Rgb

STRETCH_SECONDS = 3.0
LUMA_SIDE = 128  # short side of the luma from which frames are chosen
DARK = 0.06  # frames with a lower mean grey level are left out
FLAT = 0.03  # frames with a lower standard deviation of the grey level are left out
HASH_SIDE = 8
NEAR_BITS = 8  # frames whose hashes differ in at most this many of 64 bits are equal
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # H.273
SCALER = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
COLORSPACES = {
    BT709: Colorspace.ITU709,
    BT601: Colorspace.ITU601,
    WEIGHTS_BY_MATRIX[4]: Colorspace.FCC,
    WEIGHTS_BY_MATRIX[7]: Colorspace.SMPTE240M,
    WEIGHTS_BY_MATRIX[9]: Colorspace.BT2020,
}


@dataclass(frozen=True)
class Shown:
    """A decoded frame and its small luma."""

    seconds: float
    frame: VideoFrame
    grey: FloatArray
    """(h, w) in [0, 1], upright."""
    opens_shot: bool


def sample_film(path: Path) -> Iterator[tuple[str, Rgb]]:
    """Yield pictures of a film in order: one for every :data:`STRETCH_SECONDS` of a shot, or for a shorter shot.

    Yields:
        A name like ``film.mp4@00:01:02.345`` and R'G'B' uint8 (H, W, 3): upright, of square pixels, in the range and
        matrix that the film states (unstated ones as in :func:`vidcolor.color.luma_weights.luma_weights`).

    Raises:
        InputError: It is no film, is HDR, or is damaged; the pictures before the damage are yielded first.
    """
    with open_film(path) as container:
        stream = choose_video(container, path)
        frames = _decode(path, container, stream)
        first = next(frames, None)
        if first is None:
            raise InputError(f"{path}: no picture in it can be decoded; is it damaged?")
        spec = video_spec(stream, first, container)
        if spec.transfer in HDR_TRANSFERS:
            raise InputError(f"{path}: is HDR ({HDR_TRANSFERS[spec.transfer]}), expected SDR; convert it first")
        for shown in distinct(sharpest(_show(chain((first,), frames), spec), STRETCH_SECONDS)):
            yield f"{path.name}@{clock(shown.seconds)}", to_rgb(shown.frame, spec)


def _decode(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    seconds = 0.0
    try:
        for frame in container.decode(stream):
            seconds = frame.time or seconds
            if not frame.is_corrupt:  # else the decoder has filled what was missing
                yield frame
    except av.FFmpegError as exc:
        raise InputError(f"{path}: damaged after {seconds:.2f} s ({exc.strerror}); use a whole copy") from exc


def _show(frames: Iterator[VideoFrame], spec: VideoSpec) -> Iterator[Shown]:
    """Yield each frame with its small luma, and whether it is the first of a shot."""
    held: deque[VideoFrame] = deque()  # mark_cuts looks a few frames ahead

    def pictures() -> Iterator[Picture]:
        for frame in frames:
            held.append(frame)
            yield Picture(frame.pts or 0, 0, read_luma(frame, luma_layout(frame.format)))

    seconds = 0.0
    for judged in mark_cuts(shrink(pictures(), spec, LUMA_SIDE)):
        frame = held.popleft()
        seconds = seconds if frame.time is None else frame.time
        yield Shown(seconds, frame, judged.grey, judged.opens_shot)


def sharpest(frames: Iterator[Shown], seconds: float) -> Iterator[Shown]:
    """Yield the sharpest frame of every stretch of ``seconds``; each shot begins a new stretch."""
    best: Shown | None = None
    best_sharpness = began = 0.0
    for shown in frames:
        if best is not None and (shown.opens_shot or shown.seconds - began >= seconds):
            yield best
            best = None
        if best is None:
            best_sharpness, began = -1.0, shown.seconds
        found = sharpness(shown.grey)
        if found > best_sharpness:
            best, best_sharpness = shown, found
    if best is not None:
        yield best


def distinct(frames: Iterator[Shown]) -> Iterator[Shown]:
    """Yield the frames that are neither blank nor nearly equal to an earlier one."""
    hashes = np.zeros((0, HASH_SIDE**2), bool)
    for shown in frames:
        if is_blank(shown.grey):
            continue
        bits = perceptual_hash(shown.grey)
        if len(hashes) == 0 or (hashes != bits).sum(axis=1).min() > NEAR_BITS:
            hashes = np.concatenate((hashes, bits[None]))
            yield shown


def sharpness(grey: FloatArray) -> float:
    """Return the variance of the Laplacian of grey (h, w) in [0, 1]."""
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def is_blank(grey: FloatArray) -> bool:
    """Return whether grey (h, w) in [0, 1] is black, or nearly all of one level."""
    return bool(grey.mean() < DARK or grey.std() < FLAT)


def perceptual_hash(grey: FloatArray) -> npt.NDArray[np.bool_]:
    """Return 64 bits of grey (h, w): which of the lowest DCT coefficients exceed their median (Zauner 2010)."""
    small = cv2.resize(grey, (4 * HASH_SIDE, 4 * HASH_SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[:HASH_SIDE, :HASH_SIDE].ravel()
    bits: npt.NDArray[np.bool_] = low > np.median(low)
    return bits


def to_rgb(frame: VideoFrame, spec: VideoSpec) -> Rgb:
    """Convert a decoded frame to R'G'B' uint8 (H, W, 3), upright, with square pixels."""
    rgb = frame.reformat(
        width=round(frame.width * (spec.sample_aspect_ratio or 1)),
        format="rgb24",
        src_colorspace=COLORSPACES[luma_weights(spec)],
        src_color_range=ColorRange.JPEG if spec.full_range else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=SCALER,
        threads=1,
    )
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), quarter_turns(spec)))


def clock(seconds: float) -> str:
    """Format a time as ``00:01:02.345``."""
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
