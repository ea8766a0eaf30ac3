"""Fixtures that more than one test file uses."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"


@pytest.fixture(scope="session")
def shared_clips() -> Path:
    """The development clips beside the checkout; the test is skipped where there are none."""
    if not SHARED_CLIPS.is_dir():
        pytest.skip("needs the development clips in ../shared/clips")
    return SHARED_CLIPS
