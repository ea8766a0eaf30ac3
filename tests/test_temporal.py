"""Colour that follows the motion, within a shot."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from vidcolor.frames import Frame, Picture
from vidcolor.temporal import carry, smooth, steady

SIZE = (96, 128)


def moving_scene(seed: int, length: int, *, speed: float = 3.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Grey and true ab of a camera panning over coloured shapes."""
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
        frames.append(Frame(Picture(start + index, 1, nothing), grey, index == 0, is_anchor, ab if is_anchor else None))
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


def test_without_smoothing_every_frame_passes_untouched():
    """Strength 0 with every frame an anchor is the raw network, the very same objects."""
    frames = shot(moving_scene(1, 4))
    assert all(out is frame for out, frame in zip(steady(iter(frames), strength=0), frames, strict=True))


@pytest.mark.parametrize("every", [2, 4, 8])
def test_colour_follows_the_motion(every):
    """Between anchors, carried colour has a tenth of the error that the nearest anchor's colour would have."""
    views = moving_scene(2, 17)
    frames = shot(views, every=every)
    carried = list(carry(iter(frames)))
    nearest = [
        replace(frame, ab=min((f for f in frames if f.ab is not None), key=lambda f, i=i: abs(f.picture.pts - i)).ab)
        for i, frame in enumerate(frames)
    ]
    assert relative_error(carried, views) < 0.1 * relative_error(nearest, views)
    for out, frame in zip(carried, frames, strict=True):
        assert out is frame or not frame.is_anchor


def test_occluded_places_take_the_anchor_that_sees_them():
    """Around a square that moves over the background, colour has less than half the nearest anchor's error."""
    views = []
    background = moving_scene(3, 1)[0][0]
    texture = moving_scene(4, 1)[0][0][:40, :40]
    for index in range(9):
        grey, ab = background.copy(), np.zeros((2, *SIZE), np.float32)
        left = 10 + 3 * index
        grey[30:70, left : left + 40], ab[0, 30:70, left : left + 40] = texture, 50
        views.append((grey, ab))
    frames = shot(views, every=8)
    nearest = [replace(frame, ab=frames[0 if index <= 4 else 8].ab) for index, frame in enumerate(frames)]
    assert relative_error(list(carry(iter(frames))), views) < 0.5 * relative_error(nearest, views)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("every", [1, 4])
def test_nothing_crosses_a_cut(strength, every):
    """Two shots in a row give, bit for bit, what each gives alone."""
    first, second = shot(moving_scene(5, 7), every=every), shot(moving_scene(6, 9), every=every, start=7)
    together = list(steady(iter(first + second), strength=strength))
    alone = [*steady(iter(first), strength=strength), *steady(iter(second), strength=strength)]
    assert len(together) == 16
    for one, other in zip(together, alone, strict=True):
        assert one.picture.pts == other.picture.pts
        np.testing.assert_array_equal(one.ab, other.ab)


def test_smoothing_depends_on_the_past_only():
    """What has come out does not change with what comes later, so the reader's batches cannot matter."""
    frames = with_noise(shot(moving_scene(7, 10)), 8)
    whole, part = list(smooth(iter(frames), strength=0.5)), list(smooth(iter(frames[:6]), strength=0.5))
    for one, other in zip(whole, part, strict=False):
        np.testing.assert_array_equal(one.ab, other.ab)


@pytest.mark.parametrize(("strength", "limit"), [(0.5, 0.5), (0.8, 0.3), (1.0, 0.4)])
def test_smoothing_removes_flicker_and_keeps_colour(strength, limit):
    """Noise falls with strength; the true colour loses neither place nor strength."""
    views = moving_scene(8, 24, speed=1.5)
    clean, noisy = shot(views), with_noise(shot(views), 10)
    assert relative_error(list(smooth(iter(noisy), strength=strength)), views) < limit * relative_error(noisy, views)
    still = list(smooth(iter(clean), strength=strength))
    assert relative_error(still, views) < 0.03
    chroma = np.mean([np.hypot(*frame.ab).mean() for frame in still])
    assert chroma > 0.95 * np.mean([np.hypot(*ab).mean() for _, ab in views])


def test_exposure_does_not_stop_smoothing():
    """A film whose brightness flickers by a tenth is smoothed nearly as well as one whose brightness is steady."""
    views = moving_scene(15, 24, speed=1.5)
    noisy = with_noise(shot(views), 10)
    gains = np.random.default_rng(0).normal(1, 0.1, len(noisy)).clip(0.7, 1.2).astype(np.float32)
    flickering = [replace(frame, grey=frame.grey * gain * 0.8) for frame, gain in zip(noisy, gains, strict=True)]
    steady_error = relative_error(list(smooth(iter(noisy), strength=0.5)), views)
    assert relative_error(list(smooth(iter(flickering), strength=0.5)), views) < 1.1 * steady_error


def test_a_change_of_picture_is_believed():
    """Where the luma no longer agrees, the new colour counts and the old one is forgotten."""
    before, after = moving_scene(10, 1)[0], moving_scene(11, 1)[0]
    frames = shot([before, after])
    last = list(smooth(iter(frames), strength=0.5))[-1]
    assert relative_error([last], [after]) < 0.05


@pytest.mark.parametrize("every", [1, 4])
def test_memory_is_bounded_by_the_anchors(every):
    """No more frames are held back than lie between two anchors."""
    frames = shot(moving_scene(12, 30, speed=0.5), every=every)
    read = 0

    def counted():
        nonlocal read
        for frame in frames:
            read += 1
            yield frame

    for written, _ in enumerate(steady(counted(), strength=0.5), start=1):
        assert read - written < every


def test_a_shot_without_a_last_anchor_still_ends():
    """Frames after the last anchor take their colour from it alone."""
    views = moving_scene(13, 5)
    frames = shot(views, every=4)[:4]
    assert relative_error(list(carry(iter(frames))), views[:4]) < 0.15


def test_a_shot_must_begin_with_an_anchor():
    """A frame without any anchor before it is a mistake of the caller."""
    frames = shot(moving_scene(14, 3))
    with pytest.raises(ValueError, match="expected ab on the first frame"):
        list(carry(iter([replace(frames[0], ab=None), frames[1]])))
