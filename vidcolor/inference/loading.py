"""Load weights for a device: OpenVINO runs ONNX weights on CPUs, PyTorch safetensors on GPUs of NVIDIA and Apple."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from vidcolor.errors import InputError, OptionError, OutputError, WeightsError, one_line
from vidcolor.files.cache import cache_folder
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Colorizer, Predictor
from vidcolor.inference.devices import uses_torch
from vidcolor.inference.multi_device import MultiDevice, create_predictor
from vidcolor.inference.onnx_weights import OnnxWeights, read_onnx
from vidcolor.inference.openvino_engine import OpenVinoEngine
from vidcolor.inference.weights_file import ONNX_SUFFIX, default_weights, describe

NEEDS_TORCH = "pip install 'vidcolor[gpu]'"
"""What installs PyTorch."""


def load_colorizer(
    weights: str | Path | None = None, *, device: str = "auto", batch_size: int | None = None
) -> Predictor:
    """Load a network and prepare it for one or several devices.

    Args:
        weights: a safetensors file, or an ONNX file, known by its suffix; None: the default weights, which are both.
            A CPU runs ONNX: of a safetensors file the ONNX file beside it is taken, if it was exported from it, or the
            file is exported once to the cache folder, which needs PyTorch.
        device: ``auto``: a GPU of NVIDIA or Apple if PyTorch is installed and finds one, otherwise the CPU; ``cpu``;
            ``cuda``, ``cuda:N`` or ``mps``, which need PyTorch; ``gpu``, ``gpu:N`` or ``npu`` of Intel; several,
            separated by commas; or ``all``: every CUDA device, or ``auto`` without one.
        batch_size: pictures per call of the network; None: by device.

    Raises:
        WeightsError: the weights file is missing, damaged, or does not fit its network.
        OptionError: the device does not exist on this machine, or what runs the file is not installed.
    """
    path = None if weights is None else Path(weights)
    if uses_torch(device):
        return _load_for_torch(path, device, batch_size)
    onnx = onnx_weights(path)
    names = ["auto"] if device == "all" else device.split(",")
    colorizers = [Colorizer(OpenVinoEngine(onnx, name), batch_size=batch_size) for name in names]
    return colorizers[0] if len(colorizers) == 1 else MultiDevice(colorizers)


def _load_for_torch(path: Path | None, device: str, batch_size: int | None) -> Predictor:
    if path is not None and path.suffix.lower() == ONNX_SUFFIX:
        line = f"{path}: ONNX weights run on a CPU, or on gpu and npu of Intel; give `device` {device} safetensors"
        raise OptionError(line)
    try:
        from vidcolor.inference.weights import load_generator
    except ModuleNotFoundError as exc:
        raise OptionError(f"`device` {device} needs {exc.name}, which is not installed: {NEEDS_TORCH}") from exc
    return create_predictor(load_generator(path), device, batch_size=batch_size)


def onnx_weights(path: Path | None) -> OnnxWeights:
    """Read the ONNX form of a weights file; see :func:`load_colorizer`.

    Raises:
        WeightsError: the file is missing or damaged.
        OptionError: it has to be exported, and PyTorch is not installed.
    """
    if path is None:
        return read_onnx(default_weights().with_suffix(ONNX_SUFFIX))
    if path.suffix.lower() == ONNX_SUFFIX:
        return read_onnx(path)
    describe(path)  # raises if it is anything else
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    cached = cache_folder() / "weights" / f"{digest}{ONNX_SUFFIX}"
    known = next(_exported_from(digest, (path.with_suffix(ONNX_SUFFIX), cached)), None)
    return known or _export_to_cache(path, cached)


def _exported_from(digest: str, candidates: Sequence[Path]) -> Iterator[OnnxWeights]:
    """Yield the ONNX files among ``candidates`` that were exported from the safetensors file with this SHA-256."""
    for candidate in candidates:
        try:
            onnx = read_onnx(candidate)
        except WeightsError:
            continue
        if onnx.about["safetensors_sha256"] == digest:
            yield onnx


def _export_to_cache(path: Path, cached: Path) -> OnnxWeights:
    """Export a safetensors file to the cache folder, or to a temporary one if that cannot be written, and read it."""
    try:
        from vidcolor.inference.export import export_onnx
    except ModuleNotFoundError as exc:
        how = f"to run it on a CPU, export it to ONNX where PyTorch is installed: vidcolor export {path}"
        raise OptionError(f"{path}: {how}; or {NEEDS_TORCH}") from exc
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(path, cached, overwrite=True)
        return read_onnx(cached)
    except (OSError, OutputError):
        with TemporaryDirectory() as folder:
            export_onnx(path, Path(folder) / cached.name, overwrite=True)
            return read_onnx(Path(folder) / cached.name)


def export_weights(
    weights: str | Path, dest: str | Path, *, pictures: Sequence[str | Path] = (), overwrite: bool = False
) -> None:
    """Export a safetensors weights file to ONNX (:func:`vidcolor.inference.export.export_onnx`).

    Args:
        weights: the safetensors file.
        dest: the ONNX file.
        pictures: files of photographs that the ranges for int8 are measured on; none: int8 is not used.
        overwrite: whether ``dest`` is replaced if it exists.

    Raises:
        WeightsError: ``weights`` is missing, damaged, or does not fit its network.
        InputError: a picture cannot be read.
        OutputError: ``dest`` cannot be written, or exists already.
        OptionError: ``dest`` is not named as an ONNX file, or what writes it is not installed.
    """
    weights, dest = Path(weights), Path(dest)
    if dest.suffix.lower() != ONNX_SUFFIX:
        raise OptionError(f"{dest}: expected a file named *{ONNX_SUFFIX}")
    try:
        from vidcolor.inference.export import export_onnx
    except ModuleNotFoundError as exc:
        raise OptionError(f"{dest}: exporting needs {exc.name}, which is not installed: {NEEDS_TORCH}") from exc
    export_onnx(weights, dest, pictures=[_read_grey(Path(picture)) for picture in pictures], overwrite=overwrite)


def _read_grey(path: Path) -> FloatArray:
    from PIL import Image

    from vidcolor.inference.one_picture import OnePicture

    try:
        with Image.open(path) as image:
            return OnePicture.of(image).grey
    except (OSError, TypeError) as exc:
        raise InputError(f"{path}: expected a photograph of 8 bits, found something else ({one_line(exc)})") from exc
