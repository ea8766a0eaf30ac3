"""Worn films: each damage does what it says, to what is seen and to nothing else."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest

from tests.support.color_films import moving_square
from vidcolor_training.evaluation.color_clips import ColorClip, split_lab
from vidcolor_training.evaluation.film_degradation import FilmDegradation, degrade_clip

FRAMES = 40
NAMES = [field.name for field in fields(FilmDegradation) if field.name not in ("weave", "lost")]
"""Damage that is there in every film, to what is seen alone."""


@pytest.fixture(scope="module")
def clip() -> ColorClip:
    """A square that moves."""
    true = moving_square(FRAMES)
    grey, ab = split_lab(true)
    return ColorClip("square", true, grey, ab, grey, (range(FRAMES),), Fraction(25))


@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_seen_is_damaged(clip: ColorClip, name: str) -> None:
    """The truth stays as it is, and what is seen stays within [0, 1] and near it."""
    worn = degrade_clip(clip, FilmDegradation().only(name))
    assert worn.true is not clip.true
    assert np.array_equal(worn.grey, clip.grey)
    assert np.array_equal(worn.ab, clip.ab)
    assert np.array_equal(worn.true, clip.true)
    assert worn.seen.dtype == np.float32
    assert worn.seen.min() >= 0
    assert worn.seen.max() <= 1
    damage = np.abs(worn.seen - clip.grey).mean()
    assert 1e-4 < damage < 0.08


def test_the_gate_moves_all_of_the_picture(clip: ColorClip) -> None:
    """Weave alone: what is seen is the grey of the moved truth."""
    worn = degrade_clip(clip, FilmDegradation().only("weave"))
    assert np.array_equal(worn.seen, worn.grey)
    assert not np.array_equal(worn.grey, clip.grey)
    grey, ab = split_lab(worn.true)
    assert np.abs(grey - worn.grey).mean() < 0.01
    assert np.abs(ab - worn.ab).mean() < 1


def test_flicker_is_a_gain_of_each_frame(clip: ColorClip) -> None:
    """All of a frame by the same factor, of the spread that was asked for."""
    bright = replace(clip, grey=np.full_like(clip.grey, 0.5), seen=np.full_like(clip.grey, 0.5))
    seen = degrade_clip(bright, FilmDegradation().only("flicker")).seen
    assert np.ptp(seen, axis=(1, 2)).max() == 0
    assert np.log(seen[:, 0, 0] / 0.5).std() == pytest.approx(FilmDegradation().flicker, rel=0.3)


def test_lost_frames_are_blank(clip: ColorClip) -> None:
    """Some frames, of one level; the others are as they were."""
    seen = degrade_clip(clip, FilmDegradation(0, 0, 0, 0, 0, lost=0.1, faded=0)).seen
    blank = np.ptp(seen, axis=(1, 2)) == 0
    assert 1 <= blank.sum() <= 15
    assert np.array_equal(seen[~blank], clip.grey[~blank])


def test_the_same_again(clip: ColorClip) -> None:
    """The same clip is worn in the same way; another one in another."""
    again, other = degrade_clip(clip, FilmDegradation()), degrade_clip(replace(clip, name="other"), FilmDegradation())
    assert np.array_equal(degrade_clip(clip, FilmDegradation()).seen, again.seen)
    assert not np.array_equal(other.seen, again.seen)


def test_only_an_unknown_damage() -> None:
    """It is named, with those that there are."""
    with pytest.raises(ValueError, match="unknown degradation 'mould'; there are: flicker, weave"):
        FilmDegradation().only("mould")
