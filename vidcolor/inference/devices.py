"""Find out which engine runs on which device, without loading PyTorch."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

log = logging.getLogger(__name__)

TORCH_DEVICES = ("cuda", "mps")
"""Device types on which PyTorch runs; OpenVINO runs on all others."""


def uses_torch(device: str) -> bool:
    """Return whether PyTorch runs on the devices that a name stands for, or should be asked what there is."""
    if device in ("auto", "all"):
        return _has_usable_gpu()
    return any(name.split(":")[0] in TORCH_DEVICES for name in device.split(","))


def _has_usable_gpu() -> bool:
    """Return whether there is a GPU and PyTorch to use it; a warning in the log names a GPU without PyTorch."""
    gpu = gpu_here()
    if gpu is None:
        return False
    if find_spec("torch") is None:
        log.warning("this machine has %s, which is faster and needs PyTorch: pip install 'vidcolor[gpu]'", gpu)
        return False
    import torch  # which knows whether its build and the driver fit

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def gpu_here() -> str | None:
    """Return what GPU of NVIDIA or Apple this machine seems to have, by the files of its driver; None without one."""
    if sys.platform == "darwin":
        return "an Apple GPU" if platform.machine() == "arm64" else None
    driver = Path(os.environ.get("SYSTEMROOT", "C:\\Windows")) / "System32" / "nvcuda.dll"
    places = (driver,) if sys.platform == "win32" else (Path("/dev/nvidiactl"), Path("/dev/dxg"))
    has_driver = any(place.exists() for place in places) and (sys.platform == "win32" or shutil.which("nvidia-smi"))
    return "an NVIDIA GPU" if has_driver else None
