"""The package itself: what importing it loads, and which names it promises."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import vidcolor

HEAVY = {"av", "cv2", "numpy", "onnx", "openvino", "PIL", "skimage", "torch", "torchvision"}


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running ``code``."""
    script = f"{code}\nimport json, sys\nsys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stderr)}


def test_import_loads_nothing_heavy() -> None:
    """``import vidcolor`` loads none of the large libraries, nor click and rich, which only the command line needs."""
    assert not modules_after("import vidcolor") & (HEAVY | {"click", "rich"})


def test_suffixes_load_nothing_heavy() -> None:
    """What kind of file a name means is known without the libraries that read it."""
    assert not modules_after("import vidcolor.files.suffixes") & HEAVY


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["colorize", "--help"], ["demo", "--help"], ["info", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """Help and version come at once: they load none of the large libraries."""
    code = f"from vidcolor.cli.commands import main\nmain({arguments!r}, standalone_mode=False)"
    assert not modules_after(code) & HEAVY


def test_loading_for_a_gpu_does_not_load_a_compiler() -> None:
    """PyTorch gets the network without its compiler and its algebra, which take two seconds to load."""
    code = """
import numpy as np, torch
from vidcolor import Colorizer, load_generator
Colorizer(load_generator(), device="cpu", dtype=torch.float32).predict(np.zeros((1, 32, 32), np.float32))
"""
    assert not modules_after(code) & {"sympy", "triton", "torchvision"}


def test_coloring_on_a_cpu_loads_neither_torch_nor_other_frameworks() -> None:
    """The default network is loaded and asked without PyTorch, which alone takes longer."""
    code = """
import numpy as np
from vidcolor import load_colorizer
load_colorizer(device="cpu").predict(np.zeros((1, 32, 32), np.float32))
"""
    assert not modules_after(code) & {"torch", "torchvision", "scipy", "pandas"}


def test_coloring_opens_no_connection() -> None:
    """OpenVINO imports its telemetry; nothing of it, or of anything else, reaches for the network."""
    code = """
import sys
used = []
sys.addaudithook(lambda event, arguments: used.append(event) if event.startswith("socket.") else None)
import numpy as np
from vidcolor import load_colorizer
load_colorizer(device="cpu").predict(np.zeros((1, 32, 32), np.float32))
assert not {"socket.connect", "socket.getaddrinfo", "socket.sendto"} & set(used), used
"""
    modules_after(code)


def test_promised_names_are_listed() -> None:
    """``__all__`` is exactly the public interface, and ``dir()`` shows it."""
    functions = {"colorize_folder", "colorize_image", "colorize_video"}
    functions |= {"export_weights", "load_colorizer", "load_generator"}
    records = {"ColorizeOptions", "EncodeOptions", "FolderReport", "Progress", "Report"}
    errors = {name for name, value in vars(vidcolor.errors).items() if isinstance(value, type)}
    assert set(vidcolor.__all__) == {"Colorizer", "__version__"} | functions | records | errors
    assert set(vidcolor.__all__) <= set(dir(vidcolor))


@pytest.mark.parametrize("name", vidcolor.__all__)
def test_promised_names_exist(name: str) -> None:
    """Every public name can be had from the package, from the module that defines it."""
    value = getattr(vidcolor, name)
    assert name == "__version__" or value.__name__ == name


def test_other_names_do_not_exist() -> None:
    """A wrong name is an AttributeError that tells the name, as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'colorise_video'"):
        vidcolor.colorise_video  # noqa: B018
