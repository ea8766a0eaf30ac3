"""Shots that keep the colors that they have."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.support.color_films import texture
from tests.support.samples import SPEC
from vidcolor.frames import Frame, Picture
from vidcolor.motion.own_colors import AGAINST, EVERY, MAX_HELD, mark_own_colors
from vidcolor.options import KeepColor

WIDTH, HEIGHT = SPEC.width, SPEC.height
KINDS = {"grey": (128, 128, 0), "tint": (110, 150, 0), "color": (118, 140, 40), "faint": (126, 131, 12)}
"""Kinds of pictures: the mean of Cb and of Cr, and by how much their halves differ."""


def frame(index: int, kind: str, *, opens_shot: bool = False, light: float = 1.0) -> Frame:
    """A frame of a kind; without chroma for ``none``."""
    grey = texture(7, HEIGHT, WIDTH) * np.float32(light)
    luma = (16 + 219 * grey).astype(np.uint8)
    chroma = None
    if kind != "none":
        cb, cr, apart = KINDS[kind]
        halves = np.where(np.arange(WIDTH // 2) < WIDTH // 4, -apart / 2, apart / 2) * light
        planes = [np.rint(128 + (mean - 128) * light + sign * halves) for mean, sign in ((cb, 1), (cr, -1))]
        cb_plane, cr_plane = (np.tile(plane, (HEIGHT // 2, 1)).astype(np.uint8) for plane in planes)
        chroma = cb_plane, cr_plane
    return Frame(Picture(index, 1, luma, chroma), grey, opens_shot=opens_shot)


def film(*shots: Sequence[str]) -> list[Frame]:
    """The frames of these shots, each a list of kinds."""
    kinds = [(kind, position == 0) for shot in shots for position, kind in enumerate(shot)]
    return [frame(index, kind, opens_shot=opens) for index, (kind, opens) in enumerate(kinds)]


def kept(frames: Sequence[Frame], keep: KeepColor = "auto", *, may_divide: bool = True) -> str:
    """One letter a frame: k where colors are kept, large where a shot begins."""
    marked = list(mark_own_colors(iter(frames), keep, SPEC, may_divide=may_divide))
    assert [each.picture.pts for each in marked] == [each.picture.pts for each in frames]
    assert all(each.picture.chroma is None for each in marked if not each.keeps_color)
    letters = ("k" if each.keeps_color else "g" for each in marked)
    return "".join(letter.upper() if each.opens_shot else letter for letter, each in zip(letters, marked, strict=True))


def test_shots_are_judged_one_by_one() -> None:
    """An interview in color between two pieces of archive keeps its colors, and nothing else does."""
    assert kept(film(["grey"] * 5, ["color"] * 6, ["tint"] * 5, ["none"] * 3)) == "GggggKkkkkkGggggGgg"


@pytest.mark.parametrize(("keep", "expected"), [("never", "GgGgGg"), ("always", "KkKkGg"), ("auto", "KkGgGg")])
def test_on_request(keep: KeepColor, expected: str) -> None:
    """Never keeps nothing; always keeps tints, too; what is grey has nothing to keep."""
    assert kept(film(["color"] * 2, ["tint"] * 2, ["grey"] * 2), keep) == expected


@pytest.mark.parametrize("length", [1, 2, EVERY, 3 * EVERY, 40])
def test_the_decision_holds_for_a_whole_shot(length: int) -> None:
    """Shots of any length that one frame does not settle are judged as a whole."""
    assert kept(film(["faint"] * length)) == ("K" + "k" * (length - 1))


def test_a_flash_does_not_decide() -> None:
    """One faint frame of another kind at the start of a shot is outvoted."""
    kinds = ["tint"] + ["faint"] * 20
    assert kept(film(kinds)) == "K" + "k" * 20


def test_a_fade_in() -> None:
    """Dark frames say nothing. Those that were held back follow the first lit ones; after more a shot begins there."""
    short = [frame(i, "color", opens_shot=i == 0, light=min(1, 0.02 + 0.1 * i)) for i in range(20)]
    assert kept(short) == "K" + "k" * 19
    dark = [frame(i, "color", opens_shot=i == 0, light=0.01) for i in range(2 * MAX_HELD)]
    lit = [frame(2 * MAX_HELD + i, "color") for i in range(5)]
    assert kept([*dark, *lit]) == "G" + "g" * (2 * MAX_HELD - 1) + "Kkkkk"


@pytest.mark.parametrize(("first", "second"), [("grey", "color"), ("color", "grey")])
def test_where_colors_come_or_go_without_a_cut(first: str, second: str) -> None:
    """After a dissolve into the other kind a shot begins soon; not where the user has said where shots begin."""
    frames = film([first] * 20 + [second] * 40)
    found = kept(frames)
    turn = 20 + (AGAINST - 1) * EVERY
    letters = {"grey": "g", "color": "k"}
    assert found == letters[first].upper() + letters[first] * (turn - 1) + letters[second].upper() + letters[second] * (
        59 - turn
    )
    assert kept(frames, may_divide=False) == letters[first].upper() + letters[first] * 59


def test_every_shot_is_on_its_own() -> None:
    """A film that begins at a shot is marked as that part of the whole film."""
    shots = [["grey"] * 7, ["faint"] * 9, ["tint"] * 5 + ["color"] * 30, ["color"] * 4]
    whole = film(*shots)
    assert kept(whole[7:]) == kept(whole)[7:]
    assert kept(whole[16:]) == kept(whole)[16:]


def test_deep_and_full_range() -> None:
    """Films of 10 bits and of full range are judged alike."""
    frames = film(["color"] * 3, ["tint"] * 3)
    deep = [
        replace(
            each,
            picture=replace(
                each.picture,
                luma=each.picture.luma.astype(np.uint16) * 4,
                chroma=tuple(plane.astype(np.uint16) * 4 for plane in each.picture.chroma or ()),
            ),
        )
        for each in frames
    ]
    for spec, these in ((replace(SPEC, bit_depth=10), deep), (replace(SPEC, full_range=True), frames)):
        assert [each.keeps_color for each in mark_own_colors(iter(these), "auto", spec)] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("shape", [(1, 6000), (6000, 2)])
def test_memory_of_a_strip(shape: tuple[int, int]) -> None:
    """A film of one line, or two columns, needs a few megabytes."""
    plane = np.full(shape, 128, np.uint8)
    strip = Frame(Picture(0, 1, plane, (plane, plane)), np.zeros((32, 32), np.float32), opens_shot=True)
    tracemalloc.start()
    assert kept([strip]) == "G"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24
