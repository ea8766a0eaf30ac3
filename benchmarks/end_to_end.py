"""How much longer colouring a film takes than encoding it again: both in one run, in turn.

    python benchmarks/end_to_end.py [FILM] [--height 1080] [--frames 1440] [--codec libx264] [--preset medium]
        [--runs 5] [VIDCOLOR OPTIONS]

FILM is enlarged to ``--height`` and repeated until it has ``--frames``; without it, the film of ``vidcolor demo`` is.
Both ways use PyAV with the same encoder and the same settings, and each runs as a process of its own, so that start-up
counts. Prints JSON: medians, and the median of the ratios of each pair.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from vidcolor.demo import render_demo

FRAME_RATE = 24


def enlarge(source: Path, dest: Path, height: int, frames: int) -> str:
    """The film at another height, over and over until it has so many ``frames``, without sound; gives back its size."""
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
    """The pictures of a film, over and over."""
    while True:
        with av.open(source) as reader:
            yield from reader.decode(video=0)


def seconds(command: Sequence[str]) -> float:
    """Wall-clock time of a process that must succeed."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def compare(
    source: Path | None, *, height: int, frames: int, codec: str, preset: str, crf: str, runs: int, extra: Sequence[str]
) -> dict[str, object]:
    """Time both ways, in turn. ``source`` None: the demo film. ``preset`` and ``crf`` go to x264 and x265 only."""
    with tempfile.TemporaryDirectory() as folder:
        film, plain, coloured = (Path(folder) / name for name in ("film.mp4", "plain.mkv", "coloured.mkv"))
        if source is None:
            source = Path(folder) / "demo.mp4"
            render_demo(source)
        size = enlarge(source, film, height, frames)
        transcode = str(Path(__file__).with_name("transcode.py"))
        settings = ["--preset", preset, "--crf", crf] if codec.startswith("libx26") else []
        vidcolor = [sys.executable, "-m", "vidcolor", str(film), "-o", str(coloured), "--overwrite", "--quiet"]
        pairs = [
            (
                seconds([sys.executable, transcode, str(film), str(plain), codec, preset, crf]),
                seconds([*vidcolor, "--codec", codec, *settings, *extra]),
            )
            for _ in range(runs)
        ]
    ratios = [ours / theirs for theirs, ours in pairs]
    return {
        "film": source.stem,
        "size": size,
        "frames": frames,
        "codec": codec,
        "preset": preset if settings else None,
        "runs": runs,
        "transcode seconds": round(statistics.median(theirs for theirs, _ in pairs), 2),
        "vidcolor seconds": round(statistics.median(ours for _, ours in pairs), 2),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", nargs="?", type=Path)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--frames", type=int, default=60 * FRAME_RATE)
    parser.add_argument("--codec", default="libx264")
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--crf", default="18")
    parser.add_argument("--runs", type=int, default=5)
    arguments, extra = parser.parse_known_args()
    source = vars(arguments).pop("film")
    print(json.dumps(compare(source, **vars(arguments), extra=extra), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
