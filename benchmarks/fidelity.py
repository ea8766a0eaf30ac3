"""Check what coloring must not change: frames, timestamps, sound and luma, film by film.

    python -m benchmarks.fidelity FILM... [--lossless] [VIDCOLOR OPTIONS]

Every film is colored by ``vidcolor`` and compared with its source and with a plain re-encode of it at the same
settings. An encoder decides with the chroma in view, so the two encodes never agree in every pixel: what counts is
that ours is as near to the source as the plain one. With ``--lossless`` the film is colored to FFV1, and its luma must
equal the source's bit for bit. Prints one line of JSON a film; luma in code values.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from benchmarks.transcode import transcode

Luma = npt.NDArray[np.int32]
ENCODER = ("libx264", "medium", "18")


def luma(frame: av.VideoFrame) -> Luma:
    """Return the Y plane as int32."""
    plane = frame.planes[0]
    dtype = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else "<u2")
    rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
    return np.asarray(rows[:, : plane.width], np.int32)


def pictures(path: Path) -> tuple[list[Fraction], list[Luma]]:
    """Return presentation times in seconds, and luma planes."""
    with av.open(path) as reader:
        decoded = reader.decode(reader.streams.best("video"))
        frames = [(seconds(frame), luma(frame)) for frame in decoded if isinstance(frame, av.VideoFrame)]
    return [time for time, _ in frames], [plane for _, plane in frames]


def seconds(frame: av.VideoFrame) -> Fraction:
    """Return the presentation time of a frame."""
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * frame.time_base


def sound(path: Path) -> list[str]:
    """Return a hash of the packets of every sound track."""
    with av.open(path) as reader:
        digests = {stream.index: hashlib.sha256() for stream in reader.streams.audio}
        for packet in reader.demux(*reader.streams.audio) if digests else ():
            digests[packet.stream.index].update(bytes(packet))
    return [digest.hexdigest() for digest in digests.values()]


def compare(film: Path, folder: Path, lossless: bool, extra: list[str]) -> dict[str, Any]:
    """Color one film and return its row."""
    suffix = ".mkv" if lossless else film.suffix
    colored = folder / f"colored{suffix}"
    settings = ["--codec", "ffv1"] if lossless else ["--preset", ENCODER[1], "--crf", ENCODER[2]]
    vidcolor = [sys.executable, "-m", "vidcolor", str(film), "-o", str(colored), "--overwrite", "--quiet"]
    subprocess.run([*vidcolor, *settings, *extra], check=True)
    reference = film
    if not lossless:
        reference = folder / f"plain{suffix}"
        transcode(film, reference, *ENCODER)
    source_times, source = pictures(film)
    times, planes = pictures(colored)
    _, plain = pictures(reference)
    return {
        "film": film.name,
        "frames": len(times),
        "frames equal": len(times) == len(source_times),
        "largest timestamp error, s": float(max(abs(a - b) for a, b in zip(times, source_times, strict=False))),
        "sound tracks": len(sound(film)),
        "sound equal": sound(film) == sound(colored),
        "luma, colored - plain, mean": mean_difference(planes, plain),
        "luma, |colored - plain|, mean": mean_difference(planes, plain, absolute=True),
        "luma, |colored - source|, mean": mean_difference(planes, source, absolute=True),
        "luma, |plain - source|, mean": mean_difference(plain, source, absolute=True),
        "luma equals the source": all(np.array_equal(a, b) for a, b in zip(planes, source, strict=True)),
    }


def mean_difference(one: list[Luma], other: list[Luma], *, absolute: bool = False) -> float:
    """Return the mean difference over all pixels of all frames, in code values."""
    differences = (a - b for a, b in zip(one, other, strict=True))
    return round(float(np.mean([(np.abs(d) if absolute else d).mean() for d in differences])), 4)


def main() -> None:
    """Print a line of JSON for each film."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--lossless", action="store_true")
    arguments, extra = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        for film in arguments.films:
            print(json.dumps(compare(film, Path(folder), arguments.lossless, extra)), flush=True)


if __name__ == "__main__":
    main()
