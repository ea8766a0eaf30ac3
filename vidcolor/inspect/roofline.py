"""What this machine can do at its best: bytes moved and operations done in a second. And what a network asks of it.

Each peak is the best of a fifth of a second or so: other programs can only make it look lower.
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

COPIED_BYTES = 1 << 26  # more, there and back, than most processors' caches hold
MEASURED_SECONDS = 0.2
MATRIX_SIZES = {"cpu": 1024, "cuda": 8192, "mps": 4096}  # where larger ones are no faster


def bytes_per_second() -> float:
    """Bytes that one core of this machine moves in a second, read and written, when it copies a large array."""
    source, target = np.ones(COPIED_BYTES, np.uint8), np.zeros(COPIED_BYTES, np.uint8)
    return 2 * COPIED_BYTES / _best_seconds(lambda: np.copyto(target, source))


def operations_per_second(device: torch.device, dtype: torch.dtype, *, int8: bool = False) -> float:
    """Multiplications and additions, each counted, that a product of matrices of ``dtype`` does in a second.

    ``int8``: of 8-bit integers instead, as in :mod:`vidcolor.inference.quantized`.
    """
    size = MATRIX_SIZES[device.type]
    with torch.inference_mode():
        return 2 * size**3 / _best_seconds(_int8_product(size) if int8 else _product(size, device, dtype))


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


def _best_seconds(run: Callable[[], object]) -> float:
    run()  # the first call builds the kernel
    until, best = time.perf_counter() + MEASURED_SECONDS, float("inf")
    while time.perf_counter() < until:
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def operations_of(colorizer: Colorizer, size: tuple[int, int]) -> int:
    """Multiplications and additions, each counted, in the network for one picture of ``size`` = (width, height).

    Those of convolutions, products of matrices and attention; what else there is, is less than a hundredth of them.
    """
    width, height = size
    with FlopCounterMode(display=False, custom_mapping=_packed_layers()) as counter:
        colorizer.predict(np.zeros((1, height, width), np.float32))
    return int(counter.get_total_flops())


def _packed_layers() -> dict[Any, Any]:
    """How to count the layers of :mod:`vidcolor.inference.packing`, which torch does not know how to."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
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
