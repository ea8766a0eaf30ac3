"""The choice of the arithmetic of a CPU: measured once and cached."""

from __future__ import annotations

from pathlib import Path

import openvino as ov
import pytest

from vidcolor.files.cache import cache_folder
from vidcolor.inference import arithmetic
from vidcolor.inference.arithmetic import fastest_arithmetic, measure_speedups, operations_per_second

CORE = ov.Core()
FAST_BF16 = {"bfloat16": 3.0, "int8": 3.0}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("bf16", "int8", "has_int8", "expected"),
    [
        (1.25, 3.0, True, "bfloat16"),
        (1.15, 1.15, True, "int8"),
        (0.0, 1.05, True, "float32"),
        (0.0, 1.15, True, "int8"),
        (0.0, 3.0, False, "float32"),
        (0.01, 0.0, True, "float32"),
    ],
)
def test_less_precision_only_where_it_pays(
    monkeypatch: pytest.MonkeyPatch, bf16: float, int8: float, has_int8: bool, expected: str
) -> None:
    """bf16 where it is clearly faster than fp32, else int8 if the network has ranges for it, else fp32."""
    monkeypatch.setattr(arithmetic, "measure_speedups", lambda core: {"bfloat16": bf16, "int8": int8})
    assert fastest_arithmetic(CORE, has_int8=has_int8) == expected


def test_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start reads what the first one measured."""
    calls: list[int] = []
    monkeypatch.setattr(arithmetic, "measure_speedups", lambda core: calls.append(1) or FAST_BF16)
    assert fastest_arithmetic(CORE, has_int8=True) == fastest_arithmetic(CORE, has_int8=True) == "bfloat16"
    assert len(calls) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"other machine": 1}'])
def test_a_broken_cache_is_measured_again(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """A file that cannot be read is replaced by a new measurement."""
    path = cache_folder() / "arithmetic.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    monkeypatch.setattr(arithmetic, "measure_speedups", lambda core: FAST_BF16)
    assert fastest_arithmetic(CORE, has_int8=True) == "bfloat16"


def test_saturating_int8_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sums of two products saturate, the largest activations and weights come out too small: a speed-up of 0."""
    layers = arithmetic._compile_layer

    def saturating(core: ov.Core, kind: str) -> arithmetic._Layer:
        layer = layers(core, kind)
        if kind == "int8":
            exact = layer.__call__
            monkeypatch.setattr(arithmetic._Layer, "__call__", lambda self, x: exact(x) * (0.5 if self is layer else 1))
        return layer

    monkeypatch.setattr(arithmetic, "_compile_layer", saturating)
    assert measure_speedups(CORE)["int8"] == 0


def test_a_real_measurement_ends() -> None:
    """The measurement gives a ratio of at least 0 for each arithmetic, and rates of a machine of this century."""
    speedups = measure_speedups(CORE)
    assert speedups.keys() == arithmetic.MIN_SPEEDUPS.keys()
    assert all(0 <= speedup < 100 for speedup in speedups.values())
    for kind in ("float32", "int8"):
        assert 1e8 < operations_per_second(CORE, "CPU", kind) < 1e15
