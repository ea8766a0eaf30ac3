"""The chain of stages that reads a film: from the packets of an open container to pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import TypeAlias

from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.frames import FirstField, Picture, VideoSpec
from vidcolor.media.changes import note_picture_changes, note_sound_changes
from vidcolor.media.continuity import join_clocks, start_of
from vidcolor.media.cropping import NO_CROP, Crop, matroska_crop
from vidcolor.media.damage import UnreadableError
from vidcolor.media.decoding import UNTIMED_FORMATS, decode, note_concealment
from vidcolor.media.demuxing import note_damage
from vidcolor.media.gaps import fill_gaps
from vidcolor.media.interlacing import (
    Deinterlacing,
    FirstFields,
    deinterlace,
    deinterlaced_spec,
    has_flags,
    header_field,
)
from vidcolor.media.items import Item, Jump, Note
from vidcolor.media.late_features import note_late_features
from vidcolor.media.mp4_crop import mp4_crop
from vidcolor.media.outcomes import Outcome
from vidcolor.media.packet_store import PacketStore
from vidcolor.media.pictures import make_pictures
from vidcolor.media.probe import choose_video, display_matrix, lost_features, video_spec
from vidcolor.media.sources import Source
from vidcolor.media.timestamps import repair_timestamps

PictureItem: TypeAlias = "Picture | PacketStore | Note | Jump"
"""What the last stage yields: a picture, the packets of other streams after the last picture, a note or a jump."""


@dataclass(frozen=True, kw_only=True)
class OpenFilm:
    """A film in an open container, and how it is read."""

    source: Source
    container: InputContainer
    stream: VideoStream
    """The picture stream: the one in the container that is decoded."""
    keep_going: bool
    """Note damage and continue; otherwise stop there."""
    mode: Deinterlacing | None
    """How the film is deinterlaced, if it is."""
    may_accelerate: bool
    """Whether the container was opened for decoding by hardware."""
    shift: Fraction
    """Seconds that are added to the source's times at the beginning (:mod:`vidcolor.media.continuity`)."""
    items: Iterator[Item]
    """The packets of all streams, with one clock, and notes where one is damaged; can be read once."""


@dataclass(frozen=True, kw_only=True)
class FilmFacts:
    """What the header of a film and its first decoded frame state."""

    spec: VideoSpec
    """The constants of the pictures as they are read: deinterlaced, if the film is."""
    default_first_field: FirstField | None
    """Field order from the header, for frames without a flag of their own; None if frames have flags."""
    display_matrix: tuple[int, ...] | None
    """Rotation and mirroring, nine numbers as in ``AV_PKT_DATA_DISPLAYMATRIX``."""
    outcomes: tuple[Outcome, ...]
    """What of the pictures is changed or lost in every output."""
    picture_bytes: int
    """The size of one decoded picture, all planes, in the format that it is decoded to."""
    was_accelerated: bool
    """Whether hardware has decoded the first frame: then its format is not the decoder's."""
    crop: Crop
    """The edges of the decoded frames that are not shown."""


def open_container(
    source: Source, *, keep_going: bool, mode: Deinterlacing | None, accelerator: HWAccel | None, keep_start: bool
) -> OpenFilm:
    """Open a source, choose the picture stream in it, and set the threads of its decoder.

    Args:
        source: the film.
        keep_going: see :class:`OpenFilm`.
        mode: likewise.
        accelerator: hardware that decodes the film.
        keep_start: as in :class:`~vidcolor.options.ColorizeOptions`.

    Raises:
        InputError: the source cannot be opened, or holds no picture stream that can be decoded.
    """
    container = source.open()
    try:
        stream = choose_video(container, source.name)
    except BaseException:
        container.close()
        raise
    if accelerator is not None:
        stream.codec_context.thread_count = 1  # each thread holds pictures of the device, which has few
    if source.is_stills or keep_going:
        stream.codec_context.thread_type = "SLICE"  # with frame threads an error is reported some pictures late
    start = start_of(container, stream, keep_start=keep_start)
    packets = source.packets(container, stream)
    noted = note_damage(packets, container, stream, name=source.name, keep_going=keep_going)
    return OpenFilm(
        source=source,
        container=container,
        stream=stream,
        keep_going=keep_going,
        mode=mode,
        may_accelerate=accelerator is not None,
        shift=start.shift,
        items=note_sound_changes(join_clocks(noted, container, stream, start), container.streams),
    )


def start_reading(film: OpenFilm) -> tuple[FilmFacts, Iterator[PictureItem]]:
    """Decode the first frame of a film; return what is known then, and the iterator of all its pictures.

    The stages are chained generators: a packet is read when the picture that needs it is taken.
    """
    items = decode(
        film.items,
        film.stream,
        keep_going=film.keep_going,
        is_stills=film.source.is_stills,
        may_be_untimed=film.container.format.name in UNTIMED_FORMATS,
    )
    items = note_concealment(items, film.stream, keep_going=film.keep_going)
    items = note_picture_changes(repair_timestamps(items, film.stream), film.stream)
    items = fill_gaps(items)
    items = note_late_features(items, film.stream)
    first, items = peek_frame(items)
    facts = facts_of(film, first)
    if film.mode is not None:
        items = deinterlace(items, film.mode, facts.default_first_field)
    has_fields = film.mode is None and facts.spec.height > 1
    first_field = facts.default_first_field
    return facts, make_pictures(items, facts.spec, has_fields=has_fields, first=first_field, crop=facts.crop)


def peek_frame(items: Iterator[Item]) -> tuple[VideoFrame, Iterator[Item]]:
    """Return the first frame, and all items again.

    Raises:
        UnreadableError: there is no frame.
    """
    head: list[Item] = []
    for item in items:
        head.append(item)
        if isinstance(item, VideoFrame):
            return item, chain(head, items)
    raise UnreadableError("no picture in it can be decoded; is it damaged or still being written?")


def facts_of(film: OpenFilm, first: VideoFrame) -> FilmFacts:
    """Return what the header and the first decoded frame state."""
    stream, decoder = film.stream, film.stream.codec_context
    flagged, header = FirstFields().of(first), header_field(stream)
    spec = video_spec(stream, first, film.container)
    spec = replace(spec, estimated_frames=film.source.frames or spec.estimated_frames, first_field=flagged or header)
    outcomes = lost_features(first, stream)
    crop = crop_of(film, first)
    if crop != NO_CROP:
        shown = "×".join(map(str, crop.size_of(first.width, first.height)))
        why = f"the film says to show {shown} of its {first.width}×{first.height} pixels: the output has only these"
        outcomes.append(Outcome("crop", "changed", why))
        spec = cropped_spec(spec, crop)
    if film.mode is not None:
        if spec.first_field is not None:
            outcomes.append(
                Outcome("interlacing", "changed", f"deinterlaced by bwdif, one picture of each {film.mode}")
            )
        spec = deinterlaced_spec(spec, film.mode)
    pixel_format = VideoFormat(first.format.name, first.width, first.height)
    return FilmFacts(
        spec=spec,
        default_first_field=header if flagged is None and not has_flags(stream) else None,
        display_matrix=display_matrix(first, stream),
        outcomes=tuple(outcomes),
        picture_bytes=first.width * first.height * pixel_format.padded_bits_per_pixel // 8,
        was_accelerated=decoder.is_hwaccel and decoder.pix_fmt != first.format.name,
        crop=crop,
    )


def crop_of(film: OpenFilm, first: VideoFrame) -> Crop:
    """Return the edges that a Matroska, MP4 or MOV file says are not to be shown, if something is left without them."""
    if film.source.path is None:
        return NO_CROP
    tracks = [stream for stream in film.container.streams.video if not stream.disposition & Disposition.attached_pic]
    number = tracks.index(film.stream)
    crop = NO_CROP
    if film.container.format.name == "matroska,webm":
        crop = matroska_crop(film.source.path, number)
    elif "mp4" in film.container.format.name.split(","):
        crop = mp4_crop(film.source.path, number, (first.width, first.height))
    return crop if min(crop.size_of(first.width, first.height)) > 0 else NO_CROP


def cropped_spec(spec: VideoSpec, crop: Crop) -> VideoSpec:
    """Return the constants of a film without the edges; with an odd number of rows above, its fields change places."""
    width, height = crop.size_of(spec.width, spec.height)
    first_field = spec.first_field
    if first_field is not None and crop.top % 2:
        first_field = "bottom" if first_field == "top" else "top"
    return replace(spec, width=width, height=height, first_field=first_field)
