"""The packages that only training and evaluation need."""

from __future__ import annotations

from importlib.util import find_spec

from vidcolor.errors import OptionError

PACKAGES = (
    "jinja2",
    "matplotlib",
    "scipy",
    "skimage",
    "tensorboard",
    "tomli_w",
    "torch",
    "torchmetrics",
    "torchvision",
    "tqdm",
)
"""The import names of the extra ``train`` in pyproject.toml, without pip, which ``--fetch`` alone needs."""


def check_extras() -> None:
    """Check that the packages of the extra ``train`` are installed. It is called before anything imports them.

    Raises:
        OptionError: One of them is not installed.
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise OptionError(f"training and evaluation need {', '.join(missing)}: pip install 'vidcolor[train]'")
