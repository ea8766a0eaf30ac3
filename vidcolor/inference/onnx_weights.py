"""Read ONNX weights files; what has been checked once is not checked again.

The file is an ONNX model whose metadata describe it as those of a safetensors file do
(:mod:`vidcolor.inference.weights_file`). Parsing and checking one takes longer than running it, so the result is kept
in the cache folder under the SHA-256 of the file.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcolor.errors import OutputError, WeightsError
from vidcolor.files.atomic import atomic_file
from vidcolor.files.cache import cache_folder

MAX_BYTES = 1 << 30
"""Largest file; protobuf itself ends at 2 GiB."""


@dataclass(frozen=True, kw_only=True)
class OnnxWeights:
    """A checked ONNX weights file."""

    path: Path
    data: bytes
    """The content: a serialized model."""
    sha256: str
    """Of the content, hexadecimal."""
    multiple: int
    """Height and width of the input are multiples of this."""
    takes_hints: bool
    int8: dict[str, tuple[float, float]]
    """Names of convolutions and the ranges of their activations (:mod:`vidcolor.inference.int8`); may be empty."""
    about: dict[str, Any]
    """``format``, ``network``, ``recipe`` (str), ``config``, ``training`` (parsed JSON), ``safetensors_sha256``,
    ``fingerprint`` (of the parameters, as :func:`vidcolor.inference.torch_engine.fingerprint`) and ``bytes``."""


def read_onnx(path: Path) -> OnnxWeights:
    """Read and check an ONNX weights file.

    Raises:
        WeightsError: the file is missing, not a weights file of vidcolor, or not safe to load.
    """
    data = _read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    checked = cache_folder() / "weights" / f"{sha256}.json"
    facts = _read_facts(checked)
    if facts is None:
        from vidcolor.inference.onnx_check import check_onnx  # loads onnx, which only the first start needs

        facts = check_onnx(path, data)
        _store_facts(checked, facts)
    return OnnxWeights(path=path, data=data, sha256=sha256, **facts)


def _read_facts(path: Path) -> dict[str, Any] | None:
    """Return the facts of an earlier check; None: there was none, or the file cannot be read."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        ranges = {name: (float(low), float(high)) for name, (low, high) in facts["int8"].items()}
        facts = {"about": dict(facts["about"]), "multiple": int(facts["multiple"]), "takes_hints": facts["takes_hints"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return facts | {"int8": ranges}


def _store_facts(path: Path, facts: dict[str, Any]) -> None:
    with suppress(OSError, OutputError):  # then the file is checked at every start
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, overwrite=True) as part:
            part.write_text(json.dumps(facts), encoding="utf-8")


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise WeightsError(f"{path}: expected a weights file of at most {MAX_BYTES:,} bytes, found {size:,}")
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise WeightsError(f"{path}: expected a weights file, found no such file") from exc
    except OSError as exc:
        raise WeightsError(f"{path}: cannot be read ({exc.strerror or exc})") from exc
