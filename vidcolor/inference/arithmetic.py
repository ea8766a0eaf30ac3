"""Choose the arithmetic in which OpenVINO runs a network on this CPU, by a short measurement that is cached.

Processors with bf16 matrix units run bf16 several times as fast as fp32; those without emulate it, up to hundreds of
times slower. The gain of int8 instructions varies as much, and where sums of two products saturate at 16 bits (x86
without VNNI) int8 is wrong. So a convolution is timed, and compared where it would saturate; the result is kept in the
cache folder for each processor and version of OpenVINO.
"""

from __future__ import annotations

import json
import os
import platform
from functools import partial
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as opset

from vidcolor.files.cache import cache_folder
from vidcolor.frames import FloatArray
from vidcolor.inference.int8 import operations, quantize
from vidcolor.inference.timing import shortest_time, shortest_times

FLOAT32, BFLOAT16, INT8 = "float32", "bfloat16", "int8"
MIN_SPEEDUPS = {BFLOAT16: 1.2, INT8: 1.1}
"""Time in fp32 over time in another arithmetic above which that is chosen; more than 1, because it costs precision."""
CHANNELS, SIDE = 64, 32
"""Of the convolution that is timed, a layer of the size of the generator's."""
PRECISION_HINTS = {FLOAT32: "f32", BFLOAT16: "bf16", INT8: "f32"}
"""What the layers compute in that are not quantized, by OpenVINO's names."""


def fastest_arithmetic(core: ov.Core, *, has_int8: bool) -> str:
    """Return the fastest arithmetic that is precise enough on this CPU.

    Args:
        core: of OpenVINO.
        has_int8: whether the network comes with ranges for int8.
    """
    speedups = _cached_speedups(core)
    if speedups[BFLOAT16] > MIN_SPEEDUPS[BFLOAT16]:
        return BFLOAT16
    return INT8 if has_int8 and speedups[INT8] > MIN_SPEEDUPS[INT8] else FLOAT32


def format_arithmetic(arithmetic: str) -> str:
    """Format an arithmetic for users: ``int8 and float32``, because only some layers compute in int8."""
    return f"{INT8} and {FLOAT32}" if arithmetic == INT8 else arithmetic


def _cached_speedups(core: ov.Core) -> dict[str, float]:
    """Return :func:`measure_speedups` from the cache folder, or measure and store it."""
    path = cache_folder() / "arithmetic.json"
    key = f"{processor()} OpenVINO {ov.get_version()}"
    try:
        known = json.loads(path.read_text())[key]
        return {kind: float(known[kind]) for kind in MIN_SPEEDUPS}
    except (OSError, ValueError, KeyError, TypeError):
        speedups = measure_speedups(core)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({key: speedups}))
    except OSError:
        pass  # without a cache it is measured at every start
    return speedups


def processor() -> str:
    """Return the model names and the feature flags of the processors, and the limit that oneDNN is given on them."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "all")
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}; {limit}"
    known = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return "; ".join((*known, limit))


def measure_speedups(core: ov.Core) -> dict[str, float]:
    """Measure time in fp32 over time in each of :data:`MIN_SPEEDUPS` for one convolution on one core.

    An arithmetic that OpenVINO does not support here, or that is wrong here, gets 0.
    """
    supported = [FLOAT32, INT8, *[BFLOAT16] * ("BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))]
    layers = {kind: _compile_layer(core, kind) for kind in supported}
    bright = np.ones((1, CHANNELS, SIDE, SIDE), np.float32)
    if not np.allclose(layers[INT8](bright), layers[FLOAT32](bright), rtol=0.02):
        del layers[INT8]
    times = shortest_times({kind: partial(layer, bright) for kind, layer in layers.items()})
    return {kind: times[FLOAT32] / times[kind] if kind in times else 0.0 for kind in MIN_SPEEDUPS}


def operations_per_second(core: ov.Core, device: str, arithmetic: str) -> float:
    """Measure the operations per second of a convolution on one of OpenVINO's devices."""
    model = _layer(arithmetic)
    compiled = core.compile_model(model, device, {"INFERENCE_PRECISION_HINT": PRECISION_HINTS[arithmetic]})
    picture = np.ones((1, CHANNELS, SIDE, SIDE), np.float32)
    return sum(map(operations, model.get_ordered_ops())) / shortest_time(partial(_Layer(compiled), picture))


class _Layer:
    """A compiled convolution; a call returns its output as an array."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._request = compiled.create_infer_request()

    def __call__(self, picture: FloatArray) -> FloatArray:
        return np.array(self._request.infer([picture])[0])


def _compile_layer(core: ov.Core, kind: str) -> _Layer:
    """Compile :func:`_layer` for one thread."""
    settings = {"INFERENCE_PRECISION_HINT": PRECISION_HINTS[kind], "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1}
    return _Layer(core.compile_model(_layer(kind), "CPU", settings))


def _layer(kind: str) -> ov.Model:
    """Return a convolution with the largest weights that int8 has."""
    picture = opset.parameter([1, CHANNELS, SIDE, SIDE], np.float32)
    kernel = opset.constant(np.ones((CHANNELS, CHANNELS, 3, 3), np.float32))
    layer = opset.convolution(picture, kernel, [1, 1], [1, 1], [1, 1], [1, 1], name="layer")
    model = ov.Model([opset.relu(layer)], [picture])
    if kind == INT8:
        quantize(model, {"layer": (0.0, 1.0)})
    return model
