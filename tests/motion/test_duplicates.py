"""Duplicate frames are colored once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.support.scenes import moving_scene, shot
from tests.test_pipeline import Painter
from vidcolor.frames import ChromaFormat, Frame, Picture, VideoSpec
from vidcolor.motion.duplicates import MAX_DISTINCT_LUMA, MAX_DUPLICATES, expand_duplicates, merge_duplicates
from vidcolor.motion.shots import mark_cuts
from vidcolor.motion.smoothing import WINDOW, smooth
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import color_frames
from vidcolor.render import render


def held(counts: list[int], *, noise: float = 0.0) -> list[Frame]:
    """One shot, each picture of a moving scene as often as ``counts`` says, with new noise, in levels, each time."""
    rng = np.random.default_rng(7)
    views = [view for view, count in zip(moving_scene(1, len(counts)), counts, strict=True) for _ in range(count)]
    frames = shot(views)
    size = frames[0].grey.shape
    return [
        replace(frame, grey=np.clip(frame.grey + rng.uniform(-noise, noise, size) / 255, 0, 1).astype(np.float32))
        for frame in frames
    ]


@pytest.mark.parametrize("noise", [0.0, 4.0])
@pytest.mark.parametrize("counts", [[3, 2, 3, 2, 3], [2] * 8, [1, 1, 1, 1], [5]])
def test_runs_are_merged_and_expanded_again(counts, noise):
    """A run of equal pictures becomes one frame, and expanding restores all frames with its ab."""
    frames = [replace(frame, ab=None) for frame in held(counts, noise=noise)]
    merged = list(merge_duplicates(iter(frames)))
    assert [1 + len(frame.duplicates) for frame in merged] == counts
    colored = [replace(frame, ab=np.full((2, 1, 1), index, np.float32)) for index, frame in enumerate(merged)]
    parted = list(expand_duplicates(iter(colored)))
    assert [frame.picture.pts for frame in parted] == [frame.picture.pts for frame in frames]
    assert all(one.grey is other.grey for one, other in zip(parted, frames, strict=True))
    assert [int(frame.ab[0, 0, 0]) for frame in parted] == [i for i, count in enumerate(counts) for _ in range(count)]
    assert not any(frame.duplicates for frame in parted)


@pytest.mark.parametrize("speed", [0.1, 0.3, 1.0])
def test_slow_motion_is_no_repetition(speed):
    """No duplicate is more than half a pixel from the frame whose ab it gets."""
    frames = shot(moving_scene(2, 12, speed=speed))
    merged = list(merge_duplicates(iter(frames)))
    assert max(1 + len(frame.duplicates) for frame in merged) <= 1 + 0.5 / speed


def test_starts_and_disturbed_frames_are_not_merged():
    """A frame that opens a shot or a segment, or is disturbed, starts a new run."""
    frames = held([12])
    frames[3] = replace(frames[3], opens_shot=True)
    frames[6] = replace(frames[6], opens_segment=True)
    frames[9] = replace(frames[9], is_disturbed=True)
    assert [frame.picture.pts for frame in merge_duplicates(iter(frames))] == [0, 3, 6, 9, 10]


def test_runs_have_a_largest_length():
    """A longer still is divided into runs of the largest length; an empty stream stays empty."""
    merged = list(merge_duplicates(iter(held([3 * MAX_DUPLICATES]))))
    assert max(len(frame.duplicates) for frame in merged) == MAX_DUPLICATES
    assert sum(1 + len(frame.duplicates) for frame in merged) == 3 * MAX_DUPLICATES
    assert not list(merge_duplicates(iter(())))


def test_a_still_is_colored_repeatedly():
    """A long still goes through the network once per run, so that few frames are held."""
    still = [replace(frame, opens_shot=False, ab=None) for frame in held([160])]
    frames, asked = colored(still, ColorizeOptions())
    assert len(frames) == 160
    assert 160 / (1 + MAX_DUPLICATES) <= asked <= 160 / (1 + MAX_DUPLICATES) + 1


def test_equal_luma_is_held_once():
    """Duplicates with equal luma share one array, and few of a run have their own."""
    frames = held([12])
    planes = [np.full((2, 2), index // 6, np.uint8) for index in range(12)]
    frames = [
        replace(frame, picture=replace(frame.picture, luma=plane)) for frame, plane in zip(frames, planes, strict=True)
    ]
    merged = list(merge_duplicates(iter(frames)))
    assert [1 + len(frame.duplicates) for frame in merged] == [6 + MAX_DISTINCT_LUMA, 6 - MAX_DISTINCT_LUMA]
    assert (
        len({id(frame.picture.luma) for run in merged for frame in (run, *run.duplicates)}) == 1 + MAX_DISTINCT_LUMA + 1
    )


def test_smoothing_holds_no_more_frames_than_its_window():
    """Duplicates count among the frames that smoothing holds back."""
    taken = 0

    def counted():
        nonlocal taken
        for frame in merge_duplicates(iter(held([5] * 30))):
            taken += 1 + len(frame.duplicates)
            yield frame

    given = 0
    for frame in smooth(counted(), strength=0.5):
        assert taken - given <= WINDOW + MAX_DUPLICATES
        given += 1 + len(frame.duplicates)
    assert given == 150


def colored(frames: list[Frame], options: ColorizeOptions) -> tuple[list[Frame], int]:
    """The frames as the pipeline colors them, and how many of them went through the network."""
    painter = Painter()
    how = (options.smoothing, options.anchor_spacing)
    out = list(color_frames(mark_cuts(iter(frames)), painter, *how, stage=lambda name, stage: stage))
    return out, sum(painter.seen)


def test_a_run_is_colored_once():
    """Drawings on threes need hardly more calls than single ones, and the frames of a run share one ab array."""
    plain = [replace(frame, opens_shot=False, ab=None, is_anchor=True) for frame in held([1] * 30)]
    threes = [replace(frame, opens_shot=False, ab=None, is_anchor=True) for frame in held([3] * 30)]
    triple, asked = colored(threes, ColorizeOptions())
    assert len(triple) == 90
    assert asked <= colored(plain, ColorizeOptions())[1] + 2
    for first in range(0, 90, 3):
        assert triple[first].ab is triple[first + 1].ab is triple[first + 2].ab


@pytest.mark.parametrize("options", [ColorizeOptions(smoothing=0), ColorizeOptions(anchor_every=1)])
def test_duplicates_are_not_merged_on_request(options):
    """Without smoothing, or with every frame an anchor, all frames go through the network."""
    frames = [replace(frame, opens_shot=False, ab=None) for frame in held([3] * 4)]
    assert colored(frames, options)[1] == 12


def test_the_same_picture_is_rendered_once():
    """Frames with equal luma and ab share their planes; a frame with other luma is rendered by itself."""
    spec = VideoSpec(
        width=128,
        height=96,
        bit_depth=8,
        full_range=True,
        matrix=6,
        primaries=1,
        transfer=1,
        time_base=1,
        frame_rate=None,
        sample_aspect_ratio=None,
        rotation=0,
        estimated_frames=None,
    )
    layout = ChromaFormat(width=64, height=48, bit_depth=8, subsampling_x=2, subsampling_y=2, siting="left")
    (frame,) = shot(moving_scene(3, 1))
    luma = np.rint(frame.grey * 255).astype(np.uint8)
    darker = luma // 2
    frames = [replace(frame, picture=Picture(i, 1, plane)) for i, plane in enumerate((luma, luma.copy(), darker))]
    planes = [planes for _, *planes in render(iter(frames), spec, layout, saturation=1.0)]
    (first, same), (_, other) = pairwise(planes)
    assert all(one is two for one, two in zip(first, same, strict=True))
    assert not np.array_equal(first[0], other[0])
