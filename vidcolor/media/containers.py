"""Kinds of container: which one an output has, what each can hold, and which options its muxer needs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import lcm
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from vidcolor.errors import OptionError
from vidcolor.frames import VideoSpec
from vidcolor.media.destinations import ContainerDestination, PipeDestination
from vidcolor.media.metadata import kept_metadata
from vidcolor.media.outcomes import Outcome

PIPE_FORMAT = "matroska"
"""The container for a pipe unless another is requested."""
MOV_FAMILY = frozenset({"mp4", "mov", "ipod", "3gp", "3g2", "psp"})
STORES_ROTATION = MOV_FAMILY | {"f4v", "ismv", "matroska", "webm"}
STORES_CHAPTERS = STORES_ROTATION | {"asf", "nut"}
SHAPE_FORMATS = MOV_FAMILY | {"mxf"}
"""Containers that store the sample aspect ratio of every encoder. Matroska has a field for it, too, but PyAV does not
set it: there the packets of the encoder must carry the ratio."""
TS_VIDEO = {"mpeg1video", "mpeg2video", "mpeg4", "h264", "hevc", "vvc", "cavs", "dirac", "vc1", "jpeg2000"}
TS_AUDIO = {"mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m"}
TS_DATA = {"dvb_subtitle", "dvb_teletext", "klv", "timed_id3", "smpte_2038"}
TS_CODECS = frozenset(TS_VIDEO | TS_AUDIO | TS_DATA)
"""Codecs with a stream type in MPEG-TS. Its muxer writes all others without an error, as bytes that no reader knows."""
PICTURE_FIRST = frozenset({"mxf"})
"""Containers that hold nothing without a picture stream, which must be their first."""
FRAME_FORMATS = frozenset({"avi"})
"""Containers whose times are numbers of frames in the order of decoding, so that pictures must not be reordered."""
PICKY = MOV_FAMILY | {"avi", "mpegts"}
"""Containers that store some metadata only."""
MAX_TIMESCALE = 2**31 - 1  # libav keeps the numbers of a time base in a C int


def choose_container(destination: ContainerDestination, requested: str | None) -> str:
    """Return libav's name of the container for an output.

    Args:
        destination: a file, whose ending names the container, or a pipe, which gets Matroska.
        requested: the name of another container, as ``ffmpeg -f`` takes it; None: none.

    Raises:
        OptionError: there is no such container, the ending names none, or it cannot be written to a pipe.
    """
    if isinstance(destination, PipeDestination):
        name = _known(requested or PIPE_FORMAT)
        if name in MOV_FAMILY:
            hint = "choose matroska, nut or mpegts"
            raise OptionError(
                f"`format` {name}: its index is inserted at the beginning, which a pipe does not allow; {hint}"
            )
        return name
    return _by_ending(destination.path) if requested is None else _known(requested)


def container_options(format_name: str, source: InputContainer, start: Fraction, shift: Fraction) -> dict[str, str]:
    """Return the options of a muxer that keep the start time of every stream and give equal bytes for equal films.

    Args:
        format_name: libav's name of the container.
        source: the container of the source.
        start: the first picture's time in seconds.
        shift: seconds that are added to the times of the source.
    """
    # Matroska would write random numbers for streams and chapters.
    return {"fflags": "+bitexact", **_start_options(format_name, source, start, shift)}


def lost_by_container(source: InputContainer, spec: VideoSpec, format_name: str) -> Iterator[Outcome]:
    """Yield an outcome for each property of the whole film that a container cannot hold."""
    if format_name not in STORES_ROTATION and spec.rotation:
        why = f"{format_name} cannot store the rotation by {spec.rotation}°, players will show the film on its side"
        yield Outcome("rotation", "dropped", why)
    if format_name not in STORES_CHAPTERS and source.chapters():
        why = f"{format_name} cannot store the {len(source.chapters())} chapters, left out"
        yield Outcome("chapters", "dropped", why)
    if format_name in FRAME_FORMATS and spec.frame_rate and spec.time_base != 1 / spec.frame_rate:
        why = f"avi counts in frames: times are rounded to 1/{float(spec.frame_rate):g} s"
        yield Outcome("times", "changed", why)
    keys = lost_metadata(kept_metadata(source.metadata), format_name)
    if keys:
        why = f"metadata {', '.join(keys)}: {format_name} cannot store it, left out"
        yield Outcome("further metadata", "dropped", why)


def lost_metadata(metadata: Mapping[str, str], format_name: str) -> list[str]:
    """Return the keys that a container drops without an error, found by muxing a tiny film in memory.

    Matroska stores every key; containers that are not in :data:`PICKY` are not tried.
    """
    if format_name not in PICKY or not metadata:
        return []
    file = io.BytesIO()
    with av.open(file, "w", format=format_name) as trial:
        trial.metadata.update(metadata)
        stream = trial.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        trial.mux(stream.encode(VideoFrame(16, 16, "yuv420p")))
        trial.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, metadata_errors="ignore") as copy:
        # MP4 and MOV make a track of a timecode.
        arrived = {key.lower() for held in (copy, *copy.streams) for key in held.metadata}
    return sorted(key for key in metadata if key.lower() not in arrived)


def _start_options(format_name: str, source: InputContainer, start: Fraction, shift: Fraction) -> dict[str, str]:
    if format_name in MOV_FAMILY:
        return {"movie_timescale": str(_movie_timescale(source, start, shift))}
    if format_name in {"matroska", "webm"}:
        return {"avoid_negative_ts": "disabled"}  # sound may begin before zero without moving the other streams
    if format_name in {"mpegts", "mpeg", "vob", "dvd", "svcd", "vcd"}:
        return {"max_delay": "0"}  # or else the muxer moves everything by twice the delay
    if format_name == "yuv4mpegpipe":
        return {"strict": "-1"}  # more than 8 bits are an extension by ffmpeg, which other programs have adopted
    return {}


def _movie_timescale(source: InputContainer, start: Fraction, shift: Fraction) -> int:
    """Return a time scale that represents every start time exactly, if there is one; MOV stores them in its units."""
    scale = lcm(1000, start.denominator)
    for stream in source.streams:
        if stream.start_time and stream.time_base:
            ticks = stream.start_time + round(shift / stream.time_base)
            scale = lcm(scale, (ticks * stream.time_base).denominator)
    return scale if scale <= MAX_TIMESCALE else 1000


def _known(format_name: str) -> str:
    try:
        container = av.ContainerFormat(format_name, "w")
    except ValueError as exc:
        hint = "matroska, mp4, mpegts, nut and yuv4mpegpipe are common"
        raise OptionError(f"`format` {format_name}: there is no such container in this build of libav; {hint}") from exc
    return container.name


def _by_ending(path: Path) -> str:
    try:
        with av.open(f"file:{path}", "w") as guess:  # creates no file until something is written
            name = guess.format.name
    except ValueError as exc:
        ending = f"the ending {path.suffix}" if path.suffix else "no ending"
        raise OptionError(f"{path}: {ending} is not that of a film; use .mp4, .mkv or .mov") from exc
    if name == "ico":
        raise OptionError(f"{path}: an icon cannot hold a film; use .mp4 or .mkv")
    if name == "image2":
        example = f"{path.stem}_%06d{path.suffix}"
        raise OptionError(f"{path}: a picture cannot hold a film; use .mp4 or .mkv, or {example} for numbered pictures")
    return name
