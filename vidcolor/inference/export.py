"""Export a network to an ONNX weights file, which is colored with without PyTorch."""

from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from vidcolor.files.atomic import atomic_file
from vidcolor.frames import HINT_CHANNELS, FloatArray
from vidcolor.inference.folding import fold_batch_norm
from vidcolor.inference.openvino_engine import measure_ranges
from vidcolor.inference.torch_engine import fingerprint
from vidcolor.inference.weights import load_generator
from vidcolor.inference.weights_file import AB, GREY, HINTS, ONNX_FORMAT, describe

RENDER_SIZE = 256
"""Short side of the pictures on which ranges are measured."""
OPSET = 17
"""Version of the ONNX operators: the newest that has all that the networks use, and that engines have had for years."""
HALF = "_fp16"
"""Ending of the names of parameters that are stored as fp16."""


def export_onnx(weights: Path, output: Path, *, pictures: Sequence[FloatArray] = (), overwrite: bool) -> None:
    """Export a safetensors weights file to ONNX.

    Tensors of two or more dimensions are stored as fp16, as in the safetensors file: both hold the same numbers.

    Args:
        weights: a weights file (:mod:`vidcolor.inference.weights`).
        output: the ONNX file; it appears under its name when it is complete.
        pictures: grey photographs (H, W) in [0, 1] on which the ranges for int8 are measured
            (:mod:`vidcolor.inference.int8`); none: the network will not run in int8.
        overwrite: whether ``output`` is replaced if it exists.

    Raises:
        WeightsError: ``weights`` cannot be loaded.
        OutputError: ``output`` cannot be written, or exists already.
    """
    about = describe(weights)
    generator = load_generator(weights)
    metadata = {
        "format": ONNX_FORMAT,
        "network": about["network"],
        "config": json.dumps(about["config"]),
        "recipe": about["recipe"],
        "training": json.dumps(about["training"]),
        "multiple": str(generator.multiple),
        "fingerprint": fingerprint(fold_batch_norm(copy.deepcopy(generator))),
        "safetensors_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    model = to_onnx(generator, metadata)
    if pictures:
        multiple = int(metadata["multiple"])
        views = [_square(picture, max(RENDER_SIZE - RENDER_SIZE % multiple, multiple)) for picture in pictures]
        ranges = measure_ranges(model.SerializeToString(), views)
        helper.set_model_props(model, metadata | {"int8": json.dumps(ranges)})
    with atomic_file(output, overwrite=overwrite) as part:
        part.write_bytes(model.SerializeToString(deterministic=True))


def _square(picture: FloatArray, side: int) -> FloatArray:
    """Return the middle square of a picture as a network takes it: (1, 1, side, side)."""
    short = min(picture.shape)
    top, left = ((length - short) // 2 for length in picture.shape)
    middle = picture[top : top + short, left : left + short]
    return np.ascontiguousarray(cv2.resize(middle, (side, side), interpolation=cv2.INTER_AREA)[None, None], np.float32)


def to_onnx(generator: nn.Module, metadata: dict[str, str]) -> onnx.ModelProto:
    """Convert a network in eval mode to an ONNX model for any number of pictures of any size.

    Args:
        generator: a :class:`vidcolor.networks.ColorNetwork`.
        metadata: of the model.
    """
    side = 2 * int(getattr(generator, "multiple", 1))
    arguments = [torch.rand(1, 1, side, side)]
    names = [GREY]
    if getattr(generator, "takes_hints", False):
        arguments.append(torch.zeros(1, HINT_CHANNELS, side, side))
        names.append(HINTS)
    with TemporaryDirectory() as folder, warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of the tracer, about Python numbers; tests compare other sizes
        torch.onnx.export(
            generator,
            tuple(arguments),
            str(Path(folder) / "model.onnx"),
            dynamo=False,
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.PRESERVE,  # batch norm stays: folded, it would be rounded another way
            input_names=names,
            output_names=[AB],
            dynamic_axes={name: {0: "pictures", 2: "height", 3: "width"} for name in (*names, AB)},
        )
        model = onnx.load(str(Path(folder) / "model.onnx"))
    _halve(model.graph)
    helper.set_model_props(model, metadata)
    model.producer_name, model.producer_version, model.doc_string = "vidcolor", "", ""
    return model


def _halve(graph: onnx.GraphProto) -> None:
    """Store the parameters of two or more dimensions as fp16, each followed by a conversion to fp32."""
    stored, conversions = [], []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            stored.append(tensor)
            continue
        half = numpy_helper.to_array(tensor).astype(np.float16)
        stored.append(numpy_helper.from_array(half, tensor.name + HALF))
        conversions.append(helper.make_node("Cast", [tensor.name + HALF], [tensor.name], to=TensorProto.FLOAT))
    nodes: list[Any] = [*conversions, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(stored)
    graph.node.extend(nodes)
