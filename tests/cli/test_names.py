"""Names that are hard on a command line, a terminal or a file system: everything keeps its name and its place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.support.clips import Clip, make_clip
from tests.support.samples import SMALL_CONFIG, small_generator
from vidcolor.cli.commands import main
from vidcolor.inference.loading import load_colorizer
from vidcolor.inference.weights import save_generator

NAMES = (
    "-x",
    " leading and trailing ",
    os.fsdecode("é☕ß".encode()),
    "two\nlines",
    "\ttab and \x1b[31mescape",
    "a:b",
    "file:",
    "%03d",
    "[x]{y}*?",
    "'\"\\",
    "~",
    "...",
    os.fsdecode("\u202ereversed".encode()),
    "long" * 62,
    os.fsdecode(b"\xff no UTF-8"),
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network's weights file."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    generator = small_generator()
    about = {"network": "multiscale_unet", "config": SMALL_CONFIG, "recipe": "", "training": {}}
    save_generator(path, generator.state_dict(), **about)
    return path


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """Keep a network that has been loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidcolor.inference.loading.load_colorizer", cache(load_colorizer))
        yield


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames."""
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", Clip(frames=3, size=(48, 32)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder, in which it works."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(weights: Path, *arguments: str) -> Result:
    """The command, with the small network."""
    options = ["--weights", str(weights), "--device", "cpu", "--render-size", "32"]
    return CliRunner().invoke(main, [*options, *arguments], prog_name="vidcolor")


def picture(path: Path) -> Path:
    """A grey picture, in folders that are made on the way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 30), 99).save(path, "PNG")
    return path


def files_below(root: Path) -> set[str]:
    """Relative names of all files."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_picture_of_that_name(folder: Path, weights: Path, name: str) -> None:
    """A picture is read, written under the name that was asked for, and reported on one line."""
    picture(folder / f"{name}.png")
    (folder / "out").mkdir()
    result = run(weights, "-o", f"out/{name}.png", "--", f"{name}.png")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 1
    assert files_below(folder / "out") == {f"{name}.png"}


@pytest.mark.parametrize("name", NAMES)
def test_missing_file_of_that_name(folder: Path, weights: Path, name: str) -> None:
    """An error about any name is one line that steers no terminal."""
    result = run(weights, "-o", "out.mp4", "--", f"{name}.mp4")
    assert result.exit_code == 1
    assert result.stderr.endswith("\n")
    assert result.stderr.count("\n") == 1
    assert result.stderr[:-1].isprintable()


def test_films_and_pictures_of_those_names_in_a_folder(folder: Path, weights: Path, film: Path) -> None:
    """A folder keeps them all, and counts them."""
    for name in NAMES:
        picture(folder / "in" / f"{name}.png")
        shutil.copy(film, folder / "in" / f"{name}.mp4")
    shutil.rmtree(folder / "out", ignore_errors=True)
    result = run(weights, "in", "-o", "out", "--json")
    done = json.loads(result.stdout.splitlines()[-1])
    hidden = sum(name.startswith(".") for name in NAMES)
    assert (done["done"], done["skipped"], done["failed"]) == (2 * (len(NAMES) - hidden), 2 * hidden, [])
    assert files_below(folder / "out") == {name for name in files_below(folder / "in") if not name.startswith(".")}


def test_name_that_is_too_long(folder: Path, weights: Path) -> None:
    """A name beyond what the file system takes is refused in one line, as input and as output."""
    picture(folder / "a.png")
    for arguments in (["x" * 300 + ".png", "-o", "out.png"], ["a.png", "-o", "x" * 300 + ".png"]):
        result = run(weights, *arguments)
        assert result.exit_code == 1
        assert "File name too long" in result.stderr
        assert result.stderr.count("\n") == 1


def test_dots_in_the_paths_of_a_folder(folder: Path, weights: Path) -> None:
    """``..`` in input and output means what it means to the system, and nothing else is written."""
    picture(folder / "in" / "sub" / "a.png")
    picture(folder / "elsewhere" / "b.png")
    result = run(weights, "elsewhere/../in/sub/..", "-o", "elsewhere/../out")
    assert result.exit_code == 0, result.output
    assert files_below(folder) == {"in/sub/a.png", "elsewhere/b.png", "out/sub/a.png"}


def test_link_to_a_file_in_the_output_is_replaced_not_followed(folder: Path, weights: Path) -> None:
    """What a link in the output tree leads to is left as it is, with ``--overwrite`` and without."""
    picture(folder / "in" / "a.png")
    (folder / "out").mkdir()
    precious = picture(folder / "precious.png")
    before = precious.read_bytes()
    (folder / "out" / "a.png").symlink_to(precious)
    assert run(weights, "in", "-o", "out").exit_code == 1
    assert (folder / "out" / "a.png").is_symlink()
    assert run(weights, "in", "-o", "out", "--overwrite").exit_code == 0
    assert not (folder / "out" / "a.png").is_symlink()
    assert precious.read_bytes() == before


@pytest.mark.parametrize("target", ["../trap", "../nowhere", "sub", "../in/sub"])
def test_links_to_folders_in_the_output(folder: Path, weights: Path, target: str) -> None:
    """Links that lead out of the output, nowhere, to themselves or into the input: nothing is written through them."""
    picture(folder / "in" / "sub" / "a.png")
    picture(folder / "in" / "b.png")
    (folder / "trap").mkdir()
    (folder / "out").mkdir()
    (folder / "out" / "sub").symlink_to(target)
    before = (folder / "in" / "sub" / "a.png").read_bytes()
    result = run(weights, "in", "-o", "out", "--overwrite")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "unexpected" not in result.stderr
    assert result.stderr.count("\n") == 1
    assert (folder / "out" / "b.png").is_file()
    assert not list((folder / "trap").iterdir())
    assert not (folder / "nowhere").exists()
    assert (folder / "in" / "sub" / "a.png").read_bytes() == before


def test_links_that_lead_to_themselves_in_the_input(folder: Path, weights: Path) -> None:
    """They are put down as failed, and the rest is done."""
    picture(folder / "in" / "a.png")
    (folder / "in" / "loop.png").symlink_to("loop.png")
    (folder / "in" / "folder").symlink_to("folder")
    result = run(weights, "in", "-o", "out")
    assert result.exit_code == 1
    assert "loop.png" in result.stderr
    assert files_below(folder / "out") == {"a.png"}


@pytest.mark.parametrize("arguments", [["loop", "-o", "out"], ["in", "-o", "loop"], ["in", "-o", "loop/out"]])
def test_folders_that_are_links_to_themselves(folder: Path, weights: Path, arguments: list[str]) -> None:
    """As input or output they are refused in one line."""
    picture(folder / "in" / "a.png")
    (folder / "loop").symlink_to("loop")
    result = run(weights, *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "unexpected" not in result.stderr
    assert result.stderr.count("\n") == 1
