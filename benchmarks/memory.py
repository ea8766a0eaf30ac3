"""Measure peak resident memory and time for short and long films: memory must not grow, time in proportion.

    python -m benchmarks.memory CLIP [--height 120] [--minutes 1 10 60] [VIDCOLOR OPTIONS]

CLIP is enlarged (or made smaller) to ``--height`` once, and repeated, as packets, to films of the given lengths; each
is colored by a process of its own. What ``import torch`` alone takes is measured, too. Prints JSON, one object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av

from benchmarks.end_to_end import enlarge

CLIP_FRAMES = 240


def repeat(clip: Path, dest: Path, minutes: float) -> int:
    """Write the clip's video repeatedly, without encoding; return the number of packets."""
    packets, start = 0, 0
    with av.open(dest, "w") as writer:
        out, seconds = None, 0.0
        while seconds < minutes * 60:
            with av.open(clip) as reader:
                video = reader.streams.video[0]
                out = out or writer.add_stream_from_template(video)
                end = start
                for packet in reader.demux(video):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + start, packet.dts + start
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.stream = out
                    writer.mux(packet)
                    packets += 1
                assert video.time_base is not None
                start, seconds = end, float(end * video.time_base)
    return packets


def measure(command: list[str]) -> tuple[float, float]:
    """Return peak resident memory in MiB, and seconds, of a process that must succeed."""
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss / 1024, time.perf_counter() - started


def main() -> None:
    """Print a line of JSON for each length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--height", type=int, default=120)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0, 60.0])
    arguments, extra = parser.parse_known_args()
    torch_alone, _ = measure([sys.executable, "-c", "import torch"])
    with tempfile.TemporaryDirectory() as folder:
        clip, film, out = (Path(folder) / name for name in ("clip.mp4", "film.mkv", "out.mkv"))
        enlarge(arguments.clip, clip, arguments.height, CLIP_FRAMES)
        for minutes in arguments.minutes:
            frames = repeat(clip, film, minutes)
            command = [sys.executable, "-m", "vidcolor", str(film), "-o", str(out), "--overwrite", "--quiet", *extra]
            peak, seconds = measure(command)
            row = {
                "minutes": minutes,
                "frames": frames,
                "seconds": round(seconds, 1),
                "peak MiB": round(peak),
                "beyond torch MiB": round(peak - torch_alone),
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
