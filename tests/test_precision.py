"""The choice of a data type: measured once, remembered, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidcolor import precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("advantage", "dtype"), [(5.0, torch.bfloat16), (1.0, torch.float32), (0.01, torch.float32)])
def test_bf16_only_where_it_pays(monkeypatch: pytest.MonkeyPatch, advantage: float, dtype: torch.dtype) -> None:
    """bf16 is chosen where it is clearly faster, and not where it is emulated."""
    monkeypatch.setattr(precision, "_measure_bf16_advantage", lambda: advantage)
    assert precision.fastest_dtype(CPU) == dtype


def test_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start reads what the first one measured."""
    calls: list[int] = []
    monkeypatch.setattr(precision, "_measure_bf16_advantage", lambda: calls.append(1) or 3.0)
    assert precision.fastest_dtype(CPU) == precision.fastest_dtype(CPU) == torch.bfloat16
    assert len(calls) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"other machine": 1}'])
def test_a_broken_cache_is_measured_again(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """Whatever lies in the cache, a choice is made."""
    path = precision.cache_folder() / "bf16-advantage.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    monkeypatch.setattr(precision, "_measure_bf16_advantage", lambda: 3.0)
    assert precision.fastest_dtype(CPU) == torch.bfloat16


def test_a_real_measurement_ends() -> None:
    """The measurement itself gives a positive ratio."""
    assert precision._measure_bf16_advantage() > 0
