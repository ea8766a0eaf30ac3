"""Frames of films as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.clips import Clip, make_clip
from vidcolor.errors import InputError
from vidcolor_training.data.films import clock, perceptual_hash, sample_film

KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}  # H.273


def make_color_film(
    path: Path,
    scenes: Sequence[npt.NDArray[np.uint8]],
    *,
    frames: int = 10,
    matrix: int = 1,
    full_range: bool = False,
    tags: bool = True,
) -> Path:
    """A lossless film at 10 frames a second that holds each R'G'B' scene (H, W, 3) for so many frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0", "preset": "ultrafast"})
        stream.height, stream.width = scenes[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        if tags:
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = 2 if full_range else 1
        for number in range(frames * len(scenes)):
            planes = to_ycbcr(scenes[number // frames], matrix, full_range=full_range)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def to_ycbcr(rgb: npt.NDArray[np.uint8], matrix: int, *, full_range: bool) -> npt.NDArray[np.uint8]:
    """(H, W, 3) to planes (3, H, W) by the formulae of H.273: the oracle for the way back."""
    kr, kb = KR_KB[matrix]
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    chroma = np.stack(((b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)))
    if full_range:
        return np.concatenate(((y * 255)[None], chroma * 255 + 128)).round().clip(0, 255).astype(np.uint8)
    return np.concatenate(((y * 219 + 16)[None], chroma * 224 + 128)).round().astype(np.uint8)


def scene(seed: int, height: int = 96, width: int = 128) -> npt.NDArray[np.uint8]:
    """Blocks of random colors."""
    blocks = np.random.default_rng(seed).integers(30, 226, (height // 16, width // 16, 3), np.uint8)
    return blocks.repeat(16, 0).repeat(16, 1)


@pytest.mark.parametrize(("matrix", "full_range"), [(1, False), (1, True), (6, False), (6, True)])
def test_colors_are_those_that_the_tags_mean(matrix: int, full_range: bool, tmp_path: Path) -> None:
    """R'G'B' comes back through each matrix and range to within rounding."""
    path = make_color_film(tmp_path / "film.mkv", [scene(0)], matrix=matrix, full_range=full_range)
    ((_, rgb),) = sample_film(path)
    np.testing.assert_allclose(rgb.astype(int), scene(0), atol=3)


@pytest.mark.parametrize(("height", "matrix"), [(96, 6), (720, 1)])
def test_untagged_films_go_by_their_size(height: int, matrix: int, tmp_path: Path) -> None:
    """Without tags a small film is BT.601 and a large one BT.709, of limited range."""
    picture = scene(1, height, 1280 if height == 720 else 128)
    path = make_color_film(tmp_path / "film.mkv", [picture], frames=2, matrix=matrix, tags=False)
    ((_, rgb),) = sample_film(path)
    np.testing.assert_allclose(rgb.astype(int), picture, atol=3)


def test_each_shot_once(tmp_path: Path) -> None:
    """Three scenes give three pictures; a scene that comes back and a black one give none."""
    scenes = [scene(2), scene(3), np.zeros_like(scene(0)), scene(2), scene(4)]
    found = list(sample_film(make_color_film(tmp_path / "film.mkv", scenes)))
    for (_, rgb), expected in zip(found, (scenes[0], scenes[1], scenes[4]), strict=True):
        np.testing.assert_allclose(rgb.astype(int), expected, atol=3)
    assert [name for name, _ in found] == [
        "film.mkv@00:00:00.000",
        "film.mkv@00:00:01.000",
        "film.mkv@00:00:04.000",
    ]


def test_a_long_shot_gives_one_for_each_stretch(tmp_path: Path) -> None:
    """A drifting shot of 9 s gives three pictures in order."""
    wide = scene(5, 96, 512)
    steps = [wide[:, 4 * step : 4 * step + 128] for step in range(90)]
    found = [name for name, _ in sample_film(make_color_film(tmp_path / "film.mkv", steps, frames=1))]
    seconds = [float(name.rpartition(":")[2]) for name in found]
    assert len(found) == 3
    assert [int(s // 3) for s in seconds] == [0, 1, 2]


def test_pictures_are_upright_and_of_square_pixels(tmp_path: Path) -> None:
    """Rotation and the sample aspect ratio are worked in."""
    clip = Clip(rotation=90, sample_aspect_ratio=Fraction(3, 2), color=True)
    found = list(sample_film(make_clip(tmp_path / "film.mp4", clip)))
    assert [rgb.shape for _, rgb in found] == [(96, 48, 3)]


def test_damage_comes_after_what_is_before_it(tmp_path: Path) -> None:
    """Of a film that is cut off the whole part is used, and then the damage is told."""
    scenes = [scene(seed) for seed in range(6)]
    path = make_color_film(tmp_path / "film.mp4", scenes)
    data = bytearray(path.read_bytes())
    index = data.rindex(b"moov") - 4  # what says where the pictures are lies behind them
    data[len(data) // 2 : index] = bytes(index - len(data) // 2)
    path.write_bytes(data)
    found: list[str] = []
    with pytest.raises(InputError, match=r"film\.mp4: damaged after"):
        found.extend(name for name, _ in sample_film(path))
    assert found[:2] == ["film.mp4@00:00:00.000", "film.mp4@00:00:01.000"]


def test_hdr_is_refused(tmp_path: Path) -> None:
    """PQ would be taken for dull colors."""
    path = make_clip(tmp_path / "film.mp4", Clip(tags={"color_trc": 16}))
    with pytest.raises(InputError, match="HDR"):
        next(sample_film(path))


def test_hashes_stand_noise_and_tell_pictures_apart() -> None:
    """Noise and brightness change few bits of a picture's hash; another picture has about half of them different."""
    random = np.random.default_rng(0)
    one, other = (scene(seed)[..., 0].astype(np.float32) / 255 for seed in (6, 7))
    noisy = (one * 0.9 + random.normal(0, 0.03, one.shape)).astype(np.float32)
    assert (perceptual_hash(one) != perceptual_hash(noisy)).sum() <= 4
    assert 16 < (perceptual_hash(one) != perceptual_hash(other)).sum() < 48


def test_clock() -> None:
    """Hours, minutes, seconds and milliseconds."""
    assert clock(3723.4567) == "01:02:03.457"
