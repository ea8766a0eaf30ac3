"""Interpolate two networks, of which one was trained from the other: ``python -m vidcolor_training.blend``.

    python -m vidcolor_training.blend ACCURATE ALIVE -o OUT --share 0.5

Every parameter of OUT is (1 − share) · ACCURATE + share · ALIVE (network interpolation; Wang et al. 2018, "ESRGAN",
§3.4). So networks between one with a small error and one with vivid colors need no training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from vidcolor.errors import OptionError, OutputError
from vidcolor.inference.weights import load_generator, save_generator
from vidcolor.inference.weights_file import describe
from vidcolor_training.evaluation.provenance import file_sha256


@click.command()
@click.argument("accurate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("alive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--share", required=True, type=click.FloatRange(0, 1), help="0: the first, 1: the second.")
def main(accurate: Path, alive: Path, output: Path, share: float) -> None:
    """Write the weights that are SHARE of the way from ACCURATE to ALIVE."""
    blend(accurate, alive, output, share=share)


def blend(accurate: Path, alive: Path, output: Path, *, share: float) -> None:
    """Write the weights file ``output``, with the training metadata of both files.

    Raises:
        OptionError: The files hold different networks.
        OutputError: ``output`` exists.
        WeightsError: One of them is no weights file.
    """
    if output.exists():
        raise OutputError(f"{output}: exists already; choose another name")
    about, other = describe(alive), describe(accurate)
    first, second = load_generator(accurate), load_generator(alive)
    if type(first) is not type(second) or _shapes(first.state_dict()) != _shapes(second.state_dict()):
        raise OptionError(f"{accurate} and {alive}: expected one network, found two that differ")
    of_one_network = {"figures", "pictures_seen"}  # true of each of the two, not of what lies between
    training: dict[str, Any] = {
        **{key: value for key, value in about["training"].items() if key not in of_one_network},
        "blend": {
            "share": share,
            "of": {"sha256": file_sha256(alive), "training": about["training"]},
            "with": {"sha256": file_sha256(accurate), "training": other["training"]},
        },
    }
    save_generator(
        output,
        interpolate(first.state_dict(), second.state_dict(), share),
        network=about["network"],
        config=about["config"],
        recipe=about["recipe"],
        training=training,
    )


def interpolate(first: dict[str, Tensor], second: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return (1 − share) · first + share · second of every floating-point tensor; counters are those of ``second``."""
    return {
        name: torch.lerp(tensor, second[name], share) if tensor.is_floating_point() else second[name]
        for name, tensor in first.items()
    }


def _shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


if __name__ == "__main__":
    main()
