"""The first shot of the demo film: a meadow with a path, trees, wooded hills and mountains under drifting clouds.

The ground is a height field, rendered by casting a ray for each pixel; light, haze and material depend on the point
that it hits. Trees branch recursively.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidcolor.demo.noise import HORIZON, TEXTURE_SIZE, CloudySky, blur_tile, sample, smoothstep, spectral_noise
from vidcolor.frames import FloatArray

OVERSAMPLING = 1.5
"""Scale at which the ground is rendered before it is reduced."""
CAMERA_HEIGHT = 2.6
"""Meters."""
FOCAL_LENGTH = 1.05
"""In picture widths."""
SUN = np.array((-0.68, 0.52, -0.52))
"""Direction of the sun, right, up and forward: behind the camera, on the left."""
AMBIENT = 0.30
"""Light in full shadow."""
HAZE = 0.80
"""Level of haze."""
HAZE_METERS = 8500.0
"""Distance over which contrast falls to 1/e."""

PAN_PIXELS = 24.0
"""Speed of the camera in pixels per second."""
GUST_PIXELS = 1.6
"""Displacement of the nearest plants by the wind."""
BLADES = 36000
"""Blades of grass."""
TREES = (
    *((-62, 150, 13), (-48, 132, 11), (-30, 165, 14), (-22, 120, 9), (22, 170, 13), (44, 140, 12), (60, 118, 12)),
    *((75, 150, 14), (-45, 78, 11), (-33, 84, 9), (31, 92, 10), (10.2, 27, 9.5), (-16.5, 44, 10)),
)
"""Position to the right and forward, and height, in meters."""


class Terrain:
    """The height field over x (right) and z (forward), in meters; all methods take arrays of the same shape."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rough = spectral_noise(rng, TEXTURE_SIZE, 2.2)
        self.soft = spectral_noise(rng, TEXTURE_SIZE, 3.6)
        self.fine = spectral_noise(rng, TEXTURE_SIZE, 1.0)
        self.crowns = blur_tile(self.fine, 1.6)
        self.crowns /= self.crowns.std()
        self.crags = spectral_noise(rng, TEXTURE_SIZE, 2.9)

    def height(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Return the height: rolling ground, hills from 200 m, mountains from 2.5 km, and the canopy of woods."""
        ground = 0.5 * sample(self.soft, x * 2, z * 2) * smoothstep(5, 60, z)
        hills = smoothstep(160, 1500, z) * (55 + 38 * sample(self.soft, x * 0.16 + 300, z * 0.16))
        ridges = 1 - np.abs(sample(self.soft, x * 0.055 + 90, z * 0.055 + 40)).clip(0, 1.6)
        crags = sample(self.crags, x * 0.09, z * 0.09)
        mountains = smoothstep(2600, 9000, z) * (620 * ridges + 95 * crags + 130)
        return np.asarray(ground + hills + mountains + self.canopy(x, z), np.float32)

    def woods(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Return the density of woods, 0 to 1."""
        patches = sample(self.soft, x * 0.9 + 500, z * 0.45 + 200)
        return smoothstep(0.25, 0.50, patches) * smoothstep(210, 330, z)

    def canopy(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Return the height of the crowns, about 8 m in woods."""
        crowns = 10 + 2.4 * sample(self.crowns, x * 0.55, z * 0.55)
        return self.woods(x, z) * (1 - smoothstep(1800, 4000, z)) * crowns

    def path(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Return 1 on the path, 0 beside it."""
        middle = 1.5 + 2.6 * np.sin(z / 13 + 0.4) * smoothstep(2, 30, z) + 0.06 * z
        edge = 0.17 * sample(self.fine, x * 14, z * 14)
        return (1 - smoothstep(0.55, 0.85, np.abs(x - middle) + edge)) * (1 - smoothstep(110, 170, z))


@dataclass(frozen=True)
class View:
    """The point of the ground that each pixel shows, in meters; all (H, W); z is infinite in the sky."""

    x: FloatArray
    z: FloatArray
    elevation: FloatArray
    bearing: FloatArray


def cast_rays(terrain: Terrain, height: int, width: int, frame_width: int) -> View:
    """Cast a ray for each pixel of (height, width).

    Args:
        terrain: the height field.
        height: in pixels.
        width: in pixels.
        frame_width: that the focal length refers to.
    """
    focal = FOCAL_LENGTH * frame_width
    bearing = (np.arange(width, dtype=np.float32) - width / 2) / focal
    rows = ((HORIZON * height - np.arange(height, dtype=np.float32)) / focal).astype(np.float32)
    distances = np.geomspace(2.5, 16000, 1400).astype(np.float32)
    slopes = terrain.height(distances[:, None] * bearing, np.repeat(distances[:, None], width, 1)) - CAMERA_HEIGHT
    slopes = np.maximum.accumulate(slopes / distances[:, None], axis=0)
    z = np.full((height, width), np.inf, np.float32)
    for column in range(width):
        first = np.searchsorted(slopes[:, column], rows)
        hit = (first > 0) & (first < len(distances))
        behind = first[hit]
        low, high = slopes[behind - 1, column], slopes[behind, column]
        part = (rows[hit] - low) / (high - low)
        z[hit, column] = distances[behind - 1] + part * (distances[behind] - distances[behind - 1])
        z[first == 0, column] = distances[0]
    elevation = np.repeat(rows[:, None], width, 1)
    return View(np.where(np.isfinite(z), z, 0) * bearing, z, elevation, np.repeat(bearing[None], height, 0))


def paint_ground(terrain: Terrain, view: View) -> FloatArray:
    """Render the ground, (H, W); undefined in the sky."""
    x, z = view.x, np.where(np.isfinite(view.z), view.z, 16000).astype(np.float32)
    light = _light(terrain, x, z)
    woods = smoothstep(0, 0.08, terrain.woods(x, z))
    light = light + 0.7 * woods * (0.7 - light)  # light scatters among the crowns
    level = _albedo(terrain, x, z, view.elevation * z) * light
    clear = np.exp(-z / HAZE_METERS)
    return np.asarray(level * clear + HAZE * (1 - clear), np.float32)


def _light(terrain: Terrain, x: FloatArray, z: FloatArray) -> FloatArray:
    """Return the illumination of the ground by sun and sky."""
    step = np.maximum(0.08, z * 0.0012)
    here = terrain.height(x, z)
    slope_x = (terrain.height(x + step, z) - here) / step
    slope_z = (terrain.height(x, z + step) - here) / step
    sun = SUN / np.linalg.norm(SUN)
    facing = (sun[1] - sun[0] * slope_x - sun[2] * slope_z) / np.sqrt(1 + slope_x**2 + slope_z**2)
    return np.asarray(AMBIENT + (1.32 - AMBIENT) * facing.clip(0, 1), np.float32)


def _albedo(terrain: Terrain, x: FloatArray, z: FloatArray, y: FloatArray) -> FloatArray:
    """Return the reflectance of meadow, rock, woods and path, 0.04 to 1."""
    near = 1 - smoothstep(40, 220, z)
    tufts = 0.075 * sample(terrain.rough, x * 9, z * 5) + 0.05 * near * sample(terrain.fine, x * 30, z * 14)
    meadow = 0.60 + 0.05 * sample(terrain.soft, x * 7, z * 3) + tufts * (0.35 + 0.65 * near)
    rock = 0.40 + 0.05 * sample(terrain.rough, x * 0.4, z * 0.4)
    wood = 0.21 + 0.045 * sample(terrain.crowns, x * 1.3 + z * 0.7, y * 2.6)
    high = smoothstep(2300, 4200, z)
    level = meadow * (1 - high) + rock * high
    woods = smoothstep(0, 0.08, terrain.woods(x, z)) * (1 - 0.75 * high)
    level = level * (1 - woods) + wood * woods
    path = terrain.path(x, z)
    earth = 0.80 + 0.07 * sample(terrain.rough, x * 16, z * 16) + 0.05 * sample(terrain.fine, x * 40, z * 40)
    return np.asarray((level * (1 - path) + earth * path).clip(0.04, 1), np.float32)


@dataclass(frozen=True)
class Camera:
    """The projection of points to the panorama."""

    height: int
    width: int
    frame_width: int

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return FOCAL_LENGTH * self.frame_width

    def project(self, x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return columns and rows of points (right, up, forward) in meters."""
        return self.width / 2 + self.focal * x / z, HORIZON * self.height - self.focal * (y - CAMERA_HEIGHT) / z


class Landscape:
    """The shot: a panorama that is rendered once and shown through a moving window, with clouds and wind.

    Args:
        rng: source of randomness.
        height: of a frame.
        width: of a frame.
        seconds: length of the shot.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int, seconds: float) -> None:
        wide = width + math.ceil(PAN_PIXELS * seconds) + 2
        terrain, camera = Terrain(rng), Camera(height, wide, width)
        view = cast_rays(terrain, round(height * OVERSAMPLING), round(wide * OVERSAMPLING), round(width * OVERSAMPLING))
        fine = view.elevation, view.bearing, np.isinf(view.z).astype(np.float32), paint_ground(terrain, view)
        elevation, bearing, open_sky, ground = (
            np.asarray(cv2.resize(plane, (wide, height), interpolation=cv2.INTER_AREA), np.float32) for plane in fine
        )
        self._canvas = Canvas(ground, open_sky)
        plant_trees(rng, terrain, camera, self._canvas)
        grow_grass(rng, terrain, camera, self._canvas.ground)
        self._sky = CloudySky(rng, elevation, bearing, cover=0.5)
        self._gusts = spectral_noise(rng, 256, 2.6)
        self._rows, self._columns = np.mgrid[:height, :width].astype(np.float32)
        self._near = GUST_PIXELS * smoothstep(HORIZON * height, height, self._rows)

    def render(self, seconds: float) -> FloatArray:
        """Render the frame at a time, (H, W)."""
        canvas, left = self._canvas, PAN_PIXELS * seconds
        picture = canvas.ground + canvas.open_sky * (self._sky.render(seconds) - canvas.ground)
        gusts = sample(self._gusts, (self._columns + left) * 0.5 + 60 * seconds, self._rows * 1.2 + 8 * seconds)
        columns = self._columns + np.float32(left) + self._near * gusts
        frame = cv2.remap(picture, columns, self._rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(frame, np.float32)


@dataclass(frozen=True)
class Canvas:
    """The panorama: the ground with everything on it, and the visible share of the sky at each pixel, 0 to 1."""

    ground: FloatArray
    open_sky: FloatArray

    def paste(self, sprite: Sprite, left: int, top: int) -> None:
        """Composite a sprite over ground and sky, clipped at the edges."""
        height, width = sprite.level.shape
        rows = slice(max(top, 0), max(min(top + height, self.ground.shape[0]), 0))
        columns = slice(max(left, 0), max(min(left + width, self.ground.shape[1]), 0))
        inside = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        opacity = sprite.opacity[inside]
        sky = self.open_sky[rows, columns]
        behind = self.ground[rows, columns] * (1 - sky)  # in the sky, only the sprite counts
        left_open = sky * (1 - opacity)
        covered = behind * (1 - opacity) + sprite.level[inside] * opacity
        self.ground[rows, columns] = covered / np.maximum(1 - left_open, 1e-3)
        self.open_sky[rows, columns] = left_open

    def shade(self, column: float, row: float, size: float) -> None:
        """Draw the shadow of a tree of ``size`` pixels, which falls to the right."""
        shadow = np.zeros_like(self.ground)
        axes = (round(0.5 * size), max(1, round(0.075 * size)))
        cv2.ellipse(shadow, (round(column + 0.42 * size), round(row)), axes, 0, 0, 360, 1, -1, cv2.LINE_AA)
        self.ground[:] *= 1 - 0.55 * cv2.GaussianBlur(shadow, (0, 0), max(1.0, 0.03 * size))


def plant_trees(rng: np.random.Generator, terrain: Terrain, camera: Camera, canvas: Canvas) -> None:
    """Draw the :data:`TREES`, far ones first, from two sprites and their mirror images."""
    sprites = [grow_tree(rng, 330) for _ in range(2)]
    sprites += [sprite.mirrored() for sprite in sprites]
    trees = np.array(sorted(TREES, key=lambda tree: -tree[1]), np.float32)
    feet = terrain.height(trees[:, :1], trees[:, 1:2])
    columns, rows = camera.project(trees[:, 0], feet[:, 0], trees[:, 1])
    for index, (_, z, tall) in enumerate(trees):
        size = round(float(tall * camera.focal / z))
        canvas.shade(columns[index], rows[index], size)
        sprite = sprites[index % len(sprites)].resized(size, haze=1 - math.exp(-3 * z / HAZE_METERS))
        canvas.paste(sprite, round(float(columns[index])) - size // 2, round(float(rows[index])) - size + 1)


def grow_grass(rng: np.random.Generator, terrain: Terrain, camera: Camera, ground: FloatArray) -> None:
    """Draw blades of grass beside the path, far ones first, with constant density in the picture."""
    z = np.sort(1 / rng.uniform(1 / 60, 1 / 7, BLADES)).astype(np.float32)[::-1]
    z = z.reshape(-1, 240)  # a single column would exceed the height that OpenCV allows
    x = np.asarray(rng.uniform(-0.5, 0.5, z.shape) * z * camera.width / camera.focal, np.float32)
    tufts = sample(terrain.rough, x * 9, z * 5)
    heights = (0.16 + 0.05 * tufts) * rng.uniform(0.6, 1.3, z.shape) * (1 - smoothstep(25, 60, z))
    length = camera.focal / z * heights
    lean = rng.normal(0.12, 0.25, z.shape) * length
    column, row = camera.project(x, terrain.height(x, z), z)
    points = np.stack((column, row, column + 0.3 * lean, row - 0.6 * length, column + lean, row - length), axis=-1)
    levels = (0.49 + 0.07 * tufts + rng.normal(0, 0.075, z.shape)).clip(0.2, 0.8)
    last_row, last_column = ground.shape[0] - 1, ground.shape[1] - 1
    around = ground[row.clip(0, last_row).astype(int), column.clip(0, last_column).astype(int)]
    levels *= np.minimum(1, around / 0.40)  # blades are darker in shadow
    beside = terrain.path(x, z) < 0.25
    for blade, level in zip(np.rint(16 * points[beside]).astype(np.int32), levels[beside], strict=True):
        cv2.polylines(ground, [blade.reshape(3, 2)], False, float(level), 1, cv2.LINE_AA, 4)


@dataclass(frozen=True)
class Sprite:
    """A tree: level and opacity, (H, W); its foot is in the middle of the bottom row."""

    level: FloatArray
    opacity: FloatArray

    def mirrored(self) -> Sprite:
        """Return the sprite with left and right exchanged."""
        return Sprite(self.level[:, ::-1], self.opacity[:, ::-1])

    def resized(self, size: int, haze: float) -> Sprite:
        """Return the sprite at another size, in haze of 0 to 1."""
        level, opacity = (
            np.asarray(cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA), np.float32)
            for plane in (self.level, self.opacity)
        )
        return Sprite(level + haze * (HAZE - level), opacity)


def grow_tree(rng: np.random.Generator, size: int) -> Sprite:
    """Draw a broad-leaved tree of ``size`` pixels, lit from the upper left."""
    canvas = np.zeros((2 * size, 2 * size, 2), np.float32)  # level and opacity, oversampled
    _branch(rng, canvas, (size, 2.0 * size), -math.pi / 2 + 0.05, 0.46 * size, 0.080 * size)
    _foliage(rng, canvas)
    level, opacity = cv2.split(np.asarray(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)))
    return Sprite(np.asarray(level / np.maximum(opacity, 1e-3), np.float32), np.asarray(opacity, np.float32))


def _branch(
    rng: np.random.Generator, canvas: FloatArray, root: tuple[float, float], angle: float, length: float, width: float
) -> None:
    """Draw a branch and those that grow from it."""
    tip = (root[0] + length * math.cos(angle), root[1] + length * math.sin(angle))
    level = float(rng.uniform(0.14, 0.26))
    start, end = ([round(16 * value) for value in point] for point in (root, tip))
    cv2.line(canvas, start, end, (level, 1), max(1, round(width)), cv2.LINE_AA, 4)
    if width < 0.004 * canvas.shape[0]:
        return
    for turn in (-1, 1, 0)[: 3 if rng.random() < 0.45 else 2]:
        bend = turn * rng.uniform(0.40, 0.85) + rng.normal(0, 0.12)
        lifted = angle + bend + 0.10 * (-math.pi / 2 - angle)  # branches grow upward
        _branch(rng, canvas, tip, lifted, length * rng.uniform(0.56, 0.74), width * 0.64)


def _foliage(rng: np.random.Generator, canvas: FloatArray) -> None:
    """Draw leaves in an oval crown, lit from the upper left."""
    size = canvas.shape[0] / 2
    center, radii = np.array((size, 0.86 * size)), np.array((0.70 * size, 0.66 * size))
    for _ in range(110):
        direction, reach = rng.uniform(0, 2 * math.pi), rng.uniform(0, 1) ** 0.6
        outwards = reach * np.array((math.cos(direction), math.sin(direction)))
        outwards[1] = min(outwards[1], 0.62)
        bough = rng.uniform(0.10, 0.19) * size * np.array((1.15, 0.8))
        _bough(rng, canvas, center + outwards * radii, bough, outwards)


def _bough(
    rng: np.random.Generator,
    canvas: FloatArray,
    center: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64],
    outwards: npt.NDArray[np.float64],
) -> None:
    """Draw the leaves of one bough, dark ones first."""
    offset = rng.normal(0, 0.55, (230, 2))
    lit = (0.8 * offset + 0.7 * outwards) @ np.array((-0.60, -0.80)) + rng.normal(0, 0.22, len(offset))
    for index in np.argsort(lit + rng.normal(0, 0.25, len(lit))):
        x, y = (round(16 * value) for value in center + offset[index] * radii)
        level = 0.05 + 0.42 * float(1 / (1 + math.exp(-2.4 * (lit[index] - 0.25)))) + float(rng.normal(0, 0.015))
        axes = (round(16 * rng.uniform(1.3, 3.0)), round(16 * rng.uniform(0.8, 1.8)))
        cv2.ellipse(canvas, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, (max(level, 0.03), 1), -1, cv2.LINE_AA, 4)
