"""Choose the fastest arithmetic of a device (fp32, fp16, bf16, int8); on CPUs by a measurement that is cached.

Processors with bf16 matrix units run bf16 several times as fast as fp32; those without emulate it, up to hundreds of
times slower. The gain of int8 instructions varies as much. So a convolution and a linear layer are timed, which takes
milliseconds; the result is kept in the cache folder for each processor and version of torch.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from vidcolor.files.cache import cache_folder
from vidcolor.inference.packing import pack

MIN_SPEEDUPS = {"bfloat16": 1.2, "int8": 1.1}
"""Time in fp32 over time in another arithmetic above which that is chosen; more than 1, because it costs precision."""
ROUNDS = 6
"""Repetitions of the measurement. All kinds take turns, so that other load on the machine affects all of them."""
MAX_CLOCK_RESOLUTION = 1e-5
"""Seconds; the thread's clock is used if it is at least as fine. On Windows it counts in steps of 16 ms."""
GIVE_UP_RATIO = 4.0
"""Times the time of fp32, from which on an arithmetic is certainly emulated and not measured further."""


def fastest_dtype(device: torch.device) -> torch.dtype:
    """Return ``torch.bfloat16`` or ``torch.float16`` if the device is faster in it, otherwise ``torch.float32``."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        return torch.bfloat16 if _is_faster("bfloat16") else torch.float32
    return torch.float32


def int8_pays(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether a network of ``dtype`` is faster on ``device`` with its large layers in int8."""
    return device.type == "cpu" and dtype == torch.float32 and _is_faster("int8")


def format_arithmetic(dtype: torch.dtype, int8: bool) -> str:
    """Format an arithmetic for users, for instance ``float32`` or ``int8 and float32``."""
    return f"{'int8 and ' * int8}{str(dtype).removeprefix('torch.')}"


def _is_faster(kind: str) -> bool:
    return _cached_speedups()[kind] > MIN_SPEEDUPS[kind]


def _cached_speedups() -> dict[str, float]:
    """Return :func:`measure_speedups` from the cache folder, or measure and store it."""
    path = cache_folder() / "arithmetic.json"
    capability = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    key = f"one core of {capability} {_processor()} torch {torch.__version__}"
    try:
        known = json.loads(path.read_text())[key]
        return {kind: float(known[kind]) for kind in MIN_SPEEDUPS}
    except (OSError, ValueError, KeyError, TypeError):
        speedups = measure_speedups()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({key: speedups}))
    except OSError:
        pass  # without a cache it is measured at every start
    return speedups


def _processor() -> str:
    """Return the model names and the feature flags of the processors."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "; ".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def measure_speedups() -> dict[str, float]:
    """Measure time in fp32 over time in each of :data:`MIN_SPEEDUPS`, on one core, for two layers of the generator.

    The CPU time of the thread is measured where the system has it in sufficient resolution, so that other load hardly
    matters. An arithmetic that this build of torch does not support gets 0.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            work = {kind: layers for kind in ("float32", *MIN_SPEEDUPS) if (layers := _layers(kind))}
            best = {kind: [float("inf")] * len(layers) for kind, layers in work.items()}
            for _ in range(ROUNDS):
                for kind, layers in list(work.items()):
                    best[kind] = [min(*pair) for pair in zip(best[kind], map(_seconds, layers), strict=True)]
                    if sum(best[kind]) > GIVE_UP_RATIO * sum(best["float32"]):
                        del work[kind]
    finally:
        torch.set_num_threads(threads)
    return {kind: sum(best["float32"]) / sum(best[kind]) if kind in best else 0.0 for kind in MIN_SPEEDUPS}


def _layers(kind: str) -> list[Callable[[], object]]:
    """Return calls of a convolution and of a linear layer in an arithmetic; none if torch does not support it."""
    dtype = torch.bfloat16 if kind == "bfloat16" else torch.float32
    convolution = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1)).to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    linear = nn.Sequential(nn.Linear(384, 384)).to(dtype)
    picture = torch.ones(1, 64, 64, 64, dtype=dtype).contiguous(memory_format=torch.channels_last)
    tokens = torch.ones(1, 384, 384, dtype=dtype)
    try:
        layers = [pack(layer.eval(), int8=kind == "int8") for layer in (convolution, linear)]
        work: list[Callable[[], object]] = [lambda: layers[0](picture), lambda: layers[1](tokens)]
        for layer in work:
            layer()  # the first call builds the kernel
    except (RuntimeError, AttributeError):  # AttributeError: torch has no such operation
        if kind == "float32":
            raise
        return []
    return work


def _seconds(run: Callable[[], object]) -> float:
    """Measure one call."""
    has_thread_time = time.get_clock_info("thread_time").resolution < MAX_CLOCK_RESOLUTION
    clock = time.thread_time if has_thread_time else time.perf_counter
    started = clock()
    run()
    return clock() - started
