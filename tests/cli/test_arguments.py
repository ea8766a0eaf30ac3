"""What names on the command line mean."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from vidcolor.cli.arguments import check_arguments, name_of, resolve_arguments
from vidcolor.cli.commands import main
from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.media.destinations import Destination, FileDestination
from vidcolor.media.image_sequence import PicturePattern, PictureSequence


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a folder with two numbered pictures, a film, a picture and a folder in it."""
    monkeypatch.chdir(tmp_path)
    for number in (7, 8):
        Image.new("L", (8, 8)).save(tmp_path / f"s_{number}.png")
    (tmp_path / "film_%d.mkv").write_bytes(b"content")
    (tmp_path / "photo_%d.png").write_bytes(b"content")
    (tmp_path / "photos").mkdir()
    return tmp_path


def checked(source: str, dest: str, rate: Fraction | None = None, *, resume: bool = False) -> Destination | None:
    """Resolve the arguments and check them without ``--overwrite``."""
    arguments = resolve_arguments(Path(source), dest if dest == "-" else Path(dest), rate)
    return check_arguments(arguments, overwrite=False, resume=resume)


def test_numbered_pictures() -> None:
    """A pattern that is no file's name, with its rate, or 25."""
    arguments = resolve_arguments(Path("s_%d.png"), Path("out_%d.png"), Fraction(18))
    assert isinstance(arguments.source, PictureSequence)
    assert (arguments.source.numbers, arguments.source.rate) == ((7, 8), 18)
    assert isinstance(arguments.dest, PicturePattern)
    assert arguments.paths is None
    assert (name_of(arguments.source), name_of(arguments.dest)) == (Path("s_%d.png"), Path("out_%d.png"))
    unasked = resolve_arguments(Path("s_%d.png"), Path("out.mkv"), None)
    assert isinstance(unasked.source, PictureSequence)
    assert (unasked.source.rate, unasked.dest) == (25, Path("out.mkv"))


@pytest.mark.parametrize("name", ["film_%d.mkv", "photo_%d.png", "photos"])
def test_what_is_there_is_what_it_is(name: str) -> None:
    """A file or folder with a per cent sign in its name needs no care."""
    assert resolve_arguments(Path(name), Path("out.mkv"), None).paths == (Path(name), Path("out.mkv"))


def test_only_a_film_becomes_numbered_pictures() -> None:
    """For one picture, or a folder, the name of the output is a name."""
    for name in ("photo_%d.png", "photos"):
        assert resolve_arguments(Path(name), Path("out_%d.png"), None).dest == Path("out_%d.png")
    film = resolve_arguments(Path("film_%d.mkv"), Path("out_%d.png"), None)
    assert isinstance(film.dest, PicturePattern)


@pytest.mark.parametrize(
    ("source", "dest", "rate", "error", "words"),
    [
        ("film_%d.mkv", "out.mkv", Fraction(18), OptionError, "is for numbered pictures"),
        ("t_%d.png", "out.mkv", None, InputError, "no such pictures"),
        ("t_%d.mkv", "out.mkv", None, InputError, "no such file"),
        ("s_%d.png", "s_%d.png", None, OutputError, "s_7.png: exists already"),
        ("s_%d.png", "none/%d.png", None, OutputError, "its folder does not exist"),
        ("s_%d.png", "film_%d.mkv", None, OutputError, "exists already"),
        ("film_%d.mkv", "film_%d.mkv", None, OutputError, "is the input itself"),
    ],
)
def test_refusals(source: str, dest: str, rate: Fraction | None, error: type[Exception], words: str) -> None:
    """What cannot be is said before anything is loaded."""
    with pytest.raises(error, match=words):
        checked(source, dest, rate)


@pytest.mark.parametrize(
    ("source", "dest", "words"),
    [
        ("film_%d.mkv", "-", "output through a pipe is not kept"),
        ("film_%d.mkv", "out_%d.png", "pictures are complete one by one"),
    ],
)
def test_what_cannot_be_resumed(source: str, dest: str, words: str) -> None:
    """``--resume`` is for films in files."""
    with pytest.raises(OptionError, match=f"`resume`: .*{words}"):
        checked(source, dest, resume=True)


def test_what_is_finished_may_be_there(tmp_path: Path) -> None:
    """With ``--resume`` an output may exist, but it may not be the input."""
    (tmp_path / "in.mkv").touch()
    (tmp_path / "out.mkv").touch()
    assert checked("in.mkv", "out.mkv", resume=True) == FileDestination(Path("out.mkv"), overwrite=False, exists=True)
    with pytest.raises(OutputError, match="is the input itself"):
        checked("in.mkv", "in.mkv", resume=True)


@pytest.mark.parametrize(("name", "kind"), [("photos", "folder"), ("photo_%d.png", "picture")])
def test_only_a_film_goes_to_a_pipe(name: str, kind: str) -> None:
    """A folder and a picture need a name."""
    with pytest.raises(OptionError, match=f"a {kind} cannot go to a pipe"):
        resolve_arguments(Path(name), "-", None)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["s_%d.png", "-r", "fast", "-o", "out.mkv"], "expected a number or a ratio such as 24000/1001, got 'fast'"),
        (["s_%d.png", "-r", "1/0", "-o", "out.mkv"], "expected a number or a ratio"),
        (["s_%d.png", "-r", "0", "-o", "out.mkv"], "expected more than 0 and at most 1000"),
        (["-", "-r", "18", "-o", "out.mkv"], "is for numbered pictures; - says itself"),
    ],
)
def test_usage_errors(arguments: list[str], reason: str) -> None:
    """A rate that is none, or for what has one, ends with exit code 2."""
    result = CliRunner().invoke(main, arguments, prog_name="vidcolor")
    assert result.exit_code == 2
    assert reason in result.stderr


def test_a_file_that_is_called_like_a_pipe(folder: Path) -> None:
    """Only a bare dash is a pipe."""
    (folder / "-").write_bytes(b"")
    result = CliRunner().invoke(main, ["./-", "-o", "./-"], prog_name="vidcolor")
    assert (result.exit_code, result.stderr) == (1, "error: -: is the input itself; choose another name\n")
