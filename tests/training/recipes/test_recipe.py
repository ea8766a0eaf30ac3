"""Recipes: what is understood and what is refused."""

from __future__ import annotations

import pytest

from tests.support.training_samples import TINY
from vidcolor.errors import OptionError
from vidcolor.networks.lab import AB_SCALE
from vidcolor_training.recipes.toml import load_recipe, parse_recipe, recipe_names, resolved_text

PUBLISHED = (
    "unet-patchgan",
    "multiscale-attention",
    "unet-l1",
    "unet-perceptual",
    "unet-perceptual-l1",
    "residual",
    "residual-unet",
    "residual-unet-upsampling",
    "pretrained-unet",
    "cnn4-rgb",
    "cnn4-hsl",
    "cwgan",
    "eccv16",
    "siggraph17",
    "autoencoder",
)


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
        (
            "smooth_l1 = 1.0 }",
            "smoothl1 = 1.0 }",
            "recipe tiny: stage l1: losses: expected one of .*, found 'smoothl1'",
        ),
        ("size = 64", "size = 100", "recipe tiny: stage l1: size: expected a multiple of 64, found 100"),
        ("size = 64", "size = 192", "stage l1: size: expected at most 128, the size of the data, found 192"),
        ('"multiscale_unet"', '"nonsense"', "network.name: expected one of .*, found 'nonsense'"),
        ("frozen_encoder = true", "frozen_encoder = false", "OK"),
        ("frozen_encoder = false", "frozen_encoder = true", "OK"),
        ("learning_rate = 1e-3\n", "", "recipe tiny: stage l1: learning_rate: expected a value, found none"),
        ("frozen_encoder = true", "freeze = true", "recipe tiny: stage l1: unknown field freeze"),
        ("[data]\nsize = 128", "", "recipe tiny: data: expected a value, found none"),
        ('name = "tiny"', "name = ", "recipe tiny: expected TOML, found something else"),
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
    with pytest.raises(OptionError, match="stage gan: frozen_encoder: expected false after a stage that trains"):
        parse_recipe(text, where="tiny")


def test_changed_lines() -> None:
    """A changed value takes effect and stands in the resolved text; a comment has no effect."""
    recipe = parse_recipe(TINY + "# changed: optimiser.batch_size=9\n", ["optimiser.batch_size=7"], where="tiny")
    assert recipe.optimiser.batch_size == 7
    assert "batch_size = 7" in resolved_text(recipe).splitlines()
    assert [stage.size for stage in parse_recipe(TINY, ["stages.size=64"], where="tiny").stages] == [64, 64]
    with pytest.raises(OptionError, match=r"expected TABLE.KEY=VALUE .*, found 'nonsense.x=7'"):
        parse_recipe(TINY, ["nonsense.x=7"], where="tiny")


def test_the_resolved_text_is_the_recipe() -> None:
    """The resolved text of every recipe parses to an equal recipe, and names each default."""
    for name in recipe_names():
        recipe = load_recipe(name)
        assert parse_recipe(resolved_text(recipe), where=name) == recipe
    assert "weight_decay = 0.0" in resolved_text(load_recipe("cwgan")).splitlines()


def test_a_recipe_is_whole() -> None:
    """The resolved text of a changed recipe parses to the changed recipe: so a run's own file trains the run again."""
    changed = parse_recipe(TINY, ["data.size=64", "stages.size=64", "seed=7"], where="tiny")
    assert changed.seed == 7
    assert parse_recipe(resolved_text(changed), where="again") == changed
    again = parse_recipe(resolved_text(changed), ["optimiser.batch_size=3"], where="again")
    assert (again.data.size, again.optimiser.batch_size) == (64, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("network.foo=1", "network: expected a configuration of multiscale_unet, found one that it refuses: .*foo"),
        ('network.encoder="nope"', "network: expected a configuration of multiscale_unet, .*'nope'"),
        ("network=3", "network: expected a table with the name of a network, found 3"),
        ("optimiser.batch_size=0", "optimiser: batch_size: expected a whole number from 1, found 0"),
        ("optimiser.accumulate=0.5", "optimiser: accumulate: expected a whole number, found 0.5"),
        ("optimiser.accumulate=true", "optimiser: accumulate: expected a whole number, found True"),
        ("optimiser.ema_decay=2", r"optimiser: ema_decay: expected a number in \[0, 1\), found 2"),
        ('optimiser.ema_decay="2"', "optimiser: ema_decay: expected a number, found '2'"),
        ("optimiser.betas=[0.5]", "optimiser: betas: expected an array, found one of another length"),
        ("optimiser.betas=3", "optimiser: betas: expected an array, found something else"),
        ("optimiser=3", "optimiser: expected a table, found something else"),
        ('optimiser.schedule="x"', "optimiser: schedule: expected one of cosine, one_cycle, constant, found 'x'"),
        ("discriminator.steps=0", "discriminator: steps: expected a whole number from 1, found 0"),
        ('discriminator.condition="nope"', "discriminator: condition: expected one of .*, found 'nope'"),
        ("stages.pictures=0", "stage l1: pictures: expected a whole number from 1, found 0"),
        ("stages.losses={}", "stage l1: losses: expected at least one loss, found none"),
        ("data.size=100", "data: size: expected a multiple of 64 for multiscale_unet, found 100"),
        ("stages=[]", "stages: expected at least one stage, found none"),
        ("stages=[3]", "stage 1: expected a table, found something else"),
        ("size", "expected TABLE.KEY=VALUE"),
    ],
)
def test_changes_are_checked(change: str, message: str) -> None:
    """A change that cannot be trained is refused at once, in one line that names field, expected and found."""
    with pytest.raises(OptionError, match=message) as caught:
        parse_recipe(TINY, [change], where="tiny")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_frozen() -> None:
    """A network without an encoder has nothing to freeze."""
    text = TINY.replace('name = "multiscale_unet"\nencoder = "efficientnet_lite0"', 'name = "cnn4"')
    for line in (
        "width = 40\n",
        "attention_layers = 1\n",
        "decoder_channels = [32, 16, 16, 8]\n",
        "detail_channels = [8, 8, 8, 8, 8]\n",
    ):
        text = text.replace(line, "")
    with pytest.raises(OptionError, match="frozen_encoder: expected false, cnn4 has no encoder, found true"):
        parse_recipe(text, where="tiny")
