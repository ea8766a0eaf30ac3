"""Stages: order, bounds, errors, clocks, and closing without losing or leaving anything."""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from vidcolor.stages import Stage, StageClosedError, counted

PATIENCE_SECONDS = 10.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.001)


def stage_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("vidcolor-")]


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """No test may leave a stage's thread running."""
    yield
    wait_until(lambda: not stage_threads())


class SourceError(Exception):
    """What the sources here raise."""


@pytest.mark.parametrize("depth", [1, 2, 1000])
def test_order_and_count_are_those_of_the_source(depth: int) -> None:
    """Through three stages, every item arrives once and in order."""
    with (
        Stage("a", iter(range(500)), depth=depth) as a,
        Stage("b", (2 * item for item in a), depth=depth) as b,
        Stage("c", (item + 1 for item in b), depth=depth) as c,
    ):
        assert list(c) == [2 * item + 1 for item in range(500)]


def test_end_is_final() -> None:
    """Like any iterator, an exhausted stage stays exhausted."""
    with Stage("a", iter([1]), depth=1) as stage:
        assert list(stage) == [1]
        assert list(stage) == []


def test_empty_source() -> None:
    """A source without items ends at once."""
    with Stage("a", iter(()), depth=1) as stage:
        assert next(stage, "nothing") == "nothing"


@pytest.mark.parametrize("depth", [1, 3])
def test_never_more_than_depth_items_ahead(depth: int) -> None:
    """With nobody reading, exactly ``depth`` items are made; each one read makes room for one more."""
    made: list[int] = []

    def source() -> Iterator[int]:
        for item in itertools.count():
            made.append(item)
            yield item

    with Stage("a", source(), depth=depth) as stage:
        wait_until(lambda: len(made) == depth)
        time.sleep(0.05)
        assert len(made) == depth
        next(stage)
        wait_until(lambda: len(made) == depth + 1)
        time.sleep(0.05)
        assert len(made) == depth + 1


def test_depth_zero_is_refused() -> None:
    """A depth of 0 would mean either a deadlock or no bound at all."""
    with pytest.raises(ValueError, match="depth = 0"):
        Stage("a", iter(()), depth=0)


def test_error_comes_after_all_items_before_it() -> None:
    """The items made before a failure are delivered, then the very exception is raised once, then it is the end."""
    failure = SourceError("broken")

    def source() -> Iterator[int]:
        yield from range(5)
        raise failure

    with Stage("a", source(), depth=10) as stage:
        assert list(itertools.islice(stage, 5)) == list(range(5))
        with pytest.raises(SourceError) as caught:
            next(stage)
        assert caught.value is failure
        assert list(stage) == []


def test_error_travels_through_the_stages_behind() -> None:
    """A failure of the first stage reaches the reader of the last."""

    def source() -> Iterator[int]:
        yield 1
        raise SourceError("broken")

    with Stage("a", source(), depth=1) as a, Stage("b", (item for item in a), depth=1) as b:
        assert next(b) == 1
        with pytest.raises(SourceError, match="broken"):
            next(b)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_errors_outside_exception_are_not_lost(kind: type[BaseException]) -> None:
    """What ends a program ends it from a stage's thread too."""

    def source() -> Iterator[int]:
        raise kind
        yield

    with Stage("a", source(), depth=1) as stage, pytest.raises(kind):
        next(stage)


def test_error_while_the_source_closes_is_not_lost() -> None:
    """A source that fails to close after its last item is a failed source."""

    class FailsToClose(Iterator[int]):
        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            raise SourceError("cannot close")

    with Stage("a", FailsToClose(), depth=1) as stage, pytest.raises(SourceError, match="cannot close"):
        next(stage)


def test_close_ends_an_endless_source_in_its_own_thread() -> None:
    """Closing runs the generator's ``finally`` in the thread that ran the generator, and waits for it."""
    closed_in: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed_in.append(threading.current_thread().name)

    stage = Stage("a", source(), depth=2)
    next(stage)
    stage.close()
    assert closed_in == ["vidcolor-a"]
    stage.close()


def test_reading_a_closed_stage_is_no_end() -> None:
    """A cut-off film must not look like a short one."""
    stage = Stage("a", itertools.count(), depth=2)
    stage.close()
    with pytest.raises(StageClosedError, match="stage a"):
        next(stage)


def test_close_wakes_a_reader_in_another_thread() -> None:
    """A reader that waits for an item learns that there will be none."""
    hold = threading.Event()
    outcome: list[BaseException] = []

    def source() -> Iterator[int]:
        hold.wait(PATIENCE_SECONDS)
        yield 1

    def read(stage: Stage[int]) -> None:
        try:
            next(stage)
        except StageClosedError as exc:
            outcome.append(exc)

    stage = Stage("a", source(), depth=1)
    reader = threading.Thread(target=read, args=(stage,))
    reader.start()
    closer = threading.Thread(target=stage.close)
    closer.start()
    reader.join(PATIENCE_SECONDS)
    assert len(outcome) == 1
    hold.set()
    closer.join(PATIENCE_SECONDS)


def test_closing_the_last_stage_does_not_wait_for_the_first() -> None:
    """A stage that waits for a slow one before it closes at once, not when the slow one has made its item."""
    hold = threading.Event()
    waiting = threading.Event()

    def slow() -> Iterator[int]:
        hold.wait(PATIENCE_SECONDS)
        yield 1

    def behind(source: Iterator[int]) -> Iterator[int]:
        waiting.set()
        yield from source

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Stage("first", slow(), depth=1))
        stack.callback(hold.set)
        last = Stage("last", behind(first), depth=1)
        assert waiting.wait(PATIENCE_SECONDS)
        last.close()
        assert not hold.is_set()


def test_an_error_of_the_reader_closes_every_stage() -> None:
    """When the body of the ``with`` fails, all threads end, also those that wait for room."""

    def read_a_little() -> None:
        with Stage("a", itertools.count(), depth=3) as a, Stage("b", map(str, a), depth=3) as b:
            for item in b:
                if item == "20":
                    raise SourceError

    with pytest.raises(SourceError):
        read_a_little()
    assert stage_threads() == []


def test_an_interrupt_reaches_a_waiting_reader() -> None:
    """Ctrl-C ends the main thread's wait for a stage that has nothing to say."""
    reading, hold = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        reading.wait(PATIENCE_SECONDS)
        time.sleep(0.05)
        signal.raise_signal(signal.SIGINT)  # Python runs the handler in the main thread, which waits for this item
        hold.wait(PATIENCE_SECONDS)
        yield 1

    def read(stage: Stage[int]) -> int:
        reading.set()
        return next(stage)

    with Stage("a", source(), depth=1) as stage:
        with pytest.raises(KeyboardInterrupt):
            read(stage)
        hold.set()


def test_clock_counts_work_and_not_waits() -> None:
    """A stage is busy while it makes items; not while it waits for items, nor while nobody takes its own."""

    def slow() -> Iterator[int]:
        for item in range(4):
            time.sleep(0.05)
            yield item

    started = time.perf_counter()
    with Stage("slow", slow(), depth=1) as a, Stage("quick", (item for item in a), depth=1) as b:
        for _ in b:
            time.sleep(0.15)
        assert 0.2 <= a.clock.busy_seconds < (time.perf_counter() - started) / 2
        assert b.clock.busy_seconds < a.clock.busy_seconds / 2


def test_clock_tells_work_of_the_processor_from_sleep() -> None:
    """A stage that sleeps is busy, and leaves the processor to others; one that computes has it."""

    def sleeping() -> Iterator[int]:
        time.sleep(0.2)
        yield 0

    def computing() -> Iterator[int]:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass
        yield 0

    with Stage("sleeping", sleeping(), depth=1) as a, Stage("computing", computing(), depth=1) as b:
        assert [*a, *b] == [0, 0]
        assert a.clock.cpu_seconds < 0.1 <= b.clock.cpu_seconds
        assert a.clock.busy_seconds >= 0.2


def test_work_in_other_threads_counts() -> None:
    """As a stage's own, where the stage says so; outside of any stage it counts nowhere."""

    def compute(seconds: float) -> str:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        return "done"

    def delegating() -> Iterator[str]:
        with ThreadPoolExecutor(2) as threads:
            work = counted(compute)
            yield from threads.map(work, [0.1, 0.1])
            yield from threads.map(compute, [0.1])

    with Stage("delegating", delegating(), depth=1) as stage:
        assert list(stage) == ["done"] * 3
        assert 0.2 <= stage.clock.cpu_seconds < 0.3
    assert counted(compute) is compute


def test_many_short_lives() -> None:
    """Opening, reading a little and closing, again and again, neither hangs nor leaks a thread."""
    for count in range(200):
        with Stage("a", iter(range(10)), depth=1 + count % 3) as a, Stage("b", map(str, a), depth=1 + count % 2) as b:
            assert list(itertools.islice(b, count % 12)) == [str(item) for item in range(min(count % 12, 10))]
