"""Checkpoints: everything that a stopped run needs to continue.

They hold networks, EMA, optimizers and the position in the recipe, but no random state: every step seeds its random
numbers from (seed, step), so that the step number is also the random state and the position in the data.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from vidcolor.errors import InputError, OutputError
from vidcolor.files.atomic import atomic_file

FORMAT = 2
NAME = "checkpoint.pt"


def save_checkpoint(run: Path, state: dict[str, Any], identity: dict[str, str]) -> None:
    """Write ``state`` into the run folder and replace the last checkpoint by it.

    Args:
        run: The run folder.
        state: Tensors, numbers and strings in dicts and lists.
        identity: Hashes of what must be equal when the checkpoint is loaded.

    Raises:
        OutputError: The disk is full, or writing is not permitted; the last checkpoint stays as it was.
    """
    with atomic_file(run / NAME, overwrite=True) as part:
        try:
            torch.save({"format": FORMAT, "identity": identity, "state": state}, part)
        except RuntimeError as exc:  # raised by torch when the disk is full
            raise OutputError(f"{run / NAME}: cannot be written; make room, and go on with --resume: {exc}") from exc


def load_checkpoint(run: Path, identity: dict[str, str]) -> dict[str, Any]:
    """Return the state in the run's checkpoint, on the CPU; only tensors and plain values are unpickled.

    Raises:
        InputError: The checkpoint is missing, damaged, or belongs to other data or another recipe.
    """
    path = run / NAME
    if not path.is_file():
        raise InputError(f"{run}: holds no {NAME}; start the run without --resume")
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, OSError, pickle.UnpicklingError) as exc:
        raise InputError(f"{path}: expected a checkpoint, found a damaged file; start a new run") from exc
    if found.get("format") != FORMAT:
        raise InputError(f"{path}: expected checkpoint format {FORMAT}, found {found.get('format')}; start a new run")
    for name, value in identity.items():
        if found["identity"].get(name) != value:
            raise InputError(f"{path}: belongs to another {name}; resume with what the run began with")
    state: dict[str, Any] = found["state"]
    return state
