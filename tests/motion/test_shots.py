"""Cut detection on synthetic scenes and, if they are present, on real clips with known cuts."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.support.scenes import frames_of, panning
from vidcolor.motion.shots import FLASH_FRAMES, mark_cuts

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "clips"


def cuts_in(pictures: list[np.ndarray]) -> list[int]:
    return [frame.picture.pts for frame in mark_cuts(frames_of(pictures)) if frame.opens_shot]


def test_hard_cuts_are_found():
    """The first frame of every scene opens a shot, short ones included."""
    assert cuts_in(panning(1, 12) + panning(2, 4) + panning(3, 9)) == [0, 12, 16]


@pytest.mark.parametrize("speed", [0.5, 3.0, 8.0])
def test_pans_are_not_cuts(speed):
    """Motion, up to a twentieth of the picture a frame, is one shot."""
    assert cuts_in(panning(1, 20, speed=speed)) == [0]


def test_flicker_is_not_a_cut():
    """Exposure that jumps by a third from frame to frame is one shot."""
    gains = np.random.default_rng(0).uniform(0.65, 1.0, 30)
    assert cuts_in([gain * grey for gain, grey in zip(gains, panning(1, 30), strict=True)]) == [0]


@pytest.mark.parametrize("length", [1, FLASH_FRAMES])
def test_flashes_are_not_cuts(length):
    """White frames inside a scene do not end it."""
    pictures = panning(1, 20)
    pictures[9 : 9 + length] = [np.ones_like(pictures[0])] * length
    assert cuts_in(pictures) == [0]


def test_a_wrong_frame_is_no_shot():
    """A single frame of another scene is disturbed and does not open a shot."""
    pictures = panning(1, 20)
    pictures[9] = panning(2, 1)[0]
    frames = list(mark_cuts(frames_of(pictures)))
    assert [frame.picture.pts for frame in frames if frame.opens_shot] == [0]
    assert [frame.picture.pts for frame in frames if frame.is_disturbed] == [9]


@pytest.mark.parametrize(("gain", "offset"), [(0.2, 0.0), (0.25, 0.4), (0.2, 0.8)])
def test_cuts_between_dark_and_foggy_scenes_are_found(gain, offset):
    """Cuts are found at low contrast, dark or bright."""
    assert cuts_in([offset + gain * grey for grey in panning(1, 10) + panning(2, 10)]) == [0, 10]


def test_grain_is_not_a_cut():
    """Strong grain, different in every frame, causes no cuts and hides none."""
    rng = np.random.default_rng(0)
    pictures = [np.clip(grey + rng.normal(0, 0.08, grey.shape), 0, 1) for grey in panning(1, 12) + panning(2, 12)]
    assert cuts_in(pictures) == [0, 12]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5])
def test_short_films(length):
    """All frames of a film of any length come out in order."""
    frames = list(mark_cuts(frames_of(panning(1, length))))
    assert [frame.picture.pts for frame in frames] == list(range(length))
    assert [frame.opens_shot for frame in frames] == [True, False, False, False, False][:length]


def test_black_film_is_one_shot():
    """Black frames are one shot."""
    assert cuts_in([np.zeros((120, 160))] * 6) == [0]


def test_look_ahead_is_bounded():
    """A fixed number of frames is held back, for a shot of any length."""
    read = 0

    def counted():
        nonlocal read
        for frame in frames_of(panning(1, 40)):
            read += 1
            yield frame

    for written, _ in enumerate(mark_cuts(counted()), start=1):
        assert read - written <= FLASH_FRAMES


def greys(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        planes = (frame.reformat(format="gray").to_ndarray() for frame in container.decode(video=0))
        return [cv2.resize(plane, (160, 120), interpolation=cv2.INTER_AREA) / np.float32(255) for plane in planes]


@pytest.mark.slow
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
