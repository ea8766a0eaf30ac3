"""Run the large convolutions of an OpenVINO model in int8: choose, calibrate and quantize them.

Only dense 3×3 convolutions that hold a share of the operations are quantized; all other layers stay as they are,
because they gain little time and cost most of the precision. Activations get one range per layer, from its values on
calibration pictures; weights get one scale per output channel, symmetric.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as opset

from vidcolor.frames import FloatArray

Range = tuple[float, float]
"""Smallest and largest activation."""

MIN_SHARE = 0.02
"""Smallest share of a convolution in the operations of all convolutions that is worth int8."""
LEVELS = 256
"""Values of an 8-bit activation."""
MAX_WEIGHT = 127
OUTLIERS = 1e-4
"""Share of the activations of a picture, at either end, that may lie outside the range."""


def operations(node: ov.Node) -> int:
    """Count multiplications and additions of a convolution or a matrix product of static shape; 0 for other nodes."""
    kind, output = node.get_type_name(), tuple(node.output(0).shape)
    if kind in ("Convolution", "GroupConvolution"):
        kernel = tuple(node.input(1).get_source_output().shape)
        inner = kernel[1:] if kind == "Convolution" else kernel[2:]
        return int(2 * prod(inner) * prod(output))
    if kind == "MatMul":
        return int(2 * prod(output) * node.input(0).get_source_output().shape[-1])
    return 0


def large_convolutions(model: ov.Model) -> list[str]:
    """Return the names of the convolutions of a model of static shape that are worth int8."""
    convolutions = [node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"]
    least = MIN_SHARE * sum(map(operations, convolutions))
    return [
        node.get_friendly_name()
        for node in convolutions
        if tuple(node.input(1).get_source_output().shape)[2:] == (3, 3) and operations(node) >= least
    ]


def activation_ranges(core: ov.Core, model: ov.Model, pictures: Iterable[FloatArray]) -> dict[str, Range]:
    """Run calibration pictures and return the ranges of what enters the large convolutions.

    Args:
        core: compiles the model.
        model: with one input of a static shape; it is not changed.
        pictures: float32, of that shape.
    """
    model = model.clone()
    names = large_convolutions(model)
    nodes = {node.get_friendly_name(): node for node in model.get_ordered_ops()}
    outputs = len(model.outputs)
    model.add_outputs([nodes[name].input(0).get_source_output() for name in names])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    lows, highs = np.zeros(len(names)), np.zeros(len(names))
    for picture in pictures:
        found = compiled([picture])
        for index in range(len(names)):
            low, high = np.quantile(found[outputs + index], (OUTLIERS, 1 - OUTLIERS))
            lows[index], highs[index] = min(lows[index], low), max(highs[index], high)
    return {name: (float(low), float(high)) for name, low, high in zip(names, lows, highs, strict=True)}


def quantize(model: ov.Model, ranges: Mapping[str, Range]) -> None:
    """Quantize in place the convolutions that ``ranges`` names, with their activations in these ranges.

    Raises:
        ValueError: the model has no convolution of such a name with constant weights.
    """
    nodes = {node.get_friendly_name(): node for node in model.get_ordered_ops()}
    for name, (low, high) in ranges.items():
        if name not in nodes or nodes[name].get_type_name() != "Convolution":
            raise ValueError(f"{name} is no convolution")
        entering, kernel = nodes[name].inputs()
        entering.replace_source_output(_quantized_activations(entering.get_source_output(), low, high).output(0))
        kernel.replace_source_output(_quantized_weights(_constant(kernel.get_source_output())).output(0))
    model.validate_nodes_and_infer_types()


def _quantized_activations(source: ov.Output, low: float, high: float) -> ov.Node:
    """Round activations to 256 values, one of which is 0, so that padding is exact."""
    step = (high - low) / (LEVELS - 1)
    below = round(-low / step)
    ends = [
        opset.constant(np.full((1, 1, 1, 1), end, np.float32)) for end in (-below * step, (LEVELS - 1 - below) * step)
    ]
    return opset.fake_quantize(source, *ends, *ends, LEVELS)


def _quantized_weights(weights: FloatArray) -> ov.Node:
    """Round weights to int8 with a scale for each output channel."""
    scales = np.maximum(np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / MAX_WEIGHT, np.finfo(np.float32).tiny)
    rounded = np.rint(weights / scales).astype(np.int8)
    return opset.multiply(opset.convert(opset.constant(rounded), np.float32), opset.constant(scales))


def _constant(source: ov.Output) -> npt.NDArray[np.float32]:
    """Return the values of a constant, which may be stored as fp16 and converted."""
    node = source.get_node()
    if node.get_type_name() == "Convert":
        node = node.input(0).get_source_output().get_node()
    if node.get_type_name() != "Constant":
        raise ValueError(f"{node.get_friendly_name()} is no constant")
    return np.asarray(node.get_data(), np.float32)
