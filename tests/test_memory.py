"""What happens where memory does not suffice: smaller batches, the same colors; smaller pictures only if asked for."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor, nn

from tests.support.clips import Clip, make_clip, timeline
from vidcolor.cli.commands import main
from vidcolor.errors import ResourceError
from vidcolor.folder.coloring import colorize_folder
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.torch_engine import is_out_of_memory
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.photograph import colorize_image
from vidcolor.pipeline import colorize_video

SAYS_CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:128] . DefaultCPUAllocator: can't allocate memory: you tried")


class Narrow(nn.Module):
    """Colors by brightness, and has room for so many pixels at once only."""

    multiple = 8

    def __init__(self, room: int, error: BaseException = SAYS_CPU) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(40.0))
        self.room = room
        self.error = error
        self.seen: list[tuple[int, ...]] = []

    def forward(self, grey: Tensor) -> Tensor:
        """Grey (N, 1, H, W) to ab."""
        self.seen.append(tuple(grey.shape))
        if grey.numel() > self.room:
            raise self.error
        return self.gain * torch.cat((grey - 0.5, 0.5 - grey), dim=1)


def colorizer(room: int, error: BaseException = SAYS_CPU, batch_size: int = 8) -> Colorizer:
    """With a network that has room for so many pixels."""
    return Colorizer(Narrow(room, error), device="cpu", dtype=torch.float32, batch_size=batch_size)


@pytest.mark.parametrize("error", [SAYS_CPU, MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to")])
def test_the_batch_is_halved(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Until it fits, for good; one line for each halving; the colors are those of ample memory."""
    grey = np.random.default_rng(0).random((11, 32, 48), dtype=np.float32)
    narrow = colorizer(3 * 32 * 48, error)
    with caplog.at_level(logging.WARNING, "vidcolor"):
        found = narrow.predict(grey)
        narrow.predict(grey)
    np.testing.assert_array_equal(found, colorizer(10**9).predict(grey))
    assert narrow.batch_size == 2
    assert [record.message.split(": ")[-1] for record in caplog.records] == [
        "4 at a time from here",
        "2 at a time from here",
    ]


def test_a_batch_that_another_thread_has_halved(caplog: pytest.LogCaptureFixture) -> None:
    """A thread that finds the batch halved already neither halves it nor says so again."""
    made: list[Colorizer] = []

    class Overtaken(Narrow):
        def forward(self, grey: Tensor) -> Tensor:
            """Halve the batch, as another thread would, where there is no room."""
            if grey.numel() > self.room:
                made[0].batch_size = 4
            return super().forward(grey)

    made.append(Colorizer(Overtaken(4 * 32 * 48), device="cpu", dtype=torch.float32, batch_size=8))
    with caplog.at_level(logging.WARNING, "vidcolor"):
        assert made[0].predict(np.zeros((8, 32, 48), np.float32)).shape == (8, 2, 32, 48)
    assert (made[0].batch_size, caplog.records) == (4, [])


def test_other_errors_are_left_alone() -> None:
    """A mistake in a network is no lack of memory."""
    broken = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert not is_out_of_memory(broken)
    with pytest.raises(RuntimeError, match="mat1"):
        colorizer(0, broken).predict(np.zeros((2, 32, 32), np.float32))


def test_a_film_is_whole_and_the_same(tmp_path: Path) -> None:
    """With halved batches every frame is there, in the same color, byte for byte."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=20, cuts=(7,)))
    films = []
    for room in (10**9, 64 * 48):
        dest = tmp_path / f"{room}.mkv"
        options = ColorizeOptions(anchor_every=1, encode=EncodeOptions(codec="ffv1"))
        assert colorize_video(source, dest, colorizer=colorizer(room), options=options).frames == 20
        films.append(timeline(dest, "video"))
    assert films[0] == films[1]


def test_the_render_size_shrinks_only_with_consent(tmp_path: Path) -> None:
    """One picture that does not fit is an error that says what to do; with consent it is shown smaller, with a line."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(160, 120)))
    room = 112 * 80
    encode = EncodeOptions(codec="ffv1")
    with pytest.raises(
        ResourceError, match=r"one picture of 160×120; choose a smaller `render_size`, or `fit_render_size`"
    ):
        colorize_video(source, tmp_path / "out.mkv", colorizer=colorizer(room), options=ColorizeOptions(encode=encode))
    assert list(tmp_path.iterdir()) == [source]
    options = ColorizeOptions(fit_render_size=True, encode=encode)
    report = colorize_video(source, tmp_path / "out.mkv", colorizer=colorizer(room), options=options)
    assert report.frames == 12
    (line,) = report.warnings
    assert "67 pixels instead of 120" in line
    ample = colorize_video(source, tmp_path / "ample.mkv", colorizer=colorizer(10**9), options=options)
    assert ample.warnings == ()


def test_photographs_shrink_only_with_consent(tmp_path: Path) -> None:
    """In a folder one that does not fit fails alone; with consent it is shown smaller, with a line, at its own size."""
    (tmp_path / "in").mkdir()
    for name, size in (("large.png", (160, 120)), ("small.png", (64, 48))):
        Image.new("L", size, 90).save(tmp_path / "in" / name)
    room = 112 * 80
    report = colorize_folder(tmp_path / "in", tmp_path / "out", colorizer=colorizer(room), options=ColorizeOptions())
    assert report.pictures == 1
    ((path, line),) = report.failed
    assert path.name == "large.png"
    assert "choose a smaller `render_size`, or `fit_render_size`" in line
    options = ColorizeOptions(fit_render_size=True)
    report = colorize_folder(tmp_path / "in", tmp_path / "fitted", colorizer=colorizer(room), options=options)
    assert (report.pictures, report.failed) == (2, ())
    ((path, line),) = report.warnings
    assert path.name == "large.png"
    assert "67 pixels instead of 120" in line
    with Image.open(tmp_path / "fitted" / "large.png") as image:
        assert image.size == (160, 120)
    alone = tmp_path / "in" / "large.png"
    with pytest.raises(ResourceError, match="`fit_render_size`"):
        colorize_image(alone, tmp_path / "one.png", colorizer=colorizer(room), options=ColorizeOptions())
    assert not (tmp_path / "one.png").exists()
    notes = colorize_image(alone, tmp_path / "one.png", colorizer=colorizer(room), options=options)
    assert notes == (line,)


def test_consent_on_the_command_line(tiny_weights: Path, tmp_path: Path) -> None:
    """``--render-size auto`` is understood, anything else that is no number is not."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=2))
    arguments = [str(source), "-o", str(tmp_path / "out.mkv"), "--weights", str(tiny_weights), "--device", "cpu"]
    assert CliRunner().invoke(main, [*arguments, "--render-size", "auto"]).exit_code == 0
    refused = CliRunner().invoke(main, [*arguments, "--render-size", "small"])
    assert refused.exit_code == 2
    assert "expected a number of pixels or auto" in refused.output
