"""Folders of pictures and films. Films are copied by a stand-in here: what a film needs is tested with the pipeline."""

from __future__ import annotations

import io
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tests.support.color_films import two_colors
from tests.support.reports import report as film_report
from vidcolor.cli.console import JsonDisplay, TextDisplay
from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.folder import pictures
from vidcolor.folder.coloring import colorize_folder
from vidcolor.folder.results import FolderReport
from vidcolor.frames import FloatArray
from vidcolor.inference.multi_device import MultiDevice
from vidcolor.options import ColorizeOptions
from vidcolor.photograph import colorize_image
from vidcolor.progress import OnProgress, OnWarning, Progress, Report

OPTIONS = ColorizeOptions(render_size=32)


class Batches:
    """Colors by the picture's mean, so that every picture has its own color, and remembers the batches."""

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size
        self.shapes: list[tuple[int, ...]] = []

    def predict(self, grey: FloatArray) -> FloatArray:
        """Return 40 times the mean as a, and 10 as b."""
        self.shapes.append(grey.shape)
        a = np.broadcast_to(40 * grey.mean(axis=(1, 2), keepdims=True), grey.shape)
        return np.stack((a, np.full(grey.shape, 10)), axis=1).astype(np.float32)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty source folder."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def copied_films(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Path]]:
    """A film pipeline that copies in one step; "bad" films are an InputError, "deep" ones an OptionError."""
    calls: list[tuple[Path, Path]] = []

    def colorize_video(
        source: Path,
        dest: Path,
        *,
        colorizer: object,
        options: ColorizeOptions,
        on_progress: OnProgress | None,
        on_warning: OnWarning | None,
    ) -> Report:
        calls.append((source, dest))
        if source.read_text() == "bad":
            raise InputError(f"{source}: holds no picture")
        if source.read_text() == "deep":
            raise OptionError("libx264 does not take yuv420p12le")
        if source.read_text() == "odd":
            raise IndexError("list index\nout of range")
        if on_progress is not None:
            on_progress(Progress(frames=1, total_frames=1, shots=1, seconds=2.0, bottleneck="generator"))
        shutil.copy(source, dest)
        return film_report(frames=1, shots=1, seconds=2.0, output_bytes=4, warnings=("the cover was dropped",))

    monkeypatch.setattr("vidcolor.folder.films.colorize_video", colorize_video)
    return calls


CONTRAST = 20
"""Levels above and below the mean of :func:`picture`; one of a single level would show nothing to color."""


def picture(path: Path, level: int = 100, size: tuple[int, int] = (40, 30)) -> Path:
    """A grey picture of a mean level, in folders that are made on the way: one half is darker than the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.full(size[::-1], level)
    levels[:, : size[0] // 2] -= CONTRAST
    levels[:, size[0] // 2 :] += CONTRAST
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def color_of(path: Path) -> tuple[int, ...]:
    """R, G, B in the middle."""
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((image.width // 2, image.height // 2))


def files_below(root: Path) -> list[str]:
    """Relative names of all files, sorted."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def run(source: Path, dest: Path, colorizer: Batches | None = None, **options: object) -> FolderReport:
    """Color with the stand-in."""
    options_record = ColorizeOptions(render_size=32, **options)
    return colorize_folder(source, dest, colorizer=colorizer or Batches(), options=options_record)


def test_pictures_in_color_are_kept(tree: Path, tmp_path: Path) -> None:
    """A picture with colors of its own is copied and named; the others are colored."""
    picture(tree / "a.png")
    Image.fromarray(two_colors()).save(tree / "b.png")
    report = run(tree, tmp_path / "out")
    assert (report.pictures, report.failed) == (2, ())
    assert (tmp_path / "out" / "b.png").read_bytes() == (tree / "b.png").read_bytes()
    assert [(path.name, line[:24]) for path, line in report.warnings] == [("b.png", "has colors of its own an")]


def test_tree_and_names_are_kept(tree: Path, tmp_path: Path) -> None:
    """Every picture lands under its own name in the same tree, in color."""
    names = ["a.png", "a.jpg", "b/c.tif", "b/d/e e.webp", "b/d/ü.BMP"]
    for name in names:
        picture(tree / name)
    report = run(tree, tmp_path / "out")
    assert files_below(tmp_path / "out") == sorted(names)
    assert (report.pictures, report.films, report.skipped, report.failed) == (5, 0, 0, ())
    assert (report.done, report.seconds > 0) == (5, True)
    for name in names:
        red, green, _ = color_of(tmp_path / "out" / name)
        assert red > green + 10


def test_formats_that_cannot_be_written(tree: Path, tmp_path: Path, copied_films: list[tuple[Path, Path]]) -> None:
    """GIF and PGM become PNG; films keep the containers that hold any frame times, the others become Matroska."""
    picture(tree / "a.gif")
    picture(tree / "b.pgm")
    for name in ("c.mp4", "d.MOV", "e.avi", "f.webm", "g.m2ts"):
        (tree / name).write_text("film")
    run(tree, tmp_path / "out")
    expected = ["a.png", "b.png", "c.mp4", "d.MOV", "e.mkv", "f.mkv", "g.m2ts"]
    assert files_below(tmp_path / "out") == expected


def test_pictures_of_one_size_share_a_batch(tree: Path, tmp_path: Path) -> None:
    """Nine landscapes and three portraits of other sizes need four calls, not twelve; order and content stay right."""
    for index in range(9):
        picture(tree / f"a{index}.png", 20 * index, (400 + 4 * index, 300 + 3 * index))
    for index in range(3):
        picture(tree / f"a{index}p.png", 40 * index, (30, 40))
    colorizer = Batches(4)
    report = run(tree, tmp_path / "out", colorizer)
    assert report.pictures == 12
    assert sorted(colorizer.shapes) == [(1, 32, 43), (3, 43, 32), (4, 32, 43), (4, 32, 43)]
    alone = Batches(1)
    run(tree, tmp_path / "one by one", alone)
    assert len(alone.shapes) == 12
    for name in files_below(tmp_path / "out"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "one by one" / name).read_bytes()


def test_several_devices(tree: Path, tmp_path: Path) -> None:
    """They share the pictures, every file is that of one device, and every file is told of once."""
    for index in range(9):
        picture(tree / f"a{index}.png", 20 * index, (40 + 4 * index % 3, 30))
    told: list[str] = []

    class Member(Batches):
        fingerprint, runs_on, backend = "means", "paper", "paper 1"

    members = [Member(2), Member(2)]
    out = tmp_path / "out"
    report = colorize_folder(
        tree, out, colorizer=MultiDevice(members), options=OPTIONS, on_file=lambda path, *_: told.append(path.name)
    )
    assert report.pictures == 9
    assert sorted(told) == files_below(tree)
    assert all(member.shapes for member in members)
    alone = Batches(2)
    run(tree, tmp_path / "alone", alone)
    assert sorted(alone.shapes) == sorted(members[0].shapes + members[1].shapes)
    for name in files_below(tmp_path / "out"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_waiting_pictures_are_bounded(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When too much waits, the fullest batch goes before it is full."""
    for index in range(6):
        picture(tree / f"{index}.png")
    monkeypatch.setattr(pictures, "WAITING_BYTES", 2 * 40 * 30 * 4)
    colorizer = Batches(100)
    assert run(tree, tmp_path / "out", colorizer).pictures == 6
    assert [shape[0] for shape in colorizer.shapes] == [3, 3]


def test_bad_files_do_not_stop_the_rest(tree: Path, tmp_path: Path, copied_films: list[tuple[Path, Path]]) -> None:
    """Bad pictures, a broken link and a bad film are put down with their reasons, and everything else is done."""
    picture(tree / "a.png")
    picture(tree / "z.png")
    (tree / "m.jpg").write_text("no picture")
    (tree / "n.png").symlink_to(tree / "nowhere.png")
    (tree / "bad.mp4").write_text("bad")
    (tree / "deep.mp4").write_text("deep")
    (tree / "a odd.mp4").write_text("odd")
    (tree / "good.mp4").write_text("good")
    report = run(tree, tmp_path / "out")
    assert (report.pictures, report.films) == (2, 1)
    assert {path.name: reason.split(": ")[-1][:20] for path, reason in report.failed} == {
        "m.jpg": "is not a picture tha",
        "n.png": "cannot be read (No s",
        "bad.mp4": "holds no picture",
        "deep.mp4": "libx264 does not tak",
        "a odd.mp4": "list index out of ra",
    }
    reasons = {path.name: reason for path, reason in report.failed}
    assert reasons["a odd.mp4"] == f"{tree / 'a odd.mp4'}: unexpected IndexError: list index out of range"
    assert report.warnings == ((tree / "good.mp4", "the cover was dropped"),)
    assert files_below(tmp_path / "out") == ["a.png", "good.mp4", "z.png"]


def test_hidden_and_other_files_are_skipped_and_counted(tree: Path, tmp_path: Path) -> None:
    """Hidden files, texts and pipes are counted; hidden folders are not entered."""
    picture(tree / "a.png")
    picture(tree / ".hidden.png")
    picture(tree / ".cache" / "b.png")
    (tree / "notes.txt").touch()
    os.mkfifo(tree / "pipe.png")
    report = run(tree, tmp_path / "out")
    assert (report.pictures, report.skipped, report.failed) == (1, 3, ())
    assert sorted(report.skipped_kinds) == [(".png", 1), (".txt", 1), ("hidden", 1)]
    assert files_below(tmp_path / "out") == ["a.png"]


def test_what_cannot_be_read_is_no_success(tree: Path, tmp_path: Path) -> None:
    """The raw file of a camera and the like fail by their names, with what to do."""
    picture(tree / "a.png")
    for name in ("b.NEF", "c.psd", "d.pdf"):
        (tree / name).write_bytes(b"something")
    report = run(tree, tmp_path / "out")
    assert (report.pictures, report.skipped) == (1, 0)
    assert {path.name: reason.partition(": is ")[2] for path, reason in report.failed} == {
        "b.NEF": "the raw file of a camera; develop it first, into a TIFF of 16 bits",
        "c.psd": "a Photoshop document; save it flattened, as TIFF, first",
        "d.pdf": "a PDF document; extract its pictures first (pdfimages -all)",
    }


def test_a_folder_of_something_else(tree: Path, tmp_path: Path) -> None:
    """A folder without pictures and films is refused with what is in it."""
    for name in ("a.txt", "b.txt", "README"):
        (tree / name).touch()
    with pytest.raises(
        InputError, match=r"holds no picture and no film that can be read; found 2 \.txt, 1 without suffix"
    ):
        run(tree, tmp_path / "out")


def test_pictures_and_films_are_told_by_content(tree: Path, tmp_path: Path) -> None:
    """An animated GIF is a film, a still one a picture; both get the suffix of what they become."""
    frames = [Image.fromarray(np.full((48, 64), level, np.uint8)) for level in (40, 90, 140)]
    frames[0].save(tree / "moving.gif", save_all=True, append_images=frames[1:], duration=100)
    frames[0].save(tree / "still.gif")
    frames[0].save(tree / "dots.pbm")
    report = run(tree, tmp_path / "out")
    assert (report.pictures, report.films, report.failed) == (2, 1, ())
    assert files_below(tmp_path / "out") == ["dots.png", "moving.mkv", "still.png"]


def test_pages_of_a_tiff(tree: Path, tmp_path: Path) -> None:
    """A TIFF of several pages is colored page by page, and counts as one picture."""
    picture(tree / "a.png")
    first = Image.fromarray(np.full((48, 64), 90, np.uint8))
    first.save(tree / "b.tif", save_all=True, append_images=[first, first])
    report = run(tree, tmp_path / "out")
    assert (report.pictures, report.failed) == (2, ())
    with Image.open(tmp_path / "out" / "b.tif") as image:
        assert (image.n_frames, image.mode) == (3, "RGB")


def test_large_pictures_are_not_read_ahead(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large picture is colored after the others, when no other is in memory, as if it were alone."""
    picture(tree / "a.png")
    Image.fromarray(np.full((96, 128), 90, np.uint8)).save(tree / "b.bmp")
    Image.fromarray(np.full((96, 128), 90, np.uint8)).save(tree / "c.jpg")
    monkeypatch.setattr(pictures, "LARGE_PIXELS", 96 * 128)
    monkeypatch.setattr(pictures, "LARGE_BYTES", 5000)
    alone = []

    def remember(source: Path, dest: Path, **options: object) -> tuple[str, ...]:
        alone.append(source.name)
        return colorize_image(source, dest, **options)

    monkeypatch.setattr(pictures, "colorize_image", remember)
    report = run(tree, tmp_path / "out")
    assert (report.pictures, report.failed, alone) == (3, (), ["b.bmp"])


def test_output_inside_input(tree: Path) -> None:
    """An output folder below the input is not taken for input, at the first run or the second."""
    picture(tree / "a.png")
    for _ in range(2):
        report = run(tree, tree / "colored", overwrite=True)
        assert (report.pictures, report.skipped) == (1, 0)
    assert files_below(tree) == ["a.png", "colored/a.png"]


def test_existing_outputs_are_kept(tree: Path, tmp_path: Path) -> None:
    """Without overwrite an existing file is put down as failed, and not touched."""
    picture(tree / "a.png")
    picture(tree / "b.png")
    mine = picture(tmp_path / "out" / "a.png", 7)
    before = mine.read_bytes()
    report = run(tree, tmp_path / "out")
    assert report.pictures == 1
    assert [path.name for path, _ in report.failed] == ["a.png"]
    assert mine.read_bytes() == before


def test_two_files_for_one_name(tree: Path, tmp_path: Path) -> None:
    """The second of two inputs that would get one output is put down, naming the first."""
    picture(tree / "a.gif")
    picture(tree / "a.png", 200)
    report = run(tree, tmp_path / "out")
    ((path, reason),) = report.failed
    assert path == tree / "a.png"
    assert f"as {tree / 'a.gif'} is; rename one of them" in reason


def test_inputs_are_never_replaced(tmp_path: Path) -> None:
    """Where output names meet input names, by any way around, the inputs stay."""
    original = picture(tmp_path / "x" / "a" / "a.png")
    picture(tmp_path / "x" / "a" / "a" / "a.png", 50)
    before = original.read_bytes()
    report = run(tmp_path / "x" / "a", tmp_path / "x", overwrite=True)
    assert original.read_bytes() == before
    assert any("is an input" in reason for _, reason in report.failed)


def test_links_are_read_but_never_written_through(tree: Path, tmp_path: Path) -> None:
    """A linked folder is read; a link inside the output that leads outside it is not followed."""
    picture(tmp_path / "elsewhere" / "a.png")
    (tree / "linked").symlink_to(tmp_path / "elsewhere")
    picture(tree / "sub" / "b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "trap").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "trap")
    report = run(tree, tmp_path / "out")
    assert files_below(tmp_path / "out") == ["linked/a.png"]
    assert files_below(tmp_path / "trap") == []
    assert "lies outside" in report.failed[0][1]


def test_link_that_leads_back(tree: Path, tmp_path: Path) -> None:
    """A link to a folder above does not go round in circles."""
    picture(tree / "sub" / "a.png")
    (tree / "sub" / "loop").symlink_to(tree)
    assert run(tree, tmp_path / "out").pictures == 1


def test_on_file_sees_every_file_once(tree: Path, tmp_path: Path, copied_films: list[tuple[Path, Path]]) -> None:
    """Called from the caller's thread, with places from 1 to the total, bad files too."""
    picture(tree / "a.png")
    (tree / "b.png").touch()
    (tree / "c.mp4").write_text("film")
    seen = []

    def on_file(path: Path, place: int, total: int) -> None:
        assert threading.current_thread() is threading.main_thread()
        seen.append((path.name, place, total))

    colorize_folder(tree, tmp_path / "out", colorizer=Batches(), options=OPTIONS, on_file=on_file)
    assert sorted(name for name, _, _ in seen) == ["a.png", "b.png", "c.mp4"]
    assert [(place, total) for _, place, total in seen] == [(1, 3), (2, 3), (3, 3)]


def test_film_progress_is_passed_on(tree: Path, tmp_path: Path, copied_films: list[tuple[Path, Path]]) -> None:
    """Whoever watches a folder hears of the frames of its films."""
    (tree / "a.mp4").write_text("film")
    frames = []
    colorize_folder(
        tree,
        tmp_path / "out",
        colorizer=Batches(),
        options=OPTIONS,
        on_progress=lambda progress: frames.append(progress.frames),
    )
    assert frames == [1]


@pytest.mark.parametrize(
    ("display", "expected"),
    [
        (JsonDisplay, ['"index": 1, "total": 2', '"index": 2, "total": 2', '"event": "progress"', '"event": "done"']),
        (TextDisplay, ["2 colored in "]),
    ],
)
def test_displays_count_as_the_folder_does(
    tree: Path,
    tmp_path: Path,
    copied_films: list[tuple[Path, Path]],
    capsys: pytest.CaptureFixture[str],
    display: type[JsonDisplay] | type[TextDisplay],
    expected: list[str],
) -> None:
    """The first of two files is shown as the first, the last as the last, on the terminal and in JSON."""
    picture(tree / "a.png")
    (tree / "b.mp4").write_text("film")
    terminal = io.StringIO()
    shown = display(Console(file=terminal, force_terminal=True, width=200))
    with shown.folder() as (on_file, on_progress, _):
        report = colorize_folder(
            tree, tmp_path / "out", colorizer=Batches(), options=OPTIONS, on_file=on_file, on_progress=on_progress
        )
    shown.folder_done(tmp_path / "out", report)
    lines = capsys.readouterr().out.splitlines()
    assert [part in line for part, line in zip(expected, lines, strict=True)] == [True] * len(expected)
    if display is TextDisplay:
        assert "2/2 b.mp4  1/1 frames  0.5 fps" in terminal.getvalue()
        assert "warning: " in terminal.getvalue()
        assert "3/2" not in terminal.getvalue()


class Broken(Batches):
    """A network that raises an error for pictures of one brightness, and for batches with one of them."""

    def __init__(self, error: BaseException, level: float) -> None:
        super().__init__()
        self.error = error
        self.level = level

    def predict(self, grey: FloatArray) -> FloatArray:
        """Color as :class:`Batches` does, or fail."""
        if np.isclose(grey.mean(axis=(1, 2)), self.level, atol=0.02).any():
            raise self.error
        return super().predict(grey)


def test_ctrl_c_ends_the_work(tree: Path, tmp_path: Path) -> None:
    """No thread and no half file is left."""
    for index in range(20):
        picture(tree / f"{index}.png")
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run(tree, tmp_path / "out", Broken(KeyboardInterrupt(), 100 / 255))
    assert threading.active_count() == threads
    assert files_below(tmp_path / "out") == []


@pytest.mark.parametrize("error", [OptionError("no such device"), RuntimeError("out of memory")])
def test_a_network_that_fails_on_one_picture(tree: Path, tmp_path: Path, error: BaseException) -> None:
    """That picture fails with its reason; the others of its batch are colored."""
    for index in range(5):
        picture(tree / f"{index}.png", 200 if index == 2 else 50)
    report = run(tree, tmp_path / "out", Broken(error, 200 / 255))
    assert report.pictures == 4
    ((path, reason),) = report.failed
    assert path == tree / "2.png"
    assert str(error) in reason


def test_a_folder_that_cannot_be_looked_into(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails with its reason, and what lies beside it is colored."""
    picture(tree / "a.png")
    picture(tree / "closed" / "b.png")
    iterdir = Path.iterdir

    def refuse(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    report = run(tree, tmp_path / "out")
    assert report.pictures == 1
    assert report.failed == (
        (tree / "closed", f"{tree / 'closed'}: cannot be looked into (Permission denied); change its permissions"),
    )


def test_folders_that_cannot_be(tree: Path, tmp_path: Path) -> None:
    """No folder, no media, a file as output, and the input as output."""
    with pytest.raises(InputError, match="is no folder"):
        run(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(InputError, match="holds no picture and no film"):
        run(tree, tmp_path / "out")
    source = picture(tree / "a.png")
    with pytest.raises(OutputError, match="is a file"):
        run(tree, source)
    with pytest.raises(OutputError, match="is the input folder itself"):
        run(tree, tree / ".." / "in")
