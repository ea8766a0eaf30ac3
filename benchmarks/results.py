"""All figures on speed and memory, and RESULTS.md from them: an hour on two cores, while nothing else may run.

    python benchmarks/results.py FILM [--only NAME...]

FILM is enlarged to each height. Beside it stands the film of ``vidcolor demo``, whose grain keeps an encoder busy. What
is measured goes to results.json at once, and RESULTS.md is written from all that is there: an interrupted run is gone
on with ``--only``.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from end_to_end import FRAME_RATE, compare, enlarge

from vidcolor.precision import fastest_dtype
from vidcolor.threads import available_cores

HERE = Path(__file__).parent
MINUTE = 60 * FRAME_RATE
ENCODERS = {"veryfast": ("libx264", "veryfast"), "medium": ("libx264", "medium"), "ffv1": ("ffv1", "-")}
FRAMES = {480: 480, 1080: MINUTE, 2160: 96}
SHORT = 240  # frames of 1080 where a minute would take too long
Results = dict[str, Any]


def ratio(film: Path | None, height: int, encoder: str, frames: int, *, avx2: bool = False) -> Callable[[], Results]:
    """vidcolor ÷ transcode."""
    codec, preset = ENCODERS[encoder]
    settings = {"height": height, "frames": frames, "codec": codec, "preset": preset}
    return lambda: compare(film, **settings, crf="18", runs=5, extra=(), avx2=avx2)


def script(name: str, *arguments: str) -> Callable[[], Any]:
    """What another benchmark prints: a JSON document, or one a line."""

    def run() -> Any:
        command = [sys.executable, str(HERE / name), *arguments]
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return [json.loads(line) for line in text.splitlines()]

    return run


def stages(film: Path, height: int) -> Callable[[], Results]:
    """The table of ``--profile``, for a third of a minute with x264 veryfast."""

    def run() -> Results:
        with tempfile.TemporaryDirectory() as folder:
            large, out = Path(folder) / "film.mp4", Path(folder) / "out.mkv"
            enlarge(film, large, height, MINUTE // 3)
            command = [sys.executable, "-m", "vidcolor", str(large), "-o", str(out), "--preset", "veryfast"]
            done = subprocess.run([*command, "--profile"], check=True, capture_output=True, text=True)
        return {"size": height, "table": done.stderr}

    return run


def jobs(film: Path) -> dict[str, Callable[[], Any]]:
    """Everything there is to measure, the most telling first."""
    listed: dict[str, Callable[[], Any]] = {
        "ratio 1080 veryfast": ratio(film, 1080, "veryfast", MINUTE),
        "ratio 1080 medium": ratio(film, 1080, "medium", MINUTE),
        "ratio 1080 ffv1": ratio(film, 1080, "ffv1", SHORT),
        "startup": script("startup.py", str(film)),
        "stages 1080": stages(film, 1080),
    }
    for height in (480, 2160):
        for encoder in ENCODERS:
            listed[f"ratio {height} {encoder}"] = ratio(film, height, encoder, FRAMES[height])
    listed["grain 1080 veryfast"] = ratio(None, 1080, "veryfast", SHORT)
    listed["grain 1080 medium"] = ratio(None, 1080, "medium", SHORT)
    listed["avx2 1080 veryfast"] = ratio(film, 1080, "veryfast", MINUTE, avx2=True)
    listed["avx2 1080 medium"] = ratio(film, 1080, "medium", MINUTE, avx2=True)
    listed["memory"] = script("memory.py", str(film), "--height", "1080", "--minutes", "0.5", "1")
    listed["length"] = script("memory.py", str(film), "--height", "120", "--minutes", "1", "10", "60")
    return listed


def machine() -> dict[str, str]:
    """What the figures are true of."""
    models = {line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")}
    flags = {flag for line in _cpuinfo() if line.startswith("flags") for flag in line.split()}
    units = [name for name in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16") if name in flags]
    return {
        "processor": ", ".join(sorted(models)) or platform.processor(),
        "instructions": " ".join(units),
        "cores": str(available_cores()),
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "network in": str(fastest_dtype(torch.device("cpu"))).removeprefix("torch."),
        "system": platform.system(),
        **{name: version(name) for name in ("torch", "av", "opencv-python", "numpy")},
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names, or beginnings of names")
    arguments = parser.parse_args()
    path = HERE / "results.json"
    results: Results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = machine()
    for name, job in jobs(arguments.film).items():
        if arguments.only is None or name.startswith(tuple(arguments.only)):
            print(name, flush=True)
            results[name] = job()
            path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
            (HERE / "RESULTS.md").write_text(page(results))


def page(results: Results) -> str:
    """RESULTS.md."""
    facts = "\n".join(f"- {name}: {value}" for name, value in results["machine"].items())
    parts = [
        "# How fast, and how much memory",
        "Made by `python benchmarks/results.py FILM`; the figures are in `results.json`. Every ratio is the median of"
        " five pairs, measured in turn, each run a process of its own, start-up included. Not all were measured with"
        " the same code: `git log -p benchmarks/results.json` tells which are how old.",
        facts,
        "## vidcolor ÷ plain transcode",
        _ratios(results, "ratio"),
        "The same with the film of `vidcolor demo`, whose heavy grain takes an encoder twice as long:",
        _ratios(results, "grain"),
        "Both without what this processor has beyond AVX2, as far as libraries can be told to:",
        _ratios(results, "avx2"),
    ]
    if "stages 1080" in results:
        parts += [
            "## Where the time goes",
            "`vidcolor film.mp4 -o out.mkv --preset veryfast --profile`, 20 s of 1080p:",
            f"```text\n{results['stages 1080']['table'].rstrip()}\n```",
        ]
    if "startup" in results:
        rows = [f"| {name} | {value} |" for name, value in results["startup"].items()]
        parts += ["## Start-up", "\n".join(["| until | s |", "|---|---|", *rows])]
    for name, heading in (("memory", "## Peak memory, 1080p"), ("length", "## Time and memory over length, 120p")):
        if name in results:
            parts += [heading, _lengths(results[name])]
    return "\n\n".join(parts) + "\n"


def _ratios(results: Results, kind: str) -> str:
    head = "| film | size | encoder | frames | transcode s | vidcolor s | ratio | least to most |"
    rows = [
        f"| {r['film']} | {r['size']} | {' '.join(filter(None, (r['codec'], r['preset'])))} | {r['frames']}"
        f" | {r['transcode seconds']} | {r['vidcolor seconds']} | **{r['ratio']}**"
        f" | {r['ratios'][0]} to {r['ratios'][1]} |"
        for name, r in results.items()
        if name.startswith(f"{kind} ")
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows])


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
