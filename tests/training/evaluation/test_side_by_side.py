"""Films side by side and strips."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support.color_films import moving_square
from vidcolor.errors import OutputError
from vidcolor_training.evaluation.side_by_side import (
    BAND,
    TILE_WIDTH,
    Exhibit,
    choose,
    frames_around,
    safe_name,
    write_player,
    write_strip,
)


def test_a_player(tmp_path: Path) -> None:
    """H.264 in 4:2:0 with even sides and the clip's rate, its index in front, its colors those of the panels."""
    film = moving_square(7)[:, :47, :33]
    write_player(tmp_path / "a.mp4", [film, np.zeros_like(film), film], Fraction(24000, 1001))
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(tmp_path / "a.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.codec.canonical_name, stream.average_rate) == ("h264", Fraction(24000, 1001))
        decoded = list(container.decode(stream))
        frames = [(frame.format.name, frame.colorspace, frame.to_ndarray(format="rgb24")) for frame in decoded]
    assert len(frames) == 7
    name, matrix, picture = frames[3]
    assert (name, matrix, picture.shape) == ("yuv420p", 1, (48, 100, 3))
    np.testing.assert_allclose(picture[:47, :33].mean(axis=(0, 1)), film[3].mean(axis=(0, 1)), atol=4)
    assert picture[:47, 35:64].max() < 12


def test_a_player_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names the film."""
    with pytest.raises(OutputError, match=r"a\.mp4"):
        write_player(tmp_path / "nowhere" / "a.mp4", [moving_square(2)], Fraction(25))


def test_a_strip(tmp_path: Path) -> None:
    """Frames from left to right, rows from top to bottom, each below its name."""
    red, blue = np.zeros((3, 30, 40, 3), np.uint8), np.zeros((3, 30, 40, 3), np.uint8)
    red[1, ..., 0], blue[2, ..., 2] = 255, 255
    write_strip(tmp_path / "a.png", {"red": red, "blau — ours": blue})
    sheet = np.asarray(Image.open(tmp_path / "a.png")).astype(int)
    height = TILE_WIDTH * 30 // 40
    assert sheet.shape == (2 * (height + BAND), 3 * TILE_WIDTH, 3)
    middles = sheet[BAND + height // 2 :: height + BAND, TILE_WIDTH // 2 :: TILE_WIDTH]
    np.testing.assert_array_equal(middles[0], [[0, 0, 0], [255, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(middles[1], [[0, 0, 0], [0, 0, 0], [0, 0, 255]])
    assert (sheet[:BAND] < 128).any()


@pytest.mark.parametrize(
    ("worst", "shot", "expected"),
    [
        (10, range(30), range(8, 14)),
        (0, range(30), range(6)),
        (29, range(30), range(24, 30)),
        (5, range(4, 7), range(4, 7)),
    ],
)
def test_frames_around(worst: int, shot: range, expected: range) -> None:
    """Six frames with the worst among them, inside its shot."""
    assert frames_around(worst, shot) == expected


def test_choose() -> None:
    """Few are all shown, as they came; of many the steadiest, the median and the worst."""
    exhibits = [Exhibit(flicker, Path(), Path(), "") for flicker in (3, 1, 4, 1.5, 9, 2, 6)]
    assert choose(exhibits[:6]) == exhibits[:6]
    assert [exhibit.flicker for exhibit in choose(exhibits)] == [1, 3, 9]


@pytest.mark.parametrize(
    ("name", "safe"), [("a film (1).mp4", "a_film_1"), ("../x/é.mkv", "clip"), ("c01_dog.mp4", "c01_dog")]
)
def test_safe_name(name: str, safe: str) -> None:
    """Nothing is left that a file system or a URL could take amiss."""
    assert safe_name(name) == safe
