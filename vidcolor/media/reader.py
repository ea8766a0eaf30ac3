"""Read a film: its pictures with their luma and times, and the packets of all other streams."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from types import TracebackType
from typing import Any, Self, TypeAlias

from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import InputError
from vidcolor.frames import FirstField, Picture, VideoSpec
from vidcolor.media.damage import DamageError, DamageLog, UnreadableError
from vidcolor.media.decoding import decode, note_concealment
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
from vidcolor.media.outcomes import Outcome, warnings_of
from vidcolor.media.pictures import make_pictures
from vidcolor.media.probe import choose_video, display_matrix, lost_features, video_spec
from vidcolor.media.sources import FilmInput, Source, source_of
from vidcolor.media.timestamps import repair_timestamps
from vidcolor.options import OnError

PictureItem: TypeAlias = "Picture | Packet[Any] | Note | Jump"


@dataclass(frozen=True, kw_only=True)
class OpenFilm:
    """A film in an open container, and how it is read."""

    source: Source
    container: InputContainer
    stream: VideoStream
    """The film in the container."""
    keep_going: bool
    """Note damage and continue; otherwise stop there."""
    mode: Deinterlacing | None
    """How the film is deinterlaced, if it is."""
    is_accelerated: bool
    """Whether the container was opened for decoding by hardware."""


@dataclass(frozen=True, kw_only=True)
class FilmFacts:
    """What the header of a film and its first decoded frame state."""

    spec: VideoSpec
    """The constants of the pictures as they are read: deinterlaced, if the film is."""
    unflagged_field: FirstField | None
    """The field that is first in frames that carry no flag for it."""
    display_matrix: tuple[int, ...] | None
    outcomes: tuple[Outcome, ...]
    picture_bytes: int
    is_accelerated: bool


def start_reading(film: OpenFilm) -> tuple[FilmFacts, Iterator[PictureItem]]:
    """Decode the first frame of a film; return what is known then, and the iterator of all its pictures.

    The stages are chained generators: a packet is read when the picture that needs it is taken.
    """
    items = demux(film)
    items = decode(items, film.stream, keep_going=film.keep_going, is_scan=film.source.is_scan)
    items = note_concealment(items, film.stream, keep_going=film.keep_going)
    items = repair_timestamps(items, film.stream)
    items = fill_gaps(items)
    first, items = peek_frame(items)
    facts = facts_of(film, first)
    if film.mode is None:
        return facts, make_pictures(items, facts.spec, facts.unflagged_field)
    items = deinterlace(items, film.mode, facts.unflagged_field)
    return facts, make_pictures(items, facts.spec, None)


def demux(film: OpenFilm) -> Iterator[Item]:
    """Read the packets of all streams, with a note where one is damaged."""
    packets = film.source.packets(film.container, film.stream)
    return note_damage(packets, film.container, film.stream, name=film.source.name, keep_going=film.keep_going)


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
    if film.mode is not None:
        if spec.first_field is not None:
            outcomes.append(
                Outcome("interlacing", "changed", f"deinterlaced by bwdif, one picture of each {film.mode}")
            )
        spec = deinterlaced_spec(spec, film.mode)
    pixel_format = VideoFormat(first.format.name, first.width, first.height)
    return FilmFacts(
        spec=spec,
        unflagged_field=header if flagged is None and not has_flags(stream) else None,
        display_matrix=display_matrix(first, stream),
        outcomes=tuple(outcomes),
        picture_bytes=first.width * first.height * pixel_format.padded_bits_per_pixel // 8,
        is_accelerated=decoder.is_hwaccel and decoder.pix_fmt != first.format.name,
    )


class VideoReader:
    """A film, read once from beginning to end.

    The film is the best video stream, never a cover picture. The first picture is decoded at once, so that
    :attr:`spec` and every error about the file as a whole come before any work. Interlaced pictures stay as they are,
    with both fields, unless ``deinterlace`` is given.

    Args:
        film: what to read.
        deinterlace: make progressive pictures, one of each frame, or one of each field at twice the rate.
        on_error: what to do about damage after the first picture. ``stop``: raise an error. ``keep-grey``: repeat the
            picture before for one that cannot be decoded, and leave out incomplete packets of other streams.
        accelerator: hardware that decodes a film in a file as far as it can (:mod:`vidcolor.media.hwaccel`).

    Raises:
        InputError: the file is missing, empty, no media or damaged, or holds no picture.
    """

    film: FilmInput | Source
    """What was opened."""
    source: Source
    container: InputContainer
    stream: VideoStream
    """The film in :attr:`container`."""
    spec: VideoSpec
    first: Picture
    """The first picture; :meth:`pictures` begins with it."""
    display_matrix: tuple[int, ...] | None
    """Rotation and mirroring, nine numbers as in ``AV_PKT_DATA_DISPLAYMATRIX``."""
    outcomes: tuple[Outcome, ...]
    """What of the pictures is changed or lost whatever they are written to."""
    picture_bytes: int
    """The size of one decoded picture, all planes, in the format that it is decoded to."""
    is_accelerated: bool
    """Whether hardware has decoded the first picture: then its format is not the decoder's."""
    keep_going: bool
    """Whether damage is noted in :attr:`errors`, and ends nothing."""

    def __init__(
        self,
        film: FilmInput | Source,
        *,
        deinterlace: Deinterlacing | None = None,
        on_error: OnError = "stop",
        accelerator: HWAccel | None = None,
    ) -> None:
        self.film = film
        self._mode = deinterlace
        self._on_error = on_error
        self._accelerator = accelerator
        self._tail: list[Packet[Any]] = []
        self._jumps: list[int] = []
        self._count = 0  # pictures that were read
        self._latest: int | None = None  # pts of the last of them
        self._damage = DamageLog()
        self.keep_going = on_error == "keep-grey"
        self.source = source_of(film, accelerator)
        self._warnings = list(self.source.warnings)
        self.container = self.source.open()
        try:
            self.stream = choose_video(self.container, self.source.name)
            self._set_threads()
            with self._naming_errors():
                facts, items = start_reading(self._open_film())
            self.spec, self.display_matrix, self.outcomes = facts.spec, facts.display_matrix, facts.outcomes
            self.picture_bytes, self.is_accelerated = facts.picture_bytes, facts.is_accelerated
            self._pictures = self._take_pictures(items)
            self.first = next(self._pictures)
        except BaseException:
            self.container.close()
            raise
        self._warnings += warnings_of(facts.outcomes)

    def _set_threads(self) -> None:
        decoder = self.stream.codec_context
        if self._accelerator is not None:
            decoder.thread_count = 1  # each thread holds pictures of the device, which has few
        if self.source.is_scan or self.keep_going:
            decoder.thread_type = "SLICE"  # with frame threads an error is reported some pictures late

    def _open_film(self) -> OpenFilm:
        return OpenFilm(
            source=self.source,
            container=self.container,
            stream=self.stream,
            keep_going=self.keep_going,
            mode=self._mode,
            is_accelerated=self._accelerator is not None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Packets of :attr:`tail` and of pictures must be written before."""
        self._pictures.close()
        self.container.close()

    def reopened(self) -> VideoReader:
        """Open the same film once more, decoded in software. A pipe cannot be opened again."""
        return VideoReader(self.film, deinterlace=self._mode, on_error=self._on_error)

    def interrupt(self) -> None:
        """End the film here: a read from a pipe that waits in another thread returns."""
        self.source.interrupt()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is unusual about the film or will be lost, one line each; complete when all pictures are read."""
        return tuple(self._warnings)

    @property
    def errors(self) -> tuple[str, ...]:
        """What was damaged and is concealed or left out, one line each; complete when all pictures are read."""
        return self._damage.lines

    def add_warning(self, line: str) -> None:
        """Add a line to :attr:`warnings`."""
        self._warnings.append(line)

    @property
    def tail(self) -> tuple[Packet[Any], ...]:
        """Packets of other streams after the last picture; known when all pictures are read."""
        return tuple(self._tail)

    @property
    def jumps(self) -> tuple[int, ...]:
        """The numbers of the pictures, from 0, before which the source leaves out a part of the film."""
        return tuple(self._jumps)

    def pictures(self) -> Iterator[Picture]:
        """Yield the pictures in the order in which they are shown, with strictly increasing pts; call this once.

        Raises:
            InputError: the film is damaged, or its pictures change in size or bit depth.
        """
        yield self.first
        yield from self._pictures

    def other_packets(self) -> Iterator[Packet[Any]]:
        """Yield all packets of other streams; call this once, instead of :meth:`pictures`.

        Pictures are decoded for it only if the film is deinterlaced, because that changes which packets precede which
        picture.

        Raises:
            InputError: the film is damaged.
        """
        if len(self.container.streams) == 1:
            return
        if self._mode is not None:
            for picture in self.pictures():
                yield from picture.packets
            yield from self._tail
            return
        yield from self.first.packets
        self._pictures.close()  # all packets that it has read came with the first picture
        with self._naming_errors():
            for item in demux(self._open_film()):
                if isinstance(item, Note):
                    self._keep(item)
                elif isinstance(item, Packet) and item.stream.index != self.stream.index and item.size > 0:
                    yield item

    def _take_pictures(self, items: Iterator[PictureItem]) -> Generator[Picture, None, None]:
        """Yield the pictures, and keep everything else."""
        with self._naming_errors():
            for item in items:
                if isinstance(item, Picture):
                    self._count += 1
                    self._latest = item.pts
                    yield item
                else:
                    self._keep(item)

    def _keep(self, item: Packet[Any] | Note | Jump) -> None:
        if isinstance(item, Packet):
            self._tail.append(item)
        elif isinstance(item, Jump):
            self._jumps.append(self._count)
        elif item.is_damage:
            self._damage.add(item.line)
        else:
            self._warnings.append(item.line)

    @contextmanager
    def _naming_errors(self) -> Iterator[None]:
        """Turn the errors of the stages into InputError with the name of the film."""
        try:
            yield
        except DamageError as exc:
            where = "from its beginning"
            if self._latest is not None:
                where = f"after {float(self._latest * self.spec.time_base):.2f} s"
            hint = "use a whole copy, or cut the film there"
            if self._accelerator is not None:
                hint = "try it without `hwaccel`"
            raise InputError(f"{self.source.name}: damaged {where} ({exc}); {hint}") from exc
        except UnreadableError as exc:
            raise InputError(f"{self.source.name}: {exc}") from exc
