"""Films in which a stream begins after everything that libav looks at when it opens them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.packet import Packet

from tests.media.test_video import copy_film
from tests.support.clips import Clip, decoded, make_clip, timeline
from tests.support.painter import Painter
from vidcolor.media import probe
from vidcolor.media.demuxing import late_kinds, packets_of
from vidcolor.media.sources import FileSource
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import colorize_video

FRAMES = 60
SUBTITLE = bytes.fromhex("002a000c0001000100010001000000240103321004fff00500000f0000030600040008ff005a002402ff")
"""A bitmap of DVD that is shown for a second."""


def late_subtitles(folder: Path, *, numbers: tuple[int, ...] = (FRAMES // 2,)) -> Path:
    """Make a VOB of two seconds with subtitles after the pictures of these numbers."""
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
            if number in numbers:
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


def late_sound(path: Path) -> Path:
    """Make a VOB of eight seconds whose sound begins two seconds before the end."""
    with av.open(str(path), "w", format="vob") as film:
        picture = film.add_stream("mpeg2video", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = film.add_stream("ac3", rate=48000)
        sound.codec_context.layout = "mono"
        for number in range(200):
            film.mux(picture.encode(av.VideoFrame(64, 48, "yuv420p")))
            if number >= 150:
                frame = av.AudioFrame.from_ndarray(np.full((1, 1920), 0.001 * number, np.float32), "fltp", "mono")
                frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), number * 1920
                film.mux(sound.encode(frame))
        for stream in (picture, sound):
            film.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_late_sound_is_kept(name: str, tmp_path: Path) -> None:
    """Sound whose form is known only from its first packets is kept, at its own time."""
    source = late_sound(tmp_path / "in.vob")
    assert not [line for line in copy_film(source, tmp_path / name) if "audio" in line]
    before, after = (timeline(path, "audio")[0] for path in (source, tmp_path / name))
    assert [payload for _, payload in after] == [payload for _, payload in before]
    starts = [decoded(path)[0][0] for path in (source, tmp_path / name)]
    assert abs((after[0][0] - starts[1]) - (before[0][0] - starts[0])) < Fraction(1, 500)


def test_sound_that_is_not_found_is_named_truly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no sound is found in the part that is looked at, the line does not blame the container."""
    monkeypatch.setattr(probe, "LONG_PROBE", {})
    source = late_sound(tmp_path / "in.vob")
    (line,) = (line for line in copy_film(source, tmp_path / "out.mkv") if "audio" in line)
    assert "none of its sound is found near the beginning of the film, so that its form is not known" in line


def test_the_last_subtitle_is_kept(tmp_path: Path) -> None:
    """In MP4 a track ends with its last packet, so that one without a duration would not be shown."""
    source, dest = late_subtitles(tmp_path, numbers=(FRAMES // 2, FRAMES - 5)), tmp_path / "out.mp4"
    assert [line for line in copy_film(source, dest) if "subtitle" in line] == []
    before, after = (timeline(path, "subtitle")[0] for path in (source, dest))
    assert [payload for _, payload in after] == [payload for _, payload in before] != []


CAPTION = bytes([0xB5, 0x00, 0x31, *b"GA94", 0x03, 0x41, 0xFF, 0xFC, 0x48, 0x80, 0xFF])
CAPTION_UNIT = bytes([0, 0, 0, 1, 6, 4, len(CAPTION), *CAPTION, 0x80])
"""A supplemental unit of H.264 with one caption of ATSC A/53."""


def with_captions(path: Path, captioned: range) -> Path:
    """Make a raw film of 20 pictures, some with captions."""
    with av.open(str(path), "w", format="h264") as film:
        stream = film.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        packets = [packet for _ in range(20) for packet in stream.encode(av.VideoFrame(64, 48, "yuv420p"))]
        packets += stream.encode(None)
        for number, packet in enumerate(packets):
            changed: Packet[Any] = Packet((CAPTION_UNIT if number in captioned else b"") + bytes(packet))
            changed.stream, changed.time_base, changed.pts, changed.dts = stream, packet.time_base, number, number
            film.mux_one(changed)
    return path


@pytest.mark.parametrize(
    ("captioned", "lines"),
    [
        (range(0), []),
        (range(10, 20), ["the film has closed captions inside the picture from 0.40 s on, left out"]),
        (range(20), ["the film has closed captions inside the picture, left out"]),
    ],
)
def test_captions_that_begin_late_are_named(captioned: range, lines: list[str], tmp_path: Path) -> None:
    """One line names captions, wherever in the film they begin."""
    source = with_captions(tmp_path / "in.h264", captioned)
    assert [line for line in copy_film(source, tmp_path / "out.mkv") if "captions" in line] == lines
