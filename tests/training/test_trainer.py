"""The trainer end to end on made pictures: it learns, stops, resumes, and says what it does."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from tests.support.training_samples import TINY
from vidcolor.errors import InputError, OutputError, StoppedError, TrainingError
from vidcolor.inference.weights import load_generator
from vidcolor.inference.weights_file import describe
from vidcolor_training.run_log import read_metrics
from vidcolor_training.step import Step
from vidcolor_training.train_command import train


def run_train(*arguments: object) -> Result:
    return CliRunner().invoke(train, [*map(str, arguments), "--device", "cpu"], catch_exceptions=False)


def arguments(photographs: Path, run: Path, text: str = TINY) -> list[object]:
    recipe = photographs / "recipe.toml"
    recipe.write_text(text)
    return [photographs, "-o", run, "--recipe", recipe, "--pretrained", photographs]


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Have ``number`` sent to this process within a step."""
    whole = Step.__call__

    def interrupted(self: Step, batches: Any) -> Any:
        if self.state.position.step == step:
            os.kill(os.getpid(), number)
        return whole(self, batches)

    monkeypatch.setattr(Step, "__call__", interrupted)


@pytest.mark.slow
def test_a_run_learns_and_says_so(photographs: Path, tmp_path: Path) -> None:
    """A run of two stages lowers its loss, and leaves weights, recipe, data list, figures, samples and curves."""
    run = tmp_path / "run"
    result = run_train(*arguments(photographs, run), "--validation", photographs, "--check-every", 10)
    assert result.exit_code == 0
    assert "starts at random" in result.stderr
    load_generator(run / "weights.safetensors")
    about = describe(run / "weights.safetensors")["training"]
    assert about["pictures_seen"] == 44
    assert about["data_pictures"] == 4
    assert about["figures"]["l1"]["l1"]["mse_over_grey"] < 1.0
    rows = read_metrics(run)
    adversarial = next(row for row in rows if row.get("stage") == "gan")
    assert {"loss_D_real", "loss_D_fake", "loss_D", "loss_G_GAN", "loss_G_smooth_l1", "loss_G"} <= set(adversarial)
    assert adversarial["loss_G"] == pytest.approx(adversarial["loss_G_GAN"] + adversarial["loss_G_smooth_l1"], rel=1e-4)
    checks = [row["check_mse_over_grey"] for row in rows if "check_mse_over_grey" in row]
    assert checks[-1] < checks[0]
    check = next(row for row in rows if "check_mse_over_grey" in row)
    assert 0 <= check["check_ab_overlap"] <= 1
    assert {"check_worse_than_grey", "check_mean_delta_cf", "check_share_orange", "check_recall_blue"} <= set(check)
    assert len((run / "data.tsv").read_text().splitlines()) == 4
    assert json.loads((run / "run.json").read_text())["data_sha256"] == about["data_sha256"]
    for name in ("recipe.toml", "curves.svg", "curves.png", "l1.safetensors", "gan.safetensors", "best.safetensors"):
        assert (run / name).is_file(), name
    with Image.open(sorted((run / "samples").iterdir())[0]) as sheet:
        assert sheet.width > 100


@pytest.mark.slow
@pytest.mark.parametrize("step", [5, 21])
def test_stopped_and_resumed_is_never_stopped(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """SIGTERM in either stage, then --resume: the weights are those of a run that never stopped, bit for bit."""
    text = TINY.replace("pictures = 4\n", "pictures = 8\n").replace(
        "losses = { smooth_l1 = 1.0, adversarial = 0.1 }",
        "damage = true\nlosses = { smooth_l1 = 1.0, adversarial = 0.1, feature_matching = 0.1, temporal = 0.1 }",
    )
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run_train(*arguments(photographs, whole, text)).exit_code == 0
    with monkeypatch.context() as patch:
        stop_at(patch, step, signal.SIGTERM)
        with pytest.raises(StoppedError, match=f"stopped after step {step + 1}; go on with --resume"):
            run_train(*arguments(photographs, stopped, text))
    assert not (stopped / "weights.safetensors").exists()
    assert run_train(*arguments(photographs, stopped, text), "--resume").exit_code == 0
    expected = load_generator(whole / "weights.safetensors").state_dict()
    found = load_generator(stopped / "weights.safetensors").state_dict()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    assert [row["step"] for row in read_metrics(stopped)] == sorted(row["step"] for row in read_metrics(stopped))


@pytest.mark.slow
def test_a_time_budget_ends_the_run(photographs: Path, tmp_path: Path) -> None:
    """With a minute's fraction for millions of pictures the run ends early, after all stages, with weights."""
    text = TINY.replace("pictures = 40", "pictures = 4_000_000").replace("pictures = 4\n", "pictures = 4_000_000\n")
    run = tmp_path / "run"
    assert run_train(*arguments(photographs, run, text), "--minutes", "0.1").exit_code == 0
    assert 0 < describe(run / "gan.safetensors")["training"]["pictures_seen"] < 100_000


@pytest.mark.slow
def test_accumulated_batches_are_one_step(photographs: Path, tmp_path: Path) -> None:
    """Four batches of two pictures that are added up make one step of eight."""
    text = TINY.replace("ema_decay = 0.9", "ema_decay = 0.9\naccumulate = 4")
    assert run_train(*arguments(photographs, tmp_path / "run", text)).exit_code == 0
    assert describe(tmp_path / "run" / "l1.safetensors")["training"]["steps"] == 5


@pytest.mark.slow
def test_a_run_is_not_overwritten(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a run is refused without --resume or --overwrite, which takes the run and nothing else."""
    run = tmp_path / "run"
    short = TINY.replace("pictures = 40", "pictures = 4")
    assert run_train(*arguments(photographs, run, short)).exit_code == 0
    with pytest.raises(OutputError, match="holds a run already"):
        run_train(*arguments(photographs, run, short))
    with pytest.raises(InputError, match="its recipe is another one"):
        run_train(*arguments(photographs, run, TINY), "--resume")
    with pytest.raises(InputError, match="holds no run"):
        run_train(*arguments(photographs, tmp_path / "other", short), "--resume")
    (run / "mine.txt").write_text("a note")
    with monkeypatch.context() as patch:
        stop_at(patch, 1, signal.SIGTERM)
        with pytest.raises(StoppedError):
            run_train(*arguments(photographs, run, short), "--overwrite")
    assert not (run / "weights.safetensors").exists()
    assert (run / "mine.txt").read_text() == "a note"


@pytest.mark.slow
def test_resume_what_was_begun(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of later stages alone is not resumed as one of all stages, and a refusal leaves its files unchanged."""
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, 1, signal.SIGINT)
        with pytest.raises(StoppedError):
            run_train(*arguments(photographs, run), "--from-stage", "gan")
    about = (run / "run.json").read_bytes()
    with pytest.raises(InputError, match=r"its recipe is another one; resume with --recipe .*recipe\.toml"):
        run_train(*arguments(photographs, run), "--resume")
    assert (run / "run.json").read_bytes() == about
    assert run_train(*arguments(photographs, run), "--from-stage", "gan", "--resume").exit_code == 0


@pytest.mark.slow
def test_validation_that_fails_late_costs_no_training(photographs: Path, tmp_path: Path) -> None:
    """A damaged picture among those for validation is named, and the weights are there all the same."""
    validation = tmp_path / "validation"
    validation.mkdir()
    (validation / "good.png").write_bytes((photographs / "0.png").read_bytes())
    (validation / "bad.png").write_bytes(b"no picture")
    run = tmp_path / "run"
    result = run_train(*arguments(photographs, run), "--validation", validation)
    assert result.exit_code == 0
    assert "bad.png" in result.stderr
    load_generator(run / "weights.safetensors")


@pytest.mark.slow
def test_a_random_encoder_is_heard(photographs: Path, tmp_path: Path) -> None:
    """An encoder that starts at random gets statistics for its batch norm: without them its maps are all but zero."""
    run = tmp_path / "run"
    assert "starts at random" in run_train(*arguments(photographs, run)).stderr
    network = load_generator(run / "l1.safetensors")
    deepest = network.encode(torch.rand(1, 1, 128, 128))[3]
    assert deepest.std() > 0.01


@pytest.mark.slow
def test_numbers_that_explode_end_the_run(photographs: Path, tmp_path: Path) -> None:
    """A learning rate that is far too large is reported as what it is."""
    text = TINY.replace("learning_rate = 1e-3", "learning_rate = 1e30").replace(
        "gradient_clip = 1.0", "gradient_clip = 1e30"
    )
    with pytest.raises(TrainingError, match="no longer finite"):
        run_train(*arguments(photographs, tmp_path / "run", text))


@pytest.mark.slow
def test_a_collapse_keeps_the_best(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A discriminator that is never fooled ends the run; the best weights and a checkpoint are there."""
    monkeypatch.setattr("vidcolor_training.collapse.FINISHED_DISCRIMINATOR", 1e9)
    text = TINY.replace("pictures = 4\n", "pictures = 40\n")
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"collapsed by step \d+: the discriminator is never fooled"):
        run_train(*arguments(photographs, run, text), "--check-every", "2")
    load_generator(run / "best.safetensors")
    assert (run / "checkpoint.pt").exists()
