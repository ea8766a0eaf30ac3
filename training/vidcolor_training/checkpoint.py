"""Checkpoints: everything that a run needs to go on as if it had never stopped.

Networks, EMA, optimisers and the place in the recipe. There is no random state among them: every step seeds what it
draws from (seed, step), so that the number of the step is the random state, and the position in the data.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from vidcolor.errors import InputError, OutputError
from vidcolor.files.atomic import atomic_file

FORMAT = 1
NAME = "checkpoint.pt"


def save_checkpoint(run: Path, state: dict[str, Any], identity: dict[str, str]) -> None:
    """Write ``state`` into the run folder, over the last checkpoint, once it is whole.

    Args:
        state: tensors, numbers and strings in dicts and lists.
        identity: hashes of what must be the same when it is loaded.

    Raises:
        OutputError: no room, or no permission; the last checkpoint is left as it was.
    """
    with atomic_file(run / NAME, overwrite=True) as part:
        try:
            torch.save({"format": FORMAT, "identity": identity, "state": state}, part)
        except RuntimeError as exc:  # what torch makes of a full disk
            raise OutputError(f"{run / NAME}: cannot be written; make room, and go on with --resume: {exc}") from exc


def load_checkpoint(run: Path, identity: dict[str, str]) -> dict[str, Any]:
    """The state of the run's checkpoint, on the CPU; nothing but tensors and plain values is unpickled.

    Raises:
        InputError: there is none, it is damaged, or it belongs to other data or another recipe.
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
