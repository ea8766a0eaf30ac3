"""Measure all figures of speed and memory and write RESULTS.md; takes an hour on two otherwise idle cores.

    python -m benchmarks.results FILM [--only NAME...]
    python -m benchmarks.results

FILM is enlarged to each height. The film of ``vidcolor demo`` is measured too, because its grain takes an encoder long.
Each figure is written at once to a file for this machine in the folder ``results``, with its commit, and RESULTS.md is
written from all these files: ``--only`` continues an interrupted run. Without FILM nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import openvino as ov
import torch

from benchmarks.end_to_end import FRAME_RATE, compare, enlarge
from vidcolor.inference.arithmetic import fastest_arithmetic, format_arithmetic
from vidcolor.inference.threads import available_cores

HERE = Path(__file__).parent
FOLDER = HERE / "results"
MINUTE = 60 * FRAME_RATE
ENCODERS = {"veryfast": ("libx264", "veryfast"), "medium": ("libx264", "medium"), "ffv1": ("ffv1", "-")}
FRAMES = {480: 480, 1080: MINUTE, 2160: 96}
SHORT = 240  # frames of 1080 where a minute would take too long
Results = dict[str, Any]


def ratio(film: Path | None, height: int, encoder: str, frames: int, *, avx2: bool = False) -> Callable[[], Results]:
    """Return the measurement of the ratio to plain transcoding."""
    codec, preset = ENCODERS[encoder]
    return lambda: compare(
        film, height=height, frames=frames, codec=codec, preset=preset, crf="18", runs=5, extra=(), avx2=avx2
    )


def script(name: str, *arguments: str) -> Callable[[], Any]:
    """Return the measurement of another benchmark, which prints a JSON document, or one a line."""

    def run() -> Any:
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent).stdout
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return [json.loads(line) for line in text.splitlines()]

    return run


def stages(film: Path, height: int) -> Callable[[], Results]:
    """Return the measurement of the table of ``--profile``, for 20 seconds with x264 veryfast."""

    def run() -> Results:
        with tempfile.TemporaryDirectory() as folder:
            large, out = Path(folder) / "film.mp4", Path(folder) / "out.mkv"
            enlarge(film, large, height, MINUTE // 3)
            command = [sys.executable, "-m", "vidcolor", str(large), "-o", str(out), "--preset", "veryfast"]
            done = subprocess.run([*command, "--profile"], check=True, capture_output=True, text=True)
        return {"size": height, "table": done.stderr}

    return run


def jobs(film: Path) -> dict[str, Callable[[], Any]]:
    """Return all measurements by name, the most important first."""
    listed: dict[str, Callable[[], Any]] = {
        "ratio 1080 veryfast": ratio(film, 1080, "veryfast", MINUTE),
        "ratio 1080 medium": ratio(film, 1080, "medium", MINUTE),
        "ratio 1080 ffv1": ratio(film, 1080, "ffv1", SHORT),
        "startup": script("startup", str(film.absolute())),
        "stages 1080": stages(film, 1080),
    }
    for height in (480, 2160):
        for encoder in ENCODERS:
            listed[f"ratio {height} {encoder}"] = ratio(film, height, encoder, FRAMES[height])
    listed["grain 1080 veryfast"] = ratio(None, 1080, "veryfast", SHORT)
    listed["grain 1080 medium"] = ratio(None, 1080, "medium", SHORT)
    listed["avx2 1080 veryfast"] = ratio(film, 1080, "veryfast", MINUTE, avx2=True)
    listed["avx2 1080 medium"] = ratio(film, 1080, "medium", MINUTE, avx2=True)
    listed["memory"] = script("memory", str(film.absolute()), "--height", "1080", "--minutes", "0.5", "1")
    listed["length"] = script("memory", str(film.absolute()), "--height", "120", "--minutes", "1", "10", "60")
    return listed


def machine() -> dict[str, str]:
    """Describe this machine and the versions of libraries."""
    models = {line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")}
    flags = {flag for line in _cpuinfo() if line.startswith("flags") for flag in line.split()}
    units = [name for name in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16") if name in flags]
    return {
        "processor": ", ".join(sorted(models)) or platform.processor(),
        "instructions": " ".join(units),
        "cores": str(available_cores()),
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "network in": format_arithmetic(fastest_arithmetic(ov.Core(), has_int8=True)),
        "system": platform.system(),
        **{name: version(name) for name in ("torch", "openvino", "av", "opencv-python", "numpy")},
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def commit() -> str:
    """Return the short hash of the current commit; with a plus where files differ from it."""
    git = partial(subprocess.run, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE)
    head = git(["git", "rev-parse", "--short", "HEAD"]).stdout.strip()
    return head + "+" * bool(git(["git", "status", "--porcelain", "../vidcolor"]).stdout)


def file_of(facts: dict[str, str]) -> Path:
    """Return the file of the figures of a machine."""
    words = " ".join(facts[name] for name in ("processor", "instructions", "cores", "GPU")).lower()
    return FOLDER / ("-".join(re.findall("[a-z0-9_.]+", words)) + ".json")


def main() -> None:
    """Measure, where a film is given, and write RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path, nargs="?")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names, or beginnings of names")
    arguments = parser.parse_args()
    if arguments.film is not None:
        measure(arguments.film, arguments.only)
    (HERE / "RESULTS.md").write_text(page([json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]))


def measure(film: Path, only: Sequence[str] | None) -> None:
    """Run all measurements, or those whose names begin with one of ``only``."""
    facts = machine()
    path = file_of(facts)
    kept: Results = json.loads(path.read_text()) if path.exists() else {"figures": {}, "commits": {}}
    for name, job in jobs(film).items():
        if only is None or name.startswith(tuple(only)):
            print(name, flush=True)
            kept["figures"][name], kept["commits"][name] = job(), commit()
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({**kept, "machine": facts}, indent=2, ensure_ascii=False) + "\n")


def page(machines: Sequence[Results]) -> str:
    """Return the text of RESULTS.md."""
    parts = [
        "# How fast, and how much memory",
        "Made by `python -m benchmarks.results FILM`; the figures are in `results/`, a file for each machine. Every"
        " ratio is the median of five pairs, measured in turn, each run a process of its own, start-up included. Two"
        " machines tell nothing about each other, and figures of different commits not everything.",
    ]
    for measured in machines:
        parts += machine_parts(measured["machine"], measured["figures"], measured["commits"])
    return "\n\n".join(parts) + "\n"


def machine_parts(facts: dict[str, str], figures: Results, commits: dict[str, str]) -> Iterator[str]:
    """Yield the figures of one machine, paragraph by paragraph."""
    yield f"## {facts['processor']}, {facts['cores']} cores, network in {facts['network in']}"
    yield "\n".join(f"- {name}: {value}" for name, value in facts.items())
    for kind, told in (
        ("ratio", "vidcolor ÷ plain transcode:"),
        ("grain", "The same with the film of `vidcolor demo`, whose heavy grain takes an encoder twice as long:"),
        ("avx2", "Both without what this processor has beyond AVX2, as far as libraries can be told to:"),
    ):
        if any(name.startswith(f"{kind} ") for name in figures):
            yield told
            yield _ratios(figures, commits, kind)
    if "stages 1080" in figures:
        yield f"`vidcolor film.mp4 -o out.mkv --preset veryfast --profile`, 20 s of 1080p ({commits['stages 1080']}):"
        yield f"```text\n{figures['stages 1080']['table'].rstrip()}\n```"
    if "startup" in figures:
        yield f"Start-up ({commits['startup']}):"
        rows = [f"| {name} | {value} |" for name, value in figures["startup"].items()]
        yield "\n".join(["| until | s |", "|---|---|", *rows])
    for name, told in (("memory", "Peak memory, 1080p"), ("length", "Time and memory over length, 120p")):
        if name in figures:
            yield f"{told} ({commits[name]}):"
            yield _lengths(figures[name])


def _ratios(figures: Results, commits: dict[str, str], kind: str) -> str:
    head = "| film | size | encoder | frames | transcode s | vidcolor s | ratio | least to most | commit |"
    rows = [
        f"| {r['film']} | {r['size']} | {' '.join(filter(None, (r['codec'], r['preset'])))} | {r['frames']}"
        f" | {r['transcode seconds']} | {r['vidcolor seconds']} | **{r['ratio']}**"
        f" | {r['ratios'][0]} to {r['ratios'][1]} | {commits[name]} |"
        for name, r in figures.items()
        if name.startswith(f"{kind} ")
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|---|---|", *rows])


def _lengths(rows: list[Results]) -> str:
    head = "| minutes | frames | seconds | ms a frame | peak MiB | beyond `import torch` |"
    lines = [
        f"| {r['minutes']:g} | {r['frames']} | {r['seconds']} | {1000 * r['seconds'] / r['frames']:.1f}"
        f" | {r['peak MiB']} | {r['beyond torch MiB']} |"
        for r in rows
    ]
    return "\n".join([head, "|---|---|---|---|---|---|", *lines])


if __name__ == "__main__":
    main()
