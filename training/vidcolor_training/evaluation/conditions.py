"""Conditions of the network's input: degraded, at another size or aspect, with hints.

The strengths are those of a poor copy of a film, and are the same in every report. All conditions are deterministic:
random values are seeded by the names of the condition and of the picture.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from vidcolor.color.chroma import resize
from vidcolor.frames import FloatArray
from vidcolor.networks.lab import rgb_to_lab
from vidcolor_training.data.hints import MAX_NOISE, MAX_SHIFT, NOISE_CELL, displace, hint_map, spread, true_points
from vidcolor_training.evaluation.evaluator import StillPicture

Part = tuple[slice, slice]
"""Rows and columns of a picture."""
WHOLE: Part = (slice(None), slice(None))

GRAIN = 10 / 255  # standard deviation
BLUR = 2 / 256  # standard deviation, of the side
JPEG_QUALITY = 40
BLACK, WHITE = 0.12, 0.85  # what fading leaves of 0 and 1
POINTS = 10
SHIFT, NOISE = MAX_SHIFT / 2, MAX_NOISE / 2  # half of the maximum in training, about its mean


@dataclass(frozen=True)
class NetworkInput:
    """The input of the network for a picture.

    Attributes:
        grey: float32 (h, w) in [0, 1]: ``part`` of the picture, perhaps at another size.
        hints: float32 (3, h, w), as networks take them, or None.
        part: The part of the picture that is measured.
    """

    grey: FloatArray
    hints: FloatArray | None = None
    part: Part = WHOLE


@dataclass(frozen=True)
class Condition:
    """A condition.

    Attributes:
        definition: What is done to the picture, for the report.
        apply: Returns the input for a picture; random values are drawn from the generator.
        guided: Whether the network must take hints.
    """

    definition: str
    apply: Callable[[StillPicture, Generator], NetworkInput]
    guided: bool = False


def apply_condition(name: str, picture: StillPicture) -> NetworkInput:
    """Return the input for a picture under the condition ``name``; it is deterministic."""
    seed = zlib.crc32(f"{name}\0{picture.name}".encode())
    return CONDITIONS[name].apply(picture, Generator().manual_seed(seed))


def _grain(picture: StillPicture, random: Generator) -> NetworkInput:
    noise = torch.randn(picture.grey.shape, generator=random).numpy()
    return NetworkInput((picture.grey + np.float32(GRAIN) * noise).clip(0, 1))


def _blur(picture: StillPicture, random: Generator) -> NetworkInput:
    sigma = BLUR * len(picture.grey)
    blurred = cv2.GaussianBlur(picture.grey, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return NetworkInput(np.asarray(blurred, np.float32))


def _gamma(exponent: float) -> Condition:
    return Condition(
        f"grey to the power of {exponent}", lambda picture, _: NetworkInput(picture.grey ** np.float32(exponent))
    )


def _jpeg(picture: StillPicture, random: Generator) -> NetworkInput:
    file = io.BytesIO()
    Image.fromarray(np.rint(picture.grey * 255).astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
    with Image.open(file) as image:
        return NetworkInput(np.asarray(image, np.float32) / np.float32(255))


def _fading(picture: StillPicture, random: Generator) -> NetworkInput:
    return NetworkInput(np.float32(BLACK) + picture.grey * np.float32(WHITE - BLACK))


def _size(side: int) -> Condition:
    """Return the condition of another size. Like the product, it reduces by means over areas."""

    def resized_input(picture: StillPicture, random: Generator) -> NetworkInput:
        shrinks = side <= len(picture.grey)
        resized = resize(picture.grey, (side, side), cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)
        return NetworkInput(resized.clip(0, 1))

    return Condition(
        f"grey brought to {side} × {side} (area mean or Lanczos), ab brought back (area mean or bicubic)", resized_input
    )


def _aspect(width: int, height: int) -> Condition:
    def middle_input(picture: StillPicture, random: Generator) -> NetworkInput:
        side, longer = len(picture.grey), max(width, height)
        part = (_middle(side, side * height // longer), _middle(side, side * width // longer))
        return NetworkInput(picture.grey[part], part=part)

    return Condition(
        f"the middle cut to {width}:{height} and shown alone, as wide or high as the picture; measured there",
        middle_input,
    )


def _middle(whole: int, length: int) -> slice:
    start = (whole - length) // 2
    return slice(start, start + length)


def _ten_points(picture: StillPicture, random: Generator) -> NetworkInput:
    return _guided(picture, *true_points(true_ab(picture), torch.tensor([[POINTS]]), random))


def _moved_truth(picture: StillPicture, random: Generator) -> NetworkInput:
    ab = true_ab(picture)
    moved = displace(ab, (torch.rand(1, 2, 4, 4, generator=random) * 2 - 1) * SHIFT)
    cells = (max(side // NOISE_CELL, 1) for side in ab.shape[-2:])
    noise = spread(torch.randn(1, 2, *cells, generator=random) * NOISE, ab, "bilinear")
    return _guided(picture, moved + noise, torch.ones_like(ab[:, :1]))


def _not_confident(picture: StillPicture, random: Generator) -> NetworkInput:
    ab = true_ab(picture)
    return _guided(picture, -ab, torch.zeros_like(ab[:, :1]))


def _guided(picture: StillPicture, colors: Tensor, confidence: Tensor) -> NetworkInput:
    return NetworkInput(picture.grey, hint_map(colors, confidence)[0].numpy())


def true_ab(picture: StillPicture) -> Tensor:
    """Return the true ab of a picture, float32 (1, 2, S, S), Lab units."""
    return rgb_to_lab(torch.from_numpy(picture.true).permute(2, 0, 1))[None, 1:].float()


def to_part(ab: FloatArray, picture: StillPicture, part: Part) -> FloatArray:
    """Resize predicted ab (2, h, w) to the size of a part of the picture, as the product does."""
    height, width = picture.grey[part].shape
    if ab.shape[1:] == (height, width):
        return ab
    interpolation = cv2.INTER_AREA if height <= ab.shape[1] else cv2.INTER_CUBIC
    return np.stack([resize(plane, (width, height), interpolation) for plane in ab])


CONDITIONS: Mapping[str, Condition] = {
    "grain": Condition("normal noise on every pixel, σ = 10/255", _grain),
    "blur": Condition("Gaussian, σ = 2 pixels at side 256", _blur),
    "gamma 0.8": _gamma(0.8),
    "gamma 1.2": _gamma(1.2),
    "jpeg 40": Condition("a JPEG of quality 40", _jpeg),
    "fading": Condition("black to 0.12, white to 0.85", _fading),
    "short side 192": _size(192),
    "short side 384": _size(384),
    "short side 512": _size(512),
    "4:3": _aspect(4, 3),
    "16:9": _aspect(16, 9),
    "3:4": _aspect(3, 4),
    "10 points": Condition("10 true points, means over 7 × 7 pixels at random places", _ten_points, guided=True),
    "moved truth": Condition(
        f"the true ab, displaced smoothly by up to about {SHIFT:.0%} of the side, with noise of σ = {NOISE:.0f} Lab "
        f"units in cells of {NOISE_CELL} pixels",
        _moved_truth,
        guided=True,
    ),
    "wrong hints, confidence 0": Condition(
        "the opposite of the true ab everywhere, at confidence 0", _not_confident, guided=True
    ),
}
"""In the order of a report. The L that predicted colors are joined with is always that of the undamaged picture."""
