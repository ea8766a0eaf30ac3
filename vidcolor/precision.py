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
ROUNDS = 6  # of both types in turn, so that what else the machine does meets both
FINE = 1e-5  # seconds; Windows counts in steps of 16 ms
EMULATED = 4.0  # times as long as fp32: the matter is settled, and every further round takes long


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
    capability = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    key = f"one core of {capability} {_processor()} torch {torch.__version__}"
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


def _measure_bf16_advantage() -> float:
    """Time in fp32 over time in bf16 of a convolution and a matrix product, as the generator has them, on one core.

    What is measured here is remembered, so it must hold on a busy machine too: where the system tells how long this
    thread has had a core, other programs hardly count.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            work = {dtype: _pieces_of_work(dtype) for dtype in (torch.float32, torch.bfloat16)}
            best = {dtype: [float("inf")] * len(pieces) for dtype, pieces in work.items()}
            for _ in range(ROUNDS):
                for dtype, pieces in work.items():
                    best[dtype] = [min(*pair) for pair in zip(best[dtype], map(_seconds, pieces), strict=True)]
                if sum(best[torch.bfloat16]) > EMULATED * sum(best[torch.float32]):
                    break
    finally:
        torch.set_num_threads(threads)
    return sum(best[torch.float32]) / sum(best[torch.bfloat16])


def _pieces_of_work(dtype: torch.dtype) -> list[Callable[[], object]]:
    convolution = nn.Conv2d(64, 64, 3, padding=1).to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    picture = torch.ones(1, 64, 64, 64, dtype=dtype).contiguous(memory_format=torch.channels_last)
    matrix = torch.ones(384, 384, dtype=dtype)
    pieces: list[Callable[[], object]] = [lambda: convolution(picture), lambda: matrix @ matrix]
    for piece in pieces:
        piece()  # the first call builds the kernel
    return pieces


def _seconds(run: Callable[[], object]) -> float:
    clock = time.thread_time if time.get_clock_info("thread_time").resolution < FINE else time.perf_counter
    started = clock()
    run()
    return clock() - started
