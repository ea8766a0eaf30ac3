"""Several processes that train one network, as ``torchrun`` starts them; with one process everything here is a no-op.

Every process sees its own part of the pictures; gradients are averaged after every backward pass, so that the networks
stay equal without being compared. Torch's DistributedDataParallel does the same inside ``forward``; here the passes are
``predict``, a discriminator's and a penalty's, and one flat all-reduce after each serves them all.
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

PATIENCE = timedelta(hours=6)  # of a process that waits while another decodes pictures, or evaluates


@dataclass(frozen=True)
class World:
    """Which process this is, of how many."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
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
        """Replace batch norm's running statistics by their means over all processes, before they are used or saved."""
        if self.size == 1:
            return
        for buffer in network.buffers():
            if buffer.is_floating_point():
                distributed.all_reduce(buffer)
                buffer /= self.size

    def share_parameters(self, network: nn.Module) -> None:
        """Replace all parameters and buffers by the first process's."""
        if self.size == 1:
            return
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, src=0)

    def every(self, flag: bool, device: torch.device) -> bool:
        """Whether ``flag`` is true in all processes."""
        if self.size == 1:
            return flag
        count = torch.tensor(float(flag), device=device)
        distributed.all_reduce(count)
        return count.item() == self.size

    def agree(self, done: float, stop: bool, device: torch.device) -> tuple[float, bool]:
        """The first process's ``done``, and whether any process wants to stop: the same answer for all."""
        if self.size == 1:
            return done, stop
        wishes = torch.tensor(float(stop), device=device)
        distributed.all_reduce(wishes)
        return self.first_says((done,), device)[0], bool(wishes.item())

    def first_says(self, figures: tuple[float, ...], device: torch.device) -> tuple[float, ...]:
        """The first process's ``figures``, in all processes."""
        if self.size == 1:
            return figures
        said = torch.tensor(figures, dtype=torch.float64, device=device)
        distributed.broadcast(said, src=0)
        return tuple(said.tolist())

    def in_turn(self, work: Callable[[], T]) -> T:
        """``work``, in one process after the other: the first of every computer fills a cache, the others find it."""
        found: list[T] = []
        for rank in range(self.size):
            if rank == self.rank:
                found.append(work())
            if self.size > 1:
                distributed.barrier()
        return found[0]


@contextmanager
def joined_world(device: torch.device) -> Iterator[World]:
    """The world that torchrun's environment variables describe; a world of one without them.

    Args:
        device: what the processes train on: NCCL joins GPUs, of which every process takes its own, gloo the rest.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield World(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
