"""Set the number of threads of each library while a film is colored.

Decoder, network, optical flow and encoder run at the same time, and the encoder uses all remaining CPU time. A library
that splits each operation over all cores then waits for its slowest thread, which shares a core with the encoder: on
two cores a film takes 8 % longer than with one thread for each library. Without an encoder, as for photographs, all
cores are used.

While the encoder waits for the network, one thread would leave cores idle. So the network runs in several concurrent
calls of few threads each, which saves 20 % of the time of a film on two cores without AVX-512, where the network is
slow.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2

MAX_NETWORK_THREADS = 16
"""Threads of one call of the network; more do not speed up a picture at render size."""
MAX_CALLS = 4
"""Concurrent calls of the network; as many batches of frames are held in memory at full size."""
MAX_FLOW_THREADS = 4
"""Threads of OpenCV."""


@dataclass(frozen=True)
class ThreadShare:
    """How an engine on the CPU shares the cores with other stages."""

    calls: int
    """Concurrent calls."""
    threads: int
    """Threads of each call."""


_share: ThreadShare | None = None  # inside limit_threads


def thread_share() -> ThreadShare:
    """Return the calls and threads for the network: all cores for one call, or the limits of :func:`limit_threads`."""
    return _share or ThreadShare(1, min(available_cores(), MAX_NETWORK_THREADS))


def is_in_film() -> bool:
    """Return whether a film is being colored, whose pictures all have one size (:func:`limit_threads`)."""
    return _share is not None


@contextmanager
def limit_threads() -> Iterator[None]:
    """Limit the threads of torch and OpenCV within the context, to leave cores for the encoder.

    All concurrent calls of the network together get half of the cores and OpenCV a quarter, each at least one thread.
    The limits hold for the whole process. The environment variable ``OMP_NUM_THREADS`` overrides that of the network.
    """
    global _share
    outer, flow_threads = _share, cv2.getNumThreads()
    cores = available_cores()
    _share = ThreadShare(concurrent_calls(), min(max(cores // 2 // concurrent_calls(), 1), MAX_NETWORK_THREADS))
    cv2.setNumThreads(min(max(cores // 4, 1), MAX_FLOW_THREADS))
    try:
        with _limit_torch(_share.threads):
            yield
    finally:
        _share = outer
        cv2.setNumThreads(flow_threads)


@contextmanager
def _limit_torch(threads: int) -> Iterator[None]:
    """Limit the threads of PyTorch, where it is loaded; the environment variable ``OMP_NUM_THREADS`` comes first."""
    torch = sys.modules.get("torch")
    if torch is None or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def concurrent_calls() -> int:
    """Return how many calls of a network on the CPU should run concurrently beside an encoder."""
    return min(available_cores(), MAX_CALLS)


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
