"""Training with several processes, as ``torchrun`` starts them; with one process everything here is a no-op.

Every process trains on its own part of the pictures. Gradients are averaged after every backward pass, so that the
networks stay equal. Torch's DistributedDataParallel does the same inside ``forward``; training here also has backward
passes of ``predict``, of a discriminator and of a penalty; one flat all-reduce after each is enough.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn

T = TypeVar("T")

CPU = torch.device("cpu")
TIMEOUT = timedelta(hours=6)  # a process waits this long while another decodes pictures, or evaluates


@dataclass(frozen=True)
class World:
    """The rank of this process, the number of processes, and its device."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def leads(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over all processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])  # one message instead of hundreds
        distributed.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def average_statistics(self, network: nn.Module) -> None:
        """Replace the running statistics of batch norms by their means over all processes."""
        if self.size == 1:
            return
        for buffer in network.buffers():
            if buffer.is_floating_point():
                distributed.all_reduce(buffer)
                buffer /= self.size

    def share_parameters(self, network: nn.Module) -> None:
        """Replace all parameters and buffers by those of the first process."""
        if self.size == 1:
            return
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, src=0)

    def every(self, flag: bool) -> bool:
        """Return whether ``flag`` is true in all processes."""
        if self.size == 1:
            return flag
        count = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(count)
        return count.item() == self.size

    def agree(self, done: float, stop: bool) -> tuple[float, bool]:
        """Return ``done`` of the first process, and whether ``stop`` is true in any process."""
        if self.size == 1:
            return done, stop
        stops = torch.tensor(float(stop), device=self.device)
        distributed.all_reduce(stops)
        return self.broadcast((done,))[0], bool(stops.item())

    def broadcast(self, figures: tuple[float, ...]) -> tuple[float, ...]:
        """Return the ``figures`` of the first process in all processes."""
        if self.size == 1:
            return figures
        shared = torch.tensor(figures, dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return tuple(shared.tolist())

    def in_turn(self, work: Callable[[], T]) -> T:
        """Run ``work`` in one process after the other: the first on each computer fills a cache, the others read it."""
        found: list[T] = []
        for rank in range(self.size):
            if rank == self.rank:
                found.append(work())
            if self.size > 1:
                distributed.barrier()
        return found[0]


@contextmanager
def joined_world(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun's environment variables describe; without them there is one process.

    Args:
        device: The device to train on. Processes on GPUs take one each and communicate by NCCL, others by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World(device=device)
        return
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=TIMEOUT)
    try:
        yield World(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()
