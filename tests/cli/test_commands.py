"""The command line: what it hands to the library, what it says, and which exit code it ends with.

The library is replaced by fakes that record their calls: these tests are about the shell alone, and need no torch.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tests.support.reports import report as film_report
from vidcolor._version import __version__
from vidcolor.cli.commands import main
from vidcolor.cli.options import debug_option
from vidcolor.errors import InputError, OptionError, OutputError, VidcolorError, WeightsError
from vidcolor.media.destinations import FileDestination
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.progress import Progress, Report

WARNINGS = ("the `dest` holds no cover", "the cover was dropped")
"""Of a film: the first is known at its start."""
CLOSING_LINE = "out.mp4: 48 frames, 2 shots, 1.5 MB, colored in 2.0 s"


@dataclass(frozen=True)
class FolderReport:
    """The facts of a colored folder, as the command reads them."""

    done: int = 3
    failed: tuple[tuple[Path, str], ...] = ()
    skipped: int = 0
    skipped_kinds: tuple[tuple[str, int], ...] = ()
    seconds: float = 1.0
    warnings: tuple[tuple[Path, str], ...] = ()
    finished: int = 0


class FakeReader(StringIO):
    """An open film."""

    def __init__(self, film: Path) -> None:
        super().__init__()
        self.film = film


@dataclass
class Library:
    """What the fakes were asked for, and what they shall answer."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    error: BaseException | None = None
    weights_error: BaseException | None = None
    folder_report: FolderReport = field(default_factory=FolderReport)
    frames: int = 48
    opened: list[Path] = field(default_factory=list)
    film_error: BaseException | None = None

    def open_reader(self, path: Path, *settings: Any) -> FakeReader:
        self.opened.append(path)
        if self.film_error is not None:
            raise self.film_error
        return FakeReader(path)

    def load_colorizer(self, weights: Path | None, **settings: Any) -> dict[str, Any]:
        if self.weights_error is not None:
            raise self.weights_error
        return {"generator": f"generator from {weights}", **settings}

    def color_film(
        self, source: Path | FakeReader, destination: FileDestination, *, on_progress: Any, **settings: Any
    ) -> Report:
        path = source.film if isinstance(source, FakeReader) else source
        on_warning = settings.pop("on_warning")
        self._record("film", source=path, dest=destination.path, **settings)
        on_warning(WARNINGS[0])
        for number in range(1, self.frames + 1):
            on_progress(Progress(frames=number, total_frames=48, shots=1, seconds=number / 20, bottleneck="generator"))
        return film_report(frames=48, shots=2, seconds=2.0, output_bytes=1_500_000, warnings=WARNINGS)

    def colorize_image(self, source: Path, dest: Path, **settings: Any) -> tuple[str, ...]:
        self._record("picture", source=source, dest=dest, **settings)
        dest.write_bytes(bytes(1500))
        return ()

    def colorize_folder(
        self, source: Path, dest: Path, *, on_file: Any, on_progress: Any, on_warning: Any, **settings: Any
    ) -> FolderReport:
        self._record("folder", source=source, dest=dest, **settings)
        on_file(source / "a.mp4", 1, 3)
        on_progress(Progress(frames=1, total_frames=48, shots=1, seconds=1.0, bottleneck="generator"))
        return self.folder_report

    def render_demo(self, path: Path) -> None:
        self._record("demo", path=path)
        path.write_bytes(b"grey")

    def _record(self, name: str, **arguments: Any) -> None:
        self.calls.append((name, arguments))
        if self.error is not None:
            raise self.error


def fake_module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    module = ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    fake = Library()
    pictures = {".jpg", ".png"}
    fake_module(
        monkeypatch,
        "vidcolor.inference.weights_file",
        describe=lambda path: {"network": "unet", "recipe": "name = 1\nsteps = 2", "bytes": path.stat().st_size},
    )
    fake_module(monkeypatch, "vidcolor.inference.loading", load_colorizer=fake.load_colorizer)
    fake_module(monkeypatch, "vidcolor.pipeline", color_film=fake.color_film)
    fake_module(
        monkeypatch,
        "vidcolor.photograph",
        colorize_image=fake.colorize_image,
        is_picture=lambda path: path.suffix in pictures,
    )
    fake_module(monkeypatch, "vidcolor.folder.coloring", colorize_folder=fake.colorize_folder)
    fake_module(monkeypatch, "vidcolor.media.opening", open_reader=fake.open_reader)
    fake_module(monkeypatch, "vidcolor.demo", render_demo=fake.render_demo)
    return fake


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a folder of its own, with a film, a picture, a folder and a file of an odd name in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("film.mp4", "photo.jpg", "-film.mp4"):
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "photos").mkdir()
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="vidcolor")


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# What is asked of the library


@pytest.mark.parametrize(
    "arguments",
    [
        ["film.mp4", "-o", "out.mp4"],
        ["-o", "out.mp4", "film.mp4"],
        ["--output=out.mp4", "film.mp4"],
        ["colorize", "film.mp4", "-o", "out.mp4"],
        ["colorize", "-o", "out.mp4", "--", "film.mp4"],
        ["--device", "auto", "film.mp4", "-o", "out.mp4"],
        ["-o", "out.mp4", "--", "film.mp4"],
    ],
)
def test_colorize_is_the_default_command(library: Library, arguments: list[str]) -> None:
    """A film is colored with or without the command's name, wherever the options stand, with the default options."""
    result = run(*arguments)
    assert result.exit_code == 0
    assert library.calls == [
        (
            "film",
            {
                "source": Path("film.mp4"),
                "dest": Path("out.mp4"),
                "colorizer": {"generator": "generator from None", "device": "auto", "batch_size": None},
                "options": ColorizeOptions(),
            },
        )
    ]


def test_the_film_is_looked_into_while_the_network_is_loaded(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for the other."""
    loading = threading.Event()

    def open_reader(path: Path, *settings: Any) -> FakeReader:
        assert loading.wait(10)
        return FakeReader(path)

    def load_colorizer(weights: Path | None, **settings: Any) -> None:
        loading.set()

    monkeypatch.setattr(sys.modules["vidcolor.inference.loading"], "load_colorizer", load_colorizer)
    monkeypatch.setattr(sys.modules["vidcolor.media.opening"], "open_reader", open_reader)
    assert run("film.mp4", "-o", "out.mp4").exit_code == 0


def test_what_is_no_film_is_refused_whatever_the_network_says(library: Library) -> None:
    """What is wrong with the film is said first; a picture is not opened as a film."""
    library.film_error = InputError("film.mp4: damaged")
    library.weights_error = WeightsError("must not be reached")
    result = run("film.mp4", "-o", "out.mp4")
    assert result.exit_code == 1
    assert result.stderr == "error: film.mp4: damaged\n"
    assert library.opened == [Path("film.mp4")]
    assert run("photo.jpg", "-o", "out.jpg").stderr == "error: must not be reached\n"
    assert library.opened == [Path("film.mp4")]


def test_file_that_begins_with_a_dash(library: Library) -> None:
    """After two dashes everything is a file."""
    assert run("-o", "out.mp4", "--", "-film.mp4").exit_code == 0
    assert library.calls[0][1]["source"] == Path("-film.mp4")


def test_file_that_is_named_like_a_command(library: Library, folder: Path) -> None:
    """A file called ``demo`` is reached by naming the command, or the folder that it is in."""
    (folder / "demo").write_bytes(b"content")
    for arguments in (["colorize", "demo"], ["./demo"], ["-o", "out.mp4", "--", "demo"]):
        assert run(*arguments, *([] if "-o" in arguments else ["-o", "out.mp4"])).exit_code == 0
    assert [name for name, _ in library.calls] == ["film"] * 3


def test_picture(library: Library) -> None:
    """A picture goes to the picture function, and its closing line says time and size."""
    result = run("photo.jpg", "-o", "out.jpg")
    assert result.exit_code == 0
    assert library.calls[0][0] == "picture"
    assert result.stdout.startswith("out.jpg: 1.5 kB, colored in ")


def test_folder(library: Library) -> None:
    """A folder goes to the folder function, whatever its name looks like."""
    result = run("photos", "-o", "colored")
    assert result.exit_code == 0
    assert library.calls[0][0] == "folder"
    assert result.stdout == "colored: 3 colored in 1.0 s\n"


def test_every_option_arrives(library: Library, folder: Path) -> None:
    """No option is swallowed, mixed up with another, or left a string."""
    (folder / "out.mp4").write_bytes(b"old")
    arguments = (
        "film.mp4 -o out.mp4 --overwrite --resume --render-size 320 --smoothing 0.25 --anchor-every 4 --saturation 1.2 "
        "--negative --weights my.safetensors --device cuda:1 --batch-size 3 --codec libx265 --crf 21.5 --preset slow "
        "--pix-fmt yuv422p10le --encoder-option x265-params=a=1:b=2 --encoder-option tune=grain"
    )
    assert run(*arguments.split()).exit_code == 0
    (_, asked) = library.calls[0]
    assert asked["colorizer"] == {"generator": "generator from my.safetensors", "device": "cuda:1", "batch_size": 3}
    assert asked["options"] == ColorizeOptions(
        render_size=320,
        smoothing=0.25,
        anchor_every=4,
        saturation=1.2,
        negative=True,
        overwrite=True,
        resume=True,
        encode=EncodeOptions(
            codec="libx265",
            crf=21.5,
            preset="slow",
            pix_fmt="yuv422p10le",
            encoder_options={"x265-params": "a=1:b=2", "tune": "grain"},
        ),
    )


def test_demo(library: Library, folder: Path) -> None:
    """The demo renders the grey film, always an MP4, beside the colored one and colors it."""
    result = run("demo", "-o", "first.mkv")
    assert result.exit_code == 0
    assert library.calls[0] == ("demo", {"path": Path("first-grey.mp4")})
    assert (library.calls[1][1]["source"], library.calls[1][1]["dest"]) == (Path("first-grey.mp4"), Path("first.mkv"))
    assert result.stdout.startswith("first.mkv: 48 frames")


def test_demo_without_weights_leaves_nothing(library: Library, folder: Path) -> None:
    """The network is loaded before anything is rendered."""
    library.weights_error = WeightsError("unet.safetensors: no such file")
    assert run("demo").exit_code == 1
    assert not library.calls
    assert not list(folder.glob("vidcolor-demo*"))


def test_demo_default_names(library: Library) -> None:
    """Without a name, the demo's films are named so that everyone sees where they come from."""
    assert run("demo").exit_code == 0
    assert library.calls[1][1]["source"] == Path("vidcolor-demo-grey.mp4")
    assert library.calls[1][1]["dest"] == Path("vidcolor-demo.mp4")


@pytest.mark.parametrize("name", ["vidcolor-demo.mp4", "vidcolor-demo-grey.mp4"])
def test_demo_overwrites_neither_film(library: Library, folder: Path, name: str) -> None:
    """Whichever of the demo's two films exists, it is kept unless ``--overwrite`` is given."""
    (folder / name).write_bytes(b"mine")
    result = run("demo")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {name}: exists already")
    assert (folder / name).read_bytes() == b"mine"
    assert not library.calls
    assert run("demo", "--overwrite").exit_code == 0


def test_models(library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks come from the registry, weights and recipes from the files that are installed."""

    class Unet:
        """A network.

        With more to say about it.
        """

    shelf = folder / "shelf"
    (shelf / "recipes").mkdir(parents=True)
    (shelf / "default.safetensors").write_bytes(bytes(7))
    (shelf / "recipes" / "gan.toml").write_text("# A U-Net against a PatchGAN.\n\nname = 'gan'\n")
    fake_module(monkeypatch, "vidcolor.networks", NETWORKS={"unet": Unet})
    for package in ("vidcolor_weights", "vidcolor_training"):
        fake_module(monkeypatch, package, __path__=[str(shelf)])
    result = run("models", "--json")
    assert result.exit_code == 0
    assert json_lines(result.stdout) == [
        {
            "event": "done",
            "networks": {"unet": {"summary": "A network."}},
            "weights": {
                "default.safetensors": {
                    "path": str(shelf / "default.safetensors"),
                    "network": "unet",
                    "bytes": 7,
                }
            },
            "recipes": {"gan": {"path": str(shelf / "recipes" / "gan.toml"), "summary": "A U-Net against a PatchGAN."}},
        }
    ]
    assert run("models").stdout.splitlines() == [
        "networks",
        "  unet  A network.",
        "weights",
        "  name                 network  size     trained on  on validation pictures",
        "  default.safetensors  unet     7 bytes  ?           ?",
        "recipes",
        "  gan  A U-Net against a PatchGAN.",
    ]


def test_training_commands_are_imported_when_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """``train`` and ``evaluate`` run the training package's commands, with the same treatment of errors."""

    @click.command()
    @click.argument("data")
    def train(data: str) -> None:
        raise InputError(f"{data}: holds no picture")

    fake_module(monkeypatch, "vidcolor_training", __path__=[])
    fake_module(monkeypatch, "vidcolor_training.train_command", train=train)
    result = run("train", "shards")
    assert (result.exit_code, result.stderr) == (1, "error: shards: holds no picture\n")


def test_every_command_can_tell_the_whole_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an unexpected error says "run again with --debug", that shows the traceback: in any command."""

    @click.command()
    @debug_option
    def evaluate() -> None:
        raise ZeroDivisionError("no pictures")

    fake_module(monkeypatch, "vidcolor_training", __path__=[])
    fake_module(monkeypatch, "vidcolor_training.evaluate_command", evaluate=evaluate)
    fake_module(monkeypatch, "vidcolor.networks", NETWORKS=None)
    for command, error in (("evaluate", "ZeroDivisionError"), ("models", "AttributeError")):
        plain, whole = run(command), run(command, "--debug")
        assert (plain.exit_code, whole.exit_code) == (1, 1)
        assert "run again with --debug" in plain.stderr
        assert "Traceback" not in plain.stderr
        assert "Traceback" in whole.stderr
        assert f"error: unexpected {error}" in whole.stderr


# What is said


def test_closing_line_and_warnings(library: Library) -> None:
    """Without a terminal, a film leaves one line on standard output and its warnings on standard error."""
    result = run("film.mp4", "-o", "out.mp4")
    assert result.stdout == CLOSING_LINE + "\n"
    assert result.stderr == "warning: the -o holds no cover\nwarning: the cover was dropped\n"


def test_quiet(library: Library) -> None:
    """``--quiet`` or ``-q`` says nothing at all when all goes well."""
    for flag in ("--quiet", "-q"):
        result = run("film.mp4", "-o", "out.mp4", flag)
        assert (result.exit_code, result.output) == (0, "")


def test_overwriting_as_ffmpeg_does(library: Library, folder: Path) -> None:
    """``-y`` replaces the output, also as the first word."""
    (folder / "out.mp4").write_bytes(b"old")
    assert run("film.mp4", "-o", "out.mp4").exit_code == 1
    assert run("-y", "film.mp4", "-o", "out.mp4").exit_code == 0


def test_json(library: Library) -> None:
    """``--json``: 48 frames in 2.4 s are two objects and a last one, and nothing else anywhere."""
    result = run("film.mp4", "-o", "out.mp4", "--json")
    early, first, second, last = json_lines(result.stdout)
    assert early == {"event": "warning", "message": "the -o holds no cover"}
    assert (first["event"], first["frames"], first["fps"], first["eta_seconds"]) == ("progress", 20, 20.0, 1.4)
    assert (second["event"], second["frames"]) == ("progress", 40)
    assert (last["event"], last["frames"], last["warnings"]) == ("done", 48, ["the -o holds no cover", WARNINGS[1]])
    assert result.stderr == ""


def test_json_and_quiet_exclude_each_other(library: Library) -> None:
    """Nothing and something on standard output cannot both be had."""
    result = run("film.mp4", "-o", "out.mp4", "--quiet", "--json")
    assert result.exit_code == 2
    assert "--quiet and --json exclude each other" in result.stderr


def test_version() -> None:
    """The version is one line that begins with the tool's name."""
    assert run("--version").output == f"vidcolor {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["colorize", "--help"], ["film.mp4", "--help"]])
def test_help(arguments: list[str]) -> None:
    """Help can be asked for with and without a command."""
    result = run(*arguments)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: vidcolor")


def test_help_keeps_the_lines_of_the_examples() -> None:
    """Each example stands on a line of its own."""
    lines = [line.strip() for line in run("--help").stdout.splitlines()]
    assert "vidcolor film.mp4 -o out.mp4       a film" in lines


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_that_cannot_be_encoded(encoding: str, library: Library) -> None:
    """Characters that standard output cannot encode are printed as question marks; the command goes on."""
    if sys.getfilesystemencoding() != "utf-8":
        pytest.skip("needs file names in UTF-8")
    result = CliRunner(charset=encoding).invoke(main, ["film.mp4", "-o", "фильм ×.mp4"])
    times = "?" if encoding == "ascii" else "×"
    assert result.exit_code == 0
    assert result.stdout.startswith(f"????? {times}.mp4: 48 frames")


COMMANDS = ["colorize", "demo", "info", "models", "export", "train", "evaluate"]


def test_help_lists_all_commands_without_importing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of commands has the training ones too, even where their package cannot be imported."""
    monkeypatch.setitem(sys.modules, "vidcolor_training.train_command", None)
    commands = run("--help").stdout.partition("Commands:")[2].splitlines()
    assert [line.split()[0] for line in commands if line] == COMMANDS


def test_help_shows_every_default() -> None:
    """Each option with a value says what happens without it; options stand under their headings."""
    text = " ".join(run("colorize", "--help").stdout.split())
    for part in (
        "[default: 256]",
        "[default: 0.8]",
        "[default: libx264]",
        "[default: auto]",
        "[default: (the weights that come with vidcolor)]",
        "[default: (18 where the encoder has it)]",
        "[required]",
    ):
        assert part in text
    headings = [text.index(heading) for heading in ("Color:", "Network:", "Encoding of films:", "Messages:")]
    assert headings == sorted(headings)


def test_no_arguments_shows_the_help() -> None:
    """Whoever types the bare name learns how to use it."""
    result = run()
    assert result.exit_code == 2
    assert "Usage: vidcolor" in result.output


# How it ends when it does not end well


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (InputError("film.mp4: holds no video stream"), 1),
        (OutputError("out.mp4: no space left on the device"), 1),
        (VidcolorError("out of memory; try a smaller --batch-size"), 1),
        (OptionError("--codec: there is no encoder 'libx999'"), 2),
    ],
)
def test_errors_of_the_library(library: Library, error: VidcolorError, exit_code: int) -> None:
    """Each error of the library is one line and its own exit code, without a traceback."""
    library.error = error
    result = run("film.mp4", "-o", "out.mp4")
    assert (result.exit_code, result.stdout, result.stderr) == (exit_code, "", f"error: {error}\n")


def test_wrong_weights(library: Library) -> None:
    """Weights that cannot be loaded end the command before anything is colored."""
    library.weights_error = WeightsError("my.bin: is no safetensors file")
    result = run("film.mp4", "-o", "out.mp4", "--weights", "my.bin")
    assert (result.exit_code, result.stderr) == (1, "error: my.bin: is no safetensors file\n")
    assert not library.calls


def test_unexpected_error(library: Library) -> None:
    """A defect is one line as well, which says how to see more."""
    library.error = KeyError("luma")
    result = run("film.mp4", "-o", "out.mp4")
    assert result.exit_code == 1
    assert result.stderr == "error: unexpected KeyError: 'luma'; run again with --debug and report it\n"


@pytest.mark.parametrize("error", [KeyError("luma"), InputError("film.mp4: is empty")])
def test_debug_shows_the_traceback(library: Library, error: Exception) -> None:
    """``--debug`` shows where an error came from, and ends with the same line and code as without."""
    library.error = error
    result = run("film.mp4", "-o", "out.mp4", "--debug")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "in color_film" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")


def test_quiet_still_says_errors(library: Library) -> None:
    """``--quiet`` does not hide why it failed."""
    library.error = InputError("film.mp4: is empty")
    assert run("film.mp4", "-o", "out.mp4", "--quiet").output == "error: film.mp4: is empty\n"


def test_json_error(library: Library) -> None:
    """With ``--json`` the last object on standard output says why it failed, after the progress that there was."""
    library.error = InputError("film.mp4: is empty")
    result = run("film.mp4", "-o", "out.mp4", "--json")
    assert result.exit_code == 1
    assert json_lines(result.stdout) == [{"event": "error", "message": "film.mp4: is empty", "exit_code": 1}]


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_interrupted(library: Library, extra: list[str]) -> None:
    """Ctrl-C is no error: one word and exit code 130."""
    library.error = KeyboardInterrupt()
    result = run("film.mp4", "-o", "out.mp4", *extra)
    assert (result.exit_code, result.stderr) == (130, "error: interrupted\n")
    assert [line["exit_code"] for line in json_lines(result.stdout)] == [130] * len(extra)


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_nothing_left_to_resume(library: Library, folder: Path, extra: list[str]) -> None:
    """A film that is under its name is whole: ``--resume`` leaves it as it is, and that is no error."""
    (folder / "out.mp4").write_bytes(b"whole")
    result = run("film.mp4", "-o", "out.mp4", "--resume", *extra)
    assert (result.exit_code, library.calls) == (0, [])
    if extra:
        assert json_lines(result.stdout) == [{"event": "done", "output": "out.mp4", "output_bytes": 5, "finished": 1}]
    else:
        assert result.stdout == "out.mp4: was there already, and is left as it is\n"
    (folder / ".out.mp4.vidcolor").mkdir()
    (folder / ".out.mp4.vidcolor" / "000000.segment").touch()
    assert run("film.mp4", "-o", "out.mp4", "--resume").exit_code == 0
    assert len(library.calls) == 1


def test_notes_are_told(library: Library) -> None:
    """What the library has to say beside an error stands behind it, on the same line."""
    library.error = KeyboardInterrupt()
    library.error.add_note("what is finished is kept in .out.mp4.vidcolor: --resume goes on from there")
    result = run("film.mp4", "-o", "out.mp4")
    expected = "error: interrupted; what is finished is kept in .out.mp4.vidcolor: --resume goes on from there\n"
    assert (result.exit_code, result.stderr) == (130, expected)


def test_folder_with_failures(library: Library) -> None:
    """A folder is done to its end; if a file failed, it is named and the exit code is 1."""
    library.folder_report = FolderReport(done=2, failed=((Path("photos/bad.jpg"), "is empty"),))
    result = run("photos", "-o", "colored")
    assert (result.exit_code, result.stderr) == (1, "error: photos/bad.jpg: is empty\n")
    assert result.stdout == "colored: 2 colored in 1.0 s, 1 failed\n"


def test_missing_input_is_said_before_the_network_is_loaded(library: Library) -> None:
    """A wrong name costs no seconds of loading."""
    library.weights_error = AssertionError("loaded")
    result = run("nothing.mp4", "-o", "out.mp4")
    assert (result.exit_code, result.stderr) == (1, "error: nothing.mp4: no such file or folder\n")


def test_existing_output_is_said_before_the_network_is_loaded(library: Library, folder: Path) -> None:
    """Nor does an output that exists; it stays as it was."""
    (folder / "out.mp4").write_bytes(b"old")
    library.weights_error = AssertionError("loaded")
    result = run("film.mp4", "-o", "out.mp4")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: out.mp4: exists already")
    assert (folder / "out.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("dest", ["film.mp4", "./film.mp4", "photos/../film.mp4", "link.mp4"])
def test_output_that_is_the_input(library: Library, folder: Path, dest: str) -> None:
    """The input is never written over, by whatever name, and not even with ``--overwrite``."""
    (folder / "link.mp4").symlink_to("film.mp4")
    result = run("film.mp4", "-o", dest, "--overwrite")
    assert result.exit_code == 1
    assert "is the input itself" in result.stderr
    assert not library.calls


def test_output_that_is_a_folder(library: Library) -> None:
    """A film needs the name of a file."""
    result = run("film.mp4", "-o", "photos")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: photos: is a folder")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may look into every folder")
@pytest.mark.parametrize("arguments", [["shut/film.mp4", "-o", "out.mp4"], ["film.mp4", "-o", "shut/out.mp4"]])
def test_folder_that_may_not_be_searched(library: Library, folder: Path, arguments: list[str]) -> None:
    """Input or output in such a folder is a plain error, not an unexpected one."""
    (folder / "shut").mkdir(mode=0o600)
    result = run(*arguments)
    assert (result.exit_code, library.calls) == (1, [])
    assert "(Permission denied)" in result.stderr
    assert "unexpected" not in result.stderr


@pytest.mark.parametrize("shut", ["film.mp4", "out.mp4"])
def test_names_that_may_not_be_looked_at(library: Library, monkeypatch: pytest.MonkeyPatch, shut: str) -> None:
    """The same with a stand-in for the folder, which holds for root too."""

    def refusing(look: Any) -> Any:
        def looked(path: Path, **settings: Any) -> os.stat_result:
            if path.name == shut:
                raise PermissionError(errno.EACCES, "Permission denied")
            result: os.stat_result = look(path, **settings)
            return result

        return looked

    for name in ("stat", "lstat"):
        monkeypatch.setattr(Path, name, refusing(getattr(Path, name)))
    result = run("film.mp4", "-o", "out.mp4")
    assert (result.exit_code, library.calls) == (1, [])
    assert result.stderr.startswith(f"error: {shut}: cannot be ")
    assert "(Permission denied)" in result.stderr


def test_output_in_a_folder_that_does_not_exist(library: Library) -> None:
    """This too is said before the network is loaded."""
    library.weights_error = AssertionError("loaded")
    result = run("film.mp4", "-o", "nowhere/out.mp4")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: nowhere/out.mp4: its folder does not exist; create it first\n",
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["film.mp4"], "Missing option '-o'"),
        (["-o", "out.mp4"], "Missing argument 'SOURCE'"),
        (["film.mp4", "-o", "out.mp4", "more.mp4"], "unexpected extra argument"),
        (["film.mp4", "-o", "out.mp4", "--color"], "No such option"),
        (["film.mp4", "-o", "out.mp4", "--batch-size", "0"], "--batch-size"),
        (["film.mp4", "-o", "out.mp4", "--crf", "good"], "--crf"),
        (["film.mp4", "-o", "out.mp4", "--device", "tpu"], "gpu:N, npu or several such as cuda:0,cuda:1, got"),
        (["film.mp4", "-o", "out.mp4", "--device", "cpu,"], "cuda:0,cuda:1, got 'cpu,'"),
        (["film.mp4", "-o", "out.mp4", "--device", "auto,cpu"], "cuda:0,cuda:1, got 'auto,cpu'"),
        (["film.mp4", "-o", "out.mp4", "--encoder-option", "tune"], "expected KEY=VALUE, got 'tune'"),
        (["film.mp4", "-o", "out.mp4", "--encoder-option", "=1"], "expected KEY=VALUE, got '=1'"),
        (["film.mp4", "-o", "out.mp4", "--smoothing", "2"], "--smoothing must lie between 0 and 1, got 2.0"),
        (["film.mp4", "-o", "out.mp4", "--anchor-every", "0"], "--anchor-every must lie between 1 and 64, got 0"),
        (["film.mp4", "-o", "out.mp4", "--anchor-every", "few"], "expected a number of frames or auto, got 'few'"),
        (["trian", "data"], "There is no file or command 'trian'. Did you mean 'train'?"),
    ],
)
def test_usage_errors(library: Library, arguments: list[str], reason: str) -> None:
    """What cannot be meant ends with exit code 2 and says which option or argument it is about."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert not library.calls


def test_file_named_almost_like_a_command(library: Library, folder: Path) -> None:
    """A file that exists is never taken for a slip of the finger."""
    (folder / "dem").write_bytes(b"content")
    assert run("dem", "-o", "out.mp4").exit_code == 0


# As a process of its own

SLEEPER = """
import sys, time
from io import StringIO
from types import ModuleType
from pathlib import Path

def color_film(source, destination, **settings):
    part = Path("part")
    try:
        part.touch()
        for _ in range(6000):  # frames, so to speak: a signal just before one long sleep would be noticed after it only
            time.sleep(0.01)
    finally:
        part.unlink()

for name, contents in {
    "inference.loading": {"load_colorizer": lambda weights, **settings: None},
    "photograph": {"is_picture": lambda path: False, "colorize_image": None},
    "media.opening": {"open_reader": lambda path, *settings: StringIO()},
    "pipeline": {"color_film": color_film},
}.items():
    module = ModuleType("vidcolor." + name)
    vars(module).update(contents)
    sys.modules[module.__name__] = module

from vidcolor.cli.commands import main
main()
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def wait_for(path: Path) -> None:
    """Until the command has made this file."""
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"the command did not get as far as {path.name}"
        time.sleep(0.01)


@pytest.fixture
def sleeping(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The command at work, with a file that it must not leave behind."""
    command = [sys.executable, "-c", SLEEPER, "film.mp4", "-o", "out.mp4"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    wait_for(folder / "part")
    yield process
    process.kill()
    process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a signal")
@pytest.mark.parametrize(
    ("name", "exit_code", "message"),
    [
        ("SIGINT", 130, "error: interrupted\n"),
        ("SIGTERM", 143, "error: terminated\n"),
        ("SIGHUP", 129, "error: terminated\n"),
    ],
)
def test_signals_end_it_cleanly(
    sleeping: subprocess.Popen[str], folder: Path, name: str, exit_code: int, message: str
) -> None:
    """Ctrl-C, a polite kill and a closed terminal all undo what was begun, say so in a line, and are quick."""
    started = time.monotonic()
    sleeping.send_signal(getattr(signal, name))
    _, stderr = sleeping.communicate(timeout=10)
    assert time.monotonic() - started < 2
    assert (sleeping.returncode, stderr) == (exit_code, message)
    assert not (folder / "part").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a signal")
@pytest.mark.parametrize(("first", "exit_code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_impatience_does_not_cut_the_cleaning_up_short(folder: Path, first: str, exit_code: int) -> None:
    """Further Ctrl-Cs and kills, while what was begun is being undone, change nothing."""
    script = SLEEPER.replace(
        "part.unlink()", 'Path("cleaning").touch()\n        time.sleep(0.6)\n        part.unlink()'
    )
    command = [sys.executable, "-c", script, "film.mp4", "-o", "out.mp4"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        try:
            wait_for(folder / "part")
            process.send_signal(getattr(signal, first))
            wait_for(folder / "cleaning")
            for name in ("SIGINT", "SIGTERM", "SIGINT"):
                process.send_signal(getattr(signal, name))
                time.sleep(0.05)
            _, stderr = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == exit_code
    assert stderr.count("\n") == 1
    assert not (folder / "part").exists()


def test_signal_handlers_are_put_back(library: Library) -> None:
    """Whoever calls the command from Python has its own signal handlers again afterwards."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run("film.mp4", "-o", "out.mp4")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_python_dash_m() -> None:
    """``python -m vidcolor`` is the same command."""
    command = [sys.executable, "-m", "vidcolor", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout.startswith("Usage: python -m vidcolor")
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["models", "--help"]])
def test_closed_pipe_is_quiet(arguments: list[str]) -> None:
    """``vidcolor --help | head -1`` leaves no complaint behind."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "vidcolor", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=ENVIRONMENT)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_closed_pipe_is_quiet_for_results_too(folder: Path) -> None:
    """The same where the library has worked and the closing line finds nobody."""
    script = SLEEPER.replace("range(6000)", "range(1)").replace(
        "part.unlink()",
        "part.unlink()\n    from vidcolor.progress import Report\n"
        "    return Report(frames=1, anchors=1, shots=1, seconds=1.0, first_frame_seconds=0.5, last_frame_seconds=0.5,"
        " stages=(), sizes=None, output_bytes=1, warnings=())",
    )
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", script, "film.mp4", "-o", "out.mp4", "--json"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=ENVIRONMENT)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
