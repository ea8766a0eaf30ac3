"""What a run says while it goes."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vidcolor_training.run_log import RunLog, draw_curves, read_metrics


def test_entries_go_to_both_places(tmp_path: Path) -> None:
    """metrics.jsonl and TensorBoard hold the same figures."""
    log = RunLog(tmp_path, first_step=0)
    for step in (1, 2, 3):
        log.write(step, {"stage": "l1", "loss_G": 1 / step})
    log.close()
    assert [row["loss_G"] for row in read_metrics(tmp_path)] == [1.0, 0.5, 1 / 3]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, round(e.value, 5)) for e in events.Scalars("loss_G")] == [(1, 1.0), (2, 0.5), (3, 0.33333)]


def test_a_resumed_run_drops_what_it_does_again(tmp_path: Path) -> None:
    """Entries after the checkpoint's step belong to steps that are repeated."""
    log = RunLog(tmp_path, first_step=0)
    for step in (10, 20, 30):
        log.write(step, {"loss_G": float(step)})
    log.close()
    log = RunLog(tmp_path, first_step=20)
    log.write(30, {"loss_G": 31.0})
    log.close()
    assert [(row["step"], row["loss_G"]) for row in read_metrics(tmp_path)] == [(10, 10.0), (20, 20.0), (30, 31.0)]


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    """What a killed process wrote in part does not stop the next."""
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss_G": 1.0}\n{"step": 2, "lo')
    RunLog(tmp_path, first_step=5).close()
    assert read_metrics(tmp_path) == [{"step": 1, "loss_G": 1.0}]


def test_curves(tmp_path: Path) -> None:
    """Every figure gets a curve, with the stages marked; as SVG and PNG."""
    log = RunLog(tmp_path, first_step=0)
    for step in range(1, 500):
        log.write(step, {"stage": "l1" if step < 250 else "gan", "loss_G": 1 / step, "loss_D": 0.5})
    log.close()
    svg, png = draw_curves(tmp_path)
    text = svg.read_text()
    assert text.count('id="axes_') == 2
    with Image.open(png) as picture:
        assert picture.convert("L").getextrema()[0] < 128
