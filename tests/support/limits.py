"""Limits of the operating system that tests set for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def max_file_size(size: int) -> Iterator[None]:
    """Let no file grow beyond ``size`` bytes within the context; skip the test where the system has no such limit."""
    resource = pytest.importorskip("resource", reason="needs the limits of Unix")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
