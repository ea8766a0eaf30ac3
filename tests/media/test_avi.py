"""AVI, which stores the order of decoding, but not when pictures are shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet

from tests.support.clips import Clip, decoded, make_clip
from tests.support.painter import Painter
from vidcolor.frames import Picture
from vidcolor.media.reader import VideoReader
from vidcolor.media.timestamps import FrameGrid
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Report

FRAMES = 20
PICTURE_START = b"\0\0\1\xb6"
B_PICTURE = 2
PLACEHOLDER = b"\x7f"
"""What DivX puts into the place of a B-frame that the packet before holds, too."""


def color(source: Path, dest: Path) -> Report:
    """Color a film in the least time, without loss."""
    options = ColorizeOptions(render_size=32, encode=EncodeOptions(codec="ffv1"))
    return colorize_video(source, dest, colorizer=Painter(), options=options)


def kind_of(packet: Packet[Any]) -> int:
    """The kind of the picture in a packet of MPEG-4: 0 for I, 1 for P, 2 for B."""
    content = bytes(packet)
    return content[content.index(PICTURE_START) + 4] >> 6


def packed(source: Path, path: Path) -> Path:
    """Put every B-frame into the packet of the frame that is decoded before it, as DivX did."""
    with av.open(str(source)) as film:
        stream = film.streams.video[0]
        packets = [packet for packet in film.demux(stream) if packet.size]
        contents = [bytes(packet) for packet in packets]
        for number in range(len(packets) - 1):
            if kind_of(packets[number + 1]) == B_PICTURE:
                contents[number] += contents[number + 1]
                contents[number + 1] = PLACEHOLDER
        begin = contents[0].index(PICTURE_START)
        contents[0] = contents[0][:begin] + b"\0\0\1\xb2DivX503b1393p" + contents[0][begin:]
        with av.open(str(path), "w") as target:
            copy = target.add_stream_from_template(stream)
            for number, content in enumerate(contents):
                packet: Packet[Any] = Packet(content)
                packet.stream, packet.time_base = copy, Fraction(1, 25)
                packet.pts = packet.dts = number
                packet.is_keyframe = number == 0
                target.mux(packet)
    return path


@pytest.mark.parametrize("kind", ["no B-frames", "one", "two", "packed"])
def test_pictures_are_shown_in_time(kind: str, tmp_path: Path) -> None:
    """The first picture is at 0, and the others follow frame by frame, however the encoder has reordered them."""
    options = {"bf": {"no B-frames": "0", "two": "2"}.get(kind, "1"), "b_strategy": "0", "g": "100"}
    clip = Clip(size=(96, 64), frames=FRAMES, codec="mpeg4", options=options | {"sc_threshold": "1000000000"})
    source = make_clip(tmp_path / "in.avi", clip)
    if kind == "packed":
        source = packed(source, tmp_path / "packed.avi")
    report = color(source, tmp_path / "out.mkv")
    assert report.warnings == ()
    pictures = decoded(tmp_path / "out.mkv")
    assert [time for time, _ in pictures] == [Fraction(number, 25) for number in range(FRAMES)]
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(pictures, decoded(source), strict=True))


def test_an_avi_that_is_cut_off(tmp_path: Path) -> None:
    """Its header says how many frames there should be: a line says that some are missing."""
    whole = make_clip(tmp_path / "whole.avi", Clip(frames=100, codec="mjpeg", pix_fmt="yuvj420p", options={}))
    source = tmp_path / "in.avi"
    source.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with VideoReader(source, on_error="keep-grey") as reader:
        pictures = sum(1 for _ in reader.pictures())
        (line,) = [line for line in reader.warnings if "it may be cut short" in line]
    assert 30 < pictures < 60
    assert "its header announces 4.00 s" in line


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video", "ffv1"])
def test_every_picture_is_on_the_frame_grid(codec: str, tmp_path: Path) -> None:
    """Nothing is reordered, so that any reader shows the pictures in their places; a hole stays where it is."""
    pts = [*range(0, 400, 40), *range(520, 920, 40)]
    source = make_clip(tmp_path / "in.mkv", Clip(frames=20, time_base=Fraction(1, 1000), pts=pts))
    options = ColorizeOptions(render_size=32, encode=EncodeOptions(codec=codec))
    colorize_video(source, tmp_path / "out.avi", colorizer=Painter(), options=options)
    with av.open(str(tmp_path / "out.avi")) as film:
        packets = [packet for packet in film.demux(video=0) if packet.size]
        assert [packet.dts * packet.time_base * 25 for packet in packets if packet.dts is not None] == [
            time // 40 for time in pts
        ]
    before, after = decoded(source), decoded(tmp_path / "out.avi")
    assert len(after) == 20
    assert all(abs(one.astype(int) - other).mean() < 8 for (_, one), (_, other) in zip(before, after, strict=True))


def test_a_late_beginning(tmp_path: Path) -> None:
    """AVI begins at 0: the first picture is shown from there on, and sound that would be too early has a line."""
    clip = Clip(start=25, audio=("eng",), audio_codec="mp2", audio_seconds=2, frames=20)
    source = make_clip(tmp_path / "in.mkv", clip)
    report = color(source, tmp_path / "out.avi")
    with av.open(str(tmp_path / "out.avi")) as film:
        times = [packet.dts for packet in film.demux(video=0) if packet.size]
    assert times == [0, *range(26, 45)]
    assert not any("begins at" in line for line in report.warnings)
    with av.open(str(source)) as film, av.open(str(tmp_path / "late.mkv"), "w") as late:
        copies = {stream.index: late.add_stream_from_template(stream) for stream in film.streams}
        for packet in film.demux():
            if packet.size and packet.pts is not None and packet.dts is not None:
                if packet.stream.type == "audio":
                    packet.pts, packet.dts = packet.pts + 1500, packet.dts + 1500
                packet.stream = copies[packet.stream_index]
                late.mux(packet)
    report = color(tmp_path / "late.mkv", tmp_path / "late.avi")
    assert any("begins at 1.49 s" in line and "avi has all sound begin at 0" in line for line in report.warnings)


def test_numbers_after_a_resumed_beginning() -> None:
    """They are those of an uninterrupted film, whatever the rounding of its times."""
    times = [number * 1001 // 30 for number in range(3, 40)]
    whole, rest = (FrameGrid(Fraction(1, 1000), Fraction(1001, 30000)) for _ in range(2))
    numbers = [whole.stamp(Picture(pts, 33, np.zeros((1, 1), np.uint8)))[0] for pts in times]
    rest.skip(17, times[0])
    assert [rest.stamp(Picture(pts, 33, np.zeros((1, 1), np.uint8)))[0] for pts in times[17:]] == numbers[17:]
    assert numbers == [0, *range(numbers[1], numbers[1] + 36)]
