"""``vidcolor evaluate`` from the command line: stills and films."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.clips import Clip, make_clip
from tests.support.samples import SMALL_CONFIG, small_generator
from vidcolor.errors import OutputError
from vidcolor.inference.weights import save_generator
from vidcolor_training.evaluate_command import evaluate
from vidcolor_training.evaluation.conditions import CONDITIONS


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small network's; and a user without published parameters."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "small.safetensors"
    save_generator(
        path, small_generator().state_dict(), network="multiscale_unet", config=SMALL_CONFIG, recipe="", training={}
    )
    return path


def run_evaluate(*arguments: object) -> str:
    result = CliRunner().invoke(evaluate, [*map(str, arguments), "--device", "cpu"], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_stills(photographs: Path, weights: Path, tmp_path: Path) -> None:
    """The report has the rows "grey" and "truth", sheets, and reasons for what was not measured."""
    folder = tmp_path / "report"
    output = run_evaluate(photographs, "--weights", weights, "-o", folder, "--size", 64)
    report = json.loads((folder / "report.json").read_text())
    assert list(report["rows"]) == ["grey", "small.safetensors", "truth"]
    assert report["rows"]["truth"]["mse"] == 0
    assert set(report["not_measured"]) == {"lpips", "fid", "frechet_efficientnet_lite2"}
    assert "--fetch" in report["not_measured"]["lpips"]
    assert report["about"]["weights"]["small.safetensors"]["sha256"]
    assert len(list(folder.glob("sheet-1-*.jpg"))) == 3
    assert "<html" in (folder / "report.html").read_text()
    assert f"report: {folder / 'report.html'}" in output
    with pytest.raises(OutputError, match="holds a report already"):
        run_evaluate(photographs, "--weights", weights, "-o", folder)


@pytest.mark.slow
def test_conditions(photographs: Path, weights: Path, tmp_path: Path) -> None:
    """With --conditions there is a row for each, also in the file; hints of no confidence change nothing."""
    folder = tmp_path / "report"
    output = run_evaluate(
        photographs,
        "--weights",
        weights,
        "-o",
        folder,
        "--size",
        64,
        "--limit",
        2,
        "--conditions",
    )
    rows = json.loads((folder / "report.json").read_text())["rows"]
    assert list(rows) == ["grey", "small.safetensors", *(f"small.safetensors: {name}" for name in CONDITIONS), "truth"]
    assert rows["small.safetensors: wrong hints, confidence 0"]["largest_change"] == 0
    assert rows["small.safetensors: 10 points"]["largest_change"] > 0
    assert "small.safetensors: fading" in output
    assert "small.safetensors: fading" in (folder / "report.html").read_text()


def test_conditions_are_of_stills(photographs: Path, tmp_path: Path) -> None:
    """Asking for them with films is a usage error."""
    arguments = [str(photographs), "-o", str(tmp_path / "report"), "--video", "--conditions"]
    result = CliRunner().invoke(evaluate, arguments)
    assert result.exit_code == 2
    assert "--conditions is for still pictures" in result.output


def test_only_films_are_worn(photographs: Path, tmp_path: Path) -> None:
    """Asking for it with pictures is a usage error."""
    result = CliRunner().invoke(evaluate, [str(photographs), "-o", str(tmp_path / "report"), "--worn"])
    assert result.exit_code == 2
    assert "--worn is for films" in result.output


@pytest.mark.slow
def test_films(weights: Path, tmp_path: Path) -> None:
    """Films are colored twice, as the pipeline does and raw, and can be played side by side."""
    film = make_clip(tmp_path / "film.mkv", Clip(frames=12, color=True, pix_fmt="yuv444p"))
    folder = tmp_path / "report"
    run_evaluate(film, "--video", "--weights", weights, "-o", folder, "--size", 48, "--limit", 8)
    report = json.loads((folder / "report.json").read_text())
    assert list(report["rows"]) == ["grey", "small.safetensors", "small.safetensors raw", "truth"]
    assert report["rows"]["small.safetensors raw"]["network_share"] == 1
    assert report["rows"]["small.safetensors"]["network_share"] < 0.6
    assert report["about"]["wear"] is None
    assert report["about"]["versions"]["vidcolor"]
    assert len(list((folder / "players").glob("*.mp4"))) == 1
    assert "<video" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_worn_films(weights: Path, tmp_path: Path) -> None:
    """How they were worn is in the report; the rows are the same."""
    film = make_clip(tmp_path / "film.mkv", Clip(frames=4, color=True, pix_fmt="yuv444p"))
    run_evaluate(film, "--video", "--worn", "--weights", weights, "-o", tmp_path / "report", "--size", 48)
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert list(report["rows"]) == ["grey", "small.safetensors", "small.safetensors raw", "truth"]
    assert report["about"]["wear"]["grain"] > 0
