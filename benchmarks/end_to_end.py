"""Compare the time of coloring a film with that of encoding it again, alternately in one run.

    python -m benchmarks.end_to_end [FILM] [--height 1080] [--frames 1440] [--codec libx264] [--preset medium]
        [--runs 5] [--avx2] [VIDCOLOR OPTIONS]

FILM is enlarged to ``--height`` and repeated until it has ``--frames``; without it, the film of ``vidcolor demo`` is.
Both use PyAV with the same encoder and the same settings, and each runs as a process of its own, so that start-up is
included. Prints JSON: medians, and the median of the ratios of each pair.

With ``--avx2`` torch, oneDNN, OpenCV, numpy and x264 use no instructions beyond AVX2, as on processors without matrix
units and AVX-512.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from vidcolor.demo import render_demo

FRAME_RATE = 24
AVX2_ALONE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENCV_CPU_DISABLE": "AVX512-SKX",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
"""Environment variables of the libraries; x264 has the parameter ``asm``."""


def enlarge(source: Path, dest: Path, height: int, frames: int) -> str:
    """Write the film at another height, repeated to ``frames`` frames, without sound; return its size as text."""
    with av.open(source) as reader:
        stream = reader.streams.video[0]
        width = round(stream.width * height / stream.height / 2) * 2
    with av.open(dest, "w") as writer:
        out = writer.add_stream("libx264", rate=FRAME_RATE, options={"crf": "14", "preset": "veryfast"})
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(islice(endlessly(source), frames)):
            large = frame.reformat(width, height, "yuv420p", interpolation=Interpolation.BICUBIC)
            large.pts, large.time_base, large.pict_type = number, Fraction(1, FRAME_RATE), 0
            writer.mux(out.encode(large))
        writer.mux(out.encode())
    return f"{width}×{height}"


def endlessly(source: Path) -> Iterator[VideoFrame]:
    """Yield the pictures of a film repeatedly, without end."""
    while True:
        with av.open(source) as reader:
            yield from reader.decode(video=0)


def seconds(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Return the wall-clock time of a process that must succeed, with additional environment variables."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **(environment or {})})
    return time.perf_counter() - started


def compare(
    source: Path | None,
    *,
    height: int,
    frames: int,
    codec: str,
    preset: str,
    crf: str,
    runs: int,
    extra: Sequence[str],
    avx2: bool,
) -> dict[str, object]:
    """Time both alternately. ``source`` None: the demo film. ``preset`` and ``crf`` are for x264 and x265 only."""
    environment = AVX2_ALONE if avx2 else {}
    parameters = "asm=avx2" if avx2 and codec == "libx264" else ""
    with tempfile.TemporaryDirectory() as folder:
        film, plain, colored = (Path(folder) / name for name in ("film.mp4", "plain.mkv", "colored.mkv"))
        if source is None:
            source = Path(folder) / "demo.mp4"
            render_demo(source)
        size = enlarge(source, film, height, frames)
        transcode = str(Path(__file__).with_name("transcode.py"))
        settings = ["--preset", preset, "--crf", crf] if codec.startswith("libx26") else []
        vidcolor = [sys.executable, "-m", "vidcolor", str(film), "-o", str(colored), "--overwrite", "--quiet"]
        told = ["--encoder-option", f"x264-params={parameters}"] if parameters else []
        theirs = [sys.executable, transcode, str(film), str(plain), codec, preset, crf, parameters]
        ours = [*vidcolor, "--codec", codec, *settings, *told, *extra]
        if avx2:
            seconds(ours, environment)  # measures the processor anew, and remembers it
        pairs = [(seconds(theirs, environment), seconds(ours, environment)) for _ in range(runs)]
    ratios = [colored / transcoded for transcoded, colored in pairs]
    return {
        "film": source.stem,
        "size": size,
        "frames": frames,
        "codec": codec,
        "preset": preset if settings else None,
        "runs": runs,
        "transcode seconds": round(statistics.median(transcoded for transcoded, _ in pairs), 2),
        "vidcolor seconds": round(statistics.median(colored for _, colored in pairs), 2),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", nargs="?", type=Path)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--frames", type=int, default=60 * FRAME_RATE)
    parser.add_argument("--codec", default="libx264")
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--crf", default="18")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--avx2", action="store_true")
    arguments, extra = parser.parse_known_args()
    source = vars(arguments).pop("film")
    print(json.dumps(compare(source, **vars(arguments), extra=extra), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
