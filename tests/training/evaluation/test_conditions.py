"""Conditions: what a network is shown, and what is made of what it says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.filters import gaussian

from tests.support.samples import small_generator
from tests.training.evaluation.test_report import page_of
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Colorizer
from vidcolor.networks.lab import AB_SCALE
from vidcolor_training.data.hints import POINT_SIDE
from vidcolor_training.evaluation.condition_rows import Compared, add_conditions, compare
from vidcolor_training.evaluation.conditions import CONDITIONS, POINTS, apply_condition, to_part, true_ab
from vidcolor_training.evaluation.evaluator import StillPicture, evaluate_stills, pictures_of
from vidcolor_training.evaluation.metrics import mse
from vidcolor_training.evaluation.report import EvaluationReport, format_table
from vidcolor_training.evaluation.report_files import read_report, write_report
from vidcolor_training.evaluation.report_html import best_rows

SIZE = 96
DAMAGE = ("grain", "blur", "gamma 0.8", "gamma 1.2", "jpeg 40", "fading")
SIZES = {"short side 192": 192, "short side 384": 384, "short side 512": 512}
PARTS = {
    "4:3": (slice(12, 84), slice(0, 96)),
    "16:9": (slice(21, 75), slice(0, 96)),
    "3:4": (slice(0, 96), slice(12, 84)),
}
HINTS = ("10 points", "moved truth", "wrong hints, confidence 0")


class Recorder:
    """Says one tint, and remembers what it was shown."""

    batch_size = 1

    def __init__(self, *, takes_hints: bool) -> None:
        self.takes_hints = takes_hints
        self.shapes: list[tuple[int, ...]] = []
        self.hinted = 0

    def predict(self, grey: FloatArray, hints: FloatArray | None = None) -> FloatArray:
        """(N, h, w) to (N, 2, h, w)."""
        self.shapes.append(grey.shape)
        self.hinted += hints is not None
        return np.full((len(grey), 2, *grey.shape[1:]), 10, np.float32)


class Oracle:
    """Knows the ab of one picture, whatever it is shown at the picture's size."""

    batch_size = 1

    def __init__(self, picture: StillPicture) -> None:
        self.ab = true_ab(picture).numpy()

    def predict(self, grey: FloatArray) -> FloatArray:
        """(1, S, S) to (1, 2, S, S); of parts their own, of other sizes nothing."""
        if max(grey.shape) != SIZE:
            return np.zeros((1, 2, *grey.shape[1:]), np.float32)
        top, left = ((SIZE - side) // 2 for side in grey.shape[1:])
        return self.ab[:, :, top : SIZE - top, left : SIZE - left]


class Obedient:
    """Says what the hints say, and where they say nothing no color."""

    batch_size = 1
    takes_hints = True

    def predict(self, grey: FloatArray, hints: FloatArray | None = None) -> FloatArray:
        """(N, h, w) to (N, 2, h, w)."""
        return np.zeros((len(grey), 2, *grey.shape[1:]), np.float32) if hints is None else hints[:, :2] * AB_SCALE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three smooth pictures of many colors."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(3):
        noise = np.random.default_rng(seed).random((SIZE, SIZE, 3))
        smooth = gaussian(noise, 8, mode="wrap", channel_axis=2)
        rgb = np.clip((smooth - 0.5) * 20 + 0.5, 0.1, 0.9)
        Image.fromarray((rgb * 255).astype(np.uint8)).save(pictures / f"{seed}.png")
    return pictures


@pytest.fixture
def picture(folder: Path) -> StillPicture:
    """The first of them."""
    return next(pictures_of([folder], ["0.png"], size=SIZE))


@pytest.fixture
def report(folder: Path) -> EvaluationReport:
    """Of a network that knows one tint, with and without an ear for hints, under all conditions."""
    colorizers = {"a: b": Recorder(takes_hints=True), "deaf": Recorder(takes_hints=False)}
    plain = evaluate_stills([folder], colorizers, size=SIZE, quiet=True)
    return add_conditions(plain, [folder], colorizers, quiet=True)


def test_every_condition_is_here() -> None:
    """What the tests below go through is the whole registry."""
    assert list(CONDITIONS) == [*DAMAGE, *SIZES, *PARTS, *HINTS]
    assert [name for name, condition in CONDITIONS.items() if condition.guided] == list(HINTS)


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_are_the_same_every_time(name: str, picture: StillPicture) -> None:
    """Nothing depends on what was drawn before; the picture itself is left alone; levels stay in [0, 1]."""
    before = picture.grey.copy()
    first, second = apply_condition(name, picture), apply_condition(name, picture)
    np.testing.assert_array_equal(first.grey, second.grey)
    assert (first.hints is None) == (second.hints is None) == (name not in HINTS)
    if first.hints is not None:
        np.testing.assert_array_equal(first.hints, second.hints)
    np.testing.assert_array_equal(picture.grey, before)
    assert first.grey.dtype == np.float32
    assert 0 <= first.grey.min() < first.grey.max() <= 1


def test_damage_has_its_strength(picture: StillPicture) -> None:
    """Grain, blur, gamma and fading against numpy and scikit-image; a JPEG errs visibly but not much."""
    shown = {name: apply_condition(name, picture).grey for name in DAMAGE}
    grey = picture.grey
    assert (shown["grain"] - grey).std() == pytest.approx(10 / 255, rel=0.05)
    # OpenCV's kernel ends at 3 to 4 σ
    np.testing.assert_allclose(shown["blur"], gaussian(grey, 2 * SIZE / 256, mode="nearest"), atol=2e-3)
    np.testing.assert_allclose(shown["gamma 0.8"], grey**0.8, atol=1e-6)
    np.testing.assert_allclose(shown["gamma 1.2"], grey**1.2, atol=1e-6)
    np.testing.assert_allclose(shown["fading"], np.interp(grey, [0, 1], [0.12, 0.85]), atol=1e-6)
    assert 1 / 255 < np.abs(shown["jpeg 40"] - grey).max() < 0.2


def test_grain_differs_between_pictures(folder: Path) -> None:
    """Seeds come from names: two pictures do not share their grain."""
    first, second = list(pictures_of([folder], ["0.png", "1.png"], size=SIZE))
    grain = [apply_condition("grain", picture).grey - picture.grey for picture in (first, second)]
    assert abs(np.corrcoef(grain[0].ravel(), grain[1].ravel())[0, 1]) < 0.05


def test_who_knows_the_colors_is_right_in_any_damage(picture: StillPicture) -> None:
    """Given the true ab, the joined picture is the truth: its luma is the clean one, parts are in place."""
    found = dict(compare(picture, Oracle(picture), [*DAMAGE, *PARTS]))
    for name, compared in found.items():
        assert compared.mse < 1e-10, name
        assert compared.change == 0, name
        assert compared.grey_mse > 1e-3, name


@pytest.mark.parametrize(("name", "part"), PARTS.items())
def test_parts_are_shown_alone(name: str, part: tuple[slice, slice], picture: StillPicture) -> None:
    """The middle, at its own size; grey and the clean run are measured on the same pixels."""
    shown = apply_condition(name, picture)
    np.testing.assert_array_equal(shown.grey, picture.grey[part])
    recorder = Recorder(takes_hints=False)
    compared = dict(compare(picture, recorder, [name]))[name]
    assert recorder.shapes == [(1, SIZE, SIZE), (1, *picture.grey[part].shape)]
    assert compared.mse == compared.clean_mse
    neutral = np.repeat(picture.grey[part][..., None], 3, axis=2)
    assert compared.grey_mse == pytest.approx(mse(neutral.astype(np.float64), picture.true[part]))


@pytest.mark.parametrize(("name", "side"), SIZES.items())
def test_sizes_are_asked_for(name: str, side: int, picture: StillPicture) -> None:
    """The network sees the picture at that size, and its color comes back to the picture's."""
    recorder = Recorder(takes_hints=False)
    compared = dict(compare(picture, recorder, [name]))[name]
    assert recorder.shapes == [(1, SIZE, SIZE), (1, side, side)]
    assert compared.mse == pytest.approx(compared.clean_mse)
    assert compared.change < 1e-4


@pytest.mark.parametrize("side", [48, 192])
def test_color_comes_back_in_place(side: int, picture: StillPicture) -> None:
    """A ramp of color at another size is the same ramp at the picture's: nothing shifts."""
    ramp = (np.arange(side, dtype=np.float32) + 0.5) / side * 100
    ab = np.stack([np.tile(ramp, (side, 1)), np.tile(ramp[:, None], (1, side))])
    back = to_part(ab, picture, (slice(None), slice(None)))
    expected = (np.arange(SIZE) + 0.5) / SIZE * 100
    np.testing.assert_allclose(back[0][:, 4:-4], np.tile(expected[4:-4], (SIZE, 1)), atol=0.1)
    np.testing.assert_allclose(back[1][4:-4], np.tile(expected[4:-4, None], (1, SIZE)), atol=0.1)


def test_ten_points_are_true(picture: StillPicture) -> None:
    """Ten squares at most, each of the mean true color beneath it, of full confidence; nothing elsewhere."""
    hints = apply_condition("10 points", picture).hints
    assert hints is not None
    assert hints.shape == (3, SIZE, SIZE)
    assert hints.dtype == np.float32
    marked = hints[2] == 1
    assert (hints[2][~marked] == 0).all()
    assert (hints[:2][:, ~marked] == 0).all()
    assert POINTS * POINT_SIDE**2 / 2 < marked.sum() <= POINTS * POINT_SIDE**2
    levels = np.unique(hints[0][marked])
    assert len(levels) <= POINTS
    whole = [hints[0] == level for level in levels if (hints[0] == level).sum() == POINT_SIDE**2]
    assert len(whole) > POINTS / 2  # the others lie partly under them
    for square in whole:
        means = true_ab(picture)[0].numpy()[:, square].mean(axis=1)
        np.testing.assert_allclose(hints[:2, square].mean(axis=1) * AB_SCALE, means, atol=1e-3)


def test_moved_truth_is_nearly_true(picture: StillPicture) -> None:
    """Everywhere confident; off by noise and a small motion, but far nearer to the truth than no color."""
    hints = apply_condition("moved truth", picture).hints
    assert hints is not None
    assert (hints[2] == 1).all()
    true = true_ab(picture)[0].numpy()
    error = np.sqrt(((hints[:2] * AB_SCALE - true) ** 2).mean())
    assert 1 < error < true.std() / 3


def test_hints_are_heard(picture: StillPicture) -> None:
    """Who follows the hints gains by points, gains much by the moved truth, and nothing by confidence 0."""
    found = {name: compared.figures() for name, compared in compare(picture, Obedient(), HINTS)}
    assert found["moved truth"]["mse_over_clean"] < 0.2
    assert found["10 points"]["mse_over_clean"] < 1
    assert found["wrong hints, confidence 0"]["mse_over_clean"] == 1
    assert found["moved truth"]["largest_change"] > 10
    assert found["wrong hints, confidence 0"]["largest_change"] == 0


def test_confidence_0_changes_nothing_in_a_real_network(picture: StillPicture) -> None:
    """Hints without confidence are none, where ten points do change the colors."""
    colorizer = Colorizer(small_generator(1), device="cpu", batch_size=1, dtype=torch.float32)
    found = dict(compare(picture, colorizer, HINTS))
    assert found["wrong hints, confidence 0"].change == 0
    assert found["10 points"].change > 0


def test_rows_stand_before_the_truth(report: EvaluationReport) -> None:
    """One for each colorizer under each condition it can take; the others are said to be missing."""
    names = [*(f"a: b: {name}" for name in CONDITIONS), *(f"deaf: {name}" for name in (*DAMAGE, *SIZES, *PARTS))]
    assert list(report.rows) == ["grey", "a: b", "deaf", *names, "truth"]
    assert list(report.items) == list(report.rows)
    assert {f"deaf: {name}" for name in HINTS} < set(report.not_measured)
    assert list(report.about["conditions"]) == list(CONDITIONS)


def test_rows_say_what_items_say(report: EvaluationReport) -> None:
    """A tint that hears nothing is the same under all conditions; ratios are of means over the pictures."""
    row = report.rows["a: b: jpeg 40"]
    assert set(row) == {"mse", "mse_over_grey", "mse_over_clean", "colorfulness", "largest_change"}
    assert row["mse"] == pytest.approx(np.mean([f["mse"] for f in report.items["a: b: jpeg 40"].values()]))
    for metric in ("mse", "mse_over_grey", "colorfulness"):
        assert row[metric] == pytest.approx(report.rows["a: b"][metric])
    assert row["mse_over_clean"] == 1
    assert list(report.items["a: b: jpeg 40"]) == ["0.png", "1.png", "2.png"]


def test_equal_errors_are_equal() -> None:
    """Two perfect runs have the ratio 1, and one that errs where the clean one does not has no finite ratio."""
    assert Compared(0, 0, 1, 0, 0).figures()["mse_over_clean"] == 1
    assert Compared(1, 0, 1, 0, 0).figures()["mse_over_clean"] == math.inf
    assert Compared(3, 2, 1, 0, 0).figures()["mse_over_clean"] == 1.5


def test_reports_show_conditions(report: EvaluationReport, tmp_path: Path) -> None:
    """They can be written, read, and printed; they do not compete, and have lines only where they have figures."""
    write_report(report, tmp_path)
    read = read_report(tmp_path)
    assert (read.rows, read.items, read.not_measured) == (report.rows, report.items, report.not_measured)
    page = page_of(report, tmp_path)
    text = "".join(page.text)
    assert "3 pictures, short side 96: a: b, deaf, beside grey" in text
    assert "a: b (filled)" in text
    assert "a: b: jpeg 40 (filled)" not in text
    assert best_rows(report.rows, "mse") == {"a: b", "deaf"}
    assert text.count("a: b: jpeg 40") == 2  # accuracy and color, but not speed
    accuracy, *_, speed = format_table(report.rows).split("\n\n")
    assert "MSE ÷ clean" in accuracy
    assert "a: b: jpeg 40" in accuracy
    assert "jpeg 40" not in speed
