"""Run the stages of a pipeline ahead of their readers, each in its own thread, with bounded memory.

Stages are chained by reading from each other, and closed from the last to the first::

    with Stages(depth=4) as stages:
        pictures = stages.start("decode", reader.pictures())
        colored = stages.start("generator", colorize(pictures))
        for frame in stages.run_here("encode", encode(colored)):
            ...
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

POLL_SECONDS = 0.1  # how soon a waiting reader notices that its own stage was closed, and a signal on any platform

_running = threading.local()  # .stage: the stage that this thread runs; unset or None in all other threads


class StageClosedError(RuntimeError):
    """A closed stage was read: its items were cut off, which must not look like their end."""


@dataclass
class StageClock:
    """How long one stage has worked, in seconds, without its waits for the stages before and after it."""

    name: str
    busy_seconds: float = 0.0
    """Wall-clock time, including time while other threads have the processor or work for this stage."""
    cpu_seconds: float = 0.0
    """Processor time of the stage's own thread and of :func:`counted` work. The threads that torch, OpenCV and codecs
    keep are not in it."""


class TimedStage(Iterator[T], Generic[T]):
    """An iterator whose work is timed, in the thread that reads it. See :class:`Stage` for one in its own thread."""

    def __init__(self, name: str, source: Iterator[T]) -> None:
        self.clock = StageClock(name)
        self._source = source
        self._changed = threading.Condition()  # guards the clock's CPU time, and the fields of a Stage
        self._closed = False
        self._waited_seconds = 0.0  # for the stages that this one reads from

    def __next__(self) -> T:
        outer: TimedStage[Any] | None = getattr(_running, "stage", None)
        _running.stage = self
        try:
            return self._timed_next()
        finally:
            _running.stage = outer

    def _timed_next(self) -> T:
        started, cpu_started, waited_seconds = time.perf_counter(), time.thread_time(), self._waited_seconds
        try:
            return next(self._source)
        finally:
            waited_seconds = self._waited_seconds - waited_seconds
            self.clock.busy_seconds += time.perf_counter() - started - waited_seconds
            with self._changed:
                self.clock.cpu_seconds += time.thread_time() - cpu_started


class Stage(TimedStage[T]):
    """An iterator that is driven by its own thread, at most ``depth`` items ahead of its reader.

    Order is kept. An exception of the source is raised once, after all items before it, and ends the stage, as it ends
    a generator. One thread reads; any other may close.
    """

    def __init__(self, name: str, source: Iterator[T], *, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"a stage must be allowed at least 1 item ahead, got depth = {depth}")
        super().__init__(name, source)
        self._depth = depth
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._drive, name=f"vidcolor-{name}", daemon=True)
        self._thread.start()

    def _drive(self) -> None:
        _running.stage = self
        error: BaseException | None = None
        try:
            while self._wait_for_room():
                try:
                    item = self._timed_next()
                except StopIteration:
                    break
                with self._changed:
                    self._items.append(item)
                    self._changed.notify_all()
        except BaseException as exc:
            error = exc
        error = error or _closing_error(self._source)
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        """Wait until one more item may be made; False when the stage is closed."""
        with self._changed:
            while len(self._items) >= self._depth and not self._closed:
                self._changed.wait()
            return not self._closed

    def __next__(self) -> T:
        reader: TimedStage[Any] | None = getattr(_running, "stage", None)
        started = time.perf_counter()
        try:
            return self._take(reader)
        finally:
            if reader is not None:
                reader._waited_seconds += time.perf_counter() - started

    def _take(self, reader: TimedStage[Any] | None) -> T:
        with self._changed:
            while not (self._items or self._ended or self._closed):
                if reader is not None and reader._closed:
                    raise StageClosedError(f"stage {reader.clock.name} was closed while waiting for {self.clock.name}")
                self._changed.wait(POLL_SECONDS)
            if self._closed:
                raise StageClosedError(f"stage {self.clock.name} was closed before its end was read")
            if self._items:
                self._changed.notify_all()
                return self._items.popleft()
            error, self._error = self._error, None
        raise error or StopIteration

    def close(self) -> None:
        """Stop the thread and wait for it, at most until its present item is done. Unread items are dropped.

        A source with a ``close`` of its own, as generators have, is closed in the stage's thread. Closing twice does
        nothing more.
        """
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Stages:
    """The stages of one pipeline: started one after the other, closed together, from the last to the first.

    Args:
        depth: how many items each stage may be ahead of its reader.
        interrupt: called before stages are closed, to end a read that one of them may wait in.
    """

    def __init__(self, *, depth: int, interrupt: Callable[[], None] | None = None) -> None:
        self.clocks: list[StageClock] = []
        """Of each stage, in the order of the pipeline."""
        self._depth = depth
        self._interrupt = interrupt
        self._started = ExitStack()

    def start(self, name: str, source: Iterator[T]) -> Iterator[T]:
        """Run ``source`` in a thread of its own."""
        stage = self._started.enter_context(Stage(name, source, depth=self._depth))
        self.clocks.append(stage.clock)
        return stage

    def run_here(self, name: str, source: Iterator[T]) -> Iterator[T]:
        """Run ``source`` in the thread that reads it."""
        stage = TimedStage(name, source)
        self.clocks.append(stage.clock)
        return stage

    @property
    def bottleneck(self) -> str:
        """The name of the stage that has worked longest."""
        return max(self.clocks, key=lambda clock: clock.busy_seconds).name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._started:
            if self._interrupt is not None:
                self._interrupt()


def counted(work: Callable[P, T]) -> Callable[P, T]:
    """Return ``work`` as a function for other threads whose processor time is added to the stage that runs here.

    Outside of a stage's thread ``work`` is returned as it is.
    """
    stage: TimedStage[Any] | None = getattr(_running, "stage", None)
    if stage is None:
        return work

    @wraps(work)
    def timed(*args: P.args, **kwargs: P.kwargs) -> T:
        started = time.thread_time()
        try:
            return work(*args, **kwargs)
        finally:
            with stage._changed:
                stage.clock.cpu_seconds += time.thread_time() - started

    return timed


def _closing_error(source: Iterator[Any]) -> BaseException | None:
    close: Callable[[], None] | None = getattr(source, "close", None)
    if close is None:
        return None
    try:
        close()
    except BaseException as exc:
        return exc
    return None
