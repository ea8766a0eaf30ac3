"""Open a file, find the film in it, and describe the film."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import InputError
from vidcolor.files.paths import is_file, is_folder, path_exists
from vidcolor.frames import HdrMetadata, VideoSpec
from vidcolor.media.hdr_metadata import parse_hdr_metadata
from vidcolor.media.mp4_tables import check_announced_samples
from vidcolor.media.outcomes import Outcome
from vidcolor.media.pixel_formats import (
    LINEAR_TRANSFERS,
    MATRIX_BT709,
    MATRIX_RGB,
    RANGE_FULL,
    RANGE_LIMITED,
    TRANSFER_SRGB,
    luma_layout,
)
from vidcolor.media.rates import frame_rate_of

LIMITED_BY_DEFAULT = frozenset({"h264", "hevc", "vvc", "av1", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4"})
"""Codecs that have limited range unless a tag says otherwise; grey pictures of other codecs have full range."""
MAX_PIXELS = 1 << 26
"""Twice 8K. A decoder may hold forty pictures, and the header of a tiny file can announce the largest possible ones."""
MIN_FRAME_BYTES = 8
"""In a container, even a frame that repeats the one before needs more."""
WITHOUT_HEADER = frozenset({"mpeg", "mpegts", "flv", "live_flv"})
"""Containers without a list of streams: each is found with its first packets, and so is the form of its sound."""
LONG_PROBE = {"probesize": str(1 << 26), "analyzeduration": str(300 * av.time_base)}
"""Bytes and microseconds of a film without a header in which streams are looked for; they are kept in memory."""
HDR_SIDE_DATA = (SideDataType.MASTERING_DISPLAY_METADATA, SideDataType.CONTENT_LIGHT_LEVEL)
DROPPED_SIDE_DATA = {
    SideDataType.A53_CC: "closed captions inside the picture",
    SideDataType.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    SideDataType.DOVI_METADATA: "Dolby Vision metadata",
    SideDataType.STEREO3D: "the stereoscopic arrangement",
    SideDataType.SPHERICAL: "the spherical projection",
}
"""Side data of decoded frames that PyAV cannot pass to an encoder, and its name in messages."""


def open_film(path: Path, accelerator: HWAccel | None = None) -> InputContainer:
    """Open a film for reading.

    Args:
        path: the file.
        accelerator: hardware that decodes the film as far as it can.

    Raises:
        InputError: the file is missing, a folder, empty, not readable, or no media.
    """
    if not path_exists(path):
        raise InputError(f"{path}: no such file, or its folder may not be looked into; check the name")
    if is_folder(path):
        raise InputError(f"{path}: is a folder; expected a film")
    if is_file(path) and path.stat().st_size == 0:
        raise InputError(f"{path}: is empty; was it copied or downloaded to the end?")
    if is_file(path):
        check_announced_samples(path)
    try:
        container = _open(path, accelerator, {})
        if container.format.name in WITHOUT_HEADER:
            container.close()
            container = _open(path, accelerator, LONG_PROBE)
    except av.PermissionError as exc:
        raise InputError(f"{path}: may not be read ({exc.strerror}); change its permissions") from exc
    except av.FFmpegError as exc:
        raise InputError(f"{path}: cannot be read as a film ({exc.strerror}); is it one, and is it whole?") from exc
    return container


def _open(path: Path, accelerator: HWAccel | None, options: dict[str, str]) -> InputContainer:
    # Without the prefix libav would take what precedes a colon in the name for a protocol.
    name = f"file:{path}"
    return av.open(name, "r", metadata_errors="ignore", container_options=options, hwaccel=accelerator)


def open_picture(path: Path, rate: Fraction) -> InputContainer:
    """Open one picture for reading as a film.

    Args:
        path: the picture.
        rate: frames per second.

    Raises:
        InputError: the file is missing, not readable, or no picture.
    """
    options = {"pattern_type": "none", "framerate": str(rate)}
    try:
        return av.open(f"file:{path}", "r", format="image2", options=options, metadata_errors="ignore")
    except av.FFmpegError as exc:
        raise InputError(f"{path}: cannot be read as a picture ({exc.strerror}); is it one, and is it whole?") from exc


def choose_video(container: InputContainer, path: str | Path) -> VideoStream:
    """Return the best video stream, never a cover picture, with its decoder set up.

    Args:
        container: the open file.
        path: its name for messages.

    Raises:
        InputError: there is none, or none that can be decoded, or its pictures are larger than :data:`MAX_PIXELS`.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not films:
        found = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        if container.streams.video:
            found = "a cover picture but no film"
        raise InputError(f"{path}: holds no film to color (found: {found})")
    best = container.streams.best("video")
    stream = next((film for film in films if best is not None and film.index == best.index), films[0])
    if stream.codec_context is None or stream.time_base is None:
        raise InputError(f"{path}: its picture is in a format that this build of libav cannot decode")
    size = stream.codec_context.width, stream.codec_context.height
    if size[0] * size[1] > MAX_PIXELS:
        found = f"{size[0]}×{size[1]}"
        raise InputError(f"{path}: pictures of {found} are larger than the {MAX_PIXELS:,} pixels that are read")
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # later pictures may be larger
    stream.codec_context.thread_type = "AUTO"
    return stream


def video_spec(stream: VideoStream, first: VideoFrame, container: InputContainer) -> VideoSpec:
    """Return the constants of a film, from its header and its first decoded frame."""
    assert stream.time_base is not None  # choose_video
    layout = luma_layout(first.format)
    rate = frame_rate_of(stream)
    return VideoSpec(
        width=first.width,
        height=first.height,
        bit_depth=layout.bit_depth,
        full_range=layout.from_rgb or layout.is_float or _is_full_range(stream, first),
        matrix=MATRIX_BT709 if layout.from_rgb or first.colorspace == MATRIX_RGB else first.colorspace,
        primaries=first.color_primaries,
        transfer=TRANSFER_SRGB if layout.is_float and first.color_trc in LINEAR_TRANSFERS else first.color_trc,
        time_base=stream.time_base,
        frame_rate=rate,
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        rotation=0 if display_matrix(first, stream) is None else first.rotation,
        estimated_frames=_estimated_frames(stream, container, rate),
        hdr=_hdr_metadata(first, stream),
    )


def _hdr_metadata(frame: VideoFrame, stream: VideoStream) -> HdrMetadata | None:
    entries = side_data(frame, stream)
    display, light_levels = (bytes(entries[kind]) if kind in entries else None for kind in HDR_SIDE_DATA)
    return parse_hdr_metadata(display, light_levels)


def _is_full_range(stream: VideoStream, frame: VideoFrame) -> bool:
    if frame.format.name.startswith("yuvj") or frame.color_range == RANGE_FULL:
        return True
    if frame.color_range == RANGE_LIMITED:
        return False
    return luma_layout(frame.format).is_grey and stream.codec_context.codec.canonical_name not in LIMITED_BY_DEFAULT


def _estimated_frames(stream: VideoStream, container: InputContainer, rate: Fraction | None) -> int | None:
    if stream.frames:
        return stream.frames
    if stream.duration is not None and stream.time_base is not None:
        seconds = stream.duration * stream.time_base
    elif container.duration is not None:
        seconds = Fraction(container.duration, av.time_base)
    else:
        return None
    frames = round(seconds * rate) if rate else None
    # A clock that jumps makes a duration of hours.
    return None if frames is not None and 0 < container.size < frames * MIN_FRAME_BYTES else frames


def lost_features(first: VideoFrame, stream: VideoStream) -> list[Outcome]:
    """Return an outcome for each feature of a film that its copy cannot have.

    Args:
        first: the first decoded frame.
        stream: the film.
    """
    lost = []
    # VP8 and VP9 store alpha outside the pictures, and libav's own decoders do not decode it.
    alpha_outside = {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"
    if alpha_outside or any(component.is_alpha for component in first.format.components):
        lost.append(Outcome("transparency", "dropped", "the film has transparency, which is left out"))
    entries = side_data(first, stream)
    for name in dropped_features(first, stream):
        lost.append(Outcome(name, "dropped", f"the film has {name}, left out"))
    if any(kind in entries for kind in HDR_SIDE_DATA) and _hdr_metadata(first, stream) is None:
        lost.append(Outcome("HDR metadata", "dropped", "the film's HDR metadata is incomplete, left out"))
    if first.rotation and SideDataType.DISPLAYMATRIX not in entries:
        why = f"the pictures have an EXIF rotation by {first.rotation}°, which is left out"
        lost.append(Outcome("rotation", "dropped", why))
    return lost


def dropped_features(frame: VideoFrame, stream: VideoStream) -> list[str]:
    """Return the names of what a decoded frame has in its side data and its copy cannot have."""
    entries = side_data(frame, stream)
    return [name for kind, name in DROPPED_SIDE_DATA.items() if kind in entries]


def side_data(frame: VideoFrame, stream: VideoStream) -> Mapping[SideDataType, Any]:
    """Return the side data of a decoded frame, by type.

    It is empty for PNG, because PyAV would free the name of a color profile twice, and wherever PyAV does not know the
    type of one entry, such as EXIF.
    """
    if stream.codec_context.name in {"png", "apng"}:
        return {}
    try:
        return frame.side_data  # type: ignore[return-value]
    except ValueError:
        return {}


def display_matrix(frame: VideoFrame, stream: VideoStream) -> tuple[int, ...] | None:
    """Return the nine numbers of the display matrix; None if there is none, or one that is not a rotation."""
    entries = side_data(frame, stream)
    if SideDataType.DISPLAYMATRIX not in entries or not -180 <= frame.rotation <= 180:
        return None
    return tuple(np.frombuffer(entries[SideDataType.DISPLAYMATRIX], np.int32).tolist())
