"""Cuts and anchors, on synthetic scenes and, where they are at hand, on real clips with known cuts."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from vidcolor.frames import Frame, Picture
from vidcolor.shots import FLASH_FRAMES, mark_anchors, mark_cuts, split_shots

CLIPS = Path(__file__).resolve().parents[1].parent / "shared" / "clips"


def scene(seed: int, length: int, *, speed: float = 1.0) -> list[np.ndarray]:
    """A camera panning over smooth random shapes, ``speed`` pixels a frame."""
    world = np.random.default_rng(seed).standard_normal((120, 180 + int(speed * length) + 1)).astype(np.float32)
    world = cv2.GaussianBlur(world, (0, 0), 4)
    world = np.clip(0.5 + world / (5 * world.std()), 0, 1)
    return [
        cv2.warpAffine(world, np.float64([[1, 0, -speed * index], [0, 1, 0]]), (160, 120)) for index in range(length)
    ]


def frames_of(pictures: list[np.ndarray]):
    nothing = np.zeros((1, 1), np.uint8)
    for index, grey in enumerate(pictures):
        yield Frame(Picture(index, 1, nothing), grey.astype(np.float32))


def cuts_in(pictures: list[np.ndarray]) -> list[int]:
    return [frame.picture.pts for frame in mark_cuts(frames_of(pictures)) if frame.opens_shot]


def test_hard_cuts_are_found():
    """The first frame of every scene opens a shot, short ones included."""
    assert cuts_in(scene(1, 12) + scene(2, 4) + scene(3, 9)) == [0, 12, 16]


@pytest.mark.parametrize("speed", [0.5, 3.0, 8.0])
def test_pans_are_not_cuts(speed):
    """Motion, up to a twentieth of the picture a frame, is one shot."""
    assert cuts_in(scene(1, 20, speed=speed)) == [0]


def test_flicker_is_not_a_cut():
    """Exposure that jumps by a third from frame to frame is one shot."""
    gains = np.random.default_rng(0).uniform(0.65, 1.0, 30)
    assert cuts_in([gain * grey for gain, grey in zip(gains, scene(1, 30), strict=True)]) == [0]


@pytest.mark.parametrize("length", [1, FLASH_FRAMES])
def test_flashes_are_not_cuts(length):
    """White frames inside a scene do not end it."""
    pictures = scene(1, 20)
    pictures[9 : 9 + length] = [np.ones_like(pictures[0])] * length
    assert cuts_in(pictures) == [0]


@pytest.mark.parametrize("length", [1, FLASH_FRAMES])
def test_disturbed_frames_are_no_anchors(length):
    """Flashes are told from the frames around them, and the next good frame is an anchor in their place."""
    pictures = scene(1, 21)
    pictures[8 : 8 + length] = [np.ones_like(pictures[0])] * length
    frames = list(split_shots(frames_of(pictures), anchor_every=4))
    assert [frame.picture.pts for frame in frames if frame.is_disturbed] == list(range(8, 8 + length))
    expected = [0, 4, *range(8 + length, 20, 4), 20]
    assert [frame.picture.pts for frame in frames if frame.is_anchor] == expected


def test_a_wrong_frame_is_no_shot():
    """A single frame of another scene, as a splice or a decoder may leave it, is a disturbance."""
    pictures = scene(1, 20)
    pictures[9] = scene(2, 1)[0]
    frames = list(mark_cuts(frames_of(pictures)))
    assert [frame.picture.pts for frame in frames if frame.opens_shot] == [0]
    assert [frame.picture.pts for frame in frames if frame.is_disturbed] == [9]


@pytest.mark.parametrize(("gain", "offset"), [(0.2, 0.0), (0.25, 0.4), (0.2, 0.8)])
def test_cuts_between_dark_and_foggy_scenes_are_found(gain, offset):
    """Contrast does not decide what a cut is."""
    assert cuts_in([offset + gain * grey for grey in scene(1, 10) + scene(2, 10)]) == [0, 10]


def test_grain_is_not_a_cut():
    """Strong grain, different in every frame, neither makes nor hides cuts."""
    rng = np.random.default_rng(0)
    pictures = [np.clip(grey + rng.normal(0, 0.08, grey.shape), 0, 1) for grey in scene(1, 12) + scene(2, 12)]
    assert cuts_in(pictures) == [0, 12]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5])
def test_short_films(length):
    """A film of any length comes through whole, in order."""
    frames = list(split_shots(frames_of(scene(1, length)), anchor_every=4))
    assert [frame.picture.pts for frame in frames] == list(range(length))
    assert [frame.opens_shot for frame in frames] == [True, False, False, False, False][:length]


def test_black_film_is_one_shot():
    """Nothing to see is nothing to cut."""
    assert cuts_in([np.zeros((120, 160))] * 6) == [0]


@pytest.mark.parametrize(
    ("every", "expected"),
    [(1, range(13)), (4, [0, 4, 8, 9, 10, 12]), (5, [0, 5, 9, 10, 12]), (100, [0, 9, 10, 12])],
)
def test_anchors(every, expected):
    """The first and the last frame of a shot and each n-th between are anchors."""
    frames = mark_cuts(frames_of(scene(1, 10) + scene(2, 3)))
    assert [frame.picture.pts for frame in mark_anchors(frames, every) if frame.is_anchor] == list(expected)


def test_look_ahead_is_bounded():
    """A frame comes out after a fixed number of further frames went in, however long the shot."""
    read = 0

    def counted():
        nonlocal read
        for frame in frames_of(scene(1, 40)):
            read += 1
            yield frame

    for written, _ in enumerate(split_shots(counted(), anchor_every=1000), start=1):
        assert read - written <= FLASH_FRAMES + 1


def greys(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        planes = (frame.reformat(format="gray").to_ndarray() for frame in container.decode(video=0))
        return [cv2.resize(plane, (160, 120), interpolation=cv2.INTER_AREA) / np.float32(255) for plane in planes]


@pytest.mark.skipif(not (CLIPS / "cuts.json").exists(), reason="no ../shared/clips: real clips with known cuts")
def test_real_cuts():
    """No false cut, and F1 of at least 0.95, on edited films; one jump cut inside a scene is expected to be missed."""
    truth = json.loads((CLIPS / "cuts.json").read_text())
    hits = misses = 0
    for name in sorted(name for name in truth if not name.startswith("_")):
        found, wanted = set(cuts_in(greys(CLIPS / name))) - {0}, set(truth[name]["hard_cuts"])
        assert found <= wanted, name
        hits, misses = hits + len(found), misses + len(wanted - found)
    assert 2 * hits / (2 * hits + misses) >= 0.95
