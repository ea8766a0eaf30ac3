"""``vidcolor info``: what is in a file, what will be kept of it, how long it takes. ffprobe is the outside judge."""

from __future__ import annotations

import json
import shutil
import subprocess
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from PIL.ExifTags import Base

from tests.support.clips import Clip, make_clip
from tests.support.color_films import still_shot, two_colors, write_film
from tests.support.icc_profiles import gamma_curve, rgb_profile
from tests.test_import import modules_after
from vidcolor.cli.commands import main
from vidcolor.cli.info_text import film_sections
from vidcolor.color import h273
from vidcolor.errors import InputError, VidcolorError
from vidcolor.frames import FloatArray
from vidcolor.inspect.estimate import MIN_FRAMES, PIECES, Sizes, estimate_shots
from vidcolor.inspect.film import film_info, is_constant
from vidcolor.inspect.report import FilmReport, info_json, inspect_file
from vidcolor.media.reader import VideoReader
from vidcolor.options import ColorizeOptions, EncodeOptions, KeepColor
from vidcolor.pipeline import colorize_video

PLAIN = ColorizeOptions()
FAST = ColorizeOptions(render_size=32, encode=EncodeOptions(preset="ultrafast"))
MILLISECOND = Fraction(1, 1000)
FFPROBE = shutil.which("ffprobe")


class Painter:
    """Colors by brightness alone."""

    batch_size = 4

    def predict(self, grey: FloatArray) -> FloatArray:
        """Bright is yellow, dark is blue."""
        return np.stack((10 * (grey - 0.5), 60 * (grey - 0.5)), axis=1)


def film(
    source: Path, dest: Path | None = None, options: ColorizeOptions = PLAIN, *, trial: bool = False
) -> FilmReport:
    """The report on a film."""
    report = inspect_file(source, dest, options=options, load=Painter if trial else None)
    assert isinstance(report, FilmReport)
    return report


def outcomes(report: Any, kind: str) -> dict[str, str]:
    """Return the reasons of all outcomes of a kind, by what they are about."""
    return {found.what: found.why for found in report.plan.outcomes if found.kind == kind}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["info", *arguments], prog_name="vidcolor")


class TestFilm:
    """What is in a film."""

    def test_streams(self, tmp_path: Path) -> None:
        """Every stream with its kind, codec, language and title; one of them is colored."""
        clip = Clip(audio=("eng", "fra"), subtitles=True, chapters=True)
        info = film(make_clip(tmp_path / "in.mkv", clip)).info
        assert [(stream.kind, stream.codec) for stream in info.streams] == [
            ("video", "h264"),
            ("audio", "aac"),
            ("audio", "aac"),
            ("subtitle", "subrip"),
        ]
        assert [stream.language for stream in info.streams[1:3]] == ["eng", "fra"]
        assert [stream.colored for stream in info.streams] == [True, False, False, False]
        assert info.chapters == 2

    def test_picture(self, tmp_path: Path) -> None:
        """Size, shape, depth, range, rotation and the names of the color tags."""
        tags = {"color_range": 1, "colorspace": 9, "color_primaries": 9, "color_trc": 16}
        clip = Clip(pix_fmt="yuv420p10le", sample_aspect_ratio=Fraction(16, 15), rotation=90, tags=tags)
        picture = film(make_clip(tmp_path / "in.mp4", clip)).info.picture
        assert (picture.width, picture.height, picture.sample_aspect_ratio) == (64, 48, Fraction(16, 15))
        assert (picture.pixel_format, picture.bit_depth, picture.rotation) == ("yuv420p10le", 10, 90)
        assert (picture.range, picture.range_is_assumed) == ("limited", False)
        assert (picture.matrix, picture.primaries, picture.transfer) == ("bt2020nc", "bt2020", "smpte2084")

    @pytest.mark.parametrize(("interlaced", "scan"), [(False, "progressive"), (True, "interlaced")])
    def test_scan(self, tmp_path: Path, interlaced: bool, scan: str) -> None:
        """Interlacing is seen on the first pictures."""
        assert film(make_clip(tmp_path / "in.mkv", Clip(interlaced=interlaced))).info.picture.scan == scan

    def test_timing(self, tmp_path: Path) -> None:
        """Duration, start, time base, rate, and the frames as counted."""
        clip = Clip(frames=30, rate=Fraction(30000, 1001), time_base=Fraction(1, 30000), start=15000)
        timing = film(make_clip(tmp_path / "in.mp4", clip)).info.timing
        assert timing.start_seconds == pytest.approx(0.5)
        assert (timing.frame_rate, timing.constant_rate) == (Fraction(30000, 1001), True)
        assert (timing.frames, timing.counting) == (30, "counted")
        assert timing.time_base == Fraction(1, 30000)

    def test_variable_rate(self, tmp_path: Path) -> None:
        """Frames that do not last equally long make a variable rate."""
        clip = Clip(frames=6, time_base=MILLISECOND, pts=[0, 40, 80, 200, 240, 900])
        assert film(make_clip(tmp_path / "in.mkv", clip)).info.timing.constant_rate is False

    def test_large_films_are_not_counted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond a size the header is taken, or the number is an estimate."""
        monkeypatch.setattr("vidcolor.inspect.film.SURVEY_BYTES", 100)
        for suffix, counting in ((".mp4", "announced"), (".mkv", "estimated")):
            timing = film(make_clip(tmp_path / f"in{suffix}", Clip(frames=20))).info.timing
            assert (timing.frames, timing.counting) == (20, counting)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], None),
        ([7], None),
        ([0, 1, 2, 3], True),
        ([0, 1, 3], False),  # a frame is missing
        ([0, 33, 67, 100], True),  # 30 frames a second in milliseconds
        ([0, 33, 83], False),
        ([0, 3003, 6006], True),
    ],
)
def test_is_constant(times: list[int], expected: bool | None) -> None:
    """Rounding to ticks is no variation, but a tick that is a whole frame is."""
    assert is_constant(times) is expected


@pytest.mark.parametrize(
    ("code", "expected"), [(1, "bt709"), (2, None), (9, "bt2020nc"), (0, "gbr"), (77, "reserved (77)")]
)
def test_names_of_code_points(code: int, expected: str | None) -> None:
    """Known, unspecified and reserved ones."""
    assert h273.name_of(code, h273.MATRICES) == expected


class TestRehearsal:
    """What will be kept, changed or dropped."""

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
    def test_warnings_are_those_of_the_real_work(self, tmp_path: Path, suffix: str) -> None:
        """Whatever coloring the film warns of is told before, and nothing else is dropped that it carries."""
        clip = Clip(audio=("eng",), subtitles=True, chapters=True, interlaced=True, rotation=90)
        source = make_clip(tmp_path / "in.mkv", clip)
        dest = tmp_path / f"out{suffix}"
        plan = film(source, dest, FAST).plan
        assert not dest.exists()
        report = colorize_video(source, dest, colorizer=Painter(), options=FAST)
        assert plan.warnings == report.warnings
        assert set(plan.warnings) <= {found.why for found in plan.outcomes if found.kind != "kept"}
        with av.open(str(dest)) as output:
            there = sum(found.kind != "dropped" and found.what.startswith("stream") for found in plan.outcomes)
            text_of_chapters = suffix == ".mp4"  # which is a stream of its own there
            assert len(output.streams) == there + text_of_chapters

    def test_warnings_are_printed(self, tmp_path: Path) -> None:
        """A line that is about no single thing has a row of its own; reasons are not repeated."""
        clip = Clip(start=50_000, time_base=MILLISECOND, chapters=True)
        report = film(make_clip(tmp_path / "in.mkv", clip), tmp_path / "out.ts", FAST)
        rows = dict(film_sections(report))[f"as {tmp_path / 'out.ts'}"]
        found = [text for label, text in rows if label == "warning"]
        assert found == ["the film's clock begins at 50.00 s: picture and sound begin at 0 (`keep_start` keeps it)"]
        assert sum("chapters" in text for _, text in rows) == 1

    def test_everything_is_kept_in_matroska(self, tmp_path: Path) -> None:
        """Of an ordinary film nothing is dropped but what the old file said of its own making."""
        tags = {"color_range": 2, "colorspace": 6, "color_primaries": 6, "color_trc": 6}
        clip = Clip(audio=("eng",), chapters=True, rotation=90, tags=tags, metadata={"title": "A film"})
        report = film(make_clip(tmp_path / "in.mkv", clip))
        kept = outcomes(report, "kept")
        assert {"luma", "rotation", "range", "matrix", "chapters", "times", "metadata"} <= kept.keys()
        assert (kept["matrix"], kept["range"], kept["rotation"]) == ("smpte170m", "full", "90°")
        assert outcomes(report, "dropped").keys() == {"metadata of the old file"}

    def test_what_is_lost_in_silence_is_named(self, tmp_path: Path) -> None:
        """MP4 has no place for any tag one likes, and Matroska counts in milliseconds: seen by reading back."""
        clip = Clip(metadata={"title": "A film", "REEL": "7"}, rate=Fraction(30000, 1001))
        source = make_clip(tmp_path / "in.mkv", clip)
        dropped = outcomes(film(source, tmp_path / "out.mp4"), "dropped")
        assert "REEL" in dropped["further metadata"]
        source = make_clip(tmp_path / "in.mp4", clip)
        assert "1/1000" in outcomes(film(source, tmp_path / "out.mkv"), "changed")["times"]

    def test_rounding_to_fewer_bits(self, tmp_path: Path) -> None:
        """A luma that is rounded does not count as kept."""
        source = make_clip(tmp_path / "in.mkv", Clip(pix_fmt="yuv420p10le"))
        report = film(source, None, ColorizeOptions(encode=EncodeOptions(pix_fmt="yuv420p")))
        assert "luma" not in outcomes(report, "kept")
        assert "rounded to 8" in outcomes(report, "changed")["bit depth"]

    @pytest.mark.parametrize(
        ("name", "options", "words"),
        [
            ("out.webm", EncodeOptions(), "webm cannot hold what libx264 makes"),
            ("out.xyz", EncodeOptions(), "is not that of a film"),
            ("out.mkv", EncodeOptions(codec="libx999"), "no such encoder"),
            ("in.mp4", EncodeOptions(), "is the input itself"),
            ("there.mp4", EncodeOptions(), "exists already"),
            ("nowhere/out.mp4", EncodeOptions(), "its folder does not exist"),
        ],
    )
    def test_refusals(self, tmp_path: Path, name: str, options: EncodeOptions, words: str) -> None:
        """An output that cannot be made is told with the line that coloring would end with."""
        source, dest = make_clip(tmp_path / "in.mp4"), tmp_path / name
        (tmp_path / "there.mp4").touch()
        settings = ColorizeOptions(encode=options)
        report = film(source, dest, settings, trial=True)
        assert words in str(report.plan.refused)
        assert report.trial is None
        with pytest.raises(VidcolorError) as error:
            colorize_video(source, dest, colorizer=Painter(), options=settings)
        assert report.plan.refused == str(error.value)

    def test_rgb(self, tmp_path: Path) -> None:
        """R'G'B' has no luma to be kept."""
        source = tmp_path / "in.mkv"
        with av.open(str(source), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), "rgb24").reformat(format="bgr0")
            container.mux([*stream.encode(frame), *stream.encode(None)])
        report = film(source)
        assert report.info.picture.matrix == "gbr"
        assert "luma" not in outcomes(report, "kept")
        assert "R'G'B' becomes Y'CbCr" in outcomes(report, "changed")["matrix"]

    def test_a_matrix_that_cannot_be_colored(self, tmp_path: Path) -> None:
        """What the renderer refuses is refused here too, without loading it."""
        source = make_clip(tmp_path / "in.mkv", Clip(tags={"colorspace": 8}))
        assert "found matrix 8" in str(film(source).plan.refused)

    @pytest.mark.parametrize(("name", "expected"), [("a.mp4", "a-colored.mp4"), ("a.avi", "a-colored.mkv")])
    def test_default_output(self, tmp_path: Path, name: str, expected: str) -> None:
        """The same kind of file, unless the default encoder does not fit into it well."""
        assert film(make_clip(tmp_path / name)).plan.output.name == expected

    def test_nothing_is_left_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rehearsal and trial clean up in the temporary folder, and write nothing beside the film."""
        source = make_clip(tmp_path / "in.mp4")
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
        assert film(source, options=FAST, trial=True).trial is not None
        assert list((tmp_path / "tmp").iterdir()) == []
        assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "tmp"}


class TestTrial:
    """Time, size and shots from short pieces."""

    def test_short_film_is_tried_as_a_whole(self, tmp_path: Path) -> None:
        """Nothing is extrapolated then: frames, shots and size are those of the real output."""
        source = make_clip(tmp_path / "in.mp4", Clip(frames=24, cuts=(8, 16)))
        trial = film(source, options=FAST, trial=True).trial
        assert trial is not None
        real = colorize_video(source, tmp_path / "out.mp4", colorizer=Painter(), options=FAST)
        assert (trial.frames, trial.pieces, trial.whole_film) == (24, 1, True)
        assert (trial.estimated_shots, trial.estimated_bytes) == (real.shots, real.output_bytes)
        assert trial.estimated_seconds == pytest.approx(trial.seconds_per_frame * 24)

    @pytest.mark.slow
    def test_long_film_is_tried_in_pieces(self, tmp_path: Path) -> None:
        """Pieces lie apart, the size comes out right, and the shots are about those that there are."""
        options = {"crf": "12", "preset": "ultrafast", "g": "25"}
        clip = Clip(frames=300, cuts=range(20, 300, 20), audio=("eng",), options=options)
        source = make_clip(tmp_path / "in.mp4", clip)
        trial = film(source, options=FAST, trial=True).trial
        assert trial is not None
        real = colorize_video(source, tmp_path / "out.mp4", colorizer=Painter(), options=FAST)
        assert (trial.pieces, trial.whole_film) == (PIECES, False)
        assert 60 <= trial.frames <= 150
        assert trial.estimated_bytes == pytest.approx(real.output_bytes, rel=0.3)
        assert trial.estimated_shots == pytest.approx(real.shots, rel=0.4)

    def test_film_of_one_key_frame(self, tmp_path: Path) -> None:
        """Where there is no later key frame to go to, the first piece stands for all."""
        options = {"crf": "12", "preset": "ultrafast", "g": "1000", "sc_threshold": "0"}
        source = make_clip(tmp_path / "in.mp4", Clip(frames=300, options=options))
        trial = film(source, options=FAST, trial=True).trial
        assert trial is not None
        assert (trial.pieces, trial.whole_film) == (1, False)
        assert trial.estimated_bytes is not None

    @pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
    def test_pieces_are_read_once(self, tmp_path: Path, suffix: str) -> None:
        """Where keyframes are few, a piece begins at one before its place, and none is read again."""
        options = {"crf": "12", "preset": "ultrafast", "g": "39", "sc_threshold": "0"}
        source = make_clip(tmp_path / f"in{suffix}", Clip(frames=130, options=options))
        trial = film(source, options=FAST, trial=True).trial
        assert trial is not None
        assert (trial.pieces, trial.frames) == (PIECES, 3 * 38)  # from frames 0, 39 and 78, for places at 43 and 86

    @pytest.mark.parametrize(
        ("frames", "begin"), [(10, "1 of 3 shots has"), (60, "in the frames tried, 1 of 3 shots has")]
    )
    def test_colors_that_are_kept(self, tmp_path: Path, frames: int, begin: str) -> None:
        """A shot that keeps its colors is announced, if it is among the frames that are tried."""
        interview = np.stack([np.roll(two_colors(), index, axis=0) for index in range(frames)])
        shots = [still_shot(1, frames, (1, 1, 1)), interview, still_shot(3, frames, (1, 1, 1))]
        source = write_film(tmp_path / "in.mkv", np.concatenate(shots))
        report = film(source, options=FAST, trial=True)
        assert report.trial is not None
        assert [line[: len(begin)] for line in report.trial.warnings] == [begin]
        assert ("warning", report.trial.warnings[0]) in dict(film_sections(report))["estimate"]

    def test_what_changes_in_mid_film(self, tmp_path: Path) -> None:
        """It is said, of a film that is tried as a whole."""
        shapes = (Fraction(8, 9), Fraction(32, 27))
        parts = [make_clip(tmp_path / f"{shape.numerator}.ts", Clip(sample_aspect_ratio=shape)) for shape in shapes]
        source = tmp_path / "in.ts"
        source.write_bytes(b"".join(part.read_bytes() for part in parts))
        trial = film(source, options=FAST, trial=True).trial
        assert trial is not None
        assert any(line.startswith("the pixel shape changes") for line in trial.warnings)

    def test_slow_machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Pieces are cut short when their time is over, and a film that was not read to its end is no whole film."""
        monkeypatch.setattr("vidcolor.inspect.estimate.TRIAL_SECONDS", 0.0)
        trial = film(make_clip(tmp_path / "in.mp4", Clip(frames=50)), options=FAST, trial=True).trial
        assert trial is not None
        assert (trial.frames, trial.pieces, trial.whole_film) == (MIN_FRAMES, 1, False)
        assert trial.estimated_seconds == pytest.approx(50 * trial.seconds_per_frame)

    def test_damage_in_a_piece_is_told(self, tmp_path: Path) -> None:
        """What would end the work later is one line, and the rest of the report is there."""
        parts = [make_clip(tmp_path / f"{size}.h264", Clip(size=(size, 48))) for size in (64, 96)]
        source = tmp_path / "both.h264"
        source.write_bytes(b"".join(part.read_bytes() for part in parts))
        report = film(source, options=FAST, trial=True)
        assert report.trial is None
        assert "changes from 64×48 to 96×48" in str(report.trial_failed)
        assert ("estimate", [("failed", report.trial_failed)]) in film_sections(report)

    @pytest.mark.parametrize(
        ("cuts", "total", "whole", "expected"),
        [(0, 1000, False, None), (2, 1000, False, 23), (2, None, False, None), (0, 90, True, 1), (3, 90, True, 4)],
    )
    def test_shots(self, cuts: int, total: int | None, whole: bool, expected: int | None) -> None:
        """Extrapolated from cuts inside pieces; without any, unknown rather than one."""
        assert estimate_shots(cuts, 3, 93, total, whole_film=whole) == expected

    def test_key_frames_that_begin_pieces_hardly_count(self) -> None:
        """Three key frames at seams among 100 frames stand for one in 250; those inside a piece for themselves."""
        pictures = {"others": (10,) * 96, "copied": 500, "once": 7}
        assert Sizes(keys=(1000,) * 4, natural_keys=0, **pictures).per_frame(4) == pytest.approx(1000 / 250 + 9.96 + 5)
        sizes = Sizes(keys=(1000,) * 4, natural_keys=1, **pictures)
        assert sizes.per_frame(3) == pytest.approx(1000 / 97 + 10 * 96 / 97 + 5)

    def test_intra_frames_all_count(self) -> None:
        """An encoder of key frames alone has its mean."""
        sizes = Sizes(keys=(100, 200), others=(), natural_keys=1, copied=0, once=0)
        assert sizes.per_frame(1) == 150


class TestPictures:
    """Photographs."""

    def photograph(self, path: Path, mode: str = "RGB", **settings: Any) -> Path:
        """A picture with EXIF, profile and resolution."""
        exif = Image.Exif()
        exif[Base.Make], exif[Base.Orientation] = "Camera", 6
        pixels = np.arange(48 * 64 * len(mode), dtype=np.uint8).reshape(48, 64, len(mode))
        Image.fromarray(pixels).save(path, exif=exif, dpi=(300, 300), **settings)
        return path

    def test_what_is_kept(self, tmp_path: Path) -> None:
        """EXIF, resolution, depth and alpha are kept; the orientation is applied; the profile becomes sRGB."""
        source = self.photograph(tmp_path / "in.png", "RGBA", icc_profile=rgb_profile(gamma_curve(2.2)))
        report = inspect_file(source, None, options=PLAIN, load=None)
        assert (report.info.width, report.info.height, report.info.alpha) == (48, 64, True)
        assert report.info.exif_tags == 1
        assert {"EXIF", "resolution", "transparency", "bit depth", "luma"} == outcomes(report, "kept").keys()
        assert {"orientation", "color", "color profile"} == outcomes(report, "changed").keys()
        assert report.plan.output == tmp_path / "in-colored.png"

    @pytest.mark.parametrize(("keep", "kind"), [("auto", "kept"), ("never", "changed")])
    def test_colors_that_are_kept(self, tmp_path: Path, keep: KeepColor, kind: str) -> None:
        """A photograph with colors of its own is announced to keep them."""
        Image.fromarray(np.tile(two_colors(), (3, 3, 1))).save(tmp_path / "in.png")
        report = inspect_file(tmp_path / "in.png", None, options=ColorizeOptions(keep_color=keep), load=None)
        assert "color" in outcomes(report, kind)

    def test_what_the_format_drops(self, tmp_path: Path) -> None:
        """BMP has a place for hardly anything."""
        source = self.photograph(tmp_path / "in.jpg")
        report = inspect_file(source, tmp_path / "out.bmp", options=PLAIN, load=None)
        assert outcomes(report, "dropped").keys() == {"EXIF"}

    def test_sixteen_bits(self, tmp_path: Path) -> None:
        """16 bits stay in PNG, and are rounded in JPEG."""
        source = tmp_path / "in.png"
        Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20).save(source)
        kept = inspect_file(source, None, options=PLAIN, load=None)
        assert (kept.info.bit_depth, outcomes(kept, "kept")["bit depth"]) == (16, "16")
        changed = inspect_file(source, tmp_path / "out.jpg", options=PLAIN, load=None)
        assert "rounded to 8" in outcomes(changed, "changed")["bit depth"]

    def test_pages(self, tmp_path: Path) -> None:
        """All pages of a TIFF are kept in a TIFF; another format is refused."""
        page = Image.new("L", (64, 48), 90)
        page.save(tmp_path / "in.tif", save_all=True, append_images=[page])
        report = inspect_file(tmp_path / "in.tif", None, options=PLAIN, load=None)
        assert (report.info.pages, report.info.mode, outcomes(report, "kept")["pages"]) == (2, "grey", "all 2")
        report = inspect_file(tmp_path / "in.tif", tmp_path / "out.png", options=PLAIN, load=None)
        assert (
            report.plan.refused
            == f"{tmp_path / 'out.png'}: '.png' holds one picture, and in.tif has 2 pages; write .tif"
        )

    def test_other_metadata(self, tmp_path: Path) -> None:
        """XMP and comment are kept where there is a place for them, and named where not."""
        xmp = b'<x xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:RDF/></x>'
        source = self.photograph(tmp_path / "in.jpg", xmp=xmp, comment="scan 17")
        assert {"XMP", "comment"} <= outcomes(inspect_file(source, None, options=PLAIN, load=None), "kept").keys()
        report = inspect_file(source, tmp_path / "out.webp", options=PLAIN, load=None)
        assert outcomes(report, "dropped")["comment"] == "WEBP has no place for it"

    def test_transparency_that_cannot_be_kept(self, tmp_path: Path) -> None:
        """Refused, with the line that coloring would end with; wherever in the picture it lies."""
        pixels = np.full((48, 64, 4), 255, np.uint8)
        pixels[40, 60, 3] = 0
        Image.fromarray(pixels).save(tmp_path / "in.png")
        report = inspect_file(tmp_path / "in.png", tmp_path / "out.jpg", options=PLAIN, load=None)
        assert report.plan.refused == f"{tmp_path / 'out.jpg'}: '.jpg' holds no transparency, which in.png has; " + (
            "write .png, .tiff or .webp"
        )


class TestCommand:
    """``vidcolor info`` as a person or a script calls it."""

    def test_no_trial_needs_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """``--no-trial`` loads no weights, and every line fits into 80 columns."""
        monkeypatch.setattr("vidcolor.cli.options.NetworkChoice.load", lambda self: pytest.fail("loaded"))
        source = make_clip(tmp_path / "in.mkv", Clip(audio=("eng",), subtitles=True, chapters=True))
        monkeypatch.chdir(tmp_path)
        result = run(source.name, "--no-trial", "-o", "out.avi")
        assert (result.exit_code, result.stderr) == (0, "")
        assert max(map(len, result.stdout.splitlines())) <= 80
        for words in ("stream 1", "kept", "changed", "dropped", "12 (counted)", "avi cannot store the 2 chapters"):
            assert words in result.stdout

    @pytest.mark.parametrize("kind", ["film", "picture"])
    def test_no_trial_loads_no_torch(self, tmp_path: Path, kind: str) -> None:
        """So that a glance into a file takes a second, not ten."""
        if kind == "film":
            source = make_clip(tmp_path / "in.mp4")
        else:
            source = tmp_path / "in.png"
            Image.new("L", (8, 8)).save(source)
        arguments = ["info", "--no-trial", str(source)]
        code = f"from vidcolor.cli.commands import main\nmain({arguments!r}, standalone_mode=False)"
        assert "torch" not in modules_after(code)

    def test_json(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One object with the documented keys, and no NaN."""
        monkeypatch.setattr("vidcolor.cli.options.NetworkChoice.load", lambda self: Painter())
        source = make_clip(tmp_path / "in.mp4", Clip(audio=("eng",)))
        result = run(str(source), "--json", "--render-size", "32")
        assert (result.exit_code, result.stderr) == (0, "")
        facts = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))
        assert list(facts) == (
            [
                "event",
                "kind",
                "path",
                "bytes",
                "container",
                "streams",
                "chapters",
                "picture",
                "timing",
                "plan",
                "trial",
                "trial_failed",
            ]
        )
        assert facts["timing"] == {
            "duration_seconds": 0.48,
            "start_seconds": 0.0,
            "time_base": "1/12800",
            "frame_rate": "25",
            "constant_rate": True,
            "frames": 12,
            "counting": "counted",
        }
        assert facts["trial"]["whole_film"] is True
        assert set(facts["plan"]) == {"output", "refused", "warnings", "kept", "changed", "dropped"}

    def test_text_with_a_trial(self, tmp_path: Path) -> None:
        """The estimate says from how many frames it comes."""
        report = film(make_clip(tmp_path / "in.mp4"), options=FAST, trial=True)
        (heading, rows) = film_sections(report)[-1]
        assert (heading, rows[0]) == ("estimate", ("tried", "12 frames, the whole film"))
        assert [label for label, _ in rows] == ["tried", "time", "size", "shots"]

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda path: None, "no such file"),
            (lambda path: path.mkdir(), "is a folder"),
            (lambda path: path.touch(), "is empty"),
            (lambda path: path.write_bytes(b"nothing of use" * 99), "cannot be read as a film"),
        ],
    )
    def test_bad_files(self, tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
        """One clear line, exit code 1."""
        make(tmp_path / "in.mp4")
        result = run(str(tmp_path / "in.mp4"))
        assert (result.exit_code, result.stdout) == (1, "")
        assert words in result.stderr
        assert result.stderr.count("\n") == 1

    def test_what_would_be_refused(self, tmp_path: Path) -> None:
        """The report is shown, and the exit code is 1, as coloring the film would end."""
        source = make_clip(tmp_path / "in.mp4", Clip(frames=2))
        assert run(str(source), "--no-trial").exit_code == 0
        result = run(str(source), "--no-trial", "-o", str(tmp_path / "out.webm"))
        assert result.exit_code == 1
        assert "refused" in result.stdout

    def test_a_film_without_pictures(self, tmp_path: Path) -> None:
        """Sound alone is named as what it is."""
        with wave.open(str(tmp_path / "in.wav"), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(bytes(1600))
        with pytest.raises(InputError, match=r"holds no film to color \(found: audio\)"):
            film(tmp_path / "in.wav")


@pytest.mark.slow
def test_odd_development_files(shared_clips: Path) -> None:
    """Every odd file is described, or refused in one line; never a traceback."""
    described = 0
    refusals = []
    for source in sorted((shared_clips / "odd").iterdir()):
        try:
            report = inspect_file(source, None, options=PLAIN, load=None)
        except VidcolorError as exc:
            refusals.append(str(exc))
        else:
            assert json.loads(json.dumps(info_json(report), allow_nan=False))["path"] == str(source)
            described += 1
    assert described > 40
    assert not any("\n" in line for line in refusals)


@pytest.mark.slow
@pytest.mark.skipif(FFPROBE is None, reason="needs ffprobe")
def test_ffprobe_agrees(shared_clips: Path) -> None:
    """On every odd film that opens: the same streams, duration, frame rate, pixel format, colors and frames."""
    for source in sorted((shared_clips / "odd").glob("[vm]_*")):
        try:
            with VideoReader(source) as reader:
                info = film_info(reader)
        except VidcolorError:
            continue
        command = [str(FFPROBE), "-v", "quiet", "-show_streams", "-show_format", "-show_packets", "-of", "json"]
        judged = json.loads(subprocess.run([*command, str(source)], capture_output=True, check=True).stdout)
        assert [stream.kind for stream in info.streams] == [stream["codec_type"] for stream in judged["streams"]]
        assert [stream.codec for stream in info.streams if stream.kind != "attachment"] == [
            stream.get("codec_name") for stream in judged["streams"] if stream["codec_type"] != "attachment"
        ]
        (colored,) = (stream.index for stream in info.streams if stream.colored)
        expected = judged["streams"][colored]
        assert info.container == judged["format"]["format_name"]
        assert (info.picture.width, info.picture.height) == (expected["width"], expected["height"]), source.name
        assert info.picture.pixel_format == expected["pix_fmt"]
        assert info.timing.time_base == Fraction(expected["time_base"])
        shown = [p for p in judged["packets"] if p["stream_index"] == colored and "D" not in p["flags"]]
        assert info.timing.frames == len(shown), source.name
        for name, value in (("color_space", info.picture.matrix), ("color_primaries", info.picture.primaries)):
            judgment = None if expected.get(name) == "unknown" else expected.get(name)
            assert value == judgment or (value == "gbr" and judgment is None), source.name
        for name, seconds in (("duration", info.timing.duration_seconds), ("start_time", info.timing.start_seconds)):
            if name in expected:
                # One picture of one field: versions of libav disagree on how long it lasts.
                assert seconds == pytest.approx(float(expected[name]), abs=0.021), source.name
        bare = info.container == "mpegvideo"  # its rate is a guess
        if not bare and expected["avg_frame_rate"] != "0/0":
            assert info.timing.frame_rate == Fraction(expected["avg_frame_rate"]), source.name
