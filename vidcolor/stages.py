"""Running a stage ahead of its consumer, in a thread of its own, with bounded memory."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.1  # how soon a waiting thread notices that the other side has gone


_waits = threading.local()  # .seconds: how long this thread has waited for the stages it reads from


@dataclass
class StageClock:
    """How long one stage has worked, in seconds, not counting its waits for the stages beside it."""

    name: str
    busy_seconds: float = 0.0


class _End:
    """Marks the end of a stage's output; carries the exception that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Stage(Iterator[T], Generic[T]):
    """An iterator that is driven by its own thread, at most ``depth`` items ahead of whoever reads it.

    Order is kept. An exception of the source is raised again at the reader's next step, after all items before it. :meth:`close`
    stops the thread within ``POLL_SECONDS`` plus the item in the making, and closes the source if it is a generator.
    """

    def __init__(self, name: str, source: Iterator[T], *, depth: int) -> None:
        self.clock = StageClock(name)
        self._queue: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._drive, args=(source,), name=f"vidcolor-{name}", daemon=True)
        self._thread.start()

    def _drive(self, source: Iterator[T]) -> None:
        error: BaseException | None = None
        _waits.seconds = 0.0
        try:
            while not self._stop.is_set():
                started, waited = time.perf_counter(), _waits.seconds
                try:
                    item = next(source)
                except StopIteration:
                    break
                finally:
                    self.clock.busy_seconds += time.perf_counter() - started - (_waits.seconds - waited)
                self._put(item)
        except BaseException as exc:
            error = exc
        finally:
            close: Callable[[], None] | None = getattr(source, "close", None)
            if close is not None:
                try:
                    close()
                except BaseException as exc:
                    error = error or exc
            self._put(_End(error))

    def _put(self, item: T | _End) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=POLL_SECONDS)
                return
            except queue.Full:
                continue

    def __next__(self) -> T:
        if self._ended:
            raise StopIteration
        started = time.perf_counter()
        while True:
            try:
                item = self._queue.get(timeout=POLL_SECONDS)
                break
            except queue.Empty:
                if self._stop.is_set():
                    raise StopIteration from None
        _waits.seconds = getattr(_waits, "seconds", 0.0) + time.perf_counter() - started
        if isinstance(item, _End):
            self._ended = True
            if item.error is not None:
                raise item.error
            raise StopIteration
        return item

    def close(self) -> None:
        """Stop the thread and wait for it; safe to call twice and from any thread."""
        self._stop.set()
        self._thread.join()
