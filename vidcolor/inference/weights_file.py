"""Read what a weights file says about itself; PyTorch is not needed.

The metadata of a safetensors file, all strings, holds ``format``, ``network``, ``config`` (JSON), ``recipe`` (the TOML
text) and ``training`` (JSON: data with its hash, pictures seen, hardware, versions, figures).
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from vidcolor.errors import WeightsError, one_line

WEIGHTS_FORMAT = "vidcolor-weights-1"
"""The value of ``format`` in the metadata."""
DEFAULT_PACKAGE = "vidcolor_weights"
DEFAULT_NAME = "default.safetensors"
ONNX_SUFFIX = ".onnx"
ONNX_FORMAT = "vidcolor-onnx-1"
"""The value of ``format`` in the metadata of an ONNX file."""
GREY, HINTS, AB = "grey", "hints", "ab"
"""Names of the inputs of an ONNX file, (N, 1, H, W) and (N, 3, H, W), and of its output, (N, 2, H, W)."""


def default_weights() -> Path:
    """Return the path of the weights that come with vidcolor.

    Raises:
        WeightsError: this installation has none.
    """
    path = Path(str(resources.files(DEFAULT_PACKAGE) / DEFAULT_NAME))
    if not path.is_file():
        raise WeightsError(
            f"{path}: the default weights are missing from this installation; give `weights` or reinstall"
        )
    return path


def describe(path: Path) -> dict[str, Any]:
    """Read the metadata of a weights file.

    Returns:
        ``format``, ``network`` and ``recipe`` (str), ``config`` and ``training`` (parsed JSON), ``bytes`` (the size).

    Raises:
        WeightsError: the file is not a weights file of vidcolor.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
    except FileNotFoundError as exc:
        raise WeightsError(f"{path}: expected a weights file, found no such file") from exc
    except (SafetensorError, OSError) as exc:
        found = f"something else ({one_line(exc)})"
        raise WeightsError(f"{path}: expected a .safetensors file of vidcolor, found {found}") from exc
    if metadata.get("format") != WEIGHTS_FORMAT:
        found = repr(metadata["format"]) if "format" in metadata else "no format in its metadata"
        raise WeightsError(
            f"{path}: expected format {WEIGHTS_FORMAT}, found {found}; train or convert it with this version"
        )
    try:
        config, training = json.loads(metadata["config"]), json.loads(metadata["training"])
        network, recipe = metadata["network"], metadata["recipe"]
    except (KeyError, ValueError, RecursionError) as exc:
        raise WeightsError(f"{path}: its metadata is incomplete or garbled: {one_line(exc)}") from exc
    return {
        "format": WEIGHTS_FORMAT,
        "network": network,
        "config": config,
        "recipe": recipe,
        "training": training,
        "bytes": path.stat().st_size,
    }
