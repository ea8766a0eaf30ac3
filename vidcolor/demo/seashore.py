"""The second shot of the demo film: waves on a sandy beach, a headland, sun on the water.

The sea is a sum of sinusoids with the spectrum of wind waves, computed by Fourier transform for each frame (Tessendorf,
"Simulating Ocean Water", 2001). It reflects the sky by Fresnel's law (Schlick's approximation).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from vidcolor.demo.noise import HORIZON, TEXTURE_SIZE, AnyFloats, CloudySky, sample, smoothstep, spectral_noise
from vidcolor.frames import FloatArray

SHORE_CAMERA_HEIGHT = 3.6
"""Meters."""
SHORE_FOCAL_LENGTH = 1.0
"""In picture widths."""
SHORE_METERS = 14.5
"""Distance from the camera to the mean water line."""
SHORE_SLANT = 0.42
"""Meters by which the shore comes nearer per meter to the right."""
GRAVITY = 9.81

TILE_TEXELS = 256
"""Side of the tile of sea in texels."""
TILE_METERS = 48.0
"""Side of the tile of sea in meters."""
BREAKER_METERS = 11.0
"""Distance between breaking crests."""
BREAKER_SECONDS = 4.5
"""Time between breaking crests."""


class WindWaves:
    """A tile of sea whose slopes change over time."""

    def __init__(self, rng: np.random.Generator) -> None:
        k = 2 * math.pi * np.fft.fftfreq(TILE_TEXELS, TILE_METERS / TILE_TEXELS)
        self._kx, self._kz = k[None], k[:, None]
        length = np.hypot(self._kx, self._kz)
        length[0, 0] = 1
        along_wind = (0.45 * self._kx - 0.9 * self._kz) / length
        phillips = np.exp(-1 / (length * 2.2) ** 2) / length**4 * along_wind**2 * np.exp(-((length * 0.06) ** 2))
        noise = rng.standard_normal((2, TILE_TEXELS, TILE_TEXELS))
        self._start = np.sqrt(phillips) * (noise[0] + 1j * noise[1])
        self._start *= (along_wind > 0) / np.sqrt((phillips * length**2 * (along_wind > 0)).sum())
        self._frequency = np.sqrt(GRAVITY * length)

    def slopes(self, seconds: float) -> FloatArray:
        """Return the slopes to the right and forward, (TILE_TEXELS, TILE_TEXELS, 2), of unit variance in total."""
        waves = self._start * np.exp(-1j * self._frequency * seconds)
        right, forward = (np.fft.ifft2(1j * waves * k).real for k in (self._kx, self._kz))
        return (TILE_TEXELS**2 * np.dstack((right, forward))).astype(np.float32)


class Seashore:
    """The shot, with a static camera.

    Args:
        rng: source of randomness.
        height: of a frame.
        width: of a frame.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        focal = SHORE_FOCAL_LENGTH * width
        rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
        elevation = np.repeat((HORIZON * height - rows) / focal, width, 1).astype(np.float32)
        bearing = np.repeat((np.arange(width, dtype=np.float32)[None] - width / 2) / focal, height, 0)
        self._sky = CloudySky(rng, elevation, bearing, cover=0.42)
        self._waves = WindWaves(rng)
        self._rough = spectral_noise(rng, TEXTURE_SIZE, 1.9)
        self._soft = spectral_noise(rng, TEXTURE_SIZE, 3.2)
        self._headland, self._headland_opacity = paint_headland(self._rough, self._soft, elevation, bearing)
        self._top = math.ceil(HORIZON * height)  # first row of the water
        self._below = -elevation[self._top :]
        self._z = np.asarray(SHORE_CAMERA_HEIGHT / self._below, np.float32)
        self._x = np.asarray(self._z * bearing[self._top :], np.float32)
        self._prepare_shore(paint_sand(rng, self._rough, self._soft, self._x, self._z))

    def _prepare_shore(self, sand: FloatArray) -> None:
        """Compute everything that does not move."""
        x, z, rough, soft = self._x, self._z, self._rough, self._soft
        self._from_line = z - SHORE_METERS - 1.1 * sample(soft, x * 12, 300) + SHORE_SLANT * x
        wet = smoothstep(-2.6, -1.6, self._from_line + 0.45 * sample(soft, x * 40, 77))  # where waves have been
        self._sand = sand * (1 - 0.42 * wet)
        self._edge = 0.75 + 0.3 * sample(rough, x * 70, z * 40)
        self._bend = 1.6 * sample(soft, x * 5, 500) + 0.35 * sample(soft, x * 26, z * 3)
        self._ragged = (0.5 + 0.5 * sample(rough, x * 30, z * 16)).clip(0, 1.5)
        self._torn = smoothstep(-0.9, 0.3, sample(soft, x * 9 + 420, z * 2)) * (0.55 + 0.45 * self._ragged)
        self._far = smoothstep(25, 90, z)[..., None]
        self._mist = 1 - np.exp(-z / 900)

    def render(self, seconds: float) -> FloatArray:
        """Render the frame at a time, (H, W)."""
        picture = self._sky.render(seconds)
        picture += self._headland_opacity * (self._headland - picture)
        picture[self._top :] = self._paint_shore(seconds)
        return picture

    def _paint_shore(self, seconds: float) -> FloatArray:
        tongues = 0.45 * sample(self._soft, self._x * 40 + 9 * seconds, 77 + 6 * seconds)
        wash = 1.15 * math.sin(2 * math.pi * seconds / BREAKER_SECONDS - 0.6)
        depth = self._from_line + tongues + wash  # meters behind the water's edge
        clear = 0.6 * np.exp(-depth.clip(0, 9) / 0.5)  # shallow water shows the ground
        water = self._paint_water(seconds, depth)
        water += clear * (self._sand - water)
        level = self._sand + smoothstep(0, 0.10, depth) * (water - self._sand)
        level += self._foam(seconds, depth) * (0.93 - level)
        return np.asarray(level, np.float32)

    def _paint_water(self, seconds: float, depth: FloatArray) -> FloatArray:
        slopes = self._slopes(seconds)
        steep = (0.038 + 0.062 * smoothstep(0, 5, depth)) * (0.35 + 0.65 * np.exp(-self._z / 120))
        tilt = self._below - 1.6 * steep * slopes[..., 1]
        mirror = 0.02 + 0.98 * (1 - np.abs(tilt).clip(0.02, 1)) ** 5
        mirrored_sky = 0.56 + 0.32 * np.exp(-np.abs(2 * tilt) / 0.22)
        water = 0.24 + 0.07 * np.exp(-depth.clip(0, 60) / 14)
        level = water + mirror * (mirrored_sky - water) + 0.55 * self._glitter(steep * slopes[..., 0], tilt)
        return np.asarray(level + self._mist * (0.72 - level), np.float32)

    def _glitter(self, tilt_right: AnyFloats, tilt: AnyFloats) -> FloatArray:
        """Return the strength of the sun's reflection, 0 to 1."""
        missed = (tilt_right - 0.12 + 0.42 * self._x / self._z) ** 2 + (tilt - 0.16) ** 2
        return np.asarray(np.exp(-missed / 0.0016), np.float32)

    def _slopes(self, seconds: float) -> FloatArray:
        """Return the slopes at each pixel, (rows, W, 2); coarser waves where a pixel covers more than a texel."""
        x, z = (meters * np.float32(TILE_TEXELS / TILE_METERS) for meters in (self._x, self._z))
        slopes = self._waves.slopes(seconds)
        coarse = np.asarray(cv2.resize(slopes, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.float32)
        near = sample(slopes, x, z) + 0.5 * sample(slopes, x * 2.7 + 31, z * 2.7 + 17)  # two scales hide the tiling
        far = 0.8 * sample(coarse, x / 4, z / 4) + 0.5 * sample(slopes, x * 0.21, z * 0.13)
        return np.asarray(near + self._far * (far - near), np.float32)

    def _foam(self, seconds: float, depth: FloatArray) -> FloatArray:
        """Return the strength of foam, 0 to 1: at the water's edge, behind it, and on breaking crests."""
        edge = np.exp(-((depth - 0.12) ** 2) / 0.035) * self._edge
        net = np.abs(sample(self._rough, self._x * 34 + 3 * seconds, self._z * 22 + 5 * seconds))
        lace = 0.55 * (1 - smoothstep(0.05, 0.5, net)) * np.exp(-(((depth - 0.7) / 0.8) ** 2))
        behind_front = BREAKER_METERS * np.mod((depth + self._bend) / BREAKER_METERS + seconds / BREAKER_SECONDS, 1)
        crests = np.exp(-((behind_front / (0.6 + 0.7 * self._ragged)) ** 1.4)) * self._torn
        surf = smoothstep(1.2, 3.0, depth) * (1 - smoothstep(26, 44, depth))
        return np.asarray((np.maximum(edge, lace) + crests * surf).clip(0, 1), np.float32)


def paint_sand(
    rng: np.random.Generator, rough: FloatArray, soft: FloatArray, x: FloatArray, z: FloatArray
) -> FloatArray:
    """Render dry sand at (x, z) in meters, with ripples, and grains near the camera."""
    bent = z * 5.2 + 0.5 * x + 0.5 * sample(soft, x * 30, z * 30)
    ripples = np.sin(2 * math.pi * bent) * smoothstep(-0.2, 0.4, sample(soft, x * 20 + 99, z * 20))
    grains = 0.035 * sample(spectral_noise(rng, TEXTURE_SIZE, 0.8), x * 140, z * 110)
    grains += 0.03 * sample(rough, x * 50, z * 40)
    near = np.exp(-z / 9)
    dunes = 0.72 + 0.05 * sample(soft, x * 9, z * 9)
    return np.asarray(dunes + 0.09 * near * ripples + grains * (0.3 + near), np.float32)


def paint_headland(
    rough: FloatArray, soft: FloatArray, elevation: FloatArray, bearing: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return level and opacity of a wooded cape on the right, with cliffs."""
    crowns = 0.004 * sample(rough, bearing * 700, 5) * smoothstep(0.03, 0.2, bearing)
    profile = 0.055 * smoothstep(0.12, 0.46, bearing) + 0.018 * smoothstep(0.02, 0.2, bearing) + crowns
    opacity = smoothstep(-0.0012, 0.0012, profile - elevation) * (elevation > -0.002)
    tree_line = 0.42 + 0.12 * sample(soft, bearing * 1500, 9)
    level = np.where(elevation < tree_line * profile, 0.52, 0.27)
    level += 0.07 * sample(rough, bearing * 900, elevation * 1800)
    return np.asarray(level + 0.28 * (0.72 - level), np.float32), np.asarray(opacity, np.float32)
