"""Run an ONNX weights file with OpenVINO: on any CPU, and on GPUs and NPUs of Intel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as opset

from vidcolor.errors import OptionError, WeightsError, one_line
from vidcolor.files.cache import cache_folder
from vidcolor.frames import HINT_CHANNELS, FloatArray
from vidcolor.inference.onnx_weights import GREY, HINTS, OnnxWeights
from vidcolor.inference.threads import ThreadShare, thread_share

MAX_SHAPES = 4
"""Shapes of the input for which a compiled network is kept; each holds its own copy of the parameters."""

Key = tuple[tuple[tuple[int, ...], ...], ThreadShare]


class OpenVinoEngine:
    """An ONNX weights file on one device; an :class:`~vidcolor.inference.engine.Engine`.

    The network is compiled for one shape of the input at a time, which is faster than for any shape and takes memory
    that does not grow. Compiled networks are kept in the cache folder.

    Args:
        weights: the checked file.
        device: ``auto``, ``cpu``, ``gpu``, ``gpu:N`` or ``npu``.

    Raises:
        OptionError: this machine has no such device.
        WeightsError: OpenVINO does not support the network.
    """

    batch_size = 1

    def __init__(self, weights: OnnxWeights, device: str) -> None:
        self.multiple, self.takes_hints = weights.multiple, weights.takes_hints
        self.fingerprint: str = weights.about["fingerprint"]
        self._core = ov.Core()
        self._core.set_property({"CACHE_DIR": str(cache_folder() / "openvino")})
        self.device = find_device(self._core, device)
        self.is_on_cpu = self.device == "CPU"
        self.runs_on = f"{device_name(self.device)} in {'float32' if self.is_on_cpu else 'float16'}"
        try:
            self._model = self._core.read_model(weights.model)
        except RuntimeError as exc:
            raise WeightsError(f"{weights.path}: OpenVINO does not support it: {one_line(exc)}") from exc
        self._compiled: OrderedDict[Key, CompiledNetwork] = OrderedDict()
        self._lock = Lock()

    def run(self, maps: Sequence[FloatArray]) -> FloatArray:
        """Run the network once; see :meth:`vidcolor.inference.engine.Engine.run`."""
        return self._network_for(tuple(each.shape for each in maps)).run(maps)

    def _network_for(self, shapes: tuple[tuple[int, ...], ...]) -> CompiledNetwork:
        """Return the network for inputs of these shapes, compiled if it is not yet."""
        key = shapes, thread_share()
        with self._lock:
            if key not in self._compiled:
                if len(self._compiled) == MAX_SHAPES:
                    self._compiled.popitem(last=False)
                self._compiled[key] = self._compile(*key)
            self._compiled.move_to_end(key)
            return self._compiled[key]

    def _compile(self, shapes: tuple[tuple[int, ...], ...], share: ThreadShare) -> CompiledNetwork:
        model = self._model.clone()
        if self.takes_hints and len(shapes) == 1:
            n, _, height, width = shapes[0]
            remove_hints(model, (n, HINT_CHANNELS, height, width))
        model.reshape(dict(zip((GREY, HINTS), map(list, shapes), strict=False)))
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if self.is_on_cpu:
            settings |= {
                "INFERENCE_PRECISION_HINT": "f32",
                "NUM_STREAMS": share.calls,
                "INFERENCE_NUM_THREADS": share.calls * share.threads,
                "ENABLE_CPU_PINNING": False,  # the cores are shared with the decoder and the encoder
            }
        return CompiledNetwork(self._core.compile_model(model, self.device, settings))


class CompiledNetwork:
    """A compiled network, and the requests that its concurrent calls run in."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._compiled = compiled
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()

    def run(self, maps: Sequence[FloatArray]) -> FloatArray:
        """Run the network once, in a request of its own."""
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            found = request.infer(list(maps), share_inputs=True)[0]
            return np.array(found, np.float32)
        finally:
            self._idle.put(request)


def remove_hints(model: ov.Model, shape: tuple[int, ...]) -> None:
    """Replace the input for hints by zeros of ``shape``: no hints, which the compiler then leaves out."""
    parameter = next(each for each in model.get_parameters() if each.friendly_name == HINTS)
    zeros = opset.constant(np.zeros(shape, np.float32))
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(zeros.output(0))
    model.remove_parameter(parameter)


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
