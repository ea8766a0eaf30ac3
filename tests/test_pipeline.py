"""The whole film: what comes out beside what went in."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.clips import Clip, decoded, make_clip, timeline
from tests.support.color_films import still_shot, two_colors, write_film
from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.frames import FloatArray
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Progress
from vidcolor.resume.unfinished import folder_of, has_segments

LOSSLESS = EncodeOptions(codec="ffv1")


class Painter:
    """Colors by brightness alone: a known answer for every picture. Counts what it is shown."""

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size
        self.seen: list[int] = []

    def predict(self, grey: FloatArray) -> FloatArray:
        """Bright is yellow, dark is blue."""
        self.seen.append(len(grey))
        return np.stack((10 * (grey - 0.5), 60 * (grey - 0.5)), axis=1)


def colorize(source: Path, dest: Path, **options: object) -> Painter:
    """Color with a :class:`Painter`, to FFV1 unless asked otherwise."""
    painter = Painter()
    settings = {"render_size": 48, "encode": LOSSLESS, **options}
    colorize_video(source, dest, colorizer=painter, options=ColorizeOptions(**settings))  # type: ignore[arg-type]
    return painter


def names(folder: Path) -> set[str]:
    """What lies in a folder, hidden files too."""
    return {path.name for path in folder.iterdir()}


CLIPS = {
    "plain": Clip(),
    "color in the source": Clip(color=True),
    "10 bits": Clip(pix_fmt="yuv420p10le"),
    "odd size": Clip(size=(51, 37), pix_fmt="yuv444p"),
    "4:2:2": Clip(pix_fmt="yuv422p"),
    "full range": Clip(tags={"color_range": 2}),
    "variable rate": Clip(frames=7, time_base=Fraction(1, 1000), pts=[0, 40, 80, 200, 240, 900, 940]),
    "late start": Clip(time_base=Fraction(1, 1000), start=480),
    "cuts": Clip(frames=24, cuts=(8, 16)),
    "one frame": Clip(frames=1),
    "turned": Clip(rotation=90),
}


@pytest.mark.parametrize("name", CLIPS)
def test_luma_and_times_are_the_sources(name: str, tmp_path: Path) -> None:
    """With a lossless codec every luma plane and every timestamp comes out as it went in."""
    source = make_clip(tmp_path / "in.mkv", CLIPS[name])
    colorize(source, tmp_path / "out.mkv")
    before, after = decoded(source), decoded(tmp_path / "out.mkv")
    assert [t for t, _ in after] == [t for t, _ in before]
    for (_, luma), (_, expected) in zip(after, before, strict=True):
        np.testing.assert_array_equal(luma, expected)


def archive_and_interview(path: Path, pix_fmt: str = "yuv444p") -> Path:
    """A film of three shots of ten frames; the second has colors of its own."""
    archive = still_shot(1, 10, (1, 1, 1))
    interview = np.stack([np.roll(two_colors(), index, axis=0) for index in range(10)])
    return write_film(path, np.concatenate([archive, interview, still_shot(3, 10, (1, 0.8, 0.6))]), pix_fmt=pix_fmt)


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv420p", "yuv422p10le"])
def test_shots_with_colors_of_their_own_keep_them(tmp_path: Path, pix_fmt: str) -> None:
    """Their chroma comes out bit for bit, is not shown to the network, and a line says so; a tint is colored anew."""
    source = archive_and_interview(tmp_path / "in.mkv", pix_fmt)
    painter = Painter(batch_size=1)
    encode = EncodeOptions(codec="ffv1", pix_fmt=pix_fmt)
    options = ColorizeOptions(render_size=48, encode=encode, anchor_every=1)
    found: list[str] = []
    report = colorize_video(source, tmp_path / "out.mkv", colorizer=painter, options=options, on_warning=found.append)
    assert found == ["the shot at 0:00:00.400 keeps the colors that it has"]
    assert sum(painter.seen) == 20
    before, after = (all_planes(path) for path in (source, tmp_path / "out.mkv"))
    equal = [all(map(np.array_equal, one, other)) for one, other in zip(before, after, strict=True)]
    assert equal == [False] * 10 + [True] * 10 + [False] * 10
    (line,) = report.warnings
    assert line.startswith("1 of 3 shots has colors of its own and keeps them, the first at 0:00:00.400; `keep_color`")


@pytest.mark.parametrize(("keep", "kept"), [("never", []), ("always", [1, 2])])
def test_colors_are_kept_on_request(tmp_path: Path, keep: str, kept: list[int]) -> None:
    """All of them, tints too, or none."""
    source = archive_and_interview(tmp_path / "in.mkv")
    encode = EncodeOptions(codec="ffv1", pix_fmt="yuv444p")
    colorize(source, tmp_path / "out.mkv", keep_color=keep, encode=encode)
    before, after = (all_planes(path) for path in (source, tmp_path / "out.mkv"))
    equal = [all(map(np.array_equal, before[i], after[i])) for i in (5, 15, 25)]
    assert [shot for shot in range(3) if equal[shot]] == kept


@pytest.mark.parametrize(
    ("there", "here"), [("yuv444p", "yuv420p"), ("yuv420p", "yuv444p"), ("yuv422p10le", "yuv420p")]
)
def test_kept_colors_in_another_format(tmp_path: Path, there: str, here: str) -> None:
    """Colors that are kept are resampled to the encoder's format."""
    source = archive_and_interview(tmp_path / "in.mkv", there)
    colorize(source, tmp_path / "out.mkv", encode=EncodeOptions(codec="ffv1", pix_fmt=here))
    before, after = (rgb_pictures(path) for path in (source, tmp_path / "out.mkv"))
    difference = np.abs(before[15].astype(int) - after[15])
    assert difference.mean() < 4
    assert np.abs(before[5].astype(int) - after[5]).mean() > 4


def all_planes(path: Path) -> list[list[np.ndarray]]:
    """The planes of every picture."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [[np.array(memoryview(plane)) for plane in frame.planes] for frame in frames]


def rgb_pictures(path: Path) -> list[np.ndarray]:
    """The pictures of a film as R'G'B'."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_times_are_exact_in_mp4(tmp_path: Path) -> None:
    """A variable rate survives H.264 in MP4 to the tick."""
    source = make_clip(tmp_path / "in.mp4", CLIPS["variable rate"])
    colorize(source, tmp_path / "out.mp4", encode=EncodeOptions(preset="ultrafast"))
    assert [t for t, _ in decoded(tmp_path / "out.mp4")] == [t for t, _ in decoded(source)]


def test_losses_are_told_before_the_work(tmp_path: Path) -> None:
    """What is known to be lost is told before the first frame, once, and stands in the report again."""
    source = make_clip(tmp_path / "in.mkv", Clip(chapters=True, subtitles=True))
    told: list[str] = []
    report = colorize_video(
        source,
        tmp_path / "out.ts",
        colorizer=Painter(),
        options=ColorizeOptions(render_size=48, encode=EncodeOptions(preset="ultrafast")),
        on_progress=lambda progress: told.append("a frame"),
        on_warning=told.append,
    )
    before = told[: told.index("a frame")]
    assert before == list(report.warnings)
    assert any("chapters" in line for line in before)
    assert any("subtitle" in line for line in before)


def test_other_streams_come_along(tmp_path: Path) -> None:
    """Sound and subtitles keep their packets and their times, also where they outlast the picture."""
    source = make_clip(tmp_path / "in.mkv", Clip(audio=("eng", "deu"), audio_seconds=2, subtitles=True, chapters=True))
    colorize(source, tmp_path / "out.mkv")
    for kind in ("audio", "subtitle"):
        assert timeline(tmp_path / "out.mkv", kind) == timeline(source, kind)
        assert timeline(source, kind)


def test_what_a_container_cannot_say_is_named(tmp_path: Path) -> None:
    """MPEG-TS has no place for rotation and chapters: a line each; MP4 has, so there is none."""
    source = make_clip(tmp_path / "in.mp4", Clip(rotation=90, chapters=True))
    options = ColorizeOptions(render_size=48, encode=EncodeOptions(preset="ultrafast"))
    told = {}
    for suffix in ("mp4", "ts"):
        report = colorize_video(source, tmp_path / f"out.{suffix}", colorizer=Painter(), options=options)
        told[suffix] = [line for line in report.warnings if "rotation" in line or "chapters" in line]
    assert told["mp4"] == []
    assert len(told["ts"]) == 2


def test_it_is_in_color(tmp_path: Path) -> None:
    """Bright places come out yellow and dark ones blue, as the painter says."""
    import av

    source = make_clip(tmp_path / "in.mkv", Clip(size=(96, 64)))
    colorize(source, tmp_path / "out.mkv", encode=EncodeOptions(codec="ffv1", pix_fmt="yuv444p"))
    with av.open(tmp_path / "out.mkv") as film:
        luma, cb, cr = next(film.decode(video=0)).to_ndarray().astype(float)
    bright, dark = luma > np.quantile(luma, 0.9), luma < np.quantile(luma, 0.1)
    assert cb[bright].mean() < 127 < 128.5 < cb[dark].mean()
    assert cr[bright].mean() > cr[dark].mean()


@pytest.mark.parametrize(("every", "expected"), [(1, 24), (4, 2 + 2 * 3), (64, 4)])
def test_the_network_sees_the_anchors_only(every: int, expected: int, tmp_path: Path) -> None:
    """Of two shots of twelve frames the network sees the first, every n-th and the last."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(96, 64), frames=24, cuts=(12,)))
    assert sum(colorize(source, tmp_path / "out.mkv", anchor_every=every).seen) == expected


@pytest.mark.parametrize("every", [1, 3])
def test_batches_do_not_show(every: int, tmp_path: Path) -> None:
    """The result is the same, byte for byte, whatever the batch size."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=20, cuts=(7,)))
    films = []
    for batch_size in (1, 5):
        dest = tmp_path / f"{batch_size}.mkv"
        options = ColorizeOptions(render_size=48, anchor_every=every, encode=LOSSLESS)
        colorize_video(source, dest, colorizer=Painter(batch_size), options=options)
        films.append([p for stream in timeline(dest, "video").values() for p in stream])
    assert films[0] == films[1]


def test_progress_and_report(tmp_path: Path) -> None:
    """Every frame is reported once, in order, and the report agrees with the film."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(96, 64), frames=24, cuts=(12,)))
    steps: list[Progress] = []
    options = ColorizeOptions(render_size=48, encode=LOSSLESS)
    dest = tmp_path / "out.mkv"
    report = colorize_video(source, dest, colorizer=Painter(), options=options, on_progress=steps.append)
    assert [step.frames for step in steps] == list(range(1, 25))
    assert (report.frames, report.shots) == (24, 2)
    assert report.output_bytes == dest.stat().st_size
    assert {step.bottleneck for step in steps} <= {"decode", "generator", "temporal", "render", "encode"}


def test_a_failing_network_leaves_nothing(tmp_path: Path) -> None:
    """An exception in any stage comes out as it is, and the folder is as it was."""

    class Broken(Painter):
        def predict(self, grey: FloatArray) -> FloatArray:
            if self.seen:
                raise RuntimeError("broken")
            return super().predict(grey)

    source = make_clip(tmp_path / "in.mkv", Clip(frames=30))
    with pytest.raises(RuntimeError, match="broken"):
        colorize_video(
            source, tmp_path / "out.mkv", colorizer=Broken(), options=ColorizeOptions(anchor_every=1, encode=LOSSLESS)
        )
    assert names(tmp_path) == {"in.mkv"}


def test_refusals_leave_nothing(tmp_path: Path) -> None:
    """What cannot be done is refused with the right class of error, and nothing is written."""
    source = make_clip(tmp_path / "in.mkv")
    (tmp_path / "out.mkv").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"out\.mkv"):
        colorize(source, tmp_path / "out.mkv")
    with pytest.raises(OutputError, match=r"in\.mkv"):
        colorize(source, source, overwrite=True)
    with pytest.raises(OptionError, match="nonsense"):
        colorize(source, tmp_path / "new.mkv", encode=EncodeOptions(codec="nonsense"))
    with pytest.raises(InputError, match=r"missing\.mkv"):
        colorize(tmp_path / "missing.mkv", tmp_path / "new.mkv")
    assert names(tmp_path) == {"in.mkv", "out.mkv"}
    assert (tmp_path / "out.mkv").read_bytes() == b"mine"


def command(*arguments: str | Path) -> list[str]:
    """The command line in a process of its own."""
    return [sys.executable, "-m", "vidcolor", *map(str, arguments)]


def test_the_command_line_end_to_end(tiny_weights: Path, tmp_path: Path) -> None:
    """A film goes in and comes out, with one JSON object at the end that says so."""
    source = make_clip(tmp_path / "in.mp4", Clip(audio=("eng",)))
    dest = tmp_path / "out.mp4"
    done = subprocess.run(
        command(source, "-o", dest, "--weights", tiny_weights, "--device", "cpu", "--json"),
        capture_output=True,
        text=True,
        check=True,
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "done"
    assert last["frames"] == 12
    assert last["output_bytes"] == dest.stat().st_size
    assert timeline(dest, "audio") == timeline(source, "audio")


@pytest.mark.slow
def test_ctrl_c_stops_at_once_and_leaves_nothing_unfinished(tiny_weights: Path, tmp_path: Path) -> None:
    """SIGINT in the middle of a long film: exit code 130, no output, and no debris but what can be gone on with."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(320, 240), frames=1500, codec="mpeg4", options={}))
    before = names(tmp_path)
    with subprocess.Popen(
        command(source, "-o", tmp_path / "out.mkv", "--weights", tiny_weights, "--device", "cpu", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert '"progress"' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        try:
            assert process.wait(timeout=30) == 130
        finally:
            process.kill()
    assert time.monotonic() - started < 10  # two seconds on a quiet machine
    kept = folder_of(tmp_path / "out.mkv")
    assert names(tmp_path) - before == ({kept.name} if has_segments(kept) else set())
    assert not list(kept.glob("*.part"))
