"""What an HDR film says of its mastering display and its light arrives, or one line says that it does not."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.media.test_video import copy_film
from tests.support.clips import Clip, make_clip
from vidcolor.inspect.rehearsal import rehearse_film
from vidcolor.media.destinations import NumberedDestination
from vidcolor.media.hdr_metadata import HdrMetadata, parse_hdr_metadata
from vidcolor.media.image_sequence import PicturePattern
from vidcolor.media.image_sequence_writer import SequenceWriter
from vidcolor.media.reader import VideoReader
from vidcolor.options import ColorizeOptions, EncodeOptions

P3_DISPLAY = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 50, 10_000_000)
"""In the units of SMPTE ST 2086: P3, D65, 0.005 to 1000 cd/m²."""
HDR = HdrMetadata(P3_DISPLAY, (1000, 400))
HDR10 = Clip(
    size=(128, 96),
    frames=3,
    codec="libx265",
    pix_fmt="yuv420p10le",
    tags={"colorspace": 9, "color_primaries": 9, "color_trc": 16},
    options={
        "preset": "ultrafast",
        "x265-params": "log-level=none:pools=1:max-cll=1000,400:"
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)",
    },
)
ENCODERS = {
    "libx264": EncodeOptions(preset="ultrafast"),
    "libx265": EncodeOptions(codec="libx265", preset="ultrafast"),
    "libsvtav1": EncodeOptions(codec="libsvtav1", preset="10"),
}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An HDR10 film."""
    return make_clip(tmp_path_factory.mktemp("hdr") / "in.mkv", HDR10)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("codec", ENCODERS)
def test_it_arrives(film: Path, tmp_path: Path, codec: str, suffix: str) -> None:
    """In every number, with no line to read; beside words that the user has for the encoder, too."""
    dest = tmp_path / f"out{suffix}"
    assert copy_film(film, dest, ENCODERS[codec]) == []
    with VideoReader(dest) as copy:
        assert copy.spec.hdr == HDR


def test_the_users_words_count(film: Path, tmp_path: Path) -> None:
    """They come later than the film's."""
    options = EncodeOptions(preset="ultrafast", encoder_options={"x264-params": "cll=600,300"})
    copy_film(film, tmp_path / "out.mkv", options)
    with VideoReader(tmp_path / "out.mkv") as copy:
        assert copy.spec.hdr == HdrMetadata(P3_DISPLAY, (600, 300))


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")
def test_ffprobe_finds_it(film: Path, tmp_path: Path) -> None:
    """An independent reader finds in the copy what it finds in the film."""
    copy_film(film, tmp_path / "out.mp4", ENCODERS["libx265"])
    before, after = (probed(path) for path in (film, tmp_path / "out.mp4"))
    assert before == after
    assert len(before) == 2


def probed(path: Path) -> list[dict[str, Any]]:
    """What ffprobe says of the light in the first picture."""
    command = ["ffprobe", "-v", "error", "-read_intervals", "%+#1", "-show_frames", "-of", "json", str(path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    notes = told["frames"][0]["side_data_list"]
    return [note for note in notes if note["side_data_type"].startswith(("Mastering", "Content light"))]


def test_an_encoder_without_words_for_it(film: Path, tmp_path: Path) -> None:
    """One line names all of it, says what does carry it, and `vidcolor info` has the same."""
    (line,) = copy_film(film, tmp_path / "out.mkv", EncodeOptions(codec="ffv1"))
    said = "HDR metadata (mastered on 0.005 to 1000 cd/m², light levels 1000 and 400 cd/m²): ffv1 cannot store it"
    assert line.startswith(said)
    assert "libx265" in line
    with VideoReader(film) as reader:
        for codec, outcome in (("ffv1", "dropped"), ("libx265", "kept")):
            plan = rehearse_film(reader, tmp_path / "new.mkv", EncodeOptions(codec=codec), overwrite=False)
            assert [found.kind for found in plan.outcomes if found.what == "HDR metadata"] == [outcome]


def test_numbered_pictures_are_named(film: Path, tmp_path: Path) -> None:
    """They carry none of it."""
    pattern = PicturePattern.parse(tmp_path / "%d.png")
    assert pattern is not None
    with VideoReader(film) as reader:
        writer = SequenceWriter(
            NumberedDestination(pattern, 1, overwrite=False), reader=reader, options=EncodeOptions()
        )
    assert [line for line in writer.warnings if line.startswith("HDR metadata")] == [
        f"HDR metadata ({HDR}): numbered pictures cannot store it, left out"
    ]


def record(*numbers: int, has_primaries: int = 1, has_luminance: int = 1) -> bytes:
    """As libav keeps it: each number over the steps that it is counted in."""
    steps = [50_000] * 8 + [10_000] * 2
    pairs = [part for pair in zip(numbers, steps, strict=True) for part in pair]
    return struct.pack("=20i2i", *pairs, has_primaries, has_luminance)


def test_what_is_read() -> None:
    """Both parts, or the one that is there."""
    levels = struct.pack("=2I", 1000, 400)
    assert parse_hdr_metadata(record(*P3_DISPLAY), levels) == HDR
    assert parse_hdr_metadata(record(*P3_DISPLAY), None) == HdrMetadata(P3_DISPLAY, None)
    assert parse_hdr_metadata(None, levels) == HdrMetadata(None, (1000, 400))
    assert parse_hdr_metadata(None, None) is None


@pytest.mark.parametrize(
    "display",
    [
        b"",
        record(*P3_DISPLAY, has_primaries=0),
        record(*P3_DISPLAY, has_luminance=0),
        record(*P3_DISPLAY[:8], 50, 50),
        record(*P3_DISPLAY[:8], -1, 1000),
        record(60_000, *P3_DISPLAY[1:]),
        struct.pack("=22i", *[0] * 20, 1, 1),
    ],
)
def test_what_is_impossible_is_not_handed_on(display: bytes) -> None:
    """Halves, zero divisors, light below zero, colors beyond 1: encoders would refuse it, or write nonsense."""
    assert parse_hdr_metadata(display, struct.pack("=2I", 70_000, 0)) is None


def test_the_shared_clip(shared_clips: Path, tmp_path: Path) -> None:
    """A file from the wild, to the default encoder: nothing to warn of."""
    source = shared_clips / "odd" / "v_hdr10_rot_chapters.mkv"
    assert copy_film(source, tmp_path / "out.mkv", ColorizeOptions().encode) == []
    with VideoReader(source) as reader, VideoReader(tmp_path / "out.mkv") as copy:
        assert reader.spec.hdr is not None
        assert reader.spec.hdr == copy.spec.hdr
