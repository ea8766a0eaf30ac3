"""How much longer colouring a film takes than encoding it again: both in one run, in turn.

    python benchmarks/end_to_end.py [FILM] [--runs 5] [--preset medium] [--codec libx264] [VIDCOLOR OPTIONS]

Without FILM the film of ``vidcolor demo`` is used, enlarged with ``--height``. Both ways use PyAV with the same encoder
and the same settings, and each runs as a process of its own, so that start-up counts. Prints JSON: medians and ratio.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import torch
from av.video.reformatter import Interpolation

from vidcolor.demo import render_demo

FRAME_RATE = 24


def enlarge(source: Path, dest: Path, height: int, copies: int) -> None:
    """The film at another height, ``copies`` times over, with little loss."""
    with av.open(source) as reader:
        stream = reader.streams.video[0]
        width = round(stream.width * height / stream.height / 2) * 2
    with av.open(dest, "w") as writer:
        out = writer.add_stream("libx264", rate=FRAME_RATE, options={"crf": "12", "preset": "veryfast"})
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        number = 0
        for _ in range(copies):
            with av.open(source) as reader:
                for frame in reader.decode(video=0):
                    large = frame.reformat(width, height, "yuv420p", interpolation=Interpolation.BICUBIC)
                    large.pts, large.time_base, large.pict_type = number, Fraction(1, FRAME_RATE), 0
                    writer.mux(out.encode(large))
                    number += 1
        writer.mux(out.encode())


def seconds(command: list[str]) -> float:
    """Wall-clock time of a process that must succeed."""
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--codec", default="libx264")
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--crf", default="18")
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--copies", type=int, default=2, help="how often the demo film is repeated")
    arguments, extra = parser.parse_known_args()
    encoder = (arguments.codec, arguments.preset, arguments.crf)
    with tempfile.TemporaryDirectory() as folder:
        film = arguments.film
        if film is None:
            small, film = Path(folder) / "demo.mp4", Path(folder) / "film.mp4"
            render_demo(small)
            enlarge(small, film, arguments.height, arguments.copies)
        plain, coloured = Path(folder) / "plain.mkv", Path(folder) / "coloured.mkv"
        settings = ["--codec", arguments.codec]
        if arguments.codec.startswith("libx26"):
            settings += ["--preset", arguments.preset, "--crf", arguments.crf]
        plain_command = [sys.executable, str(Path(__file__).with_name("transcode.py")), str(film), str(plain), *encoder]
        vidcolor = [sys.executable, "-m", "vidcolor", str(film), "-o", str(coloured), "--overwrite", "--quiet"]
        vidcolor_command = [*vidcolor, *settings, *extra]
        times: dict[str, list[float]] = {"transcode": [], "vidcolor": []}
        for _ in range(arguments.runs):
            times["transcode"].append(seconds(plain_command))
            times["vidcolor"].append(seconds(vidcolor_command))
        with av.open(film) as reader:
            stream = reader.streams.video[0]
            frames = sum(1 for _ in reader.decode(video=0))
            size = f"{stream.width}x{stream.height}"
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = [b / a for a, b in zip(times["transcode"], times["vidcolor"], strict=True)]
    print(
        json.dumps(
            {
                "film": size, "frames": frames, "encoder": encoder, "vidcolor options": extra, "runs": arguments.runs,
                "median seconds": {name: round(value, 2) for name, value in medians.items()},
                "vidcolor over transcode, median of pairs": round(statistics.median(ratios), 3),
                "vidcolor fps": round(frames / medians["vidcolor"], 2),
                "machine": platform.processor() or platform.machine(), "cores": torch.get_num_threads(),
                "torch": torch.__version__, "av": av.__version__,
            },
            indent=2,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
