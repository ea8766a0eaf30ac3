"""Measure the peak rates of this machine, bytes and operations per second, and count the operations of a network.

A rate is the best within about a fifth of a second, so load by other programs matters little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.layouts import NO_ACTIVATION
from vidcolor.inference.quantized import Int8Linear

COPIED_BYTES = 1 << 26
"""Size of the array that is copied: source and target exceed most processors' caches."""
MEASURED_SECONDS = 0.2
"""Duration of one measurement."""
MATRIX_SIZES = {"cpu": 1024, "cuda": 8192, "mps": 4096}
"""Rows and columns of the matrices by device type; larger ones are no faster."""


def bytes_per_second() -> float:
    """Measure the memory bandwidth of one core: bytes read and written per second when it copies a large array."""
    source, target = np.ones(COPIED_BYTES, np.uint8), np.zeros(COPIED_BYTES, np.uint8)
    return 2 * COPIED_BYTES / _min_seconds(lambda: np.copyto(target, source))


def operations_per_second(device: torch.device, dtype: torch.dtype, *, int8: bool = False) -> float:
    """Measure operations per second of a matrix product; a multiplication and an addition are two.

    Args:
        device: that computes it.
        dtype: of the matrices.
        int8: whether to measure an int8 layer (:mod:`vidcolor.inference.quantized`) instead; on a CPU.
    """
    size = MATRIX_SIZES[device.type]
    with torch.inference_mode():
        return 2 * size**3 / _min_seconds(_int8_product(size) if int8 else _product(size, device, dtype))


def _product(size: int, device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
    left, right, product = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(3))

    def multiply() -> None:
        torch.mm(left, right, out=product)
        if device.type != "cpu":
            getattr(torch, device.type).synchronize()

    return multiply


def _int8_product(size: int) -> Callable[[], object]:
    layer = Int8Linear(nn.Linear(size, size), NO_ACTIVATION)
    rows = torch.ones(1, size, size)
    return lambda: layer(rows)


def _min_seconds(run: Callable[[], object]) -> float:
    """Repeat a call for :data:`MEASURED_SECONDS` and return the shortest time."""
    run()  # the first call builds the kernel
    until, best = time.perf_counter() + MEASURED_SECONDS, float("inf")
    while time.perf_counter() < until:
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def count_operations(colorizer: Colorizer, size: tuple[int, int]) -> int:
    """Count the operations of a network for one picture of ``size`` = (width, height).

    Multiplications and additions of convolutions, matrix products and attention are counted; all others together are
    less than 1 % of these.
    """
    width, height = size
    with FlopCounterMode(display=False, custom_mapping=_packed_layers()) as counter:
        colorizer.predict(np.zeros((1, height, width), np.float32))
    return int(counter.get_total_flops())


def _packed_layers() -> dict[Any, Any]:
    """Return functions that count the operations of packed layers, which torch cannot count."""
    if not torch.backends.mkldnn.is_available():
        return {}

    def conv(x: Sequence[int], weight: Sequence[int], *_: object, out_shape: Sequence[int], **__: object) -> int:
        return conv_flop_count(list(x), list(weight), list(out_shape), transposed=False)

    def linear(x: Sequence[int], *_: object, out_shape: Sequence[int], **__: object) -> int:
        return 2 * prod(x) * out_shape[-1]

    def conv_int8(x: Sequence[int], scale: object, zero: object, *rest: Any, **named: Any) -> int:
        return conv(x, *rest, **named)

    return {
        torch.ops.mkldnn._convolution_pointwise: conv,
        torch.ops.mkldnn._linear_pointwise: linear,
        torch.ops.onednn.qconv_pointwise: conv_int8,
        torch.ops.onednn.qconv2d_pointwise: conv_int8,
        torch.ops.onednn.qlinear_pointwise: linear,
    }
