"""Which floating-point type a device is fast in: measured, not guessed, and remembered for each machine.

Processors with bf16 matrix units run bf16 several times as fast as fp32; those without emulate it, up to hundreds of
times slower. No list of names tells them apart for long, so a convolution and a matrix product do, in milliseconds.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

ADVANTAGE = 1.2  # bf16 must be this much faster to be chosen: it costs precision
ATTEMPTS = 5  # the best counts: other programs can only make a run slower


def cache_folder() -> Path:
    """Where vidcolor keeps what it has measured; ``XDG_CACHE_HOME`` is respected."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vidcolor"


def fastest_dtype(device: torch.device) -> torch.dtype:
    """``torch.bfloat16`` or ``torch.float16`` where they pay on ``device``, else ``torch.float32``."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        return torch.bfloat16 if _bf16_advantage() > ADVANTAGE else torch.float32
    return torch.float32


def full_precision(like: torch.Tensor) -> torch.autocast:
    """A block without autocast on the device of ``like``: in bf16 a conversion to Lab is wrong by two units."""
    return torch.autocast(like.device.type, enabled=False)


def _bf16_advantage() -> float:
    """Time in fp32 over time in bf16 on this processor; read from the cache folder where it is known."""
    path = cache_folder() / "bf16-advantage.json"
    key = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {_processor()} torch {torch.__version__}"
    try:
        known = json.loads(path.read_text())
        return float(known[key])
    except (OSError, ValueError, KeyError, TypeError):
        advantage = _measure_bf16_advantage()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({key: advantage}))
    except OSError:
        pass  # a read-only home costs a few milliseconds at every start, nothing else
    return advantage


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "; ".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def best_seconds(run: Callable[[], object]) -> float:
    """How long ``run`` takes: the best of :data:`ATTEMPTS`, after one that does not count."""
    run()  # the first call builds the kernel
    best = float("inf")
    for _ in range(ATTEMPTS):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def _measure_bf16_advantage() -> float:
    """Time in fp32 over time in bf16 of a convolution and a matrix product, as the generator has them."""

    def work(dtype: torch.dtype) -> float:
        convolution = nn.Conv2d(64, 64, 3, padding=1).to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        picture = torch.ones(1, 64, 64, 64, dtype=dtype).contiguous(memory_format=torch.channels_last)
        matrix = torch.ones(384, 384, dtype=dtype)
        return best_seconds(lambda: convolution(picture)) + best_seconds(lambda: matrix @ matrix)

    with torch.inference_mode():
        return work(torch.float32) / work(torch.bfloat16)
