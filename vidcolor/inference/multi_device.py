"""Several workers for one film: batches go to them in turn, and their colors come back in order.

They are devices, and several calls at a time to one of them.

Batches are shared out, and not whole shots: one shot can be the whole film, and the shots of all devices would wait in
memory at full size. What is in a batch does not depend on how many devices there are, so the film does not either, to
the last bit; and whoever smooths and carries the colors sees one stream of frames, as ever.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from vidcolor.errors import OptionError
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Colorizer, Predictor
from vidcolor.inference.threads import network_calls
from vidcolor.stages import counted

T = TypeVar("T")
A = TypeVar("A")


class Team:
    """The same network on several devices. Asked like one of them, the first one answers; :func:`in_turn` asks all.

    Raises:
        OptionError: the devices are of several kinds. Their colors would differ by rounding, and the film would depend
            on who was given what.
    """

    def __init__(self, members: Sequence[Colorizer]) -> None:
        kinds = list(dict.fromkeys(member.runs_on for member in members))
        if len(kinds) > 1:
            found = ", ".join(kinds)
            raise OptionError(f"`device`: expected devices of one kind, found the network on {found}; name one kind")
        self.members = tuple(members)
        self.fingerprint = members[0].fingerprint
        self.runs_on = members[0].runs_on
        self.batch_size = min(member.batch_size for member in members)
        """Stays as it is: a member whose memory does not suffice divides the batches that it is given."""

    def predict(self, grey: FloatArray) -> FloatArray:
        """See :class:`~vidcolor.inference.colorizer.Predictor`."""
        return self.members[0].predict(grey)


def members_of(predictor: Predictor) -> Sequence[Predictor]:
    """Who works: those of a team, or ``predictor`` alone."""
    return predictor.members if isinstance(predictor, Team) else (predictor,)


def workers_of(predictor: Predictor) -> Sequence[Predictor]:
    """Whom to ask at the same time, beside an encoder: every member, and a CPU for several batches at once."""
    members = members_of(predictor)
    return [member for member in members for _ in range(network_calls() if _is_on_cpu(member) else 1)]


def _is_on_cpu(predictor: Predictor) -> bool:
    return isinstance(predictor, Colorizer) and predictor.device.type == "cpu"


def predict_any(predictor: Predictor, grey: FloatArray) -> FloatArray:
    """What the predictor says of (N, h, w) grey pictures, of which there may be none."""
    return predictor.predict(grey) if len(grey) else np.empty((0, 2, *grey.shape[1:]), np.float32)


def in_turn(
    batches: Iterable[tuple[T, FloatArray]], workers: Sequence[Predictor], *, ask: Callable[[Predictor, FloatArray], A]
) -> Iterator[tuple[T, A]]:
    """Ask for the colors of batches, and give them back in order, each with what came along with its batch.

    Each worker has a thread, and one batch at a time: as many as there are workers wait in memory. One alone is asked
    in the caller's thread.

    Args:
        batches: anything, and grey pictures (N, h, w) as :meth:`~vidcolor.inference.colorizer.Predictor.predict` takes
            them; N may be 0.
        workers: :func:`workers_of` or :func:`members_of` a predictor. One may be among them several times.
        ask: how, such as :func:`predict_any`.

    Yields:
        what came along, and the answer.
    """
    if len(workers) == 1:
        for along, grey in batches:
            yield along, ask(workers[0], grey)
        return
    with ExitStack() as running:
        threads = [running.enter_context(ThreadPoolExecutor(1, "vidcolor-worker")) for _ in workers]
        turns = cycle(zip(workers, threads, strict=True))
        asked: deque[tuple[T, Future[A]]] = deque()
        ask = counted(ask)
        for along, grey in batches:
            worker, thread = next(turns)
            asked.append((along, thread.submit(ask, worker, grey)))
            if len(asked) == len(workers):
                earlier, answer = asked.popleft()
                yield earlier, answer.result()
        for earlier, answer in asked:
            yield earlier, answer.result()


def assemble(generator: nn.Module, devices: str, *, batch_size: int | None = None) -> Colorizer | Team:
    """A network on each of several devices, or on the only one there is.

    Args:
        generator: as for :class:`~vidcolor.inference.colorizer.Colorizer`; it is copied.
        devices: names with commas between them; or ``all``: every CUDA device, or what ``auto`` finds without one.
        batch_size: pictures a call; None: by device.

    Raises:
        OptionError: a device that this machine does not have, or devices of several kinds.
    """
    members = [Colorizer(copy.deepcopy(generator), device=name, batch_size=batch_size) for name in _names_of(devices)]
    return members[0] if len(members) == 1 else Team(members)


def _names_of(devices: str) -> list[str]:
    if devices != "all":
        return devices.split(",")
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["auto"]
