"""Run one network on several devices, or in several concurrent calls on a CPU, for one film.

Batches are distributed round robin and their results returned in order. The unit is a batch rather than a shot,
because a shot can be the whole film, and the frames of all devices' shots would be held at full size. The composition
of batches does not depend on the number of devices, so the output does not either, to the last bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vidcolor.errors import OptionError
from vidcolor.frames import FloatArray
from vidcolor.inference.colorizer import Colorizer, Predictor
from vidcolor.inference.threads import concurrent_calls
from vidcolor.stages import counted

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")
A = TypeVar("A")


class MultiDevice:
    """The same network on several devices. :meth:`predict` uses the first; :func:`round_robin` uses all.

    Args:
        predictors: one for each device.

    Attributes:
        batch_size: the smallest of all. It stays as it is: a device that runs out of memory divides its own batches.

    Raises:
        OptionError: the devices compute in different arithmetic. Results would differ by rounding, and the film would
            depend on which device computed which batch.
    """

    def __init__(self, predictors: Sequence[Colorizer]) -> None:
        kinds = list(dict.fromkeys(predictor.runs_on for predictor in predictors))
        if len(kinds) > 1:
            found = ", ".join(kinds)
            raise OptionError(f"`device`: expected devices of one kind, found the network on {found}; name one kind")
        self.predictors = tuple(predictors)
        self.fingerprint = predictors[0].fingerprint
        self.runs_on = predictors[0].runs_on
        self.backend = predictors[0].backend
        self.batch_size = min(predictor.batch_size for predictor in predictors)

    def predict(self, grey: FloatArray) -> FloatArray:
        """Predict on the first device; see :meth:`~vidcolor.inference.colorizer.Predictor.predict`."""
        return self.predictors[0].predict(grey)


def predictors_of(predictor: Predictor) -> Sequence[Predictor]:
    """Return the predictors of all devices, or ``predictor`` alone if it has only one."""
    return predictor.predictors if isinstance(predictor, MultiDevice) else (predictor,)


def call_slots(predictor: Predictor) -> Sequence[Predictor]:
    """Return the predictors for :func:`round_robin`, each as often as it runs concurrent calls beside an encoder.

    A CPU is in the list :func:`~vidcolor.inference.threads.concurrent_calls` times, every other device once.
    """
    predictors = predictors_of(predictor)
    return [each for each in predictors for _ in range(concurrent_calls() if _is_on_cpu(each) else 1)]


def _is_on_cpu(predictor: Predictor) -> bool:
    return isinstance(predictor, Colorizer) and predictor.engine.is_on_cpu


def predict_batch(predictor: Predictor, grey: FloatArray) -> FloatArray:
    """Predict ab (N, 2, h, w) for (N, h, w) grey pictures; an empty batch gives an empty result without a call."""
    return predictor.predict(grey) if len(grey) else np.empty((0, 2, *grey.shape[1:]), np.float32)


def round_robin(
    batches: Iterable[tuple[T, FloatArray]],
    predictors: Sequence[Predictor],
    *,
    call: Callable[[Predictor, FloatArray], A],
) -> Iterator[tuple[T, A]]:
    """Distribute batches over predictors in turn, and yield the results in the order of the batches.

    Each predictor has a thread and one batch at a time, so as many batches are held in memory as there are predictors.
    A single predictor runs in the caller's thread.

    Args:
        batches: pairs of any object and grey pictures, (N, h, w) in [0, 1]; N may be 0.
        predictors: for instance :func:`call_slots` or :func:`predictors_of`; one may appear several times.
        call: computes the result of a batch, for instance :func:`predict_batch`.

    Yields:
        Pairs of the batch's object and the result.

    Raises:
        Exception: what ``call`` raised, in place of the result of its batch.
    """
    if len(predictors) == 1:
        for item, grey in batches:
            yield item, call(predictors[0], grey)
        return
    with ExitStack() as running:
        threads = [running.enter_context(ThreadPoolExecutor(1, "vidcolor-worker")) for _ in predictors]
        turns = cycle(zip(predictors, threads, strict=True))
        pending: deque[tuple[T, Future[A]]] = deque()
        call = counted(call)
        for item, grey in batches:
            predictor, thread = next(turns)
            pending.append((item, thread.submit(call, predictor, grey)))
            if len(pending) == len(predictors):
                earlier, result = pending.popleft()
                yield earlier, result.result()
        for earlier, result in pending:
            yield earlier, result.result()


def create_predictor(generator: nn.Module, devices: str, *, batch_size: int | None = None) -> Colorizer | MultiDevice:
    """Prepare a network on one or several devices of PyTorch.

    Args:
        generator: as for :class:`~vidcolor.inference.colorizer.Colorizer`; it is copied.
        devices: names separated by commas; or ``all``: every CUDA device, or ``auto`` without one.
        batch_size: pictures per call; None: by device.

    Raises:
        OptionError: this machine has no such device, or the devices compute in different arithmetic.
    """
    predictors = [Colorizer(generator, device=name, batch_size=batch_size) for name in _names_of(devices)]
    return predictors[0] if len(predictors) == 1 else MultiDevice(predictors)


def _names_of(devices: str) -> list[str]:
    """Split names at commas; ``all`` stands for every CUDA device, or ``auto`` without one."""
    if devices != "all":
        return devices.split(",")
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["auto"]
