"""Peak resident memory of vidcolor for a short and a long film: it must not grow with length.

    python benchmarks/memory.py CLIP [--minutes 1 10] [VIDCOLOR OPTIONS]

CLIP is repeated, as packets, to films of the given lengths; each is coloured by a process of its own. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av


def repeat(clip: Path, dest: Path, minutes: float) -> int:
    """Write the clip's video again and again, without encoding; returns the number of packets."""
    packets, start = 0, 0
    with av.open(dest, "w") as writer:
        out, seconds = None, 0.0
        while seconds < minutes * 60:
            with av.open(clip) as reader:
                video = reader.streams.video[0]
                out = out or writer.add_stream_from_template(video)
                end = start
                for packet in reader.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + start, packet.dts + start
                    end = max(end, packet.pts + packet.duration)
                    packet.stream = out
                    writer.mux(packet)
                    packets += 1
                start, seconds = end, float(end * video.time_base)
    return packets


def peak_megabytes(command: list[str]) -> float:
    """Peak resident memory of a process that must succeed."""
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0])
    arguments, extra = parser.parse_known_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in arguments.minutes:
            film, out = Path(folder) / "film.mkv", Path(folder) / "out.mkv"
            packets = repeat(arguments.clip, film, minutes)
            command = [sys.executable, "-m", "vidcolor", str(film), "-o", str(out), "--overwrite", "--quiet", *extra]
            rows.append({"minutes": minutes, "packets": packets, "peak MiB": round(peak_megabytes(command), 1)})
            print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"longest over shortest": round(rows[-1]["peak MiB"] / rows[0]["peak MiB"], 3)}))


if __name__ == "__main__":
    main()
