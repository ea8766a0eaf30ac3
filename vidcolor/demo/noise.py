"""Noise textures and clouds for the shots of the demo film. Levels are float32, 0 (black) to 1 (white)."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.frames import FloatArray

TEXTURE_SIZE = 1024
"""Side of a texture in texels."""
HORIZON = 0.40
"""Distance of the horizon from the top, as a share of the height."""
AnyFloats = npt.NDArray[np.floating[Any]]
Coordinates = AnyFloats | float


def spectral_noise(rng: np.random.Generator, size: int, exponent: float, largest: float = float("inf")) -> FloatArray:
    """Generate a tileable noise texture of zero mean and unit variance.

    Args:
        rng: source of randomness.
        size: side in texels.
        exponent: power falls as frequency^-exponent.
        largest: structure size in texels above which the power does not rise further.

    Returns:
        (size, size).
    """
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    frequency = np.hypot(fy, fx).clip(max(1 / largest, 1 / size))
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) * frequency ** (-exponent / 2)
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (size, size))
    return np.asarray(noise / noise.std(), np.float32)


def sample(texture: FloatArray, x: Coordinates, y: Coordinates) -> FloatArray:
    """Sample an infinitely repeated texture, (h, w) or (h, w, channels), at texels (x, y), bilinearly."""
    height, width = texture.shape[:2]
    columns, rows = np.broadcast_arrays(_wrap(x, width), _wrap(y, height))
    return np.asarray(cv2.remap(texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def _wrap(position: Coordinates, period: int) -> FloatArray:
    """Wrap positions into [0, period), because OpenCV's coordinates end at 32767; faster than ``np.mod``."""
    position = np.asarray(position, np.float32)
    return np.asarray(position - period * np.floor(position * np.float32(1 / period)), np.float32)


def blur_tile(texture: FloatArray, sigma: float) -> FloatArray:
    """Blur a texture by a Gaussian so that it remains tileable."""
    margin = math.ceil(4 * sigma)
    padded = cv2.GaussianBlur(np.pad(texture, margin, mode="wrap"), (0, 0), sigma)
    return np.asarray(padded[margin:-margin, margin:-margin], np.float32)


def smoothstep(low: float, high: float, x: AnyFloats) -> FloatArray:
    """Return 0 below ``low``, 1 above ``high`` and a smooth transition between."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


class CloudySky:
    """A drifting layer of cumulus clouds above flat ground, lit from the left.

    Args:
        rng: source of randomness.
        elevation: (H, W), upward slope of each pixel's ray, relative to its forward component.
        bearing: (H, W), slope to the right, likewise.
        cover: share of the sky that is clouded.
    """

    DRIFT = 5.0
    """Speed in texels per second."""

    def __init__(self, rng: np.random.Generator, elevation: FloatArray, bearing: FloatArray, cover: float) -> None:
        noise = spectral_noise(rng, TEXTURE_SIZE, 3.3, largest=170) + 0.14 * spectral_noise(rng, TEXTURE_SIZE, 1.8)
        density = (noise - np.quantile(noise, 1 - cover)).clip(0, 2).astype(np.float32)
        billows = blur_tile(density, 2.5)
        relief = billows - np.roll(billows, (5, 9), (0, 1))  # brighter where density rises away from the sun
        light = (0.93 + 0.42 * relief - 0.17 * blur_tile(density, 8)).clip(0.55, 1)
        self._clouds = np.dstack((density, light)).astype(np.float32)
        up = np.maximum(elevation, 0.004)
        self._z = (62 / (up + 0.10)).astype(np.float32)
        self._x = (self._z * bearing).astype(np.float32)
        self._haze = np.exp(-up / 0.07).astype(np.float32)
        self._clear = (0.55 + 0.27 * np.exp(-up / 0.15)).astype(np.float32)

    def render(self, seconds: float) -> FloatArray:
        """Render the sky at a time, (H, W)."""
        clouds = sample(self._clouds, self._x + np.float32(self.DRIFT * seconds), self._z)
        opacity = (1 - np.exp(-3.2 * clouds[..., 0])) * (1 - 0.97 * self._haze)
        sky = self._clear + opacity * (clouds[..., 1] - self._clear)
        return np.asarray(sky + self._haze * (0.86 - sky) * 0.8, np.float32)
