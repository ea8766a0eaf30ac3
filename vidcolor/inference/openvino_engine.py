"""Run an ONNX weights file with OpenVINO: on any CPU, and on GPUs and NPUs of Intel."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from io import BytesIO
from math import lcm
from queue import Empty, SimpleQueue
from threading import Event, Lock
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as opset

from vidcolor.errors import OptionError, OutputError, WeightsError, one_line
from vidcolor.files.atomic import atomic_file
from vidcolor.files.cache import cache_folder, keep_newest
from vidcolor.frames import HINT_CHANNELS, FloatArray
from vidcolor.inference.arithmetic import (
    FLOAT32,
    INT8,
    PRECISION_HINTS,
    fastest_arithmetic,
    format_arithmetic,
    operations_per_second,
    processor,
)
from vidcolor.inference.int8 import Range, activation_ranges, operations, quantize
from vidcolor.inference.onnx_weights import OnnxWeights
from vidcolor.inference.threads import ThreadShare, is_in_film, thread_share
from vidcolor.inference.weights_file import GREY, HINTS

MAX_COMPILED = 4
"""Compiled networks that are kept in memory; each holds its own copy of the parameters."""
MAX_CACHED = 8
"""Compiled networks that are kept in the cache folder, those that were used last."""

COARSE_STEP = 64
"""Multiple of pixels to which pictures outside films are padded: 4:3 and 3:2 then have the same shape."""

# OpenVINO's bindings initialize statics at the first conversion of an array. Two threads that do so at the same time
# deadlock: one holds the GIL, the other the guard of the static. So the first array is converted here, and the first
# call of a network runs alone.
ov.Tensor(np.zeros(1, np.float32), shared_memory=True)
_first_call = Lock()
_called = Event()

Shape = tuple[int, ...]
"""Of an input."""
Key = tuple[tuple[Shape, ...], ThreadShare]


class OpenVinoEngine:
    """An ONNX weights file on one device; an :class:`~vidcolor.inference.engine.Engine`.

    The network is compiled for one shape of the input at a time, which is a tenth faster than for any shape, and takes
    memory that does not grow. It takes a second, so pictures outside films, of which each may have another shape, are
    padded to few shapes. Compiled networks are kept in the cache folder, so that the next start takes a third of one.

    Args:
        weights: the checked file.
        device: ``auto``, ``cpu``, ``gpu``, ``gpu:N`` or ``npu``.
        arithmetic: of a CPU: ``float32``, ``bfloat16`` or ``int8``; None: the fastest
            (:mod:`vidcolor.inference.arithmetic`).

    Raises:
        OptionError: this machine has no such device.
        WeightsError: OpenVINO does not support the network.
    """

    batch_size = 1

    def __init__(self, weights: OnnxWeights, device: str, arithmetic: str | None = None) -> None:
        self._multiple, self.takes_hints = weights.multiple, weights.takes_hints
        self.fingerprint: str = weights.about["fingerprint"]
        self._weights = weights
        self._core = ov.Core()
        self._cache = cache_folder() / "openvino"
        self.device = find_device(self._core, device)
        self.is_on_cpu = self.device == "CPU"
        self.backend = f"OpenVINO {ov.__version__.split('-')[0]}"
        self._arithmetic = FLOAT32
        if self.is_on_cpu:
            self._arithmetic = arithmetic or fastest_arithmetic(self._core, has_int8=bool(weights.int8))
        numbers = format_arithmetic(self._arithmetic) if self.is_on_cpu else "float16"
        self.runs_on = f"{device_name(self.device)} in {numbers}"
        if not any(self._cache.glob(f"{weights.sha256}-*")):
            _ = self._model  # raises if it is not supported
        self._compiled: OrderedDict[Key, CompiledNetwork] = OrderedDict()
        self._lock = Lock()

    @cached_property
    def _model(self) -> ov.Model:
        """The network for inputs of any shape, with its layers in int8 if it runs in it."""
        try:
            model = self._core.read_model(self._weights.data)
            if self._arithmetic == INT8:
                quantize(model, self._weights.int8)
        except (RuntimeError, ValueError) as exc:
            raise WeightsError(f"{self._weights.path}: OpenVINO does not support it: {one_line(exc)}") from exc
        return model

    @property
    def multiple(self) -> int:
        """Height and width of the input are multiples of this; a larger number outside films."""
        return self._multiple if is_in_film() else lcm(COARSE_STEP, self._multiple)

    def run(self, maps: Sequence[FloatArray]) -> FloatArray:
        """Run the network once; see :meth:`vidcolor.inference.engine.Engine.run`."""
        return self._network_for(tuple(each.shape for each in maps)).run(maps)

    def count_operations(self, size: tuple[int, int]) -> int:
        """Count the operations for one picture; see :meth:`vidcolor.inference.engine.Engine.count_operations`."""
        width, height = (side + -side % self._multiple for side in size)
        return sum(map(operations, self._of_shapes(((1, 1, height, width),)).get_ordered_ops()))

    def operations_per_second(self) -> float:
        """Measure a convolution; see :meth:`vidcolor.inference.engine.Engine.operations_per_second`."""
        return operations_per_second(self._core, self.device, self._arithmetic)

    def _network_for(self, shapes: tuple[Shape, ...]) -> CompiledNetwork:
        """Return the network for inputs of these shapes, compiled if it is not yet."""
        key = shapes, thread_share()
        with self._lock:
            if key not in self._compiled:
                if len(self._compiled) == MAX_COMPILED:
                    self._compiled.popitem(last=False)
                self._compiled[key] = self._compile(*key)
            self._compiled.move_to_end(key)
            return self._compiled[key]

    def _of_shapes(self, shapes: tuple[Shape, ...]) -> ov.Model:
        """Return the model for inputs of these shapes; without hints, if only one is given."""
        model = self._model.clone()
        if self.takes_hints and len(shapes) == 1:
            remove_hints(model)
        model.reshape(dict(zip((GREY, HINTS), map(list, shapes), strict=False)))
        return model

    def _compile(self, shapes: tuple[Shape, ...], share: ThreadShare) -> CompiledNetwork:
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if self.is_on_cpu:
            settings |= {
                "INFERENCE_PRECISION_HINT": PRECISION_HINTS[self._arithmetic],
                "NUM_STREAMS": share.calls,
                "INFERENCE_NUM_THREADS": share.calls * share.threads,
                "ENABLE_CPU_PINNING": False,  # the cores are shared with the decoder and the encoder
            }
        return CompiledNetwork(self._import_or_compile(shapes, settings))

    def _import_or_compile(self, shapes: tuple[Shape, ...], settings: dict[str, Any]) -> ov.CompiledModel:
        """Return a compiled network from the cache folder, or compile and store it."""
        made_by = [self.backend, self.device, self._arithmetic, processor(), shapes, sorted(settings.items())]
        key = hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:16]
        path = self._cache / f"{self._weights.sha256}-{key}"
        try:
            return self._core.import_model(path.read_bytes(), self.device, settings)
        except (OSError, RuntimeError):  # there is none, or another version of OpenVINO has made it
            compiled = self._core.compile_model(self._of_shapes(shapes), self.device, settings)
        with suppress(OSError, OutputError, RuntimeError):  # RuntimeError: not every device exports
            path.parent.mkdir(parents=True, exist_ok=True)
            keep_newest(self._cache, MAX_CACHED - 1)
            exported = BytesIO()
            compiled.export_model(exported)
            with atomic_file(path, overwrite=True) as part:
                part.write_bytes(exported.getbuffer())
        return compiled


class CompiledNetwork:
    """A compiled network, and the requests that its concurrent calls run in."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._compiled = compiled
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()

    def run(self, maps: Sequence[FloatArray]) -> FloatArray:
        """Run the network once, in a request of its own."""
        if _called.is_set():
            return self._run(maps)
        with _first_call:
            found = self._run(maps)
            _called.set()
        return found

    def _run(self, maps: Sequence[FloatArray]) -> FloatArray:
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            found = request.infer(list(maps), share_inputs=True)[0]
            return np.array(found, np.float32)
        finally:
            self._idle.put(request)


def remove_hints(model: ov.Model) -> None:
    """Replace the input for hints, in place, by zeros of the size of the other one; the compiler folds constants."""
    grey, hints = (
        next(each for each in model.get_parameters() if each.friendly_name == name) for name in (GREY, HINTS)
    )
    shape, first = opset.shape_of(grey), opset.constant(0)
    pictures, size = (opset.gather(shape, opset.constant(np.array(axes)), first) for axes in ([0], [2, 3]))
    wanted = opset.concat([pictures, opset.constant(np.array([HINT_CHANNELS])), size], axis=0)
    zeros = opset.broadcast(opset.constant(np.float32(0)), wanted)
    for target in hints.output(0).get_target_inputs():
        target.replace_source_output(zeros.output(0))
    model.remove_parameter(hints)


def measure_ranges(model: bytes, pictures: Sequence[FloatArray]) -> dict[str, Range]:
    """Measure the ranges of a network's activations for int8 (:func:`vidcolor.inference.int8.activation_ranges`).

    Args:
        model: serialized, as in an ONNX weights file.
        pictures: grey (1, 1, S, S), all of one size.
    """
    core = ov.Core()
    network = core.read_model(model)
    if len(network.inputs) > 1:
        remove_hints(network)
    network.reshape({GREY: list(pictures[0].shape)})
    return activation_ranges(core, network, pictures)


def find_device(core: ov.Core, name: str) -> str:
    """Return OpenVINO's name of a device: ``auto`` and ``cpu`` are the CPU, ``gpu:1`` is ``GPU.1``.

    Raises:
        OptionError: the name is unknown, or this machine has no such device.
    """
    wanted = {"auto": "CPU", "cpu": "CPU"}.get(name, name.upper().replace(":", "."))
    available = core.available_devices
    if wanted in available or (wanted == "GPU" and "GPU.0" in available):
        return wanted
    found = ", ".join(map(device_name, available))
    raise OptionError(f"`device` {name}: OpenVINO finds no such device here; it finds {found}")


def device_name(device: str) -> str:
    """Return our name of one of OpenVINO's devices: ``gpu:1`` for ``GPU.1``."""
    return device.lower().replace(".", ":")
