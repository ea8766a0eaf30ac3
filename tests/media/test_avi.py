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
from vidcolor.media.reader import VideoReader
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
