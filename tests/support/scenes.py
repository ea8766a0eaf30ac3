"""Scenes in motion whose color is known, as the temporal stage takes them."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from vidcolor.frames import Frame, Picture

SIZE = (96, 128)


def moving_scene(seed: int, length: int, *, speed: float = 3.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Grey and true ab of a camera panning over colored shapes."""
    rng = np.random.default_rng(seed)
    width = SIZE[1] + int(speed * length) + 1
    coarse, ab = rng.standard_normal((SIZE[0], width)), rng.standard_normal((2, SIZE[0], width))
    world = [cv2.GaussianBlur(plane.astype(np.float32), (0, 0), 3) for plane in (coarse, *ab)]
    world = [plane / plane.std() for plane in world]
    views = []
    for index in range(length):
        place = np.float64([[1, 0, -speed * index], [0, 1, 0]])
        grey, a, b = (cv2.warpAffine(plane, place, SIZE[::-1]) for plane in world)
        views.append((np.clip(0.5 + grey / 5, 0, 1), 20 * np.stack((a, b))))
    return views


def shot(views, *, every: int = 1, start: int = 0) -> list[Frame]:
    """Frames of one shot with ab on its anchors."""
    nothing = np.zeros((1, 1), np.uint8)
    frames = []
    for index, (grey, ab) in enumerate(views):
        is_anchor = index % every == 0 or index == len(views) - 1
        picture = Picture(start + index, 1, nothing)
        frames.append(Frame(picture, grey, index == 0, is_anchor=is_anchor, ab=ab if is_anchor else None))
    return frames


def with_noise(frames: list[Frame], sigma: float) -> list[Frame]:
    """Blobs of noise on ab, new ones in each frame: what flicker is like."""
    rng = np.random.default_rng(9)
    noisy = []
    for frame in frames:
        blobs = cv2.resize(rng.normal(0, sigma, (6, 8, 2)).astype(np.float32), SIZE[::-1])
        noisy.append(replace(frame, ab=frame.ab + np.moveaxis(blobs, -1, 0)))
    return noisy


def relative_error(frames, views) -> float:
    """Energy of the error of ab over the energy of true ab."""
    error = sum(float(np.square(frame.ab - ab).sum()) for frame, (_, ab) in zip(frames, views, strict=True))
    return error / sum(float(np.square(ab).sum()) for _, ab in views)


def panning(seed: int, length: int, *, speed: float = 1.0) -> list[np.ndarray]:
    """A camera panning over smooth random shapes, ``speed`` pixels a frame."""
    world = np.random.default_rng(seed).standard_normal((120, 180 + int(speed * length) + 1)).astype(np.float32)
    world = cv2.GaussianBlur(world, (0, 0), 4)
    world = np.clip(0.5 + world / (5 * world.std()), 0, 1)
    return [
        cv2.warpAffine(world, np.float64([[1, 0, -speed * index], [0, 1, 0]]), (160, 120)) for index in range(length)
    ]


def frames_of(pictures: list[np.ndarray]) -> Iterator[Frame]:
    """Pictures of (h, w) as the pipeline hands them on, one time unit apart."""
    nothing = np.zeros((1, 1), np.uint8)
    for index, grey in enumerate(pictures):
        yield Frame(Picture(index, 1, nothing), grey.astype(np.float32))
