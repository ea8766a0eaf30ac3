"""The trainer end to end on made pictures, and the pieces that it stands on."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from skimage.color import rgb2lab
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from vidcolor.color import AB_SCALE
from vidcolor.errors import InputError, OptionError
from vidcolor.training import metrics
from vidcolor.training.augment import damage
from vidcolor.training.commands import evaluate, train
from vidcolor.training.data import load_pictures, rgb_to_training
from vidcolor.training.hints import simulate_hints
from vidcolor.training.recipe import load_recipe, parse_recipe, recipe_names
from vidcolor.training.trainer import random_crop, schedule
from vidcolor.weights import describe, load_generator

TINY = """
name = "tiny"
seed = 1
[network]
name = "multiscale_unet"
encoder = "efficientnet_lite0"
width = 40
attention_layers = 1
decoder_channels = [32, 16, 16, 8]
detail_channels = [8, 8, 8, 8, 8]
[data]
size = 128
[optimiser]
batch_size = 2
weight_decay = 0.01
gradient_clip = 1.0
ema_decay = 0.9
[discriminator]
channels = 8
learning_rate = 1e-4
[[stages]]
name = "l1"
pictures = 40
share = 0.5
size = 64
learning_rate = 1e-3
frozen_encoder = true
losses = { smooth_l1 = 1.0 }
[[stages]]
name = "gan"
pictures = 4
share = 0.5
size = 128
learning_rate = 1e-4
frozen_encoder = false
losses = { smooth_l1 = 1.0, adversarial = 0.1 }
"""


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Four pictures, orange above blue, in a folder and (two of them) in a shard."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(4):
        rgb = np.zeros((140, 150, 3), np.uint8)
        rgb[:70], rgb[70:] = (200, 120, 40 + i), (30, 60, 160)
        Image.fromarray(rgb).save(folder / f"{i}.png")
    return folder


def test_shards_and_folders_hold_the_same(photographs: Path, tmp_path: Path) -> None:
    """A tar of pictures gives the same arrays as the folder it was made from."""
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        for path in sorted(photographs.iterdir()):
            tar.add(path, path.name)
    a = load_pictures([photographs], size=64, cache=tmp_path / "a")
    b = load_pictures([shard], size=64, cache=tmp_path / "b")
    np.testing.assert_array_equal(a.grey, b.grey)
    np.testing.assert_array_equal(a.ab, b.ab)
    assert a.grey.shape == (4, 64, 64)
    assert a.ab.shape == (4, 2, 32, 32)


def test_the_cache_knows_its_pictures(photographs: Path, tmp_path: Path) -> None:
    """The same pictures come from the cache; one changed byte is a different set."""
    cache = tmp_path / "cache"
    first = load_pictures([photographs], size=64, cache=cache)
    assert load_pictures([photographs], size=64, cache=cache).sha256 == first.sha256
    Image.new("RGB", (80, 80), "red").save(photographs / "0.png")
    assert load_pictures([photographs], size=64, cache=cache).sha256 != first.sha256


def test_a_picture_that_is_none(photographs: Path, tmp_path: Path) -> None:
    """A file that cannot be decoded ends the run and is named."""
    (photographs / "9.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"9\.png: expected a picture"):
        load_pictures([photographs], size=64, cache=tmp_path / "cache")


def test_no_pictures(tmp_path: Path) -> None:
    """An empty folder is said to be one."""
    with pytest.raises(InputError, match="no picture in"):
        load_pictures([tmp_path], size=64, cache=tmp_path / "cache")


def test_targets_are_lab() -> None:
    """ab is scikit-image's, averaged over two by two pixels and rounded."""
    rgb = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    grey, ab = rgb_to_training(rgb)
    lab = rgb2lab(rgb[0])
    expected = lab[..., 1:].reshape(4, 2, 4, 2, 2).mean(axis=(1, 3)).transpose(2, 0, 1)
    np.testing.assert_allclose(ab[0], expected, atol=0.51)
    lightness = rgb2lab(np.repeat(grey[0][..., None], 3, axis=2))[..., 0]
    np.testing.assert_allclose(lightness, lab[..., 0], atol=0.4)


def test_hints_are_true_where_they_are_sure() -> None:
    """About half of the pictures get none; fully confident hints carry the true colour."""
    ab = torch.full((64, 2, 32, 32), 20.0)
    hints = simulate_hints(ab, torch.Generator().manual_seed(0))
    assert hints.shape == (64, 3, 64, 64)
    confidence = hints[:, 2]
    assert 0.25 < (confidence.amax(dim=(1, 2)) == 0).float().mean() < 0.75
    sure = confidence == 1
    assert sure.any()
    torch.testing.assert_close(hints[:, 0][sure], torch.full_like(hints[:, 0][sure], 20 / AB_SCALE))
    assert (hints[:, :2].abs().sum(dim=1)[confidence == 0] == 0).all()


def test_damage_is_old_film_not_another_picture() -> None:
    """Damage keeps the range and the picture recognisable, and is repeatable."""
    grey = torch.rand(16, 1, 64, 64).mul(0.2) + torch.linspace(0, 0.8, 64)
    damaged = damage(grey, torch.Generator().manual_seed(0))
    assert 0 <= damaged.min() <= damaged.max() <= 1
    assert torch.equal(damaged, damage(grey, torch.Generator().manual_seed(0)))
    assert np.corrcoef(grey.flatten(), damaged.flatten())[0, 1] > 0.9


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


def test_recipes_that_ship_are_understood() -> None:
    """Every recipe of the package parses, and its shares of time add up."""
    assert "default" in recipe_names()
    for name in recipe_names():
        assert sum(stage.share for stage in load_recipe(name).stages) == pytest.approx(1)


def test_later_stages_alone() -> None:
    """A recipe can begin at a later stage; a stage that it does not have is named."""
    recipe = parse_recipe(TINY, where="tiny")
    assert [stage.name for stage in recipe.starting_at("gan").stages] == ["gan"]
    with pytest.raises(OptionError, match="has no stage 'nonsense'; it has: l1, gan"):
        recipe.starting_at("nonsense")


@pytest.mark.parametrize(
    ("line", "changed", "message"),
    [
        ("smooth_l1 = 1.0 }", "smoothl1 = 1.0 }", "unknown loss 'smoothl1'"),
        ("size = 64", "size = 100", "size must be a multiple of 64, got 100"),
        ("size = 64", "size = 192", "larger than the data's, 128"),
        ('"multiscale_unet"', '"nonsense"', "unknown network 'nonsense'"),
        ("frozen_encoder = true", "frozen_encoder = false", "OK"),
        ("frozen_encoder = false", "frozen_encoder = true", "OK"),
        ("learning_rate = 1e-3", "rate = 1e-3", "not understood"),
    ],
)
def test_recipes_are_checked(line: str, changed: str, message: str) -> None:
    """What could only fail after hours is refused at once."""
    text = TINY.replace(line, changed)
    assert text != TINY
    if message == "OK":
        parse_recipe(text, where="tiny")
        return
    with pytest.raises(OptionError, match=message):
        parse_recipe(text, where="tiny")


def test_frozen_after_trained() -> None:
    """Cached features would be those of another encoder."""
    swapped = {"frozen_encoder = true": "frozen_encoder = false", "frozen_encoder = false": "frozen_encoder = true"}
    text = "\n".join(swapped.get(line, line) for line in TINY.splitlines())
    with pytest.raises(OptionError, match="cannot follow one that trains it"):
        parse_recipe(text, where="tiny")


def test_changed_lines() -> None:
    """A changed line takes effect and is noted in the recipe's text."""
    recipe = parse_recipe(TINY, ["optimiser.batch_size=7"], where="tiny")
    assert recipe.optimiser.batch_size == 7
    assert "# changed: optimiser.batch_size=7" in recipe.text
    with pytest.raises(OptionError, match="not understood"):
        parse_recipe(TINY, ["nonsense.x=7"], where="tiny")


def test_metrics_agree_with_scikit_image() -> None:
    """MSE and PSNR are scikit-image's; grey has no colourfulness; a known two-colour picture has the known one."""
    random = np.random.default_rng(0)
    a, b = random.random((2, 16, 16, 3))
    assert metrics.mse(a, b) == pytest.approx(mean_squared_error(a, b))
    assert metrics.psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=1))
    assert metrics.colourfulness(np.full((4, 4, 3), 0.5)) == 0
    # pure red: rg = 255, yb = 127.5 everywhere, so no spread and 0.3 × hypot of the means
    assert metrics.colourfulness(np.eye(3)[np.zeros((4, 4), int)]) == pytest.approx(0.3 * np.hypot(255, 127.5))


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
