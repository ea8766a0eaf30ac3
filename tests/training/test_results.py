"""The table of all recipes: from runs and reports to Markdown, by its own commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vidcolor_training import results
from vidcolor_training.recipes.toml import parse_recipe

TEXT = """# Results

Before.

<!-- measured: begin -->
old
<!-- measured: end -->

After.
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recipes, trained and measured on the same few pictures."""
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("results")
    pictures = folder / "photographs"
    pictures.mkdir()
    for i in range(4):
        rgb = np.zeros((64, 64, 3), np.uint8)
        rgb[:32], rgb[32:] = (200, 120, 40 + i), (30, 60, 160)
        Image.fromarray(rgb).save(pictures / f"{i}.png")
    train = [str(pictures), "-o", str(folder / "runs"), "--minutes", "0.1", "--size", "64"]
    names = ["--recipe", "cnn4-rgb", "--recipe", "cnn4-hsl"]
    assert CliRunner().invoke(results.main, ["train", *train, *names], catch_exceptions=False).exit_code == 0
    measure = ["measure", str(pictures), "-o", str(folder / "runs"), "--size", "64"]
    assert CliRunner().invoke(results.main, measure, catch_exceptions=False).exit_code == 0
    return folder / "runs"


@pytest.mark.slow
def test_table(runs: Path, tmp_path: Path) -> None:
    """The marked part is replaced: a row for grey, each recipe and the truth, and the published figures."""
    path = tmp_path / "RESULTS.md"
    path.write_text(TEXT, encoding="utf-8")
    result = CliRunner().invoke(results.main, ["table", str(runs), str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Results\n\nBefore.")
    assert text.endswith("After.\n")
    assert "old" not in text
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert rows == [
        "| recipe",
        "| ---",
        "| *grey*",
        "| cnn4-hsl",
        "| cnn4-rgb",
        "| *truth*",
        "| recipe",
        "| ---",
        "| cnn4-hsl",
        "| cnn4-rgb",
    ]
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| ")}
    assert len(widths) == 2, "every row of a table has as many cells as its head"
    assert "Trained on 4 pictures" in text


@pytest.mark.slow
def test_different_data_do_not_mix(runs: Path, tmp_path: Path) -> None:
    """Reports of other pictures are not put into one table."""
    report = runs / "cnn4-rgb" / results.REPORT / "report.json"
    whole = report.read_text(encoding="utf-8")
    table = json.loads(whole)
    table["about"]["data"]["sha256"] = "0" * 64
    report.write_text(json.dumps(table), encoding="utf-8")
    try:
        with pytest.raises(ValueError, match="not all measured on the same pictures"):
            results.render(runs)
    finally:
        report.write_text(whole, encoding="utf-8")


@pytest.mark.slow
def test_marks_are_needed(runs: Path, tmp_path: Path) -> None:
    """A file without the marks is left as it is, with a message."""
    path = tmp_path / "RESULTS.md"
    path.write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(results.main, ["table", str(runs), str(path)])
    assert result.exit_code == 1
    assert "expected the marks" in result.output
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(("name", "downs"), [("unet-l1", 7), ("cnn4-rgb", None)])
def test_recipes_fit_small_pictures(name: str, downs: int | None) -> None:
    """At 128 pixels a U-Net loses its eighth halving; everything else stays."""
    text = (Path(results.__file__).parent / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    recipe = parse_recipe(text, results.fitted_settings(name, 128), where=name)
    assert recipe.data.size == 128
    assert {stage.size for stage in recipe.stages} == {128}
    assert recipe.network.config.get("downs") == downs
