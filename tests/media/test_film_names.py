"""The container of a colored film for which none is given is one that holds all of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from tests.media.test_video import copy_film
from tests.support.clips import Clip, make_clip, timeline
from vidcolor.files.suffixes import film_name, film_suffixes
from vidcolor.media.film_names import choose_suffix
from vidcolor.options import EncodeOptions


def make_phone_film(path: Path) -> Path:
    """Make a film as phones of 2005 did: H.263 and AMR."""
    with av.open(str(path), "w", format="3gp") as container:
        picture = container.add_stream("h263", rate=15)
        picture.width, picture.height, picture.pix_fmt = 176, 144, "yuv420p"
        sound = container.add_stream("libopencore_amrnb", rate=8000)
        assert isinstance(sound, AudioStream)
        sound.codec_context.layout = "mono"
        for number in range(15):
            container.mux(picture.encode(av.VideoFrame(176, 144, "yuv420p")))
            frame = av.AudioFrame.from_ndarray(np.full((1, 533), 50 * number, np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base, frame.pts = 8000, Fraction(1, 8000), number * 533
            container.mux(sound.encode(frame))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["phone.3gp", "phone.mp4"])
def test_a_film_goes_where_all_of_it_fits(name: str, tmp_path: Path) -> None:
    """Neither Matroska nor MP4 holds AMR, but MOV does, and there it has the same packets."""
    source = make_phone_film(tmp_path / name)
    assert choose_suffix(source, EncodeOptions()) == ".mov"
    assert copy_film(source, tmp_path / "out.mov") == []
    packets = [payload for _, payload in timeline(source, "audio")[0]]
    assert [payload for _, payload in timeline(tmp_path / "out.mov", "audio")[0]] == packets
    assert len(packets) > 40


@pytest.mark.parametrize(
    ("name", "clip", "codec", "expected"),
    [
        ("a.mp4", Clip(audio=("eng",), subtitles=True), "libx264", ".mp4"),
        ("a.mkv", Clip(audio=("eng",), subtitles=True), "libx264", ".mkv"),
        ("a.mkv", Clip(attachment=True), "libx264", ".mkv"),
        ("a.ts", Clip(audio=("eng",)), "libx264", ".ts"),
        ("a.avi", Clip(audio=("eng",), audio_codec="pcm_u8", codec="mpeg4", options={}), "libx264", ".mkv"),
        ("a.mp4", Clip(audio=("eng",)), "libvpx", ".mkv"),
        ("a.ts", Clip(audio=("eng",)), "ffv1", ".mkv"),
        ("a.mov", Clip(audio=("eng",), timecode="01:00:00:00"), "libx264", ".mov"),
    ],
)
def test_the_own_suffix_comes_first(name: str, clip: Clip, codec: str, expected: str, tmp_path: Path) -> None:
    """A film keeps its suffix where nothing is lost by it, or becomes Matroska."""
    assert choose_suffix(make_clip(tmp_path / name, clip), EncodeOptions(codec=codec)) == expected


def test_a_film_that_cannot_be_opened(tmp_path: Path) -> None:
    """What is no film, or is not there, gets the name that it would have had; its own error comes later."""
    (tmp_path / "a.vob").write_bytes(b"nothing")
    assert choose_suffix(tmp_path / "a.vob", EncodeOptions()) == ".mkv"
    assert choose_suffix(tmp_path / "b.mp4", EncodeOptions()) == ".mp4"
    assert choose_suffix(tmp_path / "b.mp4", EncodeOptions(codec="nonsense")) == ".mp4"


def test_names() -> None:
    """A name is changed only where its suffix is another one, in whatever case."""
    assert film_suffixes(Path("a.MOV")) == (".mov", ".mkv", ".mp4")
    assert film_suffixes(Path("a.gif")) == (".mkv", ".mov", ".mp4")
    assert film_name(Path("b/a.MOV"), ".mov") == Path("b/a.MOV")
    assert film_name(Path("b/a.avi"), ".mkv") == Path("b/a.mkv")
