"""Every recipe that ships trains, saves, loads strictly, and colors a picture and a film."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.clips import decoded, make_clip
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.weights import load_generator
from vidcolor.inference.weights_file import describe
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor_training.recipes.toml import parse_recipe, recipe_names
from vidcolor_training.run_log import read_metrics
from vidcolor_training.train_command import train

QUICK = {"autoencoder"}
"""Recipes that train in two seconds; the others are tested with ``-m slow``."""
SMALL = {  # what makes a network of the recipe's kind train in a second
    "unet": "filters = 4",
    "residual": "filters = 8\nblocks = 1",
    "residual_unet": "filters = 4",
    "pretrained_unet": "decoder_channels = [16, 16, 16, 16, 16]",
    "cnn4": "filters = 4",
    "eccv16": "filters = 4",
    "siggraph17": "filters = 4",
    "autoencoder": "filters = 4",
    "pyramid": "width = 40\nattention_layers = [1, 1]\ndecoder_channels = [32, 16, 16, 8]\n"
    "detail_channels = [8, 8, 8, 8, 8]",
    "bin_pyramid": "width = 40\nattention_layers = [1, 1]\ndecoder_channels = [32, 16, 16]\n"
    "detail_channels = [8, 8, 8, 8, 8]",
    "multiscale_unet": "width = 40\nattention_layers = 1\ndecoder_channels = [32, 16, 16, 8]\n"
    "detail_channels = [8, 8, 8, 8, 8]",
}


def shrunk(name: str) -> str:
    """The text of a recipe with a small network, small pictures, and two steps a stage."""
    text = (resources.files("vidcolor_training") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    recipe = parse_recipe(text, where=name)
    small = dict(line.split(" = ", 1) for line in SMALL[recipe.network.name].splitlines())
    head, network, rest = re.split(r"(?m)(^\[network\]\n(?:(?!\[).*\n)*)", text)
    for key, value in small.items():
        network = re.sub(rf"(?m)^{key} = .*\n", "", network).rstrip() + f"\n{key} = {value}\n\n"
    size = {"unet": 256, "pyramid": 128, "bin_pyramid": 128}.get(
        recipe.network.name, 64
    )  # patches need room for the discriminator's strides
    rest = re.sub(r"(?m)^size = \d+", f"size = {size}", rest)
    rest = re.sub(r"(?m)^pictures = [\d_]+", "pictures = 4", rest)
    rest = re.sub(r"(?m)^batch_size = \d+", "batch_size = 2", rest)
    rest = re.sub(r"(?m)^channels = \d+", "channels = 8", rest)
    return head + network + rest


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in recipe_names()]
)
def test_recipe(name: str, photographs: Path, tmp_path: Path) -> None:
    """A few steps of every stage, with all of its losses; then the weights do what weights are for."""
    recipe = tmp_path / f"{name}.toml"
    recipe.write_text(shrunk(name))
    run = tmp_path / "run"
    result = CliRunner().invoke(
        train,
        [str(photographs), "-o", str(run), "--recipe", str(recipe), "--device", "cpu", "--pretrained", str(tmp_path)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    expected = parse_recipe(recipe.read_text(), where=name)
    logged = read_metrics(run)
    for stage in expected.stages:
        terms = {key for row in logged if row.get("stage") == stage.name for key in row if key.startswith("loss_G_")}
        assert len(terms) == len(stage.losses)
    weights = run / "weights.safetensors"
    about = describe(weights)
    assert about["training"]["pictures_seen"] == 4 * len(expected.stages)
    colorizer = Colorizer(load_generator(weights), device="cpu", batch_size=2)
    ab = colorizer.predict(np.linspace(0, 1, 40 * 56, dtype=np.float32).reshape(1, 40, 56))
    assert ab.shape == (1, 2, 40, 56)
    assert np.isfinite(ab).all()
    film = make_clip(tmp_path / "film.mkv")
    options = ColorizeOptions(render_size=64, encode=EncodeOptions(codec="ffv1"))
    colorize_video(film, tmp_path / "colored.mkv", colorizer=colorizer, options=options)
    for (_, before), (_, after) in zip(decoded(film), decoded(tmp_path / "colored.mkv"), strict=True):
        np.testing.assert_array_equal(before, after)
