"""The origin of figures in a report: weights, versions and processor."""

from __future__ import annotations

import hashlib
import platform
import tomllib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vidcolor import __version__
from vidcolor.inference.weights_file import describe
from vidcolor.networks import build

PACKAGES = ("torch", "numpy", "scikit-image")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def row_names(paths: Sequence[Path]) -> dict[str, Path]:
    """Return a row name for each weights file: its file name, with as many parent folders as make it unique."""
    paths = list(dict.fromkeys(path.absolute() for path in paths))
    return {_shortest_name(path, [other for other in paths if other != path]): path for path in paths}


def _shortest_name(path: Path, others: Sequence[Path]) -> str:
    parts = path.absolute().parts
    taken = [other.absolute().parts for other in others]
    length = next(n for n in range(1, len(parts) + 1) if all(parts[-n:] != other[-n:] for other in taken))
    return Path(*parts[-length:]).as_posix()


def weights_about(path: Path) -> dict[str, Any]:
    """Describe a weights file, its network and its recipe.

    Raises:
        WeightsError: The file is not a weights file of vidcolor.
    """
    about = describe(path)
    with torch.device("meta"):
        network = build(about["network"], about["config"])
    return {
        "file": path.name,
        "sha256": file_sha256(path),
        "bytes": about["bytes"],
        "network": about["network"],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "recipe": _recipe_about(about["recipe"]),
    }


def _recipe_about(text: str) -> dict[str, Any]:
    """Return name and seed of a recipe, where its text has them, and its hash."""
    digest = {"sha256": hashlib.sha256(text.encode()).hexdigest()}
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # weights may come from elsewhere, with a recipe of another kind
        return digest
    return {key: table[key] for key in ("name", "seed") if key in table} | digest


def environment(device: torch.device) -> dict[str, Any]:
    """Return versions, the processor, and the device of the networks."""
    return {
        "versions": {"vidcolor": __version__, "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "processor": processor_name(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
    }


def processor_name() -> str:
    """Return the model name of the processor where the system knows it, otherwise its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
