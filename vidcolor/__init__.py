"""vidcolor colors black-and-white film.

Importing the package loads neither torch nor PyAV nor OpenCV; a public name loads what it needs when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vidcolor._version import __version__
from vidcolor.errors import (
    InputError,
    OptionError,
    OutputError,
    ResourceError,
    StoppedError,
    TrainingError,
    VidcolorError,
    WeightsError,
)
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.progress import Progress, Report

if TYPE_CHECKING:
    from vidcolor.folder.coloring import colorize_folder
    from vidcolor.folder.results import FolderReport
    from vidcolor.inference.colorizer import Colorizer
    from vidcolor.inference.loading import export_weights, load_colorizer
    from vidcolor.inference.weights import load_generator
    from vidcolor.photograph import colorize_image
    from vidcolor.pipeline import colorize_video

__all__ = [
    "ColorizeOptions",
    "Colorizer",
    "EncodeOptions",
    "FolderReport",
    "InputError",
    "OptionError",
    "OutputError",
    "Progress",
    "Report",
    "ResourceError",
    "StoppedError",
    "TrainingError",
    "VidcolorError",
    "WeightsError",
    "__version__",
    "colorize_folder",
    "colorize_image",
    "colorize_video",
    "export_weights",
    "load_colorizer",
    "load_generator",
]

_LAZY = {
    "Colorizer": "vidcolor.inference.colorizer",
    "FolderReport": "vidcolor.folder.results",
    "colorize_folder": "vidcolor.folder.coloring",
    "colorize_image": "vidcolor.photograph",
    "colorize_video": "vidcolor.pipeline",
    "export_weights": "vidcolor.inference.loading",
    "load_colorizer": "vidcolor.inference.loading",
    "load_generator": "vidcolor.inference.weights",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
