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
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch

MAX_NETWORK_THREADS = 16
"""Threads of one call of the network; more do not speed up a picture at render size."""
MAX_CALLS = 4
"""Concurrent calls of the network; as many batches of frames are held in memory at full size."""
MAX_FLOW_THREADS = 4
"""Threads of OpenCV."""


@contextmanager
def limit_threads() -> Iterator[None]:
    """Limit the threads of torch and OpenCV within the context, to leave cores for the encoder.

    All concurrent calls of the network together get half of the cores and OpenCV a quarter, each at least one thread.
    The limits hold for the whole process. The environment variable ``OMP_NUM_THREADS`` overrides that of the network.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    cores = available_cores()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(max(cores // 2 // concurrent_calls(), 1), MAX_NETWORK_THREADS))
    cv2.setNumThreads(min(max(cores // 4, 1), MAX_FLOW_THREADS))
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def concurrent_calls() -> int:
    """Return how many calls of a network on the CPU should run concurrently beside an encoder."""
    return min(available_cores(), MAX_CALLS)


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
