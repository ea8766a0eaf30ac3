"""The trainer end to end on made pictures, and the pieces that it stands on."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from tests.training_samples import TINY
from vidcolor.training.evaluate_command import evaluate
from vidcolor.training.train_command import train
from vidcolor.training.trainer import random_crop, schedule
from vidcolor.weights import describe, load_generator


def test_crops_stay_together() -> None:
    """A crop shows the same place at every stride."""
    full = torch.arange(256.0).expand(1, 1, 256, 256)
    maps = [full, *(torch.nn.functional.avg_pool2d(full, s) for s in (4, 64))]
    for seed in range(5):
        cut = random_crop(maps, 128, torch.Generator().manual_seed(seed))
        assert [c.shape[-1] for c in cut] == [128, 32, 2]
        for stride, c in zip((4, 64), cut[1:], strict=True):
            torch.testing.assert_close(c, torch.nn.functional.avg_pool2d(cut[0], stride))


def test_schedule_rises_and_falls() -> None:
    """The learning rate starts near zero, peaks early and ends near zero."""
    rates = [schedule(i / 1000) for i in range(1001)]
    assert rates[0] < 0.05
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) < 50
    assert rates[-1] == pytest.approx(0.02)


def test_a_time_budget_ends_the_run(photographs: Path, tmp_path: Path) -> None:
    """With a minute's fraction for millions of pictures the run ends early, with weights."""
    recipe = tmp_path / "long.toml"
    recipe.write_text(
        TINY.replace("pictures = 40", "pictures = 4_000_000").replace("pictures = 4\n", "pictures = 4_000_000\n")
    )
    arguments = [str(photographs), "-o", str(tmp_path / "run"), "--recipe", str(recipe), "--device", "cpu"]
    result = CliRunner().invoke(train, [*arguments, "--minutes", "0.1"], catch_exceptions=False)
    assert result.exit_code == 0
    assert 0 < describe(tmp_path / "run" / "gan.safetensors")["training"]["pictures_seen"] < 100_000


def test_training_and_evaluation_from_the_command_line(photographs: Path, tmp_path: Path) -> None:
    """A run of two stages learns, writes weights that load, and these can be evaluated."""
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    run = tmp_path / "run"
    arguments = [str(photographs), "-o", str(run), "--recipe", str(recipe), "--device", "cpu",
                 "--validation", str(photographs)]  # fmt: skip
    result = CliRunner().invoke(train, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    weights = run / "gan.safetensors"
    load_generator(weights)
    about = describe(weights)["training"]
    assert about["pictures_seen"] == 44
    assert about["data_pictures"] == 4
    assert about["figures"]["l1"]["l1"]["mse_over_grey"] < 1.0
    report = tmp_path / "report"
    arguments = [str(photographs), "--weights", str(weights), "-o", str(report), "--size", "64", "--device", "cpu"]
    result = CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert (report / "report.json").exists()
    with Image.open(io.BytesIO((report / "sheet.jpg").read_bytes())) as sheet:
        assert sheet.width > 100
    truth = next(line for line in result.output.splitlines() if line.startswith("truth"))
    assert float(truth.split()[1]) == 0
