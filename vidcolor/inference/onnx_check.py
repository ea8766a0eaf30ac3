"""Check ONNX weights files: a network with its parameters, which an inference engine runs without PyTorch.

The file is an ONNX model whose metadata describe it as those of a safetensors file do
(:mod:`vidcolor.inference.weights`), and name the engine's inputs. Files are not trusted: external data, custom
operators and functions are refused, and the sizes of all tensors are compared with the bytes that the file holds for
them before anything of their size is allocated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite, prod
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from vidcolor.errors import WeightsError, one_line
from vidcolor.inference.weights_file import AB, GREY, HINTS, ONNX_FORMAT

MAX_MULTIPLE = 1024
"""Largest :attr:`OnnxWeights.multiple`, in pixels."""
STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
"""Domains of the operators that may occur: those of the ONNX standard."""
ITEM_BYTES: dict[int, int] = {
    onnx.TensorProto.FLOAT: 4,
    onnx.TensorProto.FLOAT16: 2,
    onnx.TensorProto.INT64: 8,
    onnx.TensorProto.INT32: 4,
    onnx.TensorProto.BOOL: 1,
}
"""Bytes per element of the types that a tensor may have."""


def check_onnx(path: Path, data: bytes) -> dict[str, Any]:
    """Check the content of an ONNX weights file, and return what it says about itself.

    Args:
        path: for messages.
        data: the content.

    Returns:
        The fields of :class:`~vidcolor.inference.onnx_weights.OnnxWeights` but ``path``, ``data`` and ``sha256``, as
        JSON can hold them.

    Raises:
        WeightsError: the file is not a weights file of vidcolor, or not safe to load.
    """
    model = _parse(path, data)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if metadata.get("format") != ONNX_FORMAT:
        found = repr(metadata["format"]) if "format" in metadata else "no format in its metadata"
        what = f"expected format {ONNX_FORMAT}, found {found}"
        raise WeightsError(f"{path}: {what}; export it with this version: vidcolor export WEIGHTS -o {path.name}")
    _check_operators(path, model)
    for tensor in _tensors(model.graph):
        _check_tensor(path, tensor)
    facts = _parse_metadata(path, metadata)
    inputs = [value.name for value in model.graph.input]
    outputs = [value.name for value in model.graph.output]
    if inputs not in ([GREY], [GREY, HINTS]) or outputs != [AB]:
        raise WeightsError(f"{path}: expected inputs {GREY} and {HINTS} and output {AB}, found {inputs} and {outputs}")
    facts["about"]["bytes"] = len(data)
    return facts | {"takes_hints": inputs == [GREY, HINTS]}


def _parse(path: Path, data: bytes) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(data)
    except (DecodeError, RecursionError) as exc:
        raise WeightsError(f"{path}: expected an ONNX file of vidcolor, found something else") from exc


def _parse_metadata(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        about: dict[str, Any] = {
            "format": metadata["format"],
            "network": metadata["network"],
            "config": json.loads(metadata["config"]),
            "recipe": metadata["recipe"],
            "training": json.loads(metadata["training"]),
            "fingerprint": metadata["fingerprint"],
            "safetensors_sha256": metadata["safetensors_sha256"],
        }
        multiple = int(metadata["multiple"])
        int8 = {name: _parse_range(ends) for name, ends in json.loads(metadata.get("int8", "{}")).items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise WeightsError(f"{path}: its metadata is incomplete or garbled: {one_line(exc)}") from exc
    if not 1 <= multiple <= MAX_MULTIPLE:
        raise WeightsError(f"{path}: expected a multiple of 1 to {MAX_MULTIPLE} pixels, found {multiple}")
    return {"about": about, "multiple": multiple, "int8": int8}


def _parse_range(ends: Any) -> tuple[float, float]:
    """Return a range of activations; raise ValueError or TypeError unless it is two ascending numbers around 0."""
    low, high = map(float, ends)
    if not (isfinite(low) and isfinite(high) and low <= 0 < high):
        raise ValueError(f"expected a range around 0, found {low} to {high}")
    return low, high


def _check_operators(path: Path, model: onnx.ModelProto) -> None:
    """Refuse functions and operators outside the standard: an engine would look for libraries that implement them."""
    domains = {entry.domain for entry in model.opset_import} | {node.domain for node in _nodes(model.graph)}
    if foreign := sorted(domains - STANDARD_DOMAINS):
        raise WeightsError(f"{path}: expected operators of the ONNX standard, found some of {foreign[0]!r}")
    if model.functions:
        raise WeightsError(f"{path}: expected a model without functions, found {len(model.functions)}")


def _check_tensor(path: Path, tensor: onnx.TensorProto) -> None:
    """Refuse a tensor that lies in another file, or whose size is not that of its data."""
    name = tensor.name or "a constant"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise WeightsError(f"{path}: {name}: expected the numbers in the file itself, found them in another one")
    if tensor.data_type not in ITEM_BYTES:
        raise WeightsError(f"{path}: {name}: expected floating point or whole numbers, found type {tensor.data_type}")
    if any(side < 0 for side in tensor.dims):
        raise WeightsError(f"{path}: {name}: expected a shape, found {list(tensor.dims)}")
    expected = prod(tensor.dims) * ITEM_BYTES[tensor.data_type]
    if len(tensor.raw_data) != expected:
        raise WeightsError(f"{path}: {name}: expected {expected:,} bytes of numbers, found {len(tensor.raw_data):,}")


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield all nodes, those of nested graphs included."""
    for node in graph.node:
        yield node
        for nested in _graphs(node):
            yield from _nodes(nested)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield all tensors with data: initializers, sparse ones, and constants in attributes of nodes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for nested in _graphs(node):
            yield from _tensors(nested)


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
