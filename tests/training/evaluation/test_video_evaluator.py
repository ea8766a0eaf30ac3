"""The evaluator of films, on films of known colors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.color_films import moving_square, still_shot, write_film
from tests.support.painter import Painter
from vidcolor.errors import InputError, OptionError
from vidcolor.options import ColorizeOptions
from vidcolor_training.evaluation.hues import HUES
from vidcolor_training.evaluation.report import EvaluationReport
from vidcolor_training.evaluation.video_evaluator import evaluate_video

SPEEDS = {"network_ms", "temporal_ms", "frames_per_second"}
FRAMES = 33


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square that moves, and two still shots; the second film is too short for some metrics."""
    folder = tmp_path_factory.mktemp("films")
    write_film(folder / "square.mkv", moving_square(FRAMES))
    write_film(folder / "still.mkv", np.concatenate([still_shot(1, 9), still_shot(2, 7, (0.5, 0.7, 1.0))]))
    return folder


@pytest.fixture(scope="module")
def report(films: Path, tmp_path_factory: pytest.TempPathFactory) -> EvaluationReport:
    """A painter on both films under the default settings."""
    return evaluate_video([films], {"painter": Painter()}, tmp_path_factory.mktemp("report"), size=48)


def test_rows_and_items(report: EvaluationReport) -> None:
    """Grey, ours under both settings, truth; for each clip and on the whole, the same figures."""
    assert list(report.rows) == ["grey", "painter", "painter raw", "truth"]
    assert all(list(clips) == ["square.mkv", "still.mkv"] for clips in report.items.values())
    figures = {
        "psnr",
        "ssim",
        "mse",
        "ciede2000",
        "colorfulness",
        "cdc",
        "warp_rgb",
        "warp_ab",
        "warp_ab_8",
        "warp_ab_24",
        "drift",
        "flicker_over_truth",
        "warp_ab_8_over_truth",
        "warp_ab_24_over_truth",
        "cdc_over_truth",
        "drift_over_truth",
        "colorfulness_absolute",
    }
    assert set(report.items["truth"]["square.mkv"]) == figures
    figures |= {"mse_over_grey", "worse_than_grey", "delta_cf", "mean_delta_cf", "cf_correlation", "ab_overlap"}
    hues = {f"{figure}_{hue}" for figure in ("share", "recall", "precision") for hue in HUES}
    assert figures < set(report.rows["truth"]) <= figures | hues
    assert set(report.rows["painter"]) - hues == figures | SPEEDS | {"network_share"}


def test_truth_and_grey(report: EvaluationReport) -> None:
    """The truth is without error and its own measure; grey has no color to flicker or to drift."""
    grey, truth = report.rows["grey"], report.rows["truth"]
    assert (truth["mse"], truth["psnr"], truth["ssim"], truth["ciede2000"]) == (0, None, pytest.approx(1), 0)
    assert {truth[name] for name in truth if name.endswith("_over_truth")} == {1}
    assert {grey[name] for name in ("colorfulness", "warp_ab", "warp_ab_8", "warp_ab_24", "drift")} == {0}
    assert 0 < grey["warp_rgb"] < truth["warp_rgb"]
    assert grey["mse"] > 0.005


def test_hues_of_films(report: EvaluationReport) -> None:
    """A film is counted as pictures are: the truth finds all of its hues, grey none, and yellow is all the painter
    has for bright things.
    """
    grey, painter, _, truth = report.rows.values()
    hues = {name for name in truth if name.startswith(("share_", "recall_", "precision_"))}
    assert {"share_red", "share_orange", "share_blue"} <= hues
    assert {truth[name] for name in hues} == {1}
    assert {grey[name] for name in hues if not name.startswith("precision")} == {0}
    assert painter["recall_red"] == 0
    assert painter["worse_than_grey"] in (0, 0.5, 1)
    assert truth["worse_than_grey"] == grey["worse_than_grey"] == 0


def test_what_is_missing_is_said(report: EvaluationReport) -> None:
    """The film of two short shots has no figures over 24 frames, no drift, and does not count for their means."""
    missing = {"warp_ab_24", "drift", "warp_ab_24_over_truth", "drift_over_truth"}
    for row, clips in report.items.items():
        assert not missing & clips["still.mkv"].keys()
        assert report.rows[row]["drift"] == clips["square.mkv"]["drift"]
    assert set(report.not_measured) == {"warp_ab_24", "drift"}
    assert report.not_measured["drift"].startswith("not on still.mkv: ")


def test_about_says_what_was_measured(report: EvaluationReport) -> None:
    """Frames, sizes and shots of the clips, and the settings."""
    clip = {"frames": 16, "size": [64, 48], "rate": "25", "shots": [9, 7]}
    assert report.about["clips"]["still.mkv"] == clip
    assert report.about["settings"]["NAME"] == {"smoothing": 0.8, "anchor_spacing": "by motion", "saturation": 1.0}
    assert report.about["settings"]["NAME raw"]["anchor_spacing"] == 1


def test_the_networks_share(report: EvaluationReport) -> None:
    """Raw asks the network for every frame; the default for one of a still of 8 frames, which repeat each other."""
    assert report.items["painter raw"]["still.mkv"]["network_share"] == 1
    assert report.items["painter"]["still.mkv"]["network_share"] == (1 + 1) / 16
    shares = [report.items["painter"][name]["network_share"] for name in ("square.mkv", "still.mkv")]
    assert report.rows["painter"]["network_share"] == pytest.approx(
        (FRAMES * shares[0] + 16 * shares[1]) / (FRAMES + 16)
    )


def test_no_pair_crosses_a_cut(report: EvaluationReport) -> None:
    """Between still shots of different colors nothing flickers, and the distributions are consistent."""
    for row in ("painter", "painter raw", "truth"):
        figures = report.items[row]["still.mkv"]
        assert max(figures[name] for name in ("warp_ab", "warp_rgb", "warp_ab_8", "cdc")) < 1e-6


def test_films_that_are_no_measure(films: Path, tmp_path: Path) -> None:
    """Damaged and grey films are left out by name; if there are no others, that is an error."""
    (tmp_path / "bad.mkv").write_bytes(b"nothing of the kind")
    write_film(
        tmp_path / "grey.mkv", np.repeat(still_shot(5, 4).mean(axis=3, keepdims=True), 3, axis=3).astype(np.uint8)
    )
    with pytest.raises(InputError, match=r"none that can be measured; bad\.mkv: "):
        evaluate_video([tmp_path], {"painter": Painter()}, tmp_path / "report", size=48)
    (tmp_path / "square.mkv").symlink_to(films / "square.mkv")
    report = evaluate_video([tmp_path], {"painter": Painter()}, tmp_path / "report", size=48)
    assert list(report.items["truth"]) == ["square.mkv"]
    assert list(report.left_out) == ["bad.mkv", "grey.mkv"]
    assert report.left_out["grey.mkv"] == "has no color itself"


def test_noise_is_measured_as_what_it_is(tmp_path: Path) -> None:
    """Noise of variance s² on every frame of a still film: flicker 2 s² raw, and less than half of it smoothed."""
    write_film(tmp_path / "still.mkv", still_shot(5, 30))
    rows = evaluate_video([tmp_path / "still.mkv"], {"": NewNoise(4.0)}, tmp_path / "report", size=48).rows
    assert rows["raw"]["warp_ab"] == pytest.approx(2 * 4**2, rel=0.03)
    assert rows["raw"]["warp_ab_8"] == pytest.approx(2 * 4**2, rel=0.05)
    assert rows[""]["warp_ab"] < 8


class NewNoise(Painter):
    """Goes on drawing from the same generator."""

    def __init__(self, sigma: float) -> None:
        self.sigma, self.rng = sigma, np.random.default_rng(0)

    def predict(self, grey: np.ndarray) -> np.ndarray:
        return self.rng.normal(10, self.sigma, (len(grey), 2, *grey.shape[1:])).astype(np.float32)


def test_the_same_again(report: EvaluationReport, films: Path, tmp_path: Path) -> None:
    """A second run gives the same figures to the last bit, speeds apart."""
    again = evaluate_video([films], {"painter": Painter()}, tmp_path, size=48)
    for row, figures in report.rows.items():
        assert {k: v for k, v in figures.items() if k not in SPEEDS} == {
            k: v for k, v in again.rows[row].items() if k not in SPEEDS
        }


def test_settings_of_ones_own(films: Path, tmp_path: Path) -> None:
    """Other settings give other rows; saturation reaches the colors; max_frames bounds the clip."""
    settings = {"dull": ColorizeOptions(saturation=0.5, smoothing=0), "": ColorizeOptions(smoothing=0)}
    found = evaluate_video(
        [films / "square.mkv"], {"p": Painter()}, tmp_path, size=48, settings=settings, max_frames=10
    )
    assert list(found.rows) == ["grey", "p dull", "p", "truth"]
    assert found.about["clips"]["square.mkv"]["frames"] == 10
    assert 0.4 < found.rows["p dull"]["colorfulness"] / found.rows["p"]["colorfulness"] < 0.6


def test_rows_of_one_name(films: Path, tmp_path: Path) -> None:
    """A colorizer called as a fixed row, or as another with its setting, is refused before any work."""
    for names in (["truth"], ["a", "a raw"]):
        with pytest.raises(OptionError, match=f"found '{names[-1]}' twice"):
            evaluate_video([films], dict.fromkeys(names, Painter()), tmp_path, size=48)


def test_what_to_look_at(report: EvaluationReport) -> None:
    """Every clip has a film and a strip, both there, in the report's folder."""
    assert [path.suffix for path, _ in report.players] == [".mp4", ".mp4"]
    assert [path.suffix for path, _ in report.pictures] == [".jpg", ".jpg"]
    folder = report.players[0][0].parents[1]
    assert all(path.stat().st_size > 0 for path, _ in (*report.players, *report.pictures))
    assert {path.name for path in folder.iterdir()} == {"players", "strips"}
    assert "grey | painter | truth" in report.players[0][1]
