"""How many threads each library takes while a film is colored.

Decoder, network, optical flow and encoder run side by side, and the encoder takes all that is left. A library that
divides a piece of work among all cores then waits for the last of its threads, which waits for the encoder: on two
cores a film takes 8 % longer that way than with one thread each. What does not run beside an encoder, such as
photographs, keeps all cores.

But whenever the encoder has nothing to do because it waits for colors, one thread alone would leave cores idle. So the
network is asked for several pictures at once, each in few threads: on two cores without AVX-512, where the network is
slow, a film takes 20 % less time so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch

MAX_NETWORK_THREADS = 16  # one picture at render size is not worth more
MAX_CALLS = 4  # as many groups of frames wait in memory, at full size
MAX_FLOW_THREADS = 4


@contextmanager
def shared_with_encoder() -> Iterator[None]:
    """Half of the cores for all calls of the network and a quarter for OpenCV, one at least, within the context.

    The counts are the process's: threads that begin within the context have the same, and so have other films that are
    colored beside this one. Whoever sets ``OMP_NUM_THREADS`` decides for the network.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    cores = available_cores()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(max(cores // 2 // network_calls(), 1), MAX_NETWORK_THREADS))
    cv2.setNumThreads(min(max(cores // 4, 1), MAX_FLOW_THREADS))
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def network_calls() -> int:
    """How many pictures a network on the CPU is worth asking for at the same time, beside an encoder."""
    return min(available_cores(), MAX_CALLS)


def available_cores() -> int:
    """That this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
