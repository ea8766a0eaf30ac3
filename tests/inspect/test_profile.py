"""Where the time of a film goes: the floors, the table, and the command that shows it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from tests.support.clips import Clip, make_clip
from tests.support.reports import REPORT, report
from vidcolor.cli.commands import main
from vidcolor.cli.profile_text import profile_lines
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.loading import onnx_weights
from vidcolor.inference.openvino_engine import OpenVinoEngine
from vidcolor.inference.weights import load_generator
from vidcolor.inspect import profile as profiling
from vidcolor.inspect import roofline
from vidcolor.inspect.profile import MachineRates, Profile, profile_film, profile_json
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import FilmSizes

NAMES = ["decode", "generator", "temporal", "render", "encode"]
MACHINE = MachineRates(bytes_per_second=10e9, operations_per_second=200e9, operations_on="cpu in bfloat16")
SMALL = FilmSizes(picture_bytes=150, luma=(10, 10), luma_depth=8, chroma=(5, 5), encoded_depth=10, grey=(100, 80))


class Grey:
    """No network at all, and no operations that could be counted."""

    batch_size = 4

    def predict(self, grey: FloatArray) -> FloatArray:
        """Nothing has a color."""
        return np.zeros((len(grey), 2, *grey.shape[1:]), np.float32)


def profiled(**changes: object) -> Profile:
    """The profile of a film of 100 frames in 10 s, with a network of 6 GFLOP and 20 anchors."""
    return profiling.profile(report(**changes), 6_000_000_000, MACHINE, 800_000_000)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (profiling.decode_bytes, 150 + 100 + 4 * 8000),
        (profiling.temporal_bytes, 2 * 3 * 4 * 2000),
        (profiling.render_bytes, 100 + 3 * 4 * 8000 + 2 * 25 * 2),
        (profiling.encode_bytes, 100 * 2 + 2 * 25 * 2),
    ],
)
def test_bytes_of_a_known_size(formula: Callable[[FilmSizes], int], expected: int) -> None:
    """8 bits in and 10 out, at 4:2:0: one byte a sample becomes two, ab is two planes of floats beside the grey."""
    assert formula(SMALL) == expected


def test_floors_are_bytes_over_bandwidth_and_operations_over_peak() -> None:
    """A fifth of the frames asked for: 1.2 of 6 GFLOP a frame at 200 GFLOP/s are 6 ms."""
    stages = {stage.name: stage for stage in profiled().stages}
    assert stages["generator"].floor_operations == pytest.approx(1.2e9)
    assert stages["generator"].floor_ms == pytest.approx(6.0)
    assert stages["encode"].floor_bytes == 1920 * 1080 * 3
    assert stages["encode"].floor_ms == pytest.approx(1000 * 1920 * 1080 * 3 / 10e9)
    assert (stages["generator"].busy_ms, stages["generator"].cpu_ms) == (80.0, 70.0)
    assert stages["generator"].share == pytest.approx(0.8)


def test_frames_of_an_earlier_run_do_not_count() -> None:
    """What is said is said of this run: of 100 frames 60 were there before."""
    shown = profiled(frames_before=60)
    assert (shown.frames, shown.fps) == (40, 4.0)
    assert shown.stages[0].busy_ms == pytest.approx(25.0)


def test_nothing_to_tell_where_nothing_was_left_to_do() -> None:
    """A film that an earlier run has finished has no time per frame."""
    done = report(frames_before=100, first_frame_seconds=None)
    assert profile_film(done, Grey()) is None
    with pytest.raises(ValueError, match="got 0 frames"):
        profiling.profile(done, None, MACHINE, None)


def test_table_has_every_stage_in_order_within_100_characters() -> None:
    """A heading, the stages as the pipeline has them, and three lines on the whole."""
    lines = list(profile_lines(profiled()))
    assert [line.split()[0] for line in lines[1:6]] == NAMES
    assert lines[2].split()[:6] == ["generator", "80.00", "70.00", "80%", "6.000", "1.2"]
    assert lines[6] == "10.0 frames a second over the whole film; memory at most 800.0 MB"
    assert lines[7] == "0.50 s to the first frame written, 0.50 s after the last one"
    assert lines[8].startswith("floors: 10 GB/s, 200 GFLOP/s on cpu in bfloat16;")
    assert len(lines) == 9
    assert max(map(len, lines)) <= 100


def test_a_floor_above_the_time_is_shown_as_it_is() -> None:
    """Where a stage was faster than its floor, the table hides neither."""
    machine = MachineRates(bytes_per_second=1e6, operations_per_second=1e9, operations_on="cpu in float32")
    shown = profiling.profile(REPORT, 6_000_000_000, machine, None)
    generator, encode = shown.stages[1], shown.stages[4]
    assert generator.floor_ms == pytest.approx(1200)
    assert encode.floor_ms == pytest.approx(6220.8)
    lines = list(profile_lines(shown))
    assert "1200.000" in lines[2]
    assert "6220.800" in lines[5]
    assert "memory" not in lines[6]


def test_json_holds_the_same() -> None:
    """Every field by its name, in plain types, with six digits."""
    shown = json.loads(json.dumps(profile_json(profiled(seconds=3.0))))
    assert shown["fps"] == 33.3333
    assert shown["peaks"]["operations_per_second"] == 200e9
    assert [stage["name"] for stage in shown["stages"]] == NAMES
    assert shown["stages"][1]["floor_ms"] == 6.0
    assert shown["stages"][1]["floor_bytes"] is None


def test_unknown_operations_are_unknown() -> None:
    """A predictor that is no network of ours has a question mark in place of a floor; the other floors stay."""
    shown = profile_film(REPORT, Grey())
    assert shown is not None
    assert shown.stages[1].floor_ms is None
    assert list(profile_lines(shown))[2].split()[4:6] == ["?", "?"]
    assert all(stage.floor_ms for stage in shown.stages if stage.name != "generator")


class OneLayer(nn.Module):
    """A convolution of 3×3 from one channel to two."""

    multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Grey to what stands for ab."""
        made: torch.Tensor = self.layers(x)
        return made


def test_operations_of_a_convolution() -> None:
    """Nine products and sums for each of two channels of each pixel."""
    engine = Colorizer(OneLayer(), device="cpu", dtype=torch.float32).engine
    assert engine.count_operations((40, 30)) == 2 * 9 * 2 * 40 * 30
    assert 1e8 < engine.operations_per_second() < 1e15


def test_both_engines_count_alike() -> None:
    """The default network has the same operations, to 2 %, whoever counts them."""
    ours = Colorizer(load_generator(), device="cpu", dtype=torch.float32).engine.count_operations((96, 64))
    theirs = OpenVinoEngine(onnx_weights(None), "cpu").count_operations((96, 64))
    assert ours == pytest.approx(theirs, rel=0.02)


def test_bandwidth() -> None:
    """It is that of some machine of this century."""
    assert 1e8 < roofline.bytes_per_second() < 1e13


def test_report_says_what_the_stages_took(tmp_path: Path) -> None:
    """All stages, in order, with time of their own; anchors and sizes as the film has them."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(96, 64), frames=24, cuts=(12,), rotation=90))
    options = ColorizeOptions(render_size=48, anchor_every=4, encode=EncodeOptions(codec="ffv1"))
    found = colorize_video(source, tmp_path / "out.mkv", colorizer=Grey(), options=options)
    assert [time.name for time in found.stages] == NAMES
    assert all(time.busy_seconds > 0 for time in found.stages)
    assert sum(time.cpu_seconds for time in found.stages) > 0
    assert found.anchors == 2 + 2 * 3
    assert found.first_frame_seconds is not None
    assert 0 < found.first_frame_seconds < found.last_frame_seconds < found.seconds
    assert found.sizes.luma == (96, 64)
    assert found.sizes.grey == (48, 72)
    assert found.sizes.picture_bytes == 96 * 64 * 3 // 2


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of moving pattern."""
    return make_clip(tmp_path_factory.mktemp("film") / "in.mp4", Clip())


def command(film: Path, dest: Path, weights: Path) -> list[str]:
    """What is typed behind the program's name."""
    return [*map(str, (film, "-o", dest, "--weights", weights)), "--device", "cpu", "--profile"]


def test_the_command_shows_the_table(film: Path, tiny_weights: Path, tmp_path: Path) -> None:
    """On standard error, so that standard output has its one line as ever."""
    done = CliRunner().invoke(main, command(film, tmp_path / "out.mp4", tiny_weights))
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 1
    assert [line.split()[0] for line in done.stderr.splitlines()[:6]] == ["stage", *NAMES]


@pytest.mark.slow
def test_the_command_tells_scripts(film: Path, tiny_weights: Path, tmp_path: Path) -> None:
    """In the last object, and without a word elsewhere."""
    line = [sys.executable, "-m", "vidcolor", *command(film, tmp_path / "out.mp4", tiny_weights), "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "done"
    assert last["profile"]["frames"] == last["frames"]
    assert [stage["name"] for stage in last["profile"]["stages"]] == NAMES
    assert last["profile"]["stages"][1]["floor_operations"] > 0
    assert done.stderr == ""


def test_quiet_has_nothing_to_show(film: Path, tmp_path: Path) -> None:
    """``--quiet`` and ``--profile`` contradict each other, and are refused before anything begins."""
    done = CliRunner().invoke(main, [*command(film, tmp_path / "out.mp4", tmp_path / "none"), "--quiet"])
    assert done.exit_code == 2
    assert "--quiet and --profile exclude each other" in done.stderr
