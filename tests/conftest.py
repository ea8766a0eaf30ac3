"""Fixtures that more than one test file uses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests import the clip maker as a plain module

SHARED_CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"


@pytest.fixture(scope="session")
def shared_clips() -> Path:
    """The development clips beside the checkout; the test is skipped where there are none."""
    if not SHARED_CLIPS.is_dir():
        pytest.skip(f"needs the development clips in {SHARED_CLIPS}")
    return SHARED_CLIPS
