"""Checkpoints: whole, of this run, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidcolor.errors import InputError
from vidcolor_training.checkpoint import NAME, load_checkpoint, save_checkpoint

IDENTITY = {"recipe": "a", "data": "b"}


def test_round_trip(tmp_path: Path) -> None:
    """What was saved last is loaded."""
    for step in (1, 2):
        save_checkpoint(tmp_path, {"step": step, "network": {"w": torch.full((3,), float(step))}}, IDENTITY)
    found = load_checkpoint(tmp_path, IDENTITY)
    assert found["step"] == 2
    assert found["network"]["w"].tolist() == [2.0] * 3
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_other_data(tmp_path: Path) -> None:
    """A checkpoint of other data is refused, with the reason."""
    save_checkpoint(tmp_path, {}, IDENTITY)
    with pytest.raises(InputError, match="belongs to another data"):
        load_checkpoint(tmp_path, {**IDENTITY, "data": "c"})


def test_none(tmp_path: Path) -> None:
    """Without a checkpoint the message says what to do."""
    with pytest.raises(InputError, match="without --resume"):
        load_checkpoint(tmp_path, IDENTITY)


@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_damaged(tmp_path: Path, damage: str) -> None:
    """A damaged file is one clear line, not a traceback."""
    save_checkpoint(tmp_path, {"w": torch.zeros(1000)}, IDENTITY)
    path = tmp_path / NAME
    data = path.read_bytes()
    path.write_bytes({"cut": data[:1500], "noise": b"noise" * 300, "empty": b""}[damage])
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(tmp_path, IDENTITY)
