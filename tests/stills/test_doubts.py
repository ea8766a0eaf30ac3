"""Pictures that hold no color."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidcolor.stills.doubts import BILEVEL, doubts_about
from vidcolor.stills.reader import read_picture

RAMP = Image.fromarray(np.linspace(0, 255, 120 * 160).reshape(120, 160).astype(np.uint8))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pbm", "a.gif"])
def test_dithered_picture(tmp_path: Path, name: str) -> None:
    """A picture of 1 bit has a line that says what to do, whatever the format."""
    RAMP.convert("1").save(tmp_path / name)
    assert read_picture(tmp_path / name).notes == (BILEVEL,)


def test_dithered_picture_in_a_jpeg(tmp_path: Path) -> None:
    """Text, which JPEG blurs a little at its edges, is found; a picture with grey levels has no line."""
    text = np.full((120, 160), 255, np.uint8)
    text[20:100:16, 16:144] = 0
    text[21:101:16, 16:144] = 0
    text[22:102:16, 16:144] = 0
    Image.fromarray(text).save(tmp_path / "text.jpg", quality=90)
    RAMP.save(tmp_path / "ramp.jpg")
    assert read_picture(tmp_path / "text.jpg").notes == (BILEVEL,)
    assert read_picture(tmp_path / "ramp.jpg").notes == ()


@pytest.mark.parametrize(("grey_share", "found"), [(0.04, True), (0.06, False)])
def test_share_of_grey(grey_share: float, found: bool) -> None:
    """A twentieth of grey levels is the limit."""
    levels = np.zeros(10_000, np.float32)
    levels[: int(10_000 * grey_share)] = 0.5
    levels[5000:] = 1
    assert (list(doubts_about(levels.reshape(100, 100), 8)) == [BILEVEL]) is found


@pytest.mark.parametrize("level", [0, 1])
def test_one_level_is_no_picture_of_dots(level: int) -> None:
    """A black and a white picture have no line about dots."""
    assert list(doubts_about(np.full((100, 100), level, np.float32), 16)) == []


@pytest.mark.parametrize(("brightest", "found"), [(4095, True), (4100, False)])
def test_twelve_bits_without_a_word(tmp_path: Path, brightest: int, found: bool) -> None:
    """A picture of 16 bits that is as dark as one of 12 has a line, and is left as it is."""
    levels = np.linspace(0, brightest, 40 * 30).reshape(40, 30).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert [note.startswith("its brightest level is 6.2% of white") for note in picture.notes] == [True] * found
    np.testing.assert_allclose(picture.grey, levels / 65535, atol=1e-6)
