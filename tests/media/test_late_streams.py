"""Films in which a stream begins after everything that libav looks at when it opens them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.container import InputContainer
from av.packet import Packet

from tests.support.clips import Clip, make_clip
from tests.support.painter import Painter
from vidcolor.media.demuxing import late_kinds, packets_of
from vidcolor.media.sources import FileSource
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import colorize_video

FRAMES = 60
SUBTITLE = bytes.fromhex("0026000c0001000100010001000000240103321004fff005000000f00000300600040008ff")
"""A bitmap of DVD, of which nothing but the size is read here."""


def late_subtitles(folder: Path) -> Path:
    """Make a VOB of two seconds whose subtitles begin in the middle."""
    picture = make_clip(
        folder / "picture.mkv",
        Clip(size=(320, 240), frames=FRAMES, codec="mpeg2video", options={"qmin": "1", "qmax": "1"}),
    )
    path = folder / "late.vob"
    with av.open(str(picture)) as source, av.open(str(path), "w", format="vob") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        words = target.add_mux_stream("dvd_subtitle", time_base=Fraction(1, 90000))
        for number, packet in enumerate(packet for packet in source.demux() if packet.size):
            packet.stream = video
            target.mux(packet)
            if number == FRAMES // 2:
                shown: Packet[Any] = Packet(SUBTITLE)
                shown.stream, shown.time_base = words, Fraction(1, 90000)
                shown.pts = shown.dts = round(Fraction(number, 25) * 90000)
                target.mux(shown)
    return path


def open_briefly(source: FileSource) -> InputContainer:
    """Open a film after a look at its first bytes only, as libav does with films of many megabytes."""
    return av.open(str(source.path), container_options={"probesize": "6000", "analyzeduration": "100000"})


def test_they_are_noticed(tmp_path: Path) -> None:
    """The type of a stream that PyAV does not list is found once a packet of it was read."""
    with av.open(str(late_subtitles(tmp_path)), container_options={"probesize": "6000"}) as film:
        assert [stream.type for stream in film.streams] == ["video"]
        assert late_kinds(film) == []
        assert sum(packet.size > 0 for packet in packets_of(film)) == FRAMES
        assert late_kinds(film) == ["subtitle"]
        assert film.streams[0].disposition == 0


def test_the_film_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pictures are colored, and a line names what is left out."""
    monkeypatch.setattr(FileSource, "open", open_briefly)
    source, dest = late_subtitles(tmp_path), tmp_path / "out.mkv"
    report = colorize_video(source, dest, colorizer=Painter(), options=ColorizeOptions(render_size=32))
    assert report.frames == FRAMES
    assert [line for line in report.warnings if "stream of type subtitle appears so late" in line]
