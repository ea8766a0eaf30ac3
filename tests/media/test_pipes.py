"""Films through pipes: the same as through files, with bounded memory, and nothing lost when somebody hangs up."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.clips import Clip, decoded, make_clip, timeline
from tests.test_pipeline import Painter
from vidcolor.errors import InputError, OptionError, OutputError
from vidcolor.media.pipes import PipeInput, PipeOutput, needs_seeking
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.pipeline import colorize_video
from vidcolor.progress import Report

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes are made here as POSIX has them")

VARIABLE = Clip(frames=7, time_base=Fraction(1, 1000), pts=[0, 40, 80, 200, 240, 900, 940], audio=("eng",))
SOUND = Clip(frames=12, audio=("eng",), audio_seconds=0.6)


@contextmanager
def fed_by(path: Path) -> Iterator[PipeInput]:
    """A pipe that a thread fills with the bytes of a file."""
    reader, writer = os.pipe()

    def feed() -> None:
        with os.fdopen(writer, "wb") as sink, path.open("rb") as source:
            try:
                shutil.copyfileobj(source, sink)
            except BrokenPipeError:
                return

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(reader, "rb") as stream:
        yield PipeInput(stream)
    thread.join()


@contextmanager
def drained_to(path: Path) -> Iterator[PipeOutput]:
    """A pipe that a thread empties into a file."""
    reader, writer = os.pipe()

    def drain() -> None:
        with os.fdopen(reader, "rb") as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink)

    thread = threading.Thread(target=drain)
    thread.start()
    with os.fdopen(writer, "wb") as stream:
        yield PipeOutput(stream)
    thread.join()


def color(source: Path | PipeInput, dest: Path | PipeOutput, **encode: object) -> Report:
    """Color with a :class:`Painter`, to FFV1 unless asked otherwise."""
    settings = EncodeOptions(**{"codec": "ffv1", **encode})  # type: ignore[arg-type]
    return colorize_video(source, dest, colorizer=Painter(), options=ColorizeOptions(render_size=48, encode=settings))


def remuxed(source: Path, dest: Path, **options: str) -> Path:
    """The same packets in another container, or laid out in another way."""
    with av.open(str(source)) as film, av.open(str(dest), "w", container_options=options) as copy:
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in film.streams}
        for packet in film.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)
    return dest


def assert_same_film(one: Path, other: Path) -> None:
    """Every luma plane, every time and every packet of sound."""
    first, second = decoded(one), decoded(other)
    assert [t for t, _ in first] == [t for t, _ in second]
    for (_, luma), (_, expected) in zip(first, second, strict=True):
        np.testing.assert_array_equal(luma, expected)
    assert timeline(one, "audio") == timeline(other, "audio")


def raw_film(path: Path, clip: Clip) -> Path:
    """The clip as YUV4MPEG2."""
    make_clip(path.with_suffix(".mkv"), clip)
    with drained_to(path) as pipe:
        color(path.with_suffix(".mkv"), pipe, codec="libx264", format="yuv4mpegpipe")
    return path


# In


@pytest.mark.parametrize("kind", ["mkv", "ts", "nut", "faststart.mp4", "fragmented.mp4"])
def test_what_comes_through_a_pipe_is_what_is_in_the_file(kind: str, tmp_path: Path) -> None:
    """Whatever can be read without seeking gives the same film as its file does."""
    options = {"faststart.mp4": "+faststart", "fragmented.mp4": "+frag_keyframe+empty_moov"}.get(kind)
    source = make_clip(tmp_path / "in.mp4", SOUND)
    source = remuxed(source, tmp_path / f"copy.{kind}", **({"movflags": options} if options else {}))
    color(source, tmp_path / "file.mkv")
    with fed_by(source) as pipe:
        report = color(pipe, tmp_path / "pipe.mkv")
    assert report.frames == 12
    assert_same_film(tmp_path / "pipe.mkv", tmp_path / "file.mkv")


def test_raw_pictures_come_through_a_pipe(tmp_path: Path) -> None:
    """YUV4MPEG2 too: 10 bits of luma, exactly."""
    raw_film(tmp_path / "in.y4m", Clip(pix_fmt="yuv420p10le"))
    with fed_by(tmp_path / "in.y4m") as pipe:
        color(pipe, tmp_path / "out.mkv")
    assert_same_film(tmp_path / "out.mkv", tmp_path / "in.mkv")


def test_an_index_at_the_end_is_refused_at_once(tmp_path: Path) -> None:
    """Such an MP4 is told from one with its index in front by its first bytes."""
    source = make_clip(tmp_path / "in.mp4")
    front = remuxed(source, tmp_path / "front.mp4", movflags="+faststart")
    assert [needs_seeking(path.read_bytes()[:4096]) for path in (source, front)] == [True, False]
    with fed_by(source) as pipe, pytest.raises(InputError, match=r"index at the end.*Matroska"):
        color(pipe, tmp_path / "out.mkv")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", False),
        (b"\0\0\0\x08free\0\0\0\x09mdat", True),
        (b"\0\0\0\x08wide\0\0\0\x01mdat", True),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2\0\0\0\x08moov", False),
        (b"\0\0\0\0freemdat", False),
        (b"\x1aE\xdf\xa3matroska", False),
        (b"\0\0\x40\0uuid", False),
    ],
)
def test_boxes(head: bytes, expected: bool) -> None:
    """The walk through the boxes ends at what it does not know, at sizes that cannot be, and at the end."""
    assert needs_seeking(head) is expected


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "nothing came through"), (b"no film at all\n" * 400, "is no film")]
)
def test_what_is_no_film(content: bytes, words: str, tmp_path: Path) -> None:
    """An empty pipe and one full of something else are one line each."""
    (tmp_path / "in").write_bytes(content)
    with fed_by(tmp_path / "in") as pipe, pytest.raises(InputError, match=f"-: .*{words}"):
        color(pipe, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


def test_terminals_are_refused() -> None:
    """Nobody types a film, or wants to see its bytes."""
    pty = pytest.importorskip("pty", reason="needs the terminals of Unix")
    ends = pty.openpty()
    with os.fdopen(ends[0], "rb", 0), os.fdopen(ends[1], "rb+", 0) as terminal:
        with pytest.raises(InputError, match="input is a terminal"):
            PipeInput(terminal)
        with pytest.raises(OutputError, match="output is a terminal"):
            PipeOutput(terminal)


# Out


@pytest.mark.parametrize(("format_name", "clip"), [("matroska", VARIABLE), ("nut", SOUND), ("mpegts", SOUND)])
def test_what_goes_through_a_pipe_is_what_is_in_the_file(format_name: str, clip: Clip, tmp_path: Path) -> None:
    """A pipe gets the film that a file gets: no time is changed for want of seeking."""
    source = make_clip(tmp_path / "in.mkv", clip)
    codec = "libx264" if format_name == "mpegts" else "ffv1"
    color(source, tmp_path / "file", format=format_name, codec=codec)
    with drained_to(tmp_path / "pipe") as pipe:
        report = color(source, pipe, format=format_name, codec=codec)
    assert report.output_bytes == (tmp_path / "pipe").stat().st_size
    assert_same_film(tmp_path / "pipe", tmp_path / "file")
    if format_name == "matroska":
        assert_same_film(tmp_path / "pipe", source)


def test_matroska_is_what_a_pipe_gets_unasked(tmp_path: Path) -> None:
    """It holds everything, and needs no seeking."""
    source = make_clip(tmp_path / "in.mp4")
    with drained_to(tmp_path / "pipe") as pipe:
        color(source, pipe)
    with av.open(tmp_path / "pipe") as film:
        assert film.format.name == "matroska,webm"


@pytest.mark.parametrize(("pix_fmt", "header"), [("yuv420p", b" C420mpeg2 "), ("yuv420p10le", b" C420p10 ")])
def test_raw_pictures(pix_fmt: str, header: bytes, tmp_path: Path) -> None:
    """YUV4MPEG2 holds the luma exactly, at the film's rate and not at that of its clock; sound is named as lost."""
    source = make_clip(tmp_path / "in.mkv", Clip(pix_fmt=pix_fmt, audio=("eng",)))
    with drained_to(tmp_path / "out.y4m") as pipe:
        report = color(source, pipe, codec="libx264", format="yuv4mpegpipe")
    first_line = (tmp_path / "out.y4m").read_bytes().partition(b"\n")[0] + b" "
    assert first_line.startswith(b"YUV4MPEG2 W64 H48 F25:1 ")
    assert header in first_line
    assert [line for line in report.warnings if "cannot store" in line] == list(report.warnings)
    assert len(report.warnings) == 1
    for (_, luma), (_, expected) in zip(decoded(tmp_path / "out.y4m"), decoded(source), strict=True):
        np.testing.assert_array_equal(luma, expected)


def test_times_that_raw_pictures_do_not_hold_are_named_once(tmp_path: Path) -> None:
    """A variable rate cannot be said in frames: all pictures come, and one line says where it begins to differ."""
    source = make_clip(tmp_path / "in.mkv", VARIABLE)
    with drained_to(tmp_path / "out.y4m") as pipe:
        report = color(source, pipe, codec="libx264", format="yuv4mpegpipe")
    assert len(decoded(tmp_path / "out.y4m")) == 7
    assert len([line for line in report.warnings if "holds no times" in line]) == 1


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        ({"format": "mp4"}, "a pipe does not allow"),
        ({"format": "nonsense"}, "no such container"),
        ({"format": "yuv4mpegpipe", "codec": "ffv1"}, "holds raw pictures"),
        ({"format": "yuv4mpegpipe", "codec": "libx264", "crf": 20.0}, "has no crf"),
    ],
)
def test_containers_that_do_not_fit(encode: dict[str, object], words: str, tmp_path: Path) -> None:
    """What a pipe cannot take is refused before the first byte."""
    source = make_clip(tmp_path / "in.mkv")
    with drained_to(tmp_path / "out") as pipe, pytest.raises(OptionError, match=words):
        color(source, pipe, **encode)
    assert (tmp_path / "out").read_bytes() == b""


def test_the_container_of_a_file_can_be_named(tmp_path: Path) -> None:
    """``--format`` counts for more than the ending."""
    source = make_clip(tmp_path / "in.mkv")
    color(source, tmp_path / "out.film", format="nut")
    with av.open(tmp_path / "out.film") as film:
        assert film.format.name == "nut"


# The command line


@contextmanager
def running(weights: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command with pipes at all three ends; killed if it is still there at the end."""
    settings = ["--weights", weights, "--device", "cpu", "--render-size", "48"]
    command = [sys.executable, "-P", "-m", "vidcolor", *map(str, [*arguments, *settings])]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def test_from_pipe_to_pipe(tiny_weights: Path, tmp_path: Path) -> None:
    """Nothing but the film comes out on standard output: the JSON objects are all of standard error."""
    source = make_clip(tmp_path / "in.mkv", SOUND)
    with running(tiny_weights, "-", "-o", "-", "--codec", "ffv1", "--json") as process:
        film, messages = process.communicate(source.read_bytes(), timeout=60)
    (tmp_path / "out.mkv").write_bytes(film)
    assert process.returncode == 0
    assert_same_film(tmp_path / "out.mkv", source)
    last = json.loads(messages.splitlines()[-1])
    assert (last["event"], last["output"], last["output_bytes"]) == ("done", "-", len(film))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.slow
def test_named_pipes_and_links_are_written_not_replaced(tiny_weights: Path, tmp_path: Path) -> None:
    """Named pipes stay what they are, and a link keeps pointing to its file."""
    source = make_clip(tmp_path / "source.mkv", Clip(frames=12, size=(64, 48)))
    film, coming, going, link = (tmp_path / name for name in ("film.mkv", "in.mkv", "out.mkv", "link.mkv"))
    os.mkfifo(coming)
    os.mkfifo(going)
    link.symlink_to("target.mkv")
    feeder = threading.Thread(target=lambda: coming.write_bytes(source.read_bytes()), daemon=True)
    drain = threading.Thread(target=lambda: film.write_bytes(going.read_bytes()), daemon=True)
    for thread in (feeder, drain):
        thread.start()
    with running(tiny_weights, coming, "-o", going, "--overwrite", "--codec", "ffv1") as process:
        _, messages = process.communicate(timeout=60)
    assert (process.returncode, messages) == (0, messages)
    for thread in (feeder, drain):
        thread.join()
    assert_same_film(film, source)
    assert going.is_fifo()
    with running(tiny_weights, source, "-o", link, "--overwrite", "--codec", "ffv1") as process:
        _, messages = process.communicate(timeout=60)
    assert (process.returncode, messages) == (0, messages)
    assert link.readlink() == Path("target.mkv")
    assert_same_film(tmp_path / "target.mkv", source)


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="there is no such device here")
def test_a_device_is_written_not_replaced(tiny_weights: Path, tmp_path: Path) -> None:
    """Even with ``--overwrite`` a device stays one."""
    source = make_clip(tmp_path / "source.mkv", Clip(frames=4, size=(64, 48)))
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    with running(tiny_weights, source, "-o", null, "--overwrite") as process:
        _, messages = process.communicate(timeout=60)
    assert (process.returncode, messages) == (0, messages)
    assert Path("/dev/null").is_char_device()
    assert null.is_symlink()


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """How much of a process is in memory."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def feed_endlessly(process: subprocess.Popen[bytes], frame: bytes, header: bytes) -> None:
    """Send frames until nobody takes them."""
    assert process.stdin is not None
    try:
        process.stdin.write(header)
        while True:
            process.stdin.write(b"FRAME\n" + frame)
    except (BrokenPipeError, ValueError):
        return


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_an_endless_film_in_bounded_memory_until_its_reader_leaves(tiny_weights: Path) -> None:
    """Hundreds of frames more take no more memory; a closed pipe ends the work with one line and exit code 1."""
    width, height = 320, 240
    header = f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420mpeg2\n".encode()
    frame_bytes = width * height * 3 // 2
    with running(tiny_weights, "-", "-o", "-", "--format", "yuv4mpegpipe") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        frame = bytes(range(256)) * (width * height // 256) + b"\x80" * (width * height // 2)
        feeder = threading.Thread(target=feed_endlessly, args=(process, frame, header))
        feeder.start()
        process.stdout.read(240 * frame_bytes)  # until the queues are full and the allocator has its arenas
        early = resident_bytes(process)
        process.stdout.read(720 * frame_bytes)
        grown = resident_bytes(process) - early
        process.stdout.close()
        assert process.wait(timeout=20) == 1
        feeder.join()
        messages = process.stderr.read().decode()
    assert grown < 360 * frame_bytes  # of 720 that went by; the allocator takes up to 150 before it is flat
    assert messages == "error: -: the program that reads the pipe has closed it; the film ends there\n"


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.slow
def test_a_signal_ends_the_wait_for_a_pipe(share: float, tiny_weights: Path, tmp_path: Path) -> None:
    """A producer that sends nothing more, from the beginning or in the middle, keeps nobody from stopping."""
    source = make_clip(tmp_path / "in.mkv", Clip(frames=100, size=(160, 120))).read_bytes()
    with running(tiny_weights, "-", "-o", tmp_path / "out.mkv", "--json") as process:
        assert process.stdin is not None
        process.stdin.write(source[: 1 + int(share * len(source))])
        process.stdin.flush()
        wait_until_taken(process)
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert process.wait(timeout=20) == 143
    assert time.monotonic() - started < 10  # far less on a quiet machine
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def wait_until_taken(process: subprocess.Popen[bytes]) -> None:
    """Until the process has read all that was sent, and waits for more."""
    assert process.stdin is not None
    fcntl = pytest.importorskip("fcntl", reason="counts the bytes in a pipe of Unix")
    unread = b"\1\0\0\0"
    while int.from_bytes(unread, sys.byteorder) > 0:
        assert process.poll() is None
        time.sleep(0.1)
        unread = fcntl.ioctl(process.stdin, pytest.importorskip("termios").FIONREAD, bytes(4))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_between_two_ffmpegs(tiny_weights: Path, tmp_path: Path) -> None:
    """The use that it is made for: one process before and one behind, and the luma comes out as it went in."""
    source = make_clip(tmp_path / "in.mp4", SOUND)
    ffmpeg = ["ffmpeg", "-v", "error", "-y"]
    before = subprocess.Popen([*ffmpeg, "-i", source, "-c", "copy", "-f", "matroska", "-"], stdout=subprocess.PIPE)
    with before, running(tiny_weights, "-", "-o", "-", "--codec", "ffv1") as process:
        assert before.stdout is not None
        film, _ = process.communicate(before.stdout.read(), timeout=60)
    after = [*ffmpeg, "-i", "-", "-map", "0", "-c", "copy", tmp_path / "out.mkv"]
    subprocess.run(after, input=film, check=True)
    for (_, luma), (_, expected) in zip(decoded(tmp_path / "out.mkv"), decoded(source), strict=True):
        np.testing.assert_array_equal(luma, expected)
    assert len(timeline(tmp_path / "out.mkv", "audio")[0]) == len(timeline(source, "audio")[0])
