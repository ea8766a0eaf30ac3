"""Scenes in motion whose color is known, as the motion stages take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from vidcolor.frames import FloatArray, Frame, Picture
from vidcolor.motion.shots import structure_change, thumbnail, thumbnail_flow

SIZE = (96, 128)
"""(height, width) of :func:`moving_scene`."""

View = tuple[FloatArray, FloatArray]
"""Grey (h, w) in [0, 1] and true ab (2, h, w) of one frame."""


def moving_scene(seed: int, length: int, *, speed: float = 3.0) -> list[View]:
    """Return the views of a camera that pans over colored shapes, ``speed`` pixels a frame."""
    rng = np.random.default_rng(seed)
    width = SIZE[1] + int(speed * length) + 1
    coarse, colors = rng.standard_normal((SIZE[0], width)), rng.standard_normal((2, SIZE[0], width))
    world = [blurred(plane.astype(np.float32), 3) for plane in (coarse, *colors)]
    world = [plane / plane.std() for plane in world]
    views: list[View] = []
    for index in range(length):
        grey, a, b = (shifted(plane, speed * index, SIZE) for plane in world)
        views.append((np.clip(0.5 + grey / 5, 0, 1, dtype=np.float32), 20 * np.stack((a, b))))
    return views


def panning(seed: int, length: int, *, speed: float = 1.0) -> list[FloatArray]:
    """Return (120, 160) greys of a camera that pans over smooth random shapes, ``speed`` pixels a frame."""
    world = np.random.default_rng(seed).standard_normal((120, 180 + int(speed * length) + 1)).astype(np.float32)
    world = blurred(world, 4)
    world = np.clip(0.5 + world / (5 * world.std()), 0, 1)
    return [shifted(world, speed * index, (120, 160)) for index in range(length)]


def blurred(plane: FloatArray, sigma: float) -> FloatArray:
    """Blur (h, w) by a Gaussian."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def shifted(world: FloatArray, left: float, size: tuple[int, int]) -> FloatArray:
    """Return the part of (h, w) that a camera of ``size`` (height, width) sees from ``left`` pixels on."""
    place = np.array([[1, 0, -left], [0, 1, 0]], np.float64)
    return np.asarray(cv2.warpAffine(world, place, size[::-1]), np.float32)


def with_loss(scene: FloatArray, loss: float) -> FloatArray:
    """Return (h, w) ``scene`` with so much of another one mixed in that its structure loss (0 to 1) is ``loss``."""
    other, small, estimator = panning(99, 1)[0], thumbnail(scene), thumbnail_flow()
    less, more = np.float32(0), np.float32(1)
    for _ in range(20):
        share = (less + more) / 2
        mixed = (1 - share) * scene + share * other
        is_less = structure_change(small, thumbnail(mixed), 0.0, estimator) < loss
        less, more = (share, more) if is_less else (less, share)
    return mixed


def shot(views: Sequence[View], *, every: int = 1, start: int = 0) -> list[Frame]:
    """Return the frames of one shot, with ab on its anchors: every n-th frame and the last."""
    nothing = np.zeros((1, 1), np.uint8)
    frames = []
    for index, (grey, ab) in enumerate(views):
        is_anchor = index % every == 0 or index == len(views) - 1
        picture = Picture(start + index, 1, nothing)
        frames.append(Frame(picture, grey, index == 0, is_anchor=is_anchor, ab=ab if is_anchor else None))
    return frames


def with_noise(frames: Sequence[Frame], sigma: float) -> list[Frame]:
    """Add blobs of noise to ab, new ones in each frame, as flicker does."""
    rng = np.random.default_rng(9)
    noisy = []
    for frame in frames:
        blobs = cv2.resize(rng.normal(0, sigma, (6, 8, 2)).astype(np.float32), SIZE[::-1])
        noisy.append(replace(frame, ab=ab_of(frame) + np.moveaxis(blobs, -1, 0)))
    return noisy


def relative_error(frames: Sequence[Frame], views: Sequence[View]) -> float:
    """Return the energy of the error of ab over the energy of true ab."""
    error = sum(float(np.square(ab_of(frame) - ab).sum()) for frame, (_, ab) in zip(frames, views, strict=True))
    return error / sum(float(np.square(ab).sum()) for _, ab in views)


def ab_of(frame: Frame) -> FloatArray:
    """Return the ab of a frame that must have it."""
    assert frame.ab is not None
    return frame.ab


def frames_of(pictures: Sequence[FloatArray]) -> Iterator[Frame]:
    """Yield frames of these greys (h, w) as the pipeline does, one time unit apart."""
    nothing = np.zeros((1, 1), np.uint8)
    for index, grey in enumerate(pictures):
        yield Frame(Picture(index, 1, nothing), grey.astype(np.float32))
