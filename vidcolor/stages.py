"""Running a stage ahead of its reader, in a thread of its own, with bounded memory.

Stages are chained by reading from each other, and closed from the last to the first::

    with Stage("decode", reader.pictures(), depth=8) as pictures:
        with Stage("generator", colorize(pictures), depth=4) as colored:
            for frame in colored:
                ...
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

POLL_SECONDS = 0.1  # how soon a waiting reader notices that its own stage was closed, and a signal on any platform

_running = threading.local()  # .stage: the Stage whose thread this is; unset in all other threads


class StageClosedError(RuntimeError):
    """Someone read from a stage that was closed: its items were cut off, which must not look like their end."""


@dataclass
class StageClock:
    """How long one stage has worked, in seconds, not counting its waits for the stages beside it."""

    name: str
    busy_seconds: float = 0.0
    """Of wall-clock, also while others have the processor, and while it waits for threads that work for it."""
    cpu_seconds: float = 0.0
    """That its own thread has had the processor, and those that it has do :func:`counted` work. The threads that torch,
    OpenCV and codecs keep are not in it."""


class Stage(Iterator[T], Generic[T]):
    """An iterator that is driven by its own thread, at most ``depth`` items ahead of whoever reads it.

    Order is kept. An exception of the source is raised once at the reader's next step, after all items before it, and
    ends the stage, as it ends a generator. One thread reads; any other may close.
    """

    def __init__(self, name: str, source: Iterator[T], *, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"a stage must be allowed at least 1 item ahead, got depth = {depth}")
        self.clock = StageClock(name)
        self._depth = depth
        self._items: deque[T] = deque()
        self._changed = threading.Condition()  # guards the five fields around it
        self._error: BaseException | None = None
        self._ended = False
        self._closed = False
        self._waited_seconds = 0.0  # for the stages that this one reads from
        self._thread = threading.Thread(target=self._drive, args=(source,), name=f"vidcolor-{name}", daemon=True)
        self._thread.start()

    def _drive(self, source: Iterator[T]) -> None:
        _running.stage = self
        error: BaseException | None = None
        try:
            while self._wait_for_room():
                try:
                    item = self._timed_next(source)
                except StopIteration:
                    break
                with self._changed:
                    self._items.append(item)
                    self._changed.notify_all()
        except BaseException as exc:
            error = exc
        error = error or _closing_error(source)
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        """Wait until one more item may be made; False when the stage is closed."""
        with self._changed:
            while len(self._items) >= self._depth and not self._closed:
                self._changed.wait()
            return not self._closed

    def _timed_next(self, source: Iterator[T]) -> T:
        started, cpu_started, waited_seconds = time.perf_counter(), time.thread_time(), self._waited_seconds
        try:
            return next(source)
        finally:
            waited_seconds = self._waited_seconds - waited_seconds
            self.clock.busy_seconds += time.perf_counter() - started - waited_seconds
            with self._changed:
                self.clock.cpu_seconds += time.thread_time() - cpu_started

    def __next__(self) -> T:
        reader: Stage[Any] | None = getattr(_running, "stage", None)
        started = time.perf_counter()
        try:
            return self._take(reader)
        finally:
            if reader is not None:
                reader._waited_seconds += time.perf_counter() - started

    def _take(self, reader: Stage[Any] | None) -> T:
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
        """Stop the thread and wait for it: no longer than the item in the making. Whatever was not read is dropped.

        A source with a ``close`` of its own, as generators have, is closed in the stage's thread. Closing twice does
        nothing more.
        """
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Stage[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def counted(work: Callable[P, T]) -> Callable[P, T]:
    """The same function, to be called in other threads: their time on the processor is that of the present stage, if
    this is the thread of one."""
    stage: Stage[Any] | None = getattr(_running, "stage", None)
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
