"""Which arithmetic a device is fast in: measured, not guessed, and remembered for each machine.

Processors with bf16 matrix units run bf16 several times as fast as fp32; those without emulate it, up to hundreds of
times slower. Nearly all have instructions for products of 8-bit integers, and how much these gain differs as much. No
list of names tells them apart for long, so a convolution and a linear layer do, in milliseconds.
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

ADVANTAGES = {"bfloat16": 1.2, "int8": 1.1}
"""How much faster than fp32 another arithmetic must be to be chosen: it costs precision."""
ROUNDS = 6  # of all in turn, so that what else the machine does meets all
FINE = 1e-5  # seconds; Windows counts in steps of 16 ms
EMULATED = 4.0  # times as long as fp32: the matter is settled, and every further round takes long


def fastest_dtype(device: torch.device) -> torch.dtype:
    """``torch.bfloat16`` or ``torch.float16`` where they pay on ``device``, else ``torch.float32``."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        return torch.bfloat16 if _pays("bfloat16") else torch.float32
    return torch.float32


def int8_pays(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a network of ``dtype`` is faster on ``device`` with its large layers in 8-bit integers."""
    return device.type == "cpu" and dtype == torch.float32 and _pays("int8")


def in_words(dtype: torch.dtype, int8: bool) -> str:
    """An arithmetic as users are told of it."""
    return f"{'int8 and ' * int8}{str(dtype).removeprefix('torch.')}"


def _pays(kind: str) -> bool:
    return _advantages()[kind] > ADVANTAGES[kind]


def _advantages() -> dict[str, float]:
    """Time in fp32 over time in each other arithmetic on this processor; read from the cache folder where known."""
    path = cache_folder() / "arithmetic.json"
    capability = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    key = f"one core of {capability} {_processor()} torch {torch.__version__}"
    try:
        known = json.loads(path.read_text())[key]
        return {kind: float(known[kind]) for kind in ADVANTAGES}
    except (OSError, ValueError, KeyError, TypeError):
        advantages = _measure_advantages()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({key: advantages}))
    except OSError:
        pass  # a read-only home costs a few milliseconds at every start, nothing else
    return advantages


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "; ".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def _measure_advantages() -> dict[str, float]:
    """Time in fp32 over time in each of :data:`ADVANTAGES` of two layers, as the generator has them, on one core.

    0 for what this build of torch cannot do. What is measured here is remembered, so it must hold on a busy machine
    too: where the system tells how long this thread has had a core, other programs hardly count.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            work = {kind: layers for kind in ("float32", *ADVANTAGES) if (layers := _layers(kind))}
            best = {kind: [float("inf")] * len(layers) for kind, layers in work.items()}
            for _ in range(ROUNDS):
                for kind, layers in list(work.items()):
                    best[kind] = [min(*pair) for pair in zip(best[kind], map(_seconds, layers), strict=True)]
                    if sum(best[kind]) > EMULATED * sum(best["float32"]):
                        del work[kind]
    finally:
        torch.set_num_threads(threads)
    return {kind: sum(best["float32"]) / sum(best[kind]) if kind in best else 0.0 for kind in ADVANTAGES}


def _layers(kind: str) -> list[Callable[[], object]]:
    """A convolution and a linear layer in this arithmetic, with what they are given; none if they cannot be run."""
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
    clock = time.thread_time if time.get_clock_info("thread_time").resolution < FINE else time.perf_counter
    started = clock()
    run()
    return clock() - started
