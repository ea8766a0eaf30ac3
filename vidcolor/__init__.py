"""vidcolor colors black-and-white film.

Importing the package loads neither torch nor PyAV nor OpenCV; a public name loads what it needs when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vidcolor._version import __version__

if TYPE_CHECKING:
    from vidcolor.inference.colorizer import Colorizer
    from vidcolor.inference.weights import load_generator
    from vidcolor.photograph import colorize_image
    from vidcolor.pipeline import colorize_video

__all__ = ["Colorizer", "__version__", "colorize_image", "colorize_video", "load_generator"]

_MODULES = {
    "Colorizer": "vidcolor.inference.colorizer",
    "colorize_image": "vidcolor.photograph",
    "colorize_video": "vidcolor.pipeline",
    "load_generator": "vidcolor.inference.weights",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
