"""Sound around pictures that stand for long: kept in a temporary file."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.packet import Packet

from tests.support.clips import Clip, make_clip, timeline
from tests.support.painter import Painter
from vidcolor.errors import ResourceError
from vidcolor.media import packet_store
from vidcolor.media.packet_store import PacketStore
from vidcolor.media.pipes import PipeOutput
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video

STILL = Clip(frames=3, rate=Fraction(1), audio=("eng",), audio_codec="pcm_s16le", audio_seconds=6.0)
OPTIONS = ColorizeOptions(render_size=32, encode=EncodeOptions(preset="ultrafast"))


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a few packets of sound."""
    monkeypatch.setattr(packet_store, "MAX_BYTES_IN_MEMORY", 10_000)


def facts(packet: Packet[Any]) -> tuple[object, ...]:
    """Everything that must come back."""
    kinds = [entry.data_type for entry in packet.iter_sidedata()]
    return packet.stream, packet.pts, packet.dts, packet.duration, packet.is_keyframe, bytes(packet), kinds


def test_packets_come_back(little_memory: None, tmp_path: Path) -> None:
    """All of them, with times and side data, as often as they are read, and the memory is bounded."""
    store, expected = PacketStore(), []
    with av.open(str(make_clip(tmp_path / "in.mkv", Clip(frames=1, audio=("eng",), audio_seconds=4.0)))) as film:
        for packet in film.demux(audio=0):
            store.add(packet)
            expected.append(facts(packet))
        assert sum(packet.size for packet in store._in_memory) <= 10_000
        for _ in range(2):
            found = [facts(packet) for packet in store]
            assert found == expected


def test_a_full_disk(little_memory: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the folder of temporary files."""

    def refuse(**settings: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(ResourceError, match=r"takes no more temporary files \(No space left on device\)"):
        colorize_video(
            make_clip(tmp_path / "in.mkv", STILL), tmp_path / "out.mkv", colorizer=Painter(), options=OPTIONS
        )


@pytest.mark.parametrize("way", ["file", "pipe"])
def test_sound_is_whole(way: str, little_memory: None, tmp_path: Path) -> None:
    """Every packet of sound is in the output, before, between and after the pictures."""
    source, dest = make_clip(tmp_path / "in.mkv", STILL), tmp_path / "out.mkv"
    if way == "file":
        colorize_video(source, dest, colorizer=Painter(), options=OPTIONS)
    else:
        with dest.open("wb") as stream:
            colorize_video(source, PipeOutput(stream), colorizer=Painter(), options=OPTIONS)
    assert timeline(dest, "audio") == timeline(source, "audio")
