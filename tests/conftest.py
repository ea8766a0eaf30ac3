"""Fixtures that more than one test file uses."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

SHARED_CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"


@pytest.fixture(scope="session")
def shared_clips() -> Path:
    """The development clips beside the checkout; the test is skipped where there are none."""
    if not SHARED_CLIPS.is_dir():
        pytest.skip("needs the development clips in ../shared/clips")
    return SHARED_CLIPS


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> None:
    """Undo what nohup and background jobs do: they have SIGINT and SIGHUP ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
