"""Load weights of either kind: safetensors, which PyTorch runs, or ONNX, which OpenVINO runs."""

from __future__ import annotations

from pathlib import Path

from vidcolor.errors import OptionError
from vidcolor.inference.colorizer import Colorizer, Predictor

ONNX_SUFFIX = ".onnx"


def load_colorizer(
    weights: str | Path | None = None, *, device: str = "auto", batch_size: int | None = None
) -> Predictor:
    """Load a network and prepare it for one or several devices; takes seconds.

    Args:
        weights: a safetensors file, or an ONNX file, known by its suffix; None: the default weights.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; several, separated by commas; or ``all``: every
            CUDA device. For an ONNX file ``auto``, ``cpu``, ``gpu``, ``gpu:N`` or ``npu``.
        batch_size: pictures per call of the network; None: by device.

    Raises:
        WeightsError: the weights file is missing, damaged, or does not fit its network.
        OptionError: the device does not exist on this machine, or what runs the file is not installed.
    """
    path = None if weights is None else Path(weights)
    if path is not None and path.suffix.lower() == ONNX_SUFFIX:
        return load_onnx(path, device=device, batch_size=batch_size)
    from vidcolor.inference.multi_device import create_predictor
    from vidcolor.inference.weights import load_generator

    return create_predictor(load_generator(path), device, batch_size=batch_size)


def load_onnx(path: Path, *, device: str, batch_size: int | None) -> Colorizer:
    """Load an ONNX weights file; see :func:`load_colorizer`."""
    try:
        from vidcolor.inference.onnx_weights import read_onnx
        from vidcolor.inference.openvino_engine import OpenVinoEngine
    except ModuleNotFoundError as exc:
        line = f"{path}: ONNX weights need {exc.name}, which is not installed: pip install 'vidcolor[openvino]'"
        raise OptionError(line) from exc
    return Colorizer(OpenVinoEngine(read_onnx(path), device), batch_size=batch_size)


def export_weights(weights: str | Path, dest: str | Path, *, overwrite: bool = False) -> None:
    """Export a safetensors weights file to ONNX (:func:`vidcolor.inference.export.export_onnx`).

    Raises:
        WeightsError: ``weights`` is missing, damaged, or does not fit its network.
        OutputError: ``dest`` cannot be written, or exists already.
        OptionError: ``dest`` is not named as an ONNX file, or what writes it is not installed.
    """
    weights, dest = Path(weights), Path(dest)
    if dest.suffix.lower() != ONNX_SUFFIX:
        raise OptionError(f"{dest}: expected a file named *{ONNX_SUFFIX}")
    try:
        from vidcolor.inference.export import export_onnx
    except ModuleNotFoundError as exc:
        line = f"{dest}: ONNX files need {exc.name}, which is not installed: pip install 'vidcolor[openvino]'"
        raise OptionError(line) from exc
    export_onnx(weights, dest, overwrite=overwrite)
