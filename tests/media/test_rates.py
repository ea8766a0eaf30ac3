"""Frame rates that libav finds, and such as it cannot have found."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from tests.support.clips import Clip, make_clip
from tests.support.painter import Painter
from vidcolor.media.rates import frame_rate_of
from vidcolor.media.reader import VideoReader
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video

PAL = ((720, 576), "yuv420p", Fraction(25))
NTSC = ((720, 480), "yuv411p", Fraction(30000, 1001))


def raw_dv(folder: Path, size: tuple[int, int], pix_fmt: str, rate: Fraction) -> Path:
    """Make a file of DV frames alone, as it comes off a tape: without sound here, and without a header."""
    clip = Clip(size=size, frames=5, rate=rate, pix_fmt=pix_fmt, codec="dvvideo", options={})
    path = folder / "tape.dv"
    with av.open(str(make_clip(folder / "tape.mov", clip))) as film:
        path.write_bytes(b"".join(bytes(packet) for packet in film.demux() if packet.size))
    return path


@pytest.mark.parametrize(
    ("average", "guessed", "expected"),
    [
        (Fraction(17), Fraction(24), Fraction(17)),
        (None, Fraction(15), Fraction(15)),
        (Fraction(60000), Fraction(25), Fraction(25)),
        (Fraction(1000), Fraction(25), Fraction(1000)),
        (Fraction(1001), Fraction(90000), None),
        (Fraction(0), None, None),
    ],
)
def test_the_rate_that_can_be_one(
    average: Fraction | None, guessed: Fraction | None, expected: Fraction | None
) -> None:
    """The average counts, unless it is the unit of time; then libav's guess does."""
    stream = SimpleNamespace(average_rate=average, guessed_rate=guessed)
    assert frame_rate_of(stream) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "pix_fmt", "rate"), [PAL, NTSC], ids=["PAL", "NTSC"])
def test_raw_dv(size: tuple[int, int], pix_fmt: str, rate: Fraction, tmp_path: Path) -> None:
    """A tape has the rate of its frames, in the source and in the copy."""
    source, dest = raw_dv(tmp_path, size, pix_fmt, rate), tmp_path / "out.mp4"
    with VideoReader(source) as reader:
        assert reader.spec.frame_rate == rate
    options = ColorizeOptions(render_size=32, encode=EncodeOptions(preset="ultrafast"))
    assert colorize_video(source, dest, colorizer=Painter(), options=options).frames == 5
    with av.open(str(dest)) as film:
        assert film.streams.video[0].average_rate == rate
