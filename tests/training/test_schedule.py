"""Learning-rate schedules and the clock of a stage."""

from __future__ import annotations

import pytest

from vidcolor_training.schedule import schedule
from vidcolor_training.stage_progress import StageProgress


def rates(name: str) -> list[float]:
    return [schedule(name, i / 1000) for i in range(1001)]


@pytest.mark.parametrize(("name", "peak_by"), [("cosine", 50), ("one_cycle", 320)])
def test_rise_and_fall(name: str, peak_by: int) -> None:
    """The learning rate starts near zero, peaks once, and ends near zero."""
    found = rates(name)
    peak = found.index(max(found))
    assert found[0] < 0.05
    assert max(found) == pytest.approx(1.0)
    assert peak < peak_by
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert found[-1] == pytest.approx(0.02)


def test_constant() -> None:
    """After a short rise the constant rate stays."""
    assert set(rates("constant")[31:]) == {1.0}


def test_a_stage_without_a_budget_counts_pictures() -> None:
    """Without a time budget only pictures count, and a resumed stage goes on as if it had not stopped."""
    clock = StageProgress(200, None)
    resumed = StageProgress(200, None, done=clock.done(66), seen=66)
    for seen in range(66, 201):
        assert resumed.done(seen) == clock.done(seen) == seen / 200
    assert clock.done(1000) == 1.0


def test_a_stage_never_goes_back() -> None:
    """Where time was faster than the pictures, and the rest has no budget, all pictures that are left are the rest."""
    clock = StageProgress(1000, None, done=0.5, seen=200)
    assert clock.done(200) == 0.5
    assert clock.done(600) == pytest.approx(0.75)
    assert clock.done(1000) == 1.0


def test_a_resumed_stage_goes_on_from_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the rest of the time is half of the rest of the stage."""
    now = 0.0
    monkeypatch.setattr("vidcolor_training.stage_progress.time.monotonic", lambda: now)
    clock = StageProgress(1_000_000, 10.0, done=0.4)
    assert clock.done(1) == pytest.approx(0.4, rel=1e-5)
    now = 5.0
    assert clock.done(1) == pytest.approx(0.7, rel=1e-5)
    now = 11.0
    assert clock.done(1) == 1.0
