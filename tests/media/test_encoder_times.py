"""The times that encoders get and give: some take a few frame rates only, and raw streams have no others."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.support.clips import Clip, make_clip, timeline
from tests.support.painter import Painter
from tests.support.samples import SPEC
from vidcolor.media.encoder import numbering_rate
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video

VARIABLE = [0, 41, 80, 200, 240, 900, 940, 981]


@pytest.mark.parametrize(
    ("codec", "rate", "expected"),
    [
        ("mpeg2video", Fraction(25), Fraction(25)),
        ("mpeg2video", Fraction(18), Fraction(18)),  # 24 times 3/4
        ("mpeg1video", Fraction(18), Fraction(24000, 1001)),
        ("mpeg2video", Fraction(2997, 100), Fraction(30000, 1001)),
        ("mpeg2video", None, Fraction(25)),
        ("mpeg4", Fraction(30000, 1001), Fraction(30000, 1001)),
        ("libx264", Fraction(25), None),
    ],
)
def test_rates_of_encoders(codec: str, rate: Fraction | None, expected: Fraction | None) -> None:
    """An encoder whose standard has a few rates gets the film's, or the nearest."""
    assert numbering_rate(codec, replace(SPEC, frame_rate=rate)) == expected


def test_the_unit_of_mpeg4() -> None:
    """MPEG-4 takes units of time with 16 bits: an odd average gets the nearest."""
    average = Fraction(1_200_000_000, 49_590_001)
    found = numbering_rate("mpeg4", replace(SPEC, frame_rate=average))
    assert found is not None
    assert found.numerator <= 65535
    assert abs(found - average) < Fraction(1, 10_000_000)


@pytest.mark.parametrize("options", [{}, {"bf": "2"}], ids=["no B-frames", "B-frames"])
@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video", "mpeg4"])
@pytest.mark.parametrize("time_base", [Fraction(1, 1000), Fraction(1, 90000)])
def test_times_are_exact(codec: str, time_base: Fraction, options: dict[str, str], tmp_path: Path) -> None:
    """The pictures keep the times of the source, at a varying rate too, and decoding times rise."""
    ticks = [round(Fraction(time, 1000) / time_base) for time in VARIABLE]
    clip = Clip(frames=len(ticks), time_base=time_base, pts=ticks)
    source, dest = make_clip(tmp_path / "in.mp4", clip), tmp_path / "out.mp4"
    encode = EncodeOptions(codec=codec, encoder_options=options)
    report = colorize_video(source, dest, colorizer=Painter(), options=ColorizeOptions(render_size=32, encode=encode))
    assert report.warnings == ()
    assert sorted(time for time, _ in timeline(dest, "video")[0]) == [Fraction(time, 1000) for time in VARIABLE]
    with av.open(str(dest)) as film:
        decoded = [packet.dts for packet in film.demux() if packet.dts is not None]
    assert all(earlier < later for earlier, later in pairwise(decoded))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_raw_stream_has_the_rate_of_the_film(codec: str, tmp_path: Path) -> None:
    """The headers of the encoder state the frame rate, not the unit of time of the source."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(64, 64), rate=Fraction(24), time_base=Fraction(1, 1000)))
    dest = tmp_path / {"libx264": "out.h264", "libx265": "out.hevc"}[codec]
    encode = EncodeOptions(codec=codec, preset="ultrafast")
    colorize_video(source, dest, colorizer=Painter(), options=ColorizeOptions(render_size=32, encode=encode))
    with av.open(str(dest)) as film:
        assert film.streams.video[0].guessed_rate == 24
