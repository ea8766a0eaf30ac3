"""Nothing lost: a film that is interrupted goes on, and comes out as if it had not been.

The film is short, and so are the segments here. ``VIDCOLOR_KILLS=20`` kills that often instead of three times, and
``VIDCOLOR_KILL_SEED`` chooses other moments.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from tests.support.clips import Clip, decoded, make_clip, timeline
from tests.support.color_films import still_shot, two_colors, write_film
from tests.support.limits import max_file_size
from tests.test_pipeline import Painter, names
from vidcolor.errors import InputError, OptionError, OutputError, message_with_notes
from vidcolor.folder.coloring import colorize_folder
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.multi_device import MultiDevice
from vidcolor.inference.weights import load_generator
from vidcolor.media.image_sequence import PicturePattern
from vidcolor.media.pipes import PipeInput
from vidcolor.media.reader import VideoReader
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Progress, Report
from vidcolor.resume import segments
from vidcolor.resume.segment_file import read_facts
from vidcolor.resume.unfinished import folder_of, is_finished, remove_empty_folder, segment_paths

FILM = Clip(
    size=(64, 48),
    frames=96,
    cuts=(7, 13, 30, 33, 88),
    audio=("eng", "fra"),
    subtitles=True,
    chapters=True,
    options={"crf": "12", "preset": "veryfast"},
)
"""Short shots, a long one, B-frames, and all that a file may hold beside."""
MIN_SEGMENT, MAX_SEGMENT = 10, 24
"""Limits of the frames in a segment in these tests."""
OPENINGS = [0, 13, 30, 40, 64, 80]
"""Of the film's segments; shots begin at 40 and 80, too, where the picture jumps. The one from 40 on is divided."""
SHOTS = 8
ENCODE = EncodeOptions(preset="veryfast")
OPTIONS = ColorizeOptions(render_size=48, anchor_every=3, encode=ENCODE)


class InterruptedHereError(Exception):
    """Interrupts the work in these tests."""


class Faithful(Painter):
    """A predictor with a fingerprint, whose colors depend on the batch."""

    runs_on = "paper"
    backend = "paper 1"

    def __init__(self, fingerprint: str = "yellow and blue") -> None:
        super().__init__()
        self.fingerprint = fingerprint

    def predict(self, grey: FloatArray) -> FloatArray:
        """Return ab that depends on the first picture of the batch."""
        return super().predict(grey) * np.float32(1 + grey[0].mean() + len(grey) / 10)


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make segments short, so that a short film has many."""
    monkeypatch.setattr(segments, "MIN_SEGMENT_FRAMES", MIN_SEGMENT)
    monkeypatch.setattr(segments, "MAX_SEGMENT_FRAMES", MAX_SEGMENT)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film, read-only."""
    return make_clip(tmp_path_factory.mktemp("film") / "in.mkv", FILM)


@pytest.fixture(scope="module")
def whole(film: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The films of uninterrupted runs, by suffix."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "MIN_SEGMENT_FRAMES", MIN_SEGMENT)
        patch.setattr(segments, "MAX_SEGMENT_FRAMES", MAX_SEGMENT)
        for suffix in (".mkv", ".mp4"):
            color(film, folder / f"out{suffix}")
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def source(film: Path, tmp_path: Path) -> Path:
    """A copy of the film that may be changed."""
    (tmp_path / "work").mkdir()
    return Path(shutil.copy2(film, tmp_path / "work" / "in.mkv"))


def color(source: Path, dest: Path, options: ColorizeOptions = OPTIONS, *, stop_at: int = 0, **how: Any) -> Report:
    """Color the film, or interrupt after ``at`` frames."""

    def on_progress(progress: Progress) -> None:
        if progress.frames == stop_at:
            raise InterruptedHereError("stopped")

    painter = how.pop("painter", None) or Faithful()
    return colorize_video(
        source, dest, colorizer=painter, options=replace(options, **how), on_progress=on_progress if stop_at else None
    )


def interrupt(source: Path, dest: Path, options: ColorizeOptions = OPTIONS, *, at: int = 70, **how: Any) -> str:
    """Interrupt the film and return the message of the exception."""
    with pytest.raises(InterruptedHereError) as caught:
        color(source, dest, options, stop_at=at, **how)
    return message_with_notes(caught.value)


def refusal(source: Path, dest: Path, options: ColorizeOptions = OPTIONS, **how: Any) -> str:
    """Return the message of the refusal, after checking that the segments are unchanged."""
    before = sorted(segment_paths(folder_of(dest)))
    with pytest.raises((OutputError, InputError, OptionError)) as caught:
        color(source, dest, options, **how)
    assert segment_paths(folder_of(dest)) == before
    assert "\n" not in message_with_notes(caught.value)
    return message_with_notes(caught.value)


def finished_frames(dest: Path) -> int:
    """Return the number of frames in the finished segments."""
    count = len(segment_paths(folder_of(dest)))
    return OPENINGS[count] if count < len(OPENINGS) else FILM.frames


class TestGoingOn:
    """A resumed film equals that of an uninterrupted run, byte for byte."""

    @pytest.mark.parametrize(("suffix", "at"), [(".mkv", 13), (".mp4", 14), (".mkv", 64), (".mp4", 96)])
    @pytest.mark.slow
    def test_after_an_interruption(self, source: Path, whole: dict[str, bytes], suffix: str, at: int) -> None:
        """A film can be interrupted anywhere: at a cut, in a divided shot, before the end, and repeatedly."""
        dest = source.with_name(f"out{suffix}")
        interrupt(source, dest, at=at)
        done = finished_frames(dest)
        assert at - MAX_SEGMENT <= done <= at
        if at == 64:
            interrupt(source, dest, at=85, resume=True)
            assert finished_frames(dest) == 80
        report = color(source, dest, resume=True)
        assert dest.read_bytes() == whole[suffix]
        assert (report.frames, report.shots) == (FILM.frames, SHOTS)
        assert names(source.parent) == {"in.mkv", dest.name}

    def test_only_what_is_needed_is_colored_again(self, source: Path) -> None:
        """Coloring resumes at the last segment that starts with a shot; progress includes finished frames."""
        dest = source.with_name("out.mkv")
        interrupt(source, dest, at=70)  # 64 are finished, the shot began at 40 with a segment
        painter, steps = Faithful(), list[Progress]()
        colorize_video(source, dest, colorizer=painter, options=replace(OPTIONS, resume=True), on_progress=steps.append)
        whole = Faithful()
        color(source, dest, painter=whole, overwrite=True)
        assert sum(whole.seen) * 0.5 < sum(painter.seen) < sum(whole.seen) * 0.7
        assert [step.frames for step in steps] == list(range(65, 97))
        assert {step.frames_before for step in steps} == {64}
        assert steps[-1].fps == pytest.approx(32 / steps[-1].seconds)

    def test_when_only_the_joining_is_left(self, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A film with all segments finished is joined without coloring a frame."""
        dest = source.with_name("out.mkv")
        color(source, dest)
        expected = dest.read_bytes()
        dest.unlink()

        usage = shutil.disk_usage(source.parent)

        def full(path: Any) -> Any:
            return usage._replace(free=0)

        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", full)
            assert "the disk has 0 left; free some space; what is finished is kept" in refusal_at_the_end(source, dest)
        painter = Faithful()
        report = color(source, dest, resume=True, painter=painter)
        assert painter.seen == []
        assert (report.frames, report.shots) == (FILM.frames, SHOTS)
        assert dest.read_bytes() == expected

    @pytest.mark.parametrize("removed", ["nothing", "film.json", "*.segment", "[!p]*"])
    def test_when_only_the_clearing_up_is_left(
        self, source: Path, monkeypatch: pytest.MonkeyPatch, removed: str
    ) -> None:
        """After an interrupted cleanup of a finished film only the cleanup is done."""
        dest = source.with_name("out.mkv")
        with monkeypatch.context() as patch:
            patch.setattr("vidcolor.resume.work_folder.WorkFolder.remove", _interrupted)
            with pytest.raises(InterruptedHereError):
                color(source, dest)
        for path in folder_of(dest).glob(removed):
            path.unlink()
        expected, when, painter = dest.read_bytes(), dest.stat().st_mtime_ns, Faithful()
        report = color(source, dest, resume=True, painter=painter)
        assert (dest.read_bytes(), dest.stat().st_mtime_ns) == (expected, when)
        assert (report.frames, report.shots, painter.seen) == (FILM.frames, SHOTS, [])
        assert names(source.parent) == {"in.mkv", "out.mkv"}

    @pytest.mark.slow
    def test_shots_and_times_are_known_from_before(self, source: Path) -> None:
        """The written list has the shots of the whole film, and a given list is used after resuming."""
        cuts, dest = source.with_name("cuts.txt"), source.with_name("out.mkv")
        interrupt(source, dest, at=70, scenes=cuts)
        assert not cuts.exists()
        color(source, dest, scenes=cuts, resume=True)
        found = [line for line in cuts.read_text().splitlines() if not line.startswith("#")]
        assert len(found) == SHOTS
        given = dest.read_bytes()
        interrupt(source, dest, at=70, scenes=cuts, overwrite=True)
        color(source, dest, scenes=cuts, overwrite=True, resume=True)
        assert dest.read_bytes() == given

    def test_on_another_number_of_devices(self, source: Path, whole: dict[str, bytes]) -> None:
        """A film can be resumed with another number of devices."""
        dest = source.with_name("out.mkv")
        interrupt(source, dest, at=30)
        interrupt(source, dest, at=70, resume=True, painter=MultiDevice([Faithful(), Faithful(), Faithful()]))
        color(source, dest, resume=True, painter=MultiDevice([Faithful(), Faithful()]))
        assert dest.read_bytes() == whole[".mkv"]

    def test_numbered_pictures(self, tmp_path: Path) -> None:
        """A film from numbered pictures can be resumed."""
        from vidcolor.cli.arguments import resolve_arguments

        grey = np.random.default_rng(0).integers(0, 255, (40, 48, 64), np.uint8)
        from PIL import Image

        for number, picture in enumerate(grey, start=7):
            Image.fromarray(picture).save(tmp_path / f"s_{number}.png")
        arguments = resolve_arguments(tmp_path / "s_%d.png", tmp_path / "out.y4m", Fraction(18))
        options = ColorizeOptions(render_size=48)
        color(arguments.source, tmp_path / "whole.y4m", options)  # type: ignore[arg-type]
        interrupt(arguments.source, arguments.dest, options, at=30)  # type: ignore[arg-type]
        color(arguments.source, arguments.dest, options, resume=True)  # type: ignore[arg-type]
        assert (tmp_path / "out.y4m").read_bytes() == (tmp_path / "whole.y4m").read_bytes()


def refusal_at_the_end(source: Path, dest: Path) -> str:
    """Fail after all frames."""
    with pytest.raises(OutputError) as caught:
        color(source, dest)
    return message_with_notes(caught.value)


def _interrupted(*args: object, **kwargs: object) -> None:
    raise InterruptedHereError("stopped")


class TestTheJoinedFilm:
    """The content of a film of segments, as independent readers see it."""

    @pytest.fixture(scope="class")
    @staticmethod
    def lossless(film: Path, tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray[Any, Any]]:
        """All pictures as the encoder gets them, from a film in FFV1 of one segment."""
        dest = tmp_path_factory.mktemp("lossless") / "ffv1.mkv"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(segments, "MIN_SEGMENT_FRAMES", MIN_SEGMENT)
            patch.setattr(segments, "MAX_SEGMENT_FRAMES", MAX_SEGMENT)
            color(film, dest, replace(OPTIONS, encode=EncodeOptions(codec="ffv1")))
        return planes_of(dest)

    @pytest.mark.parametrize("suffix", [".mp4", ".ts", ".avi"])
    def test_every_frame_is_the_one_that_was_encoded(
        self, film: Path, tmp_path: Path, suffix: str, lossless: list[np.ndarray[Any, Any]]
    ) -> None:
        """Lossless H.264 in segments decodes to the pictures of another lossless encoder."""
        dest = tmp_path / f"out{suffix}"
        color(film, dest, replace(OPTIONS, encode=EncodeOptions(crf=0, preset="veryfast")))
        found = planes_of(dest)
        assert len(found) == len(lossless) == FILM.frames
        for one, other in zip(found, lossless, strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
    def test_packets(self, film: Path, tmp_path: Path, suffix: str) -> None:
        """With B-frames, pts are those of the source, dts ascend across segments, and each starts with a keyframe."""
        dest = tmp_path / f"out{suffix}"
        color(film, dest)
        with av.open(dest) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        shown = sorted(packet.pts for packet in packets)
        assert set(OPENINGS) <= {shown.index(packet.pts) for packet in packets if packet.is_keyframe}
        assert [packet.pts for packet in packets] != shown
        if suffix != ".mkv":  # has no decoding times
            assert all(one.dts < other.dts for one, other in pairwise(packets))
            assert all(packet.dts <= packet.pts for packet in packets)
        if suffix != ".ts":  # begins later, as nothing may be before zero
            assert [time for time, _ in decoded(dest)] == [time for time, _ in decoded(film)]
        if suffix == ".mkv":
            for kind in ("audio", "subtitle"):
                assert timeline(dest, kind) == timeline(film, kind)

    @pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")
    @pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
    def test_ffprobe_finds_nothing_wrong(self, film: Path, tmp_path: Path, suffix: str) -> None:
        """The program ffprobe decodes the film without errors and counts all frames and packets."""
        dest = tmp_path / f"out{suffix}"
        color(film, dest)
        arguments = ["-v", "error", "-count_frames", "-count_packets", "-show_streams", "-of", "json"]
        probe = subprocess.run(["ffprobe", *arguments, dest], capture_output=True, text=True, check=True)
        assert probe.stderr == ""
        streams = json.loads(probe.stdout)["streams"]
        assert streams[0]["nb_read_frames"] == streams[0]["nb_read_packets"] == str(FILM.frames)
        sounds = [int(stream["nb_read_packets"]) for stream in streams if stream["codec_type"] == "audio"]
        assert sounds == [len(track) for track in timeline(film, "audio").values()]

    @pytest.mark.parametrize("codec", ["libx265", "ffv1", "libsvtav1", "libvpx-vp9", "mpeg4"])
    def test_other_encoders(self, tmp_path: Path, codec: str) -> None:
        """Segments of other encoders are joined too, with every picture at its pts."""
        source = make_clip(tmp_path / "in.mkv", Clip(size=(160, 120), frames=40, cuts=(12, 25)))
        extra = {"libx265": {"preset": "ultrafast"}, "libsvtav1": {"preset": "12"}}.get(codec, {})
        if codec == "libvpx-vp9":
            extra = {"encoder_options": {"deadline": "realtime", "cpu-used": "8"}}
        report = color(source, tmp_path / "out.mkv", encode=EncodeOptions(codec=codec, **extra))
        assert [time for time, _ in decoded(tmp_path / "out.mkv")] == [time for time, _ in decoded(source)]
        with av.open(tmp_path / "out.mkv") as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
            keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        assert codec == "mpeg4" or {0, 12, 25} <= set(keys)
        assert report.warnings == ()

    @pytest.mark.slow
    def test_bits_that_are_shared_out_are_shared_over_the_whole_film(
        self, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With a bit rate there is one segment; that it cannot be taken up is said before, for a film of any length."""
        monkeypatch.setattr("vidcolor.resume.segment_writer.MAX_SEGMENT_FRAMES", MAX_SEGMENT)
        dest = source.with_name("out.mkv")
        limited = replace(OPTIONS, encode=replace(ENCODE, encoder_options={"b": "100k"}))
        assert interrupt(source, dest, limited, at=90) == "stopped"
        assert names(source.parent) == {"in.mkv"}
        report = color(source, dest, limited)
        assert "libx264 distributes bits over the whole film" in report.warnings[0]


def planes_of(path: Path) -> list[np.ndarray[Any, Any]]:
    """All planes of every picture, (3 H / 2, W)."""
    with av.open(path) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


class TestWhatHasChanged:
    """Work is resumed only for the same film with the same options."""

    @pytest.fixture(scope="class")
    @staticmethod
    def begun(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The work folder of an interrupted film."""
        dest = tmp_path_factory.mktemp("begun") / "out.mkv"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(segments, "MIN_SEGMENT_FRAMES", MIN_SEGMENT)
            patch.setattr(segments, "MAX_SEGMENT_FRAMES", MAX_SEGMENT)
            assert interrupt(film, dest).startswith("stopped; what is finished is kept in")
        return folder_of(dest)

    @pytest.fixture
    def dest(self, source: Path, begun: Path) -> Path:
        """An interrupted film."""
        dest = source.with_name("out.mkv")
        shutil.copytree(begun, folder_of(dest))
        return dest

    def test_a_plain_run_is_refused(self, source: Path, dest: Path) -> None:
        """Without options, finished segments are neither removed nor used."""
        line = refusal(source, dest)
        assert ".out.mkv.vidcolor" in line
        assert "`resume`" in line
        assert "`overwrite`" in line

    @pytest.mark.slow
    def test_starting_anew(self, source: Path, dest: Path) -> None:
        """``--overwrite`` removes finished segments."""
        painter = Faithful("other")
        color(source, dest, overwrite=True, painter=painter)
        fresh = Faithful("other")
        color(source, dest.with_name("fresh.mkv"), painter=fresh)
        assert painter.seen == fresh.seen
        assert not folder_of(dest).exists()

    def test_a_wrong_option_costs_nothing(self, source: Path, dest: Path) -> None:
        """Even with ``--overwrite``, segments are removed only when the new work can start."""
        assert "no such encoder" in refusal(source, dest, overwrite=True, encode=EncodeOptions(codec="nonsense"))

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"saturation": 1.5}, "`saturation` 1.0, now it is 1.5"),
            ({"anchor_every": 4}, "`anchor_every` 3, now it is 4"),
            ({"encode": replace(ENCODE, crf=20)}, "`crf` None, now it is 20"),
            ({"encode": replace(ENCODE, encoder_options={"tune": "grain"})}, "`encoder_options`"),
            ({"painter": Faithful("other")}, "other weights"),
        ],
    )
    def test_settings_and_weights(self, source: Path, dest: Path, change: dict[str, Any], words: str) -> None:
        """The message names the old and the new value, and what to do."""
        line = refusal(source, dest, resume=True, **change)
        assert words in line
        assert "start anew with `overwrite`" in line

    @pytest.mark.parametrize("how", ["longer", "other bytes", "touched", "another film"])
    def test_the_input(self, source: Path, dest: Path, how: str) -> None:
        """An input of another size, content or time is refused."""
        status, content = source.stat(), source.read_bytes()
        if how == "longer":
            source.write_bytes(content + b"more")
        elif how == "other bytes":
            source.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        elif how == "another film":
            make_clip(source, Clip())
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + (how == "touched")))
        assert "the input has changed" in refusal(source, dest, resume=True)

    def test_versions_are_told(self, source: Path, dest: Path) -> None:
        """Another device or version of a library gives a warning."""
        identity = folder_of(dest) / "film.json"
        content = json.loads(identity.read_text())
        content["surroundings"]["the engine"] = "OpenVINO 0.1"
        identity.write_text(json.dumps(content))
        report = color(source, dest, resume=True)
        assert "the engine OpenVINO 0.1 (now" in report.warnings[0]

    def test_other_headers(self, source: Path, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other extradata of the encoder is refused before any work."""
        import vidcolor.resume.work_folder as module

        monkeypatch.setattr(module, "read_facts", lambda path: replace(read_facts(path), headers="00"))
        assert "other headers" in refusal(source, dest, resume=True)

    def test_two_at_once(self, source: Path, dest: Path) -> None:
        """While a film is being colored, a second run is refused."""
        refused: list[str] = []

        def on_progress(progress: Progress) -> None:
            for how in ({}, {"resume": True}, {"overwrite": True}) if not refused else ():
                with pytest.raises(OutputError) as caught:
                    color(source, dest, **how)
                refused.append(str(caught.value))

        options = replace(OPTIONS, resume=True)
        colorize_video(source, dest, colorizer=Faithful(), options=options, on_progress=on_progress)
        assert len(refused) == 3
        assert all("another process" in line for line in refused)

    def test_an_unreadable_record(self, source: Path, dest: Path) -> None:
        """Segments without a readable identity are neither used nor removed."""
        (folder_of(dest) / "film.json").write_text("{")
        assert "cannot be read" in refusal(source, dest, resume=True)

    @pytest.mark.parametrize("how", ["cut off", "flipped", "gone"])
    @pytest.mark.slow
    def test_damaged_segments(self, source: Path, dest: Path, whole: dict[str, bytes], how: str) -> None:
        """Damaged segments and those after them are made again; temporary files are ignored."""
        second = segment_paths(folder_of(dest))[1]
        content = bytearray(second.read_bytes())
        if how == "cut off":
            second.write_bytes(content[:-1])
        elif how == "flipped":
            content[100] ^= 1
            second.write_bytes(content)
        else:
            second.unlink()
        (folder_of(dest) / "000005.part").write_bytes(b"half")
        report = color(source, dest, resume=True)
        assert dest.read_bytes() == whole[".mkv"]
        assert ["made again" in warning for warning in report.warnings] == ([] if how == "gone" else [True])

    @pytest.mark.slow
    def test_segments_of_others(self, source: Path, dest: Path, whole: dict[str, bytes]) -> None:
        """Segments of another film, or at another index, are made again."""
        other = dest.with_name("other.mkv")
        interrupt(source, other, saturation=1.5)
        first, second, *_ = segment_paths(folder_of(dest))
        for foreign in (segment_paths(folder_of(other))[1], first):
            interrupt(source, dest, overwrite=True)
            shutil.copyfile(foreign, second)
            report = color(source, dest, resume=True, overwrite=True)
            assert dest.read_bytes() == whole[".mkv"]
            assert any("not of this film, or not in its place" in line for line in report.warnings)

    @pytest.mark.parametrize(
        "record",
        [
            *('{"input": 3, "settings": {}, "surroundings": {}}', "[]", "[" * 100_000, '{"settings": {"a": 1}}'),
            '{"input": {"files": 1, "bytes": 1, "modified_ns": 1e99, "digest": ""}, "settings": {}}',
        ],
        ids=["input", "list", "deep", "settings", "time"],
    )
    def test_garbled_records(self, source: Path, dest: Path, record: str) -> None:
        """Records of other JSON are refused or ignored."""
        (folder_of(dest) / "published.json").write_text(record)
        (folder_of(dest) / "film.json").write_text(record)
        assert "film.json, which says what the unfinished work is of, cannot be read" in refusal(
            source, dest, resume=True
        )

    def test_what_is_in_the_way(self, source: Path, dest: Path) -> None:
        """A folder among the segments is not emptied; a link to another folder is not followed."""
        third = folder_of(dest) / "000002.segment"
        third.unlink()
        third.mkdir()
        assert f"the folder {third} is in the way" in refusal(source, dest, resume=True)
        third.rmdir()
        folder_of(dest).rename(dest.with_name("elsewhere"))
        folder_of(dest).symlink_to(dest.with_name("elsewhere"))
        for how in ({"resume": True}, {"overwrite": True}):
            assert "is a link" in refusal(source, dest, **how)


class TestTrouble:
    """Failures give a message of one line; finished segments are kept and can be resumed from."""

    @pytest.fixture
    def dest(self, source: Path) -> Path:
        """The path of the film, in its own folder."""
        (source.parent / "there").mkdir()
        return source.parent / "there" / "out.mkv"

    def trouble(self, source: Path, dest: Path, at: int, what: Any, options: ColorizeOptions = OPTIONS) -> str:
        """What the work ends with when ``what`` happens behind frame ``at``."""

        def on_progress(progress: Progress) -> None:
            if progress.frames == at:
                what()

        with pytest.raises((OutputError, InputError)) as caught:
            colorize_video(source, dest, colorizer=Faithful(), options=options, on_progress=on_progress)
        assert "\n" not in message_with_notes(caught.value)
        return message_with_notes(caught.value)

    def test_the_disk_is_full(
        self, source: Path, dest: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The message names the film, and the segments so far are kept."""

        def fill() -> None:
            def refuse(descriptor: int) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            monkeypatch.setattr("vidcolor.resume.segment_file.os.fsync", refuse)

        line = self.trouble(source, dest, 60, fill)  # noticed behind frame 64
        assert line.startswith(f"{dest}: the disk is full; free some space")
        assert "`resume` goes on" in line
        monkeypatch.undo()
        monkeypatch.setattr(segments, "MIN_SEGMENT_FRAMES", MIN_SEGMENT)
        monkeypatch.setattr(segments, "MAX_SEGMENT_FRAMES", MAX_SEGMENT)
        assert finished_frames(dest) == 40
        color(source, dest, resume=True)
        assert dest.read_bytes() == whole[".mkv"]

    def test_files_may_not_grow(self, source: Path, dest: Path) -> None:
        """If the joined film exceeds the largest file size, the segments are kept."""
        with max_file_size(40_000):
            line = self.trouble(source, dest, 0, None)
        assert line.startswith(f"{dest}: writing failed")
        assert "`resume` goes on" in line
        assert finished_frames(dest) == FILM.frames
        color(source, dest, resume=True)
        assert names(dest.parent) == {"out.mkv"}

    @pytest.mark.parametrize(
        ("call", "error", "words"),
        [
            ("fcntl.flock", errno.ENOLCK, "has no locks"),
            pytest.param("fcntl.flock", errno.ENOSYS, "has no locks", marks=pytest.mark.slow),
            ("os.fsync", errno.EINVAL, "cannot sync files"),
            pytest.param("os.fsync", errno.ENOSYS, "cannot sync files", marks=pytest.mark.slow),
        ],
    )
    def test_a_share_that_can_do_less(
        self,
        source: Path,
        dest: Path,
        whole: dict[str, bytes],
        monkeypatch: pytest.MonkeyPatch,
        call: str,
        error: int,
        words: str,
    ) -> None:
        """Without locks or sync the film is made and can be resumed; a line says what that means."""

        def refuse(*arguments: object) -> None:
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(call, refuse)
        told: list[str] = []
        assert "what is finished is kept" in interrupt(source, dest, at=60)
        resumed = replace(OPTIONS, resume=True)
        report = colorize_video(source, dest, colorizer=Faithful(), options=resumed, on_warning=told.append)
        assert dest.read_bytes() == whole[".mkv"]
        assert [words in line for line in report.warnings] == [True]
        assert told == list(report.warnings)

    def test_a_share_that_does_not_know_its_size(
        self, source: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the file system says that it has no bytes at all, the film is joined all the same."""
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=0, free=0))
        color(source, dest)
        assert names(dest.parent) == {"out.mkv"}

    def test_the_folder_is_removed(self, source: Path, dest: Path) -> None:
        """If the work folder disappears, the message does not offer to resume."""
        line = self.trouble(source, dest, 60, lambda: shutil.rmtree(dest.parent))
        assert line.startswith(f"{dest}: the folder")
        assert "is gone" in line
        assert "`resume`" not in line
        assert not dest.parent.exists()

    @pytest.mark.parametrize("how", ["grows", pytest.param("is cut off", marks=pytest.mark.slow)])
    def test_the_input_changes(self, source: Path, dest: Path, whole: dict[str, bytes], how: str) -> None:
        """A change of the input is detected at the next segment; with the old input the work can be resumed."""
        content, status = source.read_bytes(), source.stat()
        changed = content + b"more" if how == "grows" else content[:-1000]
        line = self.trouble(source, dest, 60, lambda: source.write_bytes(changed))
        assert line.startswith(f"{source}: ")
        assert "`resume` goes on" in line
        source.write_bytes(content)
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
        color(source, dest, resume=True)
        assert dest.read_bytes() == whole[".mkv"]

    def test_nothing_finished_nothing_left(self, source: Path, dest: Path) -> None:
        """An exception before the first segment is finished leaves nothing, and has no note."""
        assert interrupt(source, dest, at=8) == "stopped"
        assert names(dest.parent) == set()

    def test_a_name_as_long_as_can_be(self, source: Path) -> None:
        """A film with the longest possible name has a work folder."""
        dest = source.with_name("o" * 251 + ".mkv")
        interrupt(source, dest)
        color(source, dest, resume=True)
        assert names(source.parent) == {"in.mkv", dest.name}

    def test_pipes_and_pictures_are_refused(self, source: Path) -> None:
        """``resume`` with pipes or numbered pictures is refused before any work."""
        with source.open("rb") as stream, pytest.raises(OptionError, match="`resume`: a pipe cannot be read again"):
            colorize_video(
                PipeInput(stream),
                source.with_name("out.mkv"),
                colorizer=Painter(),
                options=replace(OPTIONS, resume=True),
            )
        pattern = PicturePattern.parse(source.with_name("%d.png"))
        with pytest.raises(OptionError, match="pictures are complete one by one"):
            color(source, pattern, resume=True)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_folder_goes_on(film: Path, tmp_path: Path) -> None:
    """In a folder, finished files stay, an interrupted film is resumed, and the others are colored."""
    (tmp_path / "in").mkdir()
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        shutil.copy2(film, tmp_path / "in" / name)
    frames = 0

    def on_progress(progress: Progress) -> None:
        nonlocal frames
        frames += 1
        if frames == FILM.frames + 70:
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        colorize_folder(
            tmp_path / "in",
            tmp_path / "out",
            colorizer=Faithful(),
            options=OPTIONS,
            on_progress=on_progress,  # type: ignore[arg-type]
        )
    when = (tmp_path / "out" / "a.mkv").stat().st_mtime_ns
    resumed = replace(OPTIONS, resume=True)
    report = colorize_folder(tmp_path / "in", tmp_path / "out", colorizer=Faithful(), options=resumed)  # type: ignore[arg-type]
    assert (report.films, report.finished, report.failed) == (2, 1, ())
    assert names(tmp_path / "out") == {"a.mkv", "b.mkv", "c.mkv"}
    assert (tmp_path / "out" / "a.mkv").stat().st_mtime_ns == when
    assert len({(tmp_path / "out" / name).read_bytes() for name in ("a.mkv", "b.mkv", "c.mkv")}) == 1


def test_the_other_streams_alone(film: Path) -> None:
    """Reading without decoding gives the packets that come with the pictures, each once, in the same order."""
    with VideoReader(film) as reader:
        whole = [packet for picture in reader.pictures() for packet in picture.packets]
        expected = [(packet.stream_index, packet.pts, bytes(packet)) for packet in (*whole, *reader.tail)]
    with VideoReader(film) as reader:
        found = [(packet.stream_index, packet.pts, bytes(packet)) for packet in reader.other_packets()]
    assert found == expected


KILLS = int(os.environ.get("VIDCOLOR_KILLS", "3"))
SEED = int(os.environ.get("VIDCOLOR_KILL_SEED", "0"))
VICTIM = f"""
import sys
from vidcolor.cli import commands as cli
from vidcolor.resume import segments
from vidcolor.media.muxer import Muxer
from vidcolor.resume.segment_writer import SegmentWriter

def ticking(function):
    def tick(*arguments):
        sys.stdout.write(".")
        sys.stdout.flush()
        return function(*arguments)
    return tick

segments.MIN_SEGMENT_FRAMES, segments.MAX_SEGMENT_FRAMES = {MIN_SEGMENT}, {MAX_SEGMENT}
SegmentWriter.write = ticking(SegmentWriter.write)
Muxer._for_picture_stream = ticking(Muxer._for_picture_stream)
cli.main(sys.argv[1:])
"""
"""The command with short segments; it prints a line per encoded frame and per joined one."""


def test_an_empty_folder_behind_a_finished_film_is_removed(tmp_path: Path) -> None:
    """An empty work folder of a finished film is removed; one with other files stays."""
    dest = tmp_path / "out.mkv"
    folder_of(dest).mkdir()
    assert not is_finished(dest)
    dest.write_bytes(b"a film")
    assert is_finished(dest)
    remove_empty_folder(dest)
    assert names(tmp_path) == {"out.mkv"}
    folder_of(dest).mkdir()
    (folder_of(dest) / "notes.txt").write_text("mine")
    remove_empty_folder(dest)
    assert (folder_of(dest) / "notes.txt").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_kill_minus_nine(film: Path, tiny_weights: Path, tmp_path: Path) -> None:
    """A film that is killed repeatedly at random moments equals that of an uninterrupted run."""
    colorizer = Colorizer(load_generator(tiny_weights), device="cpu")
    options = ColorizeOptions(render_size=48, encode=ENCODE)
    colorize_video(film, tmp_path / "whole.mkv", colorizer=colorizer, options=options)
    expected = (tmp_path / "whole.mkv").read_bytes()
    dest = tmp_path / "out" / "out.mkv"
    dest.parent.mkdir()
    arguments = [film, "-o", dest, "--weights", tiny_weights, "--device", "cpu", "--render-size", "48", "--resume"]
    command = [sys.executable, "-c", VICTIM, *map(str, arguments), "--preset", "veryfast", "--quiet"]
    moments = random.Random(SEED)
    kills, left = 0, list[int]()
    while True:
        ticks = moments.randrange(2 * FILM.frames)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as victim:
            assert victim.stdout is not None
            if (kills < KILLS or not any(left)) and len(victim.stdout.read(ticks)) == ticks:
                time.sleep(moments.uniform(0, 0.03))
                victim.kill()
            _, complaint = victim.communicate()
        if victim.returncode == -signal.SIGKILL:
            kills += 1
            left.append(len(segment_paths(folder_of(dest))))
            continue
        assert victim.returncode == 0, complaint
        assert dest.read_bytes() == expected
        assert names(dest.parent) == {dest.name}
        if kills >= KILLS and any(left):
            break
        dest.unlink()
    logging.getLogger(__name__).info("%d kills, which left so many segments: %s", kills, left)


@pytest.mark.slow
def test_shots_that_keep_their_colors(tmp_path: Path) -> None:
    """Interrupted in a shot with colors of its own or after it, a film has the same bytes and the same line on it."""
    interview = np.stack([np.roll(two_colors(), index, axis=0) for index in range(30)])
    film = np.concatenate([still_shot(1, 30, (1, 1, 1)), interview, still_shot(3, 30, (1, 0.8, 0.6))])
    source = write_film(tmp_path / "in.mkv", film)
    whole = color(source, tmp_path / "whole.mkv")
    assert whole.warnings[-1].startswith("1 of 3 shots has colors of its own")
    for at in (45, 75):
        dest = tmp_path / f"{at}.mkv"
        interrupt(source, dest, at=at)
        assert color(source, dest, resume=True).warnings == whole.warnings
        assert dest.read_bytes() == (tmp_path / "whole.mkv").read_bytes()
