"""Fuzz the readers: corrupt films, pictures, scans, weights or unfinished work, and read each in a process of its own.

    python -m tools.fuzz --kind films --cases 20000 --seed 1
    python -m tools.fuzz --kind pictures --seed 1 --first 1234 --cases 1 --keep found

Films are read with random options: deinterlaced or not, stopping at damage or not; some are copied, some colored. In
unfinished work one file is corrupted (:mod:`tools.fuzz_work`).

Each file must be read, or refused by a :class:`~vidcolor.errors.VidcolorError` of one line that names the file or the
unsuitable option. A finding is: another exception, a crash, a Python warning, more than ``--seconds`` of time, or more
than ``--megabytes`` of memory beyond what the process had before. Output of the C libraries on standard error is
counted, but is not a finding. A case depends on its kind, the seed and its number alone: ``--first`` makes it again,
and ``--keep`` writes its file. Findings go to standard output, one JSON object a line, and a summary at the end.

The limit for pictures is 40 million pixels here instead of 500 million, so that the largest one that is allowed stays
far below the limits of time and memory.

Needs Linux: memory is read from ``/proc``.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import IO, Any, Literal

import tools.fuzz_mutations
from tests.support.painter import Painter
from tools.fuzz_scans import scan_reader
from tools.fuzz_seeds import SEEDS
from tools.fuzz_work import short_segments, work_reader
from vidcolor.errors import OptionError, VidcolorError

SUFFIXES = {"films": "", "pictures": ".png", "scans": ".tif", "weights": ".safetensors", "work": ".part", "faults": ""}
COPY_SUFFIXES = (".mkv", ".mp4", ".mov", ".avi", ".ts")
ADDRESS_SPACE = 12 << 30
"""Bytes beyond what the process has at the start; a case that needs more fails alone."""
MAX_PIXELS = 40_000_000
MAX_FRAMES = 200
"""Frames after which coloring a film is stopped."""
START_SECONDS = 120
"""Limit for the first answer of a process."""
CASES_PER_PROCESS = 1000


@dataclass(frozen=True)
class CaseOutcome:
    """The outcome of one case."""

    case: int
    seed_file: str
    verdict: str
    """``read``, ``refused``; or a finding: ``exception``, ``message``, ``warning``, ``memory``, ``slow``, ``crash``."""
    detail: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0
    chatter: bool = False
    """Whether a C library wrote to standard error."""

    @property
    def is_finding(self) -> bool:
        """Return whether the file was neither read nor refused properly."""
        return self.verdict not in ("read", "refused")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which cases to run, and their limits."""

    kind: str
    seed: int
    first: int = 0
    cases: int = 1000
    seconds: float = 10.0
    megabytes: float = 2048.0
    keep: str | None = None


def fuzz(plan: Plan, *, workers: int = 1, on_finding: Callable[[CaseOutcome], None] | None = None) -> list[CaseOutcome]:
    """Run all cases of a plan, and return their outcomes in order.

    A process reads many cases; after a crash or a timeout a new one continues with the next case.

    Args:
        plan: the cases.
        workers: how many processes run at a time.
        on_finding: is called with each finding as soon as it is known.
    """
    starts = range(plan.first, plan.first + plan.cases, CASES_PER_PROCESS)
    with TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        for name, data in SEEDS[plan.kind]().items():
            (seeds / name).write_bytes(data)
        end = plan.first + plan.cases
        runs = pool.map(
            lambda start: _run_cases(plan, start, min(start + CASES_PER_PROCESS, end), seeds, on_finding), starts
        )
        return [outcome for outcomes in runs for outcome in outcomes]


def _run_cases(
    plan: Plan, start: int, stop: int, seeds: Path, on_finding: Callable[[CaseOutcome], None] | None
) -> list[CaseOutcome]:
    outcomes: list[CaseOutcome] = []
    while start < stop:
        for outcome in _one_process(plan, start, stop, seeds):
            outcomes.append(outcome)
            if outcome.is_finding and on_finding is not None:
                on_finding(outcome)
        start = outcomes[-1].case + 1
    return outcomes


def _one_process(plan: Plan, start: int, stop: int, seeds: Path) -> Iterator[CaseOutcome]:
    """Yield the outcomes of one process; if it ends early, the last one says why."""
    reading, writing = os.pipe()
    job = json.dumps({**asdict(plan), "start": start, "stop": stop, "seeds": str(seeds), "answers": writing})
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-P", "-X", "faulthandler", "-m", "tools.fuzz", "--job", job]
    with (
        TemporaryDirectory() as folder,
        (Path(folder) / "stderr").open("w+b") as noise,
        os.fdopen(reading, "rb") as answers,
    ):
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            pass_fds=[writing],
            stdout=noise,
            stderr=noise,
            stdin=subprocess.DEVNULL,
        )
        os.close(writing)
        case = start - 1
        try:
            for line in _lines(answers, first_limit=START_SECONDS + plan.seconds, limit=plan.seconds):
                outcome = CaseOutcome(**line)
                case = outcome.case
                yield outcome
            if case < stop - 1:
                why = f"exit code {process.wait(60)}: " + _last_of(noise)
                yield CaseOutcome(case + 1, "", "crash", why)
        except TimeoutError:
            yield CaseOutcome(case + 1, "", "slow", "killed", plan.seconds)
        finally:
            process.kill()
            process.wait()


def _lines(answers: IO[bytes], *, first_limit: float, limit: float) -> Iterator[dict[str, Any]]:
    """Yield JSON objects until the pipe ends.

    Raises:
        TimeoutError: none comes within the limit in seconds; the first object has a limit of its own.
    """
    pending, patience = b"", first_limit
    while True:
        if not select.select([answers], [], [], patience)[0]:
            raise TimeoutError
        if not (block := os.read(answers.fileno(), 1 << 16)):
            return
        *whole, pending = (pending + block).split(b"\n")
        for line in whole:
            yield json.loads(line)
        patience = 2 * limit  # the case's own clock, which leaves out the making of the file, comes first


def _last_of(noise: IO[bytes]) -> str:
    noise.seek(0)
    return noise.read()[-1500:].decode(errors="replace").strip()


# In the process that reads


def work(answers: int, start: int, stop: int, seeds: str, **settings: Any) -> None:
    """Read the cases one by one and write the outcome of each as a line of JSON to the descriptor ``answers``."""
    plan = Plan(**settings)
    read = READERS[plan.kind]()
    seed_files = {path.name: path.read_bytes() for path in Path(seeds).iterdir()}
    warnings.simplefilter("always")
    _limit_address_space()
    with os.fdopen(answers, "w") as out:
        for case in range(start, stop):
            chance = Random(f"{plan.kind} {plan.seed} {case}")
            name, data = tools.fuzz_mutations.mutate(chance, seed_files, plan.kind)
            path = Path(f"case{SUFFIXES[plan.kind]}")
            path.write_bytes(data)
            outcome = _run_case(plan, CaseOutcome(case, name, "read"), path, read, chance)
            if plan.keep and (outcome.is_finding or plan.cases == 1):
                Path(plan.keep, f"{plan.kind}-{plan.seed}-{case}-{name}").write_bytes(data)
            out.write(json.dumps(asdict(outcome)) + "\n")
            out.flush()


def _limit_address_space() -> None:
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE, resource.RLIM_INFINITY))


def _run_case(
    plan: Plan, outcome: CaseOutcome, path: Path, read: Callable[[Path, Random], None], chance: Random
) -> CaseOutcome:
    facts = asdict(outcome)
    before, noise_bytes = _start_of_peak(), os.fstat(2).st_size
    started = time.perf_counter()
    try:
        with warnings.catch_warnings(record=True) as warned:
            read(path, chance)
    except VidcolorError as exc:
        facts |= {"verdict": "refused", "detail": str(exc)}
        names_it = path.name.split(".")[0] in str(exc) or (
            isinstance(exc, OptionError) and str(exc).startswith(("`", "--"))
        )
        if len(str(exc).splitlines()) != 1 or not names_it:
            facts["verdict"] = "message"
    except BaseException as exc:  # whatever it is, it is a finding
        facts |= {"verdict": "exception", "detail": f"{type(exc).__name__}: {str(exc)[:300]} ({_origin(exc)})"}
    facts |= {"seconds": time.perf_counter() - started, "megabytes": _peak() - before}
    facts["chatter"] = os.fstat(2).st_size > noise_bytes
    if facts["megabytes"] > plan.megabytes:
        facts["verdict"] = "memory"
    elif facts["seconds"] > plan.seconds:
        facts["verdict"] = "slow"
    elif warned and not CaseOutcome(**facts).is_finding:
        facts |= {"verdict": "warning", "detail": str(warned[0].message)}
    return CaseOutcome(**facts)


def _origin(exc: BaseException) -> str:
    trace, place = exc.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "vidcolor" in file:
            place = f"{Path(file).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _start_of_peak() -> float:
    """Reset the kernel's peak of memory, and return the memory of the process in megabytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


class _EnoughError(Exception):
    """Stops the coloring of a long film."""


def _film_reader() -> Callable[[Path, Random], None]:
    import numpy as np

    from vidcolor.media.destinations import FileDestination
    from vidcolor.media.reader import VideoReader
    from vidcolor.media.writer import VideoWriter
    from vidcolor.options import ColorizeOptions, EncodeOptions
    from vidcolor.pipeline import colorize_video
    from vidcolor.progress import Progress
    from vidcolor.resume.unfinished import folder_of

    def color(path: Path, dest: Path, options: ColorizeOptions) -> None:
        """Color a film in segments and join them."""

        def on_progress(progress: Progress) -> None:
            if progress.frames >= MAX_FRAMES:
                raise _EnoughError

        try:
            with suppress(_EnoughError), short_segments():
                colorize_video(path, dest, colorizer=Painter(), options=options, on_progress=on_progress)
        finally:
            shutil.rmtree(folder_of(dest), ignore_errors=True)

    def read(path: Path, chance: Random) -> None:
        """Read every picture and packet, up to :data:`MAX_PIXELS`; copy or color two films in five."""
        dest = path.with_suffix(chance.choice(COPY_SUFFIXES))
        options = EncodeOptions(preset="ultrafast")
        deinterlace: Literal["frame", "field"] | None = chance.choice((None, None, "frame", "field"))
        on_error: Literal["stop", "keep-grey"] = chance.choice(("stop", "keep-grey"))
        way = chance.choice(("read", "read", "read", "copy", "color"))
        with VideoReader(path, deinterlace=deinterlace, on_error=on_error) as reader:
            is_large = reader.spec.width * reader.spec.height > 1 << 20
            if way == "color" and not is_large:
                how = ColorizeOptions(
                    render_size=32, deinterlace=deinterlace, on_error=on_error, encode=options, overwrite=True
                )
                color(path, dest, how)
                return
            if way == "read" or is_large:
                pixels = 0
                for picture in reader.pictures():
                    picture.luma.max()
                    pixels += picture.luma.size
                    if pixels > MAX_PIXELS:  # a long film, not an endless one
                        return
                return
            with VideoWriter(FileDestination(dest, overwrite=True), reader=reader, options=options) as writer:
                shape, middle = (writer.chroma.height, writer.chroma.width), 1 << (writer.chroma.bit_depth - 1)
                neutral = np.full(shape, middle, np.uint16)
                for picture in reader.pictures():
                    writer.write(picture, neutral, neutral)

    return read


def _picture_reader() -> Callable[[Path, Random], None]:
    from vidcolor.color.luma import at_render_size
    from vidcolor.stills import reader as picture_reader

    picture_reader.MAX_PICTURE_PIXELS = MAX_PIXELS

    def read(path: Path, chance: Random) -> None:
        """Read a picture and convert it to what the network gets."""
        shown = at_render_size(picture_reader.read_picture(path).grey, chance.choice((32, 512)))
        assert shown.min() >= 0
        assert shown.max() <= 1

    return read


def _weights_reader() -> Callable[[Path, Random], None]:
    import torch

    from vidcolor.inference.weights import load_generator
    from vidcolor.networks import build

    torch.set_num_threads(1)
    with torch.device("meta"):
        build("residual", {})  # the first network without memory imports much of torch

    def read(path: Path, chance: Random) -> None:
        """Load weights and check that all parameters are finite."""
        assert all(torch.isfinite(tensor).all() for tensor in load_generator(path).state_dict().values())

    return read


def _fault_reader() -> Callable[[Path, Random], None]:
    def read(path: Path, chance: Random) -> None:
        """Fail in the way that the file names."""
        fault = path.read_text()
        if fault == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif fault == "slow":
            time.sleep(600)
        elif fault == "memory":
            bytearray(256 << 20)
        elif fault == "exception":
            raise KeyError(fault)
        elif fault == "message":
            raise VidcolorError(f"{path}: two\nlines")
        elif fault == "warning":
            warnings.warn(fault, stacklevel=1)

    return read


READERS: dict[str, Callable[[], Callable[[Path, Random], None]]] = {
    "films": _film_reader,
    "pictures": _picture_reader,
    "scans": partial(scan_reader, MAX_PIXELS),
    "weights": _weights_reader,
    "work": work_reader,
    "faults": _fault_reader,
}


def main() -> None:
    """Run the cases of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("films", "pictures", "scans", "weights", "work"), default="films")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="limit of one case")
    parser.add_argument("--megabytes", type=float, default=2048.0, help="limit of one case")
    parser.add_argument("--keep", help="folder for the files of findings")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    workers, job = given.pop("workers"), given.pop("job")
    if job is not None:
        work(**json.loads(job))
        return
    if given["keep"]:
        Path(given["keep"]).mkdir(parents=True, exist_ok=True)
        given["keep"] = str(Path(given["keep"]).resolve())
    started = time.perf_counter()
    outcomes = fuzz(Plan(**given), workers=workers, on_finding=_print_outcome)
    summary = {
        "verdicts": dict(Counter(outcome.verdict for outcome in outcomes)),
        "wall_seconds": round(time.perf_counter() - started, 1),
        "with_chatter": sum(outcome.chatter for outcome in outcomes),
        "slowest": asdict(max(outcomes, key=lambda outcome: outcome.seconds)),
        "most_memory": asdict(max(outcomes, key=lambda outcome: outcome.megabytes)),
    }
    sys.stdout.write(json.dumps(summary) + "\n")


def _print_outcome(outcome: CaseOutcome) -> None:
    sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
