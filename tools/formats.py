"""Measure what of a film is kept, and write the tables of docs/formats.md.

    python -m tools.formats
    python -m tools.formats --odd FOLDER

The first command colors a small film of each kind and compares output and source by ffprobe and ffmpeg, which must be
on the PATH; vidcolor uses neither. With ``--odd``, every file in the folder is also colored on the command line with
the default weights, and the second table is measured again; without, that table stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from click.testing import CliRunner

from tests.support.clips import Clip, make_clip
from tests.support.painter import Painter
from vidcolor.cli.commands import main as vidcolor
from vidcolor.media.image_sequence import PicturePattern, PictureSequence
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.stills.kinds import is_picture

PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
COLUMNS = ("frames", "timestamps", "luma exact", "tags", "audio", "subtitles", "chapters", "metadata", "other streams")
TAGS = ("color_range", "color_space", "color_primaries", "color_transfer", "sample_aspect_ratio")
UNTAGGED = (None, "unknown", "unspecified", "0:1", "1:1")
"""What ffprobe prints for a tag that is not set; 1:1 is the default pixel shape."""
WORD = {column: column for column in COLUMNS} | {"other streams": "attachment", "tags": "pixel shape"}
"""The word that a warning about a column contains."""
KEPT, ABSENT = "yes", "–"
FFV1 = EncodeOptions(codec="ffv1")
X264 = EncodeOptions(preset="ultrafast", encoder_options={"qp": "0"})
WORDS = {"title": "A Trip", "comment": "found in the attic"}
RGB = "becomes Y'CbCr, greys exact"
MILLISECONDS = "to the ms"
LIMIT_SECONDS = 10  # for a file that is refused
MAX_EXIT_CODE = 2  # of a refusal; a higher one means that the command was interrupted


@dataclass(frozen=True)
class FilmCase:
    """One row: a film, the container it is written to, and the reasons for what is not kept."""

    name: str
    clip: Clip
    source: str = ".mkv"
    dest: str = ".mkv"
    encode: EncodeOptions = FFV1
    reasons: dict[str, str] = field(default_factory=dict)
    """By column: the text that stands there instead of :data:`KEPT`."""
    deinterlace: Literal["frame", "field"] | None = None


def tagged(matrix: int, primaries: int, transfer: int) -> dict[str, int]:
    """Return the color tags of a clip by their codes of H.273."""
    return {"colorspace": matrix, "color_primaries": primaries, "color_trc": transfer}


EVERYTHING = Clip(audio=("eng", "deu"), subtitles=True, chapters=True, metadata=WORDS)
SOUND = Clip(audio=("eng",), metadata=WORDS)
B_FRAMES = {"crf": "12", "preset": "veryfast"}
MILLISECOND = Fraction(1, 1000)
VARIABLE = [0, 40, 80, 200, 240, 900, 940]
CASES = (
    FilmCase("constant rate, MP4 to MP4", EVERYTHING, ".mp4", ".mp4", X264),
    FilmCase("constant rate, MKV to MKV", EVERYTHING),
    FilmCase("MP4 to MOV", EVERYTHING, ".mp4", ".mov", X264),
    FilmCase("MP4 to MKV", replace(SOUND, chapters=True), ".mp4", ".mkv", X264),
    FilmCase("MKV to MP4", replace(SOUND, chapters=True), ".mkv", ".mp4", X264),
    FilmCase(
        "variable rate", Clip(frames=7, time_base=MILLISECOND, pts=VARIABLE, audio=("eng",)), ".mp4", ".mp4", X264
    ),
    FilmCase("start offset of 480 ms", Clip(time_base=Fraction(1, 1000), start=480, audio=("eng",))),
    FilmCase("start at 1.07501 s, MP4", Clip(time_base=Fraction(1, 90000), start=96751), ".mp4", ".mp4", X264),
    FilmCase("gap of 2 s", Clip(frames=6, time_base=Fraction(1, 1000), pts=[0, 40, 80, 2080, 2120, 2160])),
    FilmCase("B-frames and negative dts", Clip(frames=20, options=B_FRAMES, audio=("eng",)), ".mp4", ".mp4", X264),
    FilmCase("30000/1001 fps", Clip(rate=Fraction(30000, 1001), options=B_FRAMES), ".mp4", ".mp4", X264),
    FilmCase("10 bits", Clip(pix_fmt="yuv420p10le")),
    FilmCase("12 bits", Clip(pix_fmt="yuv420p12le", codec="ffv1", options={})),
    FilmCase("4:2:2", Clip(pix_fmt="yuv422p")),
    FilmCase("4:4:4", Clip(pix_fmt="yuv444p")),
    FilmCase("grey, 8 bits", Clip(pix_fmt="gray")),
    FilmCase("grey, 10 bits", Clip(pix_fmt="gray10le")),
    FilmCase("R'G'B' (FFV1)", Clip(pix_fmt="bgr0", codec="ffv1", options={}), reasons={"luma exact": RGB}),
    FilmCase("full range", Clip(tags={"color_range": 2})),
    FilmCase("BT.601", Clip(tags=tagged(6, 6, 6))),
    FilmCase("BT.709", Clip(tags=tagged(1, 1, 1))),
    FilmCase("BT.2020, 10 bits", Clip(pix_fmt="yuv420p10le", tags=tagged(9, 9, 14))),
    FilmCase("HDR, PQ", Clip(pix_fmt="yuv420p10le", tags=tagged(9, 9, 16))),
    FilmCase("HDR, HLG", Clip(pix_fmt="yuv420p10le", tags=tagged(9, 9, 18))),
    FilmCase("interlaced, top field first", Clip(size=(96, 64), interlaced=True, top_first=True), ".mkv", ".mp4", X264),
    FilmCase("interlaced, bottom field first", Clip(size=(96, 64), interlaced=True), ".mkv", ".mkv", X264),
    FilmCase(
        "interlaced, --deinterlace frame",
        Clip(size=(96, 64), interlaced=True, top_first=True),
        reasons={"luma exact": "lines of one field, the others made", "tags": "no longer interlaced, as asked"},
        deinterlace="frame",
    ),
    FilmCase("rotation by 90°", Clip(rotation=90), ".mp4", ".mp4", X264),
    FilmCase("pixel shape 16:15", Clip(sample_aspect_ratio=Fraction(16, 15)), ".mkv", ".mkv", X264),
    FilmCase("pixel shape 16:15, FFV1 in MP4", Clip(sample_aspect_ratio=Fraction(16, 15)), ".mkv", ".mp4"),
    FilmCase(
        "pixel shape 16:15, FFV1 in MKV",
        Clip(sample_aspect_ratio=Fraction(16, 15)),
        reasons={"tags": "not said by this encoder there: warned"},
    ),
    FilmCase("odd size, 51×37", Clip(size=(51, 37), pix_fmt="yuv444p")),
    FilmCase("1×1", Clip(size=(1, 1), codec="ffv1", options={})),
    FilmCase("8192 wide", Clip(size=(8192, 16), frames=2, codec="ffv1", options={})),
    FilmCase("one frame", Clip(frames=1)),
    FilmCase("no times at all (H.264 alone)", Clip(), ".h264"),
    FilmCase(
        "two pictures of one time",
        Clip(frames=6, time_base=MILLISECOND, pts=[0, 40, 80, 80, 120, 160], codec="ffv1", options={}),
        reasons={"timestamps": "the later one is moved on: warned"},
    ),
    FilmCase("GIF", Clip(codec="gif", pix_fmt="rgb8", options={}), ".gif", reasons={"luma exact": RGB}),
    FilmCase("numbered pictures", Clip(codec="png", pix_fmt="gray", options={}), "_%02d.png"),
    FilmCase("MXF to MKV", Clip(codec="mpeg2video", options={}, size=(96, 64)), ".mxf"),
    FilmCase("bitmap subtitles", Clip(bitmaps=True)),
    FilmCase("attached file", Clip(attachment=True)),
    FilmCase(
        "attached file, MKV to MP4",
        Clip(attachment=True),
        ".mkv",
        ".mp4",
        X264,
        reasons={"other streams": "no place for it: warned"},
    ),
    FilmCase("timecode, MOV to MOV", Clip(timecode="01:00:00:00"), ".mov", ".mov", X264),
    FilmCase("Windows Media sound", Clip(codec="wmv2", options={}, audio=("eng",), audio_codec="wmav2"), ".wmv"),
    FilmCase(
        "PCM in bytes, AVI to MP4",
        Clip(codec="mpeg4", options={}, audio=("eng",), audio_codec="pcm_u8"),
        ".avi",
        ".mp4",
        X264,
        {"audio": "as 16 bits, the same samples"},
    ),
    FilmCase(
        "SRT subtitles, MKV to MP4",
        Clip(subtitles=True),
        ".mkv",
        ".mp4",
        X264,
        {"subtitles": "as the text of MP4, the same words"},
    ),
    FilmCase("cover picture", Clip(cover=True, audio=("eng",)), ".mp4", ".mp4", X264),
    FilmCase("MPEG-TS to MPEG-TS", Clip(audio=("eng",)), ".ts", ".ts", X264),
    FilmCase("AVI to AVI", Clip(codec="mpeg4", options={}), ".avi", ".avi", FFV1),
    FilmCase(
        "to WebM",
        Clip(),
        ".mp4",
        ".webm",
        EncodeOptions(codec="libvpx-vp9", encoder_options={"lossless": "1", "deadline": "realtime", "cpu-used": "8"}),
    ),
    FilmCase(
        "everything, MKV to MPEG-TS",
        replace(EVERYTHING, subtitles=False),
        ".mkv",
        ".ts",
        X264,
        {
            "timestamps": "all 21 ms later",  # sound begins before zero, where MPEG-TS has no times
            "audio": "as ADTS",
            "chapters": "no place for them: warned",
            "metadata": "no place for it: warned",
        },
    ),
)


def run(case: FilmCase, folder: Path) -> dict[str, str]:
    """Color the film of a case, and return the text of each column."""
    source, dest = make_clip(folder / f"in{case.source}", case.clip), folder / f"out{case.dest}"
    pattern = PicturePattern.parse(source)
    film = source if pattern is None else PictureSequence.find(pattern, case.clip.rate)
    options = ColorizeOptions(render_size=48, encode=case.encode, deinterlace=case.deinterlace)
    report = colorize_video(film, dest, colorizer=Painter(), options=options)
    before, after = (probe(path) for path in (source, dest))
    cells = {
        column: compare(before.columns[column], after.columns[column], more_is_fine=column in {"tags", "other streams"})
        for column in COLUMNS
        if column != "timestamps"
    }
    cells["timestamps"] = compare_times(before.seconds, after.seconds)
    for column, reason in case.reasons.items():
        if cells[column] != KEPT and (not reason.endswith("warned") or any(WORD[column] in w for w in report.warnings)):
            cells[column] = reason
    return {column: cells[column] for column in COLUMNS}


def compare(before: Sequence[object], after: Sequence[object], *, more_is_fine: bool) -> str:
    """Return the text of one cell.

    Args:
        before: what was found in the source.
        after: what was found in the output.
        more_is_fine: whether the output may have more, such as a range that the source does not state.
    """
    if not before:
        return ABSENT
    return KEPT if before == after or (more_is_fine and set(before) < set(after)) else "LOST"


def compare_times(before: Sequence[float], after: Sequence[float]) -> str:
    """Return the text for timestamps in seconds: equal, equal to the millisecond of Matroska, or all shifted alike."""
    if not before:
        return ABSENT
    if len(before) != len(after):
        return "LOST"
    moves = [b - a for a, b in zip(before, after, strict=True)]
    furthest = max(map(abs, moves))
    if furthest <= 0.00051:
        return KEPT if furthest < 2e-6 else MILLISECONDS
    return f"all {1000 * moves[0]:.0f} ms later" if max(moves) - min(moves) <= 0.00051 else "LOST"


@dataclass(frozen=True)
class Contents:
    """What ffprobe and ffmpeg find in a file."""

    seconds: list[float]
    """The time of each frame."""
    columns: dict[str, Sequence[object]]
    """What the other columns compare."""


def probe(path: Path) -> Contents:
    """Read a file by ffprobe and ffmpeg."""
    entries = (
        "packet=codec_type,stream_index,pts_time,data_hash"
        ":frame=stream_index,pts_time,interlaced_frame,top_field_first"
        f":stream=index,codec_type,extradata_hash,{','.join(TAGS)}:stream_side_data=rotation:stream_tags=filename,timecode:stream_disposition=attached_pic:chapter=start_time"
        ":chapter_tags=title:format_tags"
    )
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_data_hash", "md5", "-show_entries", entries, str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    covers = {stream["index"] for stream in found["streams"] if stream["disposition"]["attached_pic"]}
    items = found["packets_and_frames"]
    packets = [item for item in items if item["type"] == "packet"]
    film = min(p["stream_index"] for p in packets if p["codec_type"] == "video" and p["stream_index"] not in covers)
    tags = {key.lower(): value for key, value in found["format"].get("tags", {}).items()}
    frames = [item for item in items if item["type"] == "frame" and item["stream_index"] == film]
    columns: dict[str, Sequence[object]] = {
        "frames": [len(frames)],
        "luma exact": luma_hashes(path),
        "tags": tags_of(next(s for s in found["streams"] if s["index"] == film), frames[0]),
        "audio": packets_of(packets, "audio"),
        "subtitles": packets_of(packets, "subtitle"),
        "chapters": [(round(float(c["start_time"]), 3), c["tags"]["title"]) for c in found.get("chapters", [])],
        "metadata": [(key, tags[key]) for key in WORDS if key in tags],
        "other streams": [*others(found["streams"]), *(p["data_hash"] for p in packets if p["stream_index"] in covers)],
    }
    return Contents([float(item["pts_time"]) for item in frames if "pts_time" in item], columns)


def tags_of(stream: dict[str, Any], frame: dict[str, Any]) -> list[object]:
    """Return range, matrix, primaries, transfer, pixel shape, rotation and field order, where they are set."""
    tags = [(tag, stream[tag]) for tag in TAGS if stream.get(tag) not in UNTAGGED]
    turns = [("rotation", note["rotation"]) for note in stream.get("side_data_list", []) if "rotation" in note]
    fields = [("first field", frame["top_field_first"])] if frame["interlaced_frame"] else []
    return [*tags, *turns, *fields]


def others(streams: list[dict[str, Any]]) -> list[object]:
    """Return attached files, by name and hash, and timecodes."""
    attached = [(s["tags"]["filename"], s["extradata_hash"]) for s in streams if s["codec_type"] == "attachment"]
    return [*attached, *(s["tags"]["timecode"] for s in streams if "timecode" in s.get("tags", {}))]


def packets_of(packets: list[dict[str, Any]], kind: str) -> Sequence[object]:
    """Return stream, hash and time of every packet of a kind; the time in units of 11 ms, half a packet of AAC."""
    found = [packet for packet in packets if packet["codec_type"] == kind]
    streams = sorted({packet["stream_index"] for packet in found})
    return sorted(
        (streams.index(p["stream_index"]), p["data_hash"], round(float(p["pts_time"]) / 0.011)) for p in found
    )


def luma_hashes(path: Path) -> list[str]:
    """Return the hash of each decoded luma plane; R'G'B' has none."""
    command = ["ffmpeg", "-v", "error", "-noautorotate", "-i", str(path), "-map", "0:V:0", "-vf", "extractplanes=y"]
    command += ["-fps_mode", "passthrough", "-f", "framemd5", "-"]
    printed = subprocess.run(command, capture_output=True, text=True).stdout
    return [line.rpartition(",")[2].strip() for line in printed.splitlines() if line and not line.startswith("#")]


def run_odd(path: Path, folder: Path) -> str:
    """Color a file on the command line, and return the outcome in a few words."""
    dest = folder / ("out.png" if is_picture(path) else "out.mkv")
    began = time.perf_counter()
    done = CliRunner().invoke(vidcolor, [str(path), "-o", str(dest), "--json"])
    seconds = time.perf_counter() - began
    summary = json.loads(done.stdout.splitlines()[-1])
    expected = {dest} if done.exit_code == 0 else set()
    if (
        "Traceback" in done.output
        or set(folder.iterdir()) != expected
        or "unexpected " in done.stderr
        or done.exit_code > MAX_EXIT_CODE
    ):
        return f"WRONG: exit code {done.exit_code}, {summary}"
    if done.exit_code == 0:
        frames = f", {summary['frames']} frames" if "frames" in summary else ""
        return "; ".join([f"colored{frames}", *summary.get("warnings", ())]).replace(f"{path} ", "")
    if seconds > LIMIT_SECONDS:
        return f"SLOW: refused after {seconds:.0f} s"
    return f"refused: {summary['message'].removeprefix(str(path)).lstrip(': ')}"


def table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


HEAD = """# What is kept

Every row is a film that the tests make and color, judged by ffprobe and ffmpeg: the number of pictures, their times,
the hash of every picture's luma, the tags of color, shape, rotation and fields, the hashes and times of all packets of
sound and subtitles, chapters, metadata, and the other streams: cover pictures, attached files, timecodes. A lossless
encoder is used, so that the luma can be compared. *yes*: the same; *–*: the film has none; anything else is the reason
why not. Made by `python -m tools.formats`.

"""
ODD_HEAD = """

## Odd files

Files from the test suites of other projects and from the wild: broken, cut off, tiny, or in a form that is seldom seen.
Each is colored, or refused with a reason in less than {limit} s, without a traceback and without a partial output.
Measured by `python -m tools.formats --odd FOLDER`.

"""


def page(rows: list[tuple[str, ...]], odd: list[tuple[str, ...]]) -> str:
    """Return the whole of docs/formats.md."""
    return (
        HEAD
        + table(("film", *COLUMNS), rows)
        + ODD_HEAD.format(limit=LIMIT_SECONDS)
        + table(("file", "what becomes of it"), odd)
        + "\n"
    )


def rows_of(text: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Return the rows of the two tables of a page."""
    tables: list[list[tuple[str, ...]]] = []
    lines = text.splitlines()
    for line, following in zip_longest(lines, lines[1:], fillvalue=""):
        if line.startswith("| ---"):
            tables.append([])
        elif line.startswith("| ") and not following.startswith("| ---"):
            tables[-1].append(tuple(cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]))
    first, second = tables
    return first, second


def main() -> None:
    """Measure the tables and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--odd", type=Path, help="a folder of odd files")
    folder = parser.parse_args().odd
    rows, odd = [], []
    for case in CASES:
        with tempfile.TemporaryDirectory() as room:
            rows.append((case.name, *run(case, Path(room)).values()))
    if folder is None:
        odd = rows_of(PAGE.read_text(encoding="utf-8"))[1]
    else:
        for path in sorted(folder.iterdir()):
            with tempfile.TemporaryDirectory() as room:
                odd.append((path.name, run_odd(path, Path(room))))
    PAGE.write_text(page(rows, odd), encoding="utf-8")


if __name__ == "__main__":
    main()
