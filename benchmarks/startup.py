"""Measure the time from the shell to the first frame in the encoder, and to the help.

    python -m benchmarks.startup [FILM] [--height 1080] [--runs 5] [VIDCOLOR OPTIONS]

FILM as in end_to_end.py. One run before the others fills the caches. The time of ``import torch`` is printed for
comparison. Prints JSON; medians, in seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.end_to_end import enlarge, seconds
from vidcolor.demo import render_demo

FRAMES = 240
FIRST_FRAME = """
import os, sys, time
from vidcolor.cli import commands as cli
load = cli.NetworkChoice.load
def until_first(*args, on_progress=None, **settings):
    def stop(progress):
        print(time.time(), flush=True)
        os._exit(0)
    return colorize(*args, on_progress=stop, **settings)
def load_and_watch(choice):
    global colorize
    network = load(choice)
    from vidcolor import pipeline
    colorize, pipeline.colorize_video = pipeline.colorize_video, until_first
    return network
cli.NetworkChoice.load = load_and_watch  # not before: the command decides how it imports
cli.main(sys.argv[1:])
"""
"""The command, changed to print the time and exit when the first frame is given to the encoder."""


def until_first_frame(command: list[str]) -> float:
    """Return the seconds from the start of a process to its first frame."""
    started = time.time()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout) - started


def main() -> None:
    """Print the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", nargs="?", type=Path)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--runs", type=int, default=5)
    arguments, extra = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        source, film, out = arguments.film, Path(folder) / "film.mp4", Path(folder) / "out.mkv"
        if source is None:
            source = Path(folder) / "demo.mp4"
            render_demo(source)
        enlarge(source, film, arguments.height, FRAMES)
        color = [sys.executable, "-c", FIRST_FRAME, str(film), "-o", str(out), "--overwrite", "--quiet", *extra]
        measured: dict[str, Callable[[], float]] = {
            "help": lambda: seconds([sys.executable, "-c", "from vidcolor.cli.commands import main; main(['--help'])"]),
            "import torch": lambda: seconds([sys.executable, "-c", "import torch"]),
            "import all": lambda: seconds(
                [sys.executable, "-c", "import vidcolor.pipeline, vidcolor.inference.colorizer"]
            ),
            "first frame": lambda: until_first_frame(color),
        }
        measured["first frame"]()
        times = {name: [measure() for _ in range(arguments.runs)] for name, measure in measured.items()}
    print(json.dumps({name: round(statistics.median(values), 2) for name, values in times.items()}, indent=2))


if __name__ == "__main__":
    main()
