"""The choice of the arithmetic: measured once and cached."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidcolor.files.cache import cache_folder
from vidcolor.inference import precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


FAST_BF16 = {"bfloat16": 3.0, "int8": 3.0}


@pytest.mark.parametrize(
    ("speedup", "dtype"), [(5.0, torch.bfloat16), (1.25, torch.bfloat16), (1.15, torch.float32), (0.01, torch.float32)]
)
def test_bf16_only_where_it_pays(monkeypatch: pytest.MonkeyPatch, speedup: float, dtype: torch.dtype) -> None:
    """bf16 is chosen where it is clearly faster, and not where it is emulated."""
    monkeypatch.setattr(precision, "measure_speedups", lambda: {"bfloat16": speedup, "int8": 0.0})
    assert precision.fastest_dtype(CPU) == dtype


@pytest.mark.parametrize(("speedup", "pays"), [(1.15, True), (1.05, False), (0.0, False)])
def test_int8_only_where_it_pays(monkeypatch: pytest.MonkeyPatch, speedup: float, pays: bool) -> None:
    """int8 is chosen if it is faster, and only together with fp32."""
    monkeypatch.setattr(precision, "measure_speedups", lambda: {"bfloat16": 0.1, "int8": speedup})
    assert precision.int8_pays(CPU, torch.float32) == pays
    assert not precision.int8_pays(CPU, torch.bfloat16)
    assert not precision.int8_pays(torch.device("meta"), torch.float32)


@pytest.mark.parametrize("broken", precision.MIN_SPEEDUPS)
def test_unsupported_arithmetic_is_not_chosen(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """An arithmetic that torch cannot run has a speed-up of 0."""

    def pack(network: torch.nn.Module, *, int8: bool) -> torch.nn.Module:
        is_bf16 = next(network.parameters()).dtype == torch.bfloat16
        if broken == ("int8" if int8 else "bfloat16" if is_bf16 else "float32"):
            raise RuntimeError("could not create a primitive")
        return network

    monkeypatch.setattr(precision, "pack", pack)
    speedups = precision.measure_speedups()
    assert [kind for kind, speedup in speedups.items() if not speedup] == [broken]


def test_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start reads what the first one measured."""
    calls: list[int] = []
    monkeypatch.setattr(precision, "measure_speedups", lambda: calls.append(1) or FAST_BF16)
    assert precision.fastest_dtype(CPU) == precision.fastest_dtype(CPU) == torch.bfloat16
    assert len(calls) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"other machine": 1}'])
def test_a_broken_cache_is_measured_again(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """A file that cannot be read is replaced by a new measurement."""
    path = cache_folder() / "arithmetic.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    monkeypatch.setattr(precision, "measure_speedups", lambda: FAST_BF16)
    assert precision.fastest_dtype(CPU) == torch.bfloat16


def test_a_real_measurement_ends() -> None:
    """The measurement gives a ratio of at least 0 for each arithmetic."""
    speedups = precision.measure_speedups()
    assert speedups.keys() == precision.MIN_SPEEDUPS.keys()
    assert all(0 <= speedup < 100 for speedup in speedups.values())
