"""Recipes: what is understood and what is refused."""

from __future__ import annotations

import pytest

from tests.support.training_samples import TINY
from vidcolor.color.lab import AB_SCALE
from vidcolor.errors import OptionError
from vidcolor_training.recipes.recipe import load_recipe, parse_recipe, recipe_names

PUBLISHED = (
    "unet-patchgan", "multiscale-attention", "unet-l1", "unet-perceptual", "unet-perceptual-l1", "residual",
    "residual-unet", "residual-unet-upsampling", "pretrained-unet", "cnn4-rgb", "cnn4-hsl", "cwgan", "eccv16",
    "siggraph17", "autoencoder",
)  # fmt: skip


def test_recipes_that_ship_are_understood() -> None:
    """Every recipe of the package parses, and its shares of time add up."""
    assert "default" in recipe_names()
    for name in recipe_names():
        assert sum(stage.share for stage in load_recipe(name).stages) == pytest.approx(1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_experiments(name: str) -> None:
    """Each is a recipe; figures say where they come from, and are numbers; L1 in Lab units weighs what 100 · L1 did."""
    recipe = load_recipe(name)
    assert recipe.name == name
    figures = dict(recipe.published)
    assert figures.pop("source", None) or name == "autoencoder"
    assert all(float(figure) > 0 for figure in figures.values())
    for stage in recipe.stages:
        if recipe.discriminator is not None and "l1" in stage.losses:
            assert stage.losses["l1"] == pytest.approx(100 / AB_SCALE, abs=1e-3)


def test_later_stages_alone() -> None:
    """A recipe can begin at a later stage; a stage that it does not have is named."""
    recipe = parse_recipe(TINY, where="tiny")
    assert [stage.name for stage in recipe.starting_at("gan").stages] == ["gan"]
    with pytest.raises(OptionError, match="has no stage 'nonsense'; it has: l1, gan"):
        recipe.starting_at("nonsense")


@pytest.mark.parametrize(
    ("line", "changed", "message"),
    [
        ("smooth_l1 = 1.0 }", "smoothl1 = 1.0 }", "unknown loss of stage l1: 'smoothl1'"),
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
    assert [stage.size for stage in parse_recipe(TINY, ["stages.size=64"], where="tiny").stages] == [64, 64]
    with pytest.raises(OptionError, match="not understood"):
        parse_recipe(TINY, ["nonsense.x=7"], where="tiny")


def test_a_recipe_is_whole() -> None:
    """The text of a changed recipe, parsed again, is the changed recipe: so a run's own file trains the run again."""
    changed = parse_recipe(TINY, ["data.size=64", "stages.size=64", "seed=7"], where="tiny")
    assert changed.seed == 7
    assert parse_recipe(changed.text, where="again") == changed
    again = parse_recipe(changed.text, ["optimiser.batch_size=3"], where="again")
    assert (again.size, again.optimiser.batch_size) == (64, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("network.foo=1", "configuration does not fit"),
        ('network.encoder="nope"', "configuration does not fit"),
        ("optimiser.batch_size=0", "batch_size must be a whole number"),
        ("optimiser.accumulate=0.5", "accumulate must be a whole number"),
        ("optimiser.ema_decay=2", "ema_decay must be in"),
        ("discriminator.steps=0", "steps must be a whole number"),
        ('discriminator.condition="nope"', "unknown discriminator.condition 'nope'"),
        ("stages.pictures=0", "pictures must be a whole number"),
        ("stages.losses={}", "expected losses, found none"),
        ("data.size=100", "size must be a multiple of 64"),
        ("stages=[]", "expected stages, found none"),
        ("size", "not understood"),
    ],
)
def test_changes_are_checked(change: str, message: str) -> None:
    """A change that cannot be trained is refused at once, in one line that names it."""
    with pytest.raises(OptionError, match=message) as caught:
        parse_recipe(TINY, [change], where="tiny")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_frozen() -> None:
    """A network without an encoder has nothing to freeze."""
    text = TINY.replace('name = "multiscale_unet"\nencoder = "efficientnet_lite0"', 'name = "cnn4"')
    for line in ("width = 40\n", "attention_layers = 1\n", "decoder_channels = [32, 16, 16, 8]\n",
                 "detail_channels = [8, 8, 8, 8, 8]\n"):  # fmt: skip
        text = text.replace(line, "")
    with pytest.raises(OptionError, match="no encoder that could be frozen"):
        parse_recipe(text, where="tiny")
