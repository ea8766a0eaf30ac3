"""Several devices for one film give the result of one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.support.clips import Clip, make_clip
from tests.support.samples import small_generator
from tests.test_memory import colorizer as narrow_colorizer
from tests.test_pipeline import LOSSLESS
from vidcolor.cli.commands import main
from vidcolor.errors import OptionError
from vidcolor.frames import FloatArray
from vidcolor.inference import multi_device
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.multi_device import (
    MultiDevice,
    call_slots,
    create_predictor,
    predict_batch,
    predictors_of,
    round_robin,
)
from vidcolor.options import ColorizeOptions
from vidcolor.pipeline import colorize_video

PATIENCE_SECONDS = 10.0


class Worker:
    """A predictor that returns grey as a and b after a delay, and records the pictures."""

    batch_size = 4
    fingerprint = "mirror"
    runs_on = "paper"
    backend = "paper 1"

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.seen: list[float] = []

    def predict(self, grey: FloatArray) -> FloatArray:
        """(N, h, w) to (N, 2, h, w)."""
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.seen += grey[:, 0, 0].tolist()
        return np.stack((grey, grey), axis=1)


def numbered(count: int, pulled: list[int] | None = None) -> Iterator[tuple[int, FloatArray]]:
    """Yield batches of one picture whose level is the batch's number, and record them in ``pulled``."""
    for number in range(count):
        if pulled is not None:
            pulled.append(number)
        yield number, np.full((1, 2, 3), number, np.float32)


def threads_of_devices() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("vidcolor-worker")]


@pytest.mark.parametrize("seconds", [(0.0,), (0.02, 0.0), (0.0, 0.02, 0.005)])
def test_order_turns_and_bound(seconds: tuple[float, ...]) -> None:
    """Slow and fast predictors take turns, results are in order, and no more batches are held than predictors."""
    workers, pulled = [Worker(each) for each in seconds], list[int]()
    for count, (number, ab) in enumerate(
        round_robin(numbered(12, pulled), predictors_of(MultiDevice(workers)), call=predict_batch)
    ):
        assert (number, ab.shape, ab[0, 1, 0, 0]) == (count, (1, 2, 2, 3), count)
        assert len(pulled) <= count + len(workers)
    assert [worker.seen for worker in workers] == [list(range(n, 12, len(workers))) for n in range(len(workers))]
    assert not threads_of_devices()


def test_they_work_at_the_same_time() -> None:
    """Predictors run concurrently."""
    meeting = threading.Barrier(2, timeout=PATIENCE_SECONDS)

    class Meeting(Worker):
        def predict(self, grey: FloatArray) -> FloatArray:
            meeting.wait()
            return super().predict(grey)

    assert [
        number
        for number, _ in round_robin(
            numbered(6), predictors_of(MultiDevice([Meeting(), Meeting()])), call=predict_batch
        )
    ] == list(range(6))


def test_alone_it_needs_no_thread() -> None:
    """A single predictor runs in the caller's thread."""
    asked_in: list[threading.Thread] = []

    class Watched(Worker):
        def predict(self, grey: FloatArray) -> FloatArray:
            asked_in.append(threading.current_thread())
            return super().predict(grey)

    list(round_robin(numbered(2), [Watched()], call=predict_batch))
    list(round_robin(numbered(2), predictors_of(MultiDevice([Watched()])), call=predict_batch))
    assert set(asked_in) == {threading.current_thread()}


def test_batches_without_pictures() -> None:
    """An empty batch gives an empty result in its place, without a call."""
    empty = np.empty((0, 2, 3), np.float32)
    batches = [("a", empty), ("b", np.ones((2, 2, 3), np.float32)), ("c", empty)]
    for predictor in (Worker(), MultiDevice([Worker(), Worker()])):
        assert [
            (along, ab.shape) for along, ab in round_robin(batches, predictors_of(predictor), call=predict_batch)
        ] == [
            ("a", (0, 2, 2, 3)),
            ("b", (2, 2, 2, 3)),
            ("c", (0, 2, 2, 3)),
        ]


def test_a_cpu_is_asked_for_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU has several slots per network, any other predictor one."""
    monkeypatch.setattr(multi_device, "concurrent_calls", lambda: 3)
    here, there = (Colorizer(small_generator(1), device="cpu", dtype=torch.float32) for _ in range(2))
    assert call_slots(here) == [here] * 3
    assert call_slots(MultiDevice([here, there])) == [here] * 3 + [there] * 3
    painter = Worker()
    assert call_slots(painter) == [painter]


@pytest.mark.slow
def test_the_film_does_not_show_how_many_calls_there_were(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The film is the same, byte for byte, for any number of concurrent calls."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=40, cuts=(7, 30)))
    films = set()
    for calls in (1, 2, 5):
        monkeypatch.setattr(multi_device, "concurrent_calls", lambda calls=calls: calls)
        dest = tmp_path / f"{calls}.mp4"
        arguments = [str(source), "-o", str(dest), "--weights", str(tiny_weights), "--device", "cpu"]
        result = CliRunner().invoke(main, [*arguments, "--anchor-every", "2"])
        assert result.exit_code == 0, result.output
        films.add(dest.read_bytes())
    assert len(films) == 1


def test_an_error_comes_in_its_turn() -> None:
    """Earlier results arrive, then the exception is raised, and no thread is left."""
    answers = round_robin(
        numbered(9),
        predictors_of(MultiDevice([Worker(0.05), Worker(error=RuntimeError("broken"))])),
        call=predict_batch,
    )
    assert next(answers)[0] == 0
    with pytest.raises(RuntimeError, match="broken"):
        next(answers)
    assert not threads_of_devices()


def test_leaving_early_ends_the_threads() -> None:
    """Closing the generator ends all threads."""
    answers = round_robin(numbered(9), predictors_of(MultiDevice([Worker(), Worker()])), call=predict_batch)
    next(answers)
    assert threads_of_devices()
    answers.close()  # type: ignore[attr-defined]
    assert not threads_of_devices()


@pytest.mark.slow
def test_the_film_does_not_show_how_many_there_were(tiny_weights: Path, tmp_path: Path) -> None:
    """The film is the same, byte for byte, with one, two and three devices."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=40, cuts=(7, 30)))
    films = []
    for devices in ("cpu", "cpu,cpu", "cpu,cpu,cpu"):
        dest = tmp_path / f"{len(devices)}.mp4"
        arguments = [str(source), "-o", str(dest), "--weights", str(tiny_weights), "--device", devices]
        result = CliRunner().invoke(main, [*arguments, "--batch-size", "2", "--anchor-every", "3"])
        assert result.exit_code == 0, result.output
        films.append(dest.read_bytes())
    assert films[0] == films[1] == films[2]


def test_one_runs_out_of_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A device without enough memory halves its batches; those of the others and the film are the same."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=30, cuts=(7,)))
    options = ColorizeOptions(anchor_every=1, encode=LOSSLESS)
    poor, rich = narrow_colorizer(3 * 64 * 48), narrow_colorizer(10**9)
    both = MultiDevice([poor, rich])
    colorize_video(source, tmp_path / "both.mkv", colorizer=both, options=options)
    assert [record.message.split(": ")[-1] for record in caplog.records] == [
        "4 at a time from here",
        "2 at a time from here",
    ]
    assert (poor.batch_size, rich.batch_size, both.batch_size) == (2, 8, 8)
    colorize_video(source, tmp_path / "alone.mkv", colorizer=narrow_colorizer(10**9), options=options)
    assert (tmp_path / "both.mkv").read_bytes() == (tmp_path / "alone.mkv").read_bytes()


def test_the_smallest_memory_decides_on_the_render_size(tmp_path: Path) -> None:
    """``--render-size auto`` asks everyone, and shows all of them the same."""
    source = make_clip(tmp_path / "in.mkv", Clip(size=(160, 120)))
    both = MultiDevice([narrow_colorizer(10**9), narrow_colorizer(112 * 80)])
    options = ColorizeOptions(fit_render_size=True, encode=LOSSLESS)
    (line,) = colorize_video(source, tmp_path / "out.mkv", colorizer=both, options=options).warnings
    assert "67 pixels instead of 120" in line


def test_kinds_are_not_mixed() -> None:
    """Devices with different arithmetic are refused."""
    members = [Colorizer(small_generator(1), device="cpu", dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    with pytest.raises(OptionError, match="one kind, found the network on cpu in float32, cpu in bfloat16"):
        MultiDevice(members)


@pytest.mark.parametrize(("cards", "expected"), [(0, ["auto"]), (1, ["cuda:0"]), (3, ["cuda:0", "cuda:1", "cuda:2"])])
def test_all_there_are(cards: int, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``all`` is every CUDA device, or ``auto`` without one."""
    made: list[str] = []

    class Noted(Worker):
        def __init__(self, generator: object, *, device: str, batch_size: int | None) -> None:
            super().__init__()
            made.append(device)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(multi_device, "Colorizer", Noted)
    found = create_predictor(small_generator(1), "all")
    assert made == expected
    assert isinstance(found, MultiDevice) == (cards > 1)


def test_a_device_that_is_not_there() -> None:
    """A missing device is named."""
    with pytest.raises(OptionError, match="`device` cuda:97: this machine has no such device"):
        create_predictor(small_generator(1), "cpu,cuda:97")
