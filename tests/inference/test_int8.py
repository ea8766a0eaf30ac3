"""int8 in the large convolutions: which, how exact, and the ranges in the weights file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as opset

from vidcolor.errors import WeightsError
from vidcolor.inference import threads
from vidcolor.inference.colorizer import Colorizer
from vidcolor.inference.int8 import activation_ranges, large_convolutions, operations, quantize
from vidcolor.inference.loading import onnx_weights
from vidcolor.inference.onnx_weights import OnnxWeights
from vidcolor.inference.openvino_engine import OpenVinoEngine

CORE = ov.Core()


def two_layers(*, channels: int = 16) -> ov.Model:
    """A small 1×1 convolution and a large 3×3 convolution with weights in [−1, 1]."""
    random = np.random.default_rng(0)
    grey = opset.parameter([1, 1, 32, 32], np.float32, name="grey")
    small = opset.constant(random.uniform(-1, 1, (channels, 1, 1, 1)).astype(np.float32))
    large = opset.constant(random.uniform(-1, 1, (8, channels, 3, 3)).astype(np.float32))
    first = opset.convolution(grey, small, [1, 1], [0, 0], [0, 0], [1, 1], name="small")
    second = opset.convolution(opset.relu(first), large, [1, 1], [1, 1], [1, 1], [1, 1], name="large")
    return ov.Model([second], [grey])


def picture(seed: int = 1) -> np.ndarray:
    """Noise in [0, 1]."""
    return np.random.default_rng(seed).random((1, 1, 32, 32), np.float32)


def test_operations() -> None:
    """Two for each weight and output pixel of a convolution."""
    assert [operations(node) for node in two_layers().get_ordered_ops() if operations(node)] == [
        2 * 16 * 32 * 32,
        2 * 8 * 16 * 9 * 32 * 32,
    ]


def test_only_large_3x3_convolutions() -> None:
    """A 1×1 convolution stays in floating point, whatever its share."""
    assert large_convolutions(two_layers()) == ["large"]
    assert large_convolutions(two_layers(channels=1)) == ["large"]


def test_quantized_layers_are_close() -> None:
    """The error of 8 bits in weights and activations is below 1 % of the output's spread."""
    ranges = activation_ranges(CORE, two_layers(), [picture(2), picture(3)])
    assert ranges.keys() == {"large"}
    low, high = ranges["large"]
    assert low == 0  # behind a ReLU
    assert 0.8 < high < 1
    model = two_layers()
    quantize(model, ranges)
    exact = CORE.compile_model(two_layers(), "CPU")(picture())[0]
    found = CORE.compile_model(model, "CPU")(picture())[0]
    assert 0 < np.abs(found - exact).std() < 0.01 * exact.std()


def test_unknown_layers_are_refused() -> None:
    """A name that is no convolution is an error, not a network in other arithmetic."""
    with pytest.raises(ValueError, match="other is no convolution"):
        quantize(two_layers(), {"other": (0.0, 1.0)})


@pytest.fixture(scope="module")
def default() -> OnnxWeights:
    """The default weights."""
    return onnx_weights(None)


def test_the_default_weights_in_int8(default: OnnxWeights) -> None:
    """They have ranges for nine layers, and ab in int8 is within .6 Lab units rms of fp32."""
    assert len(default.int8) == 9
    grey = np.random.default_rng(0).random((8, 8), np.float32).repeat(16, 0).repeat(16, 1)[None]
    exact, fast = (Colorizer(OpenVinoEngine(default, "cpu", kind)).predict(grey) for kind in ("float32", "int8"))
    assert 0 < np.sqrt(np.square(fast - exact).mean()) < 0.6


def test_int8_gives_the_same_bits_with_any_threads(default: OnnxWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film has the same colors however many cores there are."""
    grey = np.random.default_rng(0).random((1, 64, 96), np.float32)
    found = []
    for cores in (1, 2, 8):
        monkeypatch.setattr(threads, "available_cores", lambda cores=cores: cores)
        with threads.limit_threads():
            found.append(Colorizer(OpenVinoEngine(default, "cpu", "int8")).predict(grey))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_ranges_of_another_network_are_refused(default: OnnxWeights) -> None:
    """The file and the layer are named."""
    with pytest.raises(WeightsError, match="none is no convolution"):
        OpenVinoEngine(replace(default, int8={"none": (0.0, 1.0)}, path=Path("a.onnx"), sha256="0"), "cpu", "int8")
