"""Read a film: its pictures with their luma and times, and the packets of all other streams."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidcolor.errors import InputError
from vidcolor.frames import Picture, VideoSpec
from vidcolor.media.damage import DamageError, DamageLog, UnreadableError
from vidcolor.media.interlacing import Deinterlacing
from vidcolor.media.items import Jump, Note
from vidcolor.media.outcomes import Outcome, warnings_of
from vidcolor.media.packet_store import PacketStore
from vidcolor.media.reading import PictureItem, open_container, start_reading
from vidcolor.media.sources import FilmInput, Source, source_of
from vidcolor.options import OnError


class Findings:
    """What was found in a film so far besides its pictures, and how far it was read."""

    def __init__(self, warnings: Iterable[str]) -> None:
        self.warnings = list(warnings)
        self.damage = DamageLog()
        self.tail: Iterable[Packet[Any]] = ()
        self.jumps: list[int] = []
        self.pictures = 0
        self.latest: int | None = None
        """pts of the latest picture."""

    def add(self, item: PictureItem) -> None:
        """Count a picture, or keep anything else."""
        if isinstance(item, Picture):
            self.pictures += 1
            self.latest = item.pts
        elif isinstance(item, PacketStore):
            self.tail = item
        elif isinstance(item, Jump):
            self.jumps.append(self.pictures)
        elif item.is_damage:
            self.damage.add(item.line)
        else:
            self.warnings.append(item.line)


class VideoReader:
    """A film, read once from beginning to end.

    Its picture stream is the best video stream, never a cover picture. The first picture is decoded at once, so that
    :attr:`spec` and every error about the file as a whole come before any work. Interlaced pictures stay as they are,
    with both fields, unless ``deinterlace`` is given.

    Args:
        film: what to read.
        deinterlace: make progressive pictures, one of each frame, or one of each field at twice the rate.
        on_error: what to do about damage after the first picture. ``stop``: raise an error. ``keep-grey``: repeat the
            picture before for one that cannot be decoded, and leave out incomplete packets of other streams.
        accelerator: hardware that decodes a film in a file as far as it can (:mod:`vidcolor.media.hwaccel`).
        keep_start: as in :class:`~vidcolor.options.ColorizeOptions`.

    Raises:
        InputError: the file is missing, empty, no media or damaged, or holds no picture.
    """

    film: FilmInput | Source
    """What was opened."""
    source: Source
    container: InputContainer
    stream: VideoStream
    """The picture stream in :attr:`container`."""
    keep_going: bool
    """Whether damage is noted in :attr:`errors`; otherwise it ends the reading."""
    shift: Fraction
    """See :class:`~vidcolor.media.reading.OpenFilm`."""
    spec: VideoSpec
    display_matrix: tuple[int, ...] | None
    """See :class:`~vidcolor.media.reading.FilmFacts`."""
    outcomes: tuple[Outcome, ...]
    """See :class:`~vidcolor.media.reading.FilmFacts`."""
    picture_bytes: int
    """See :class:`~vidcolor.media.reading.FilmFacts`."""
    was_accelerated: bool
    """See :class:`~vidcolor.media.reading.FilmFacts`."""
    first: Picture
    """The first picture; :meth:`pictures` begins with it."""

    def __init__(
        self,
        film: FilmInput | Source,
        *,
        deinterlace: Deinterlacing | None = None,
        on_error: OnError = "stop",
        accelerator: HWAccel | None = None,
        keep_start: bool = False,
    ) -> None:
        self.film = film
        self._keep_start = keep_start
        self.source = source_of(film, accelerator)
        self.keep_going = on_error == "keep-grey"
        self._open = open_container(
            self.source,
            keep_going=self.keep_going,
            mode=deinterlace,
            accelerator=accelerator,
            keep_start=keep_start,
        )
        self.container, self.stream, self.shift = self._open.container, self._open.stream, self._open.shift
        self._found = Findings(self.source.warnings)
        try:
            with self._naming_errors():
                facts, items = start_reading(self._open)
            self.spec, self.display_matrix, self.outcomes = facts.spec, facts.display_matrix, facts.outcomes
            self.picture_bytes, self.was_accelerated = facts.picture_bytes, facts.was_accelerated
            self._pictures = self._take_pictures(items)
            self.first = next(self._pictures)
        except BaseException:
            self.container.close()
            raise
        self._found.warnings += warnings_of(facts.outcomes)

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
        on_error: OnError = "keep-grey" if self.keep_going else "stop"
        return VideoReader(self.film, deinterlace=self._open.mode, on_error=on_error, keep_start=self._keep_start)

    def interrupt(self) -> None:
        """End the film here: a read from a pipe that waits in another thread returns."""
        self.source.interrupt()

    def add_warning(self, line: str) -> None:
        """Add a line to :attr:`warnings`."""
        self._found.warnings.append(line)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is unusual about the film or will be lost, one line each; complete when all pictures are read."""
        return tuple(self._found.warnings)

    @property
    def errors(self) -> tuple[str, ...]:
        """What was damaged and is concealed or left out, one line each; complete when all pictures are read."""
        return self._found.damage.lines

    @property
    def tail(self) -> Iterable[Packet[Any]]:
        """Packets of other streams after the last picture; known when all pictures are read."""
        return self._found.tail

    @property
    def jumps(self) -> tuple[int, ...]:
        """The numbers of the pictures, from 0, before which the source leaves out a part of the film."""
        return tuple(self._found.jumps)

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
        if self._open.mode is not None:
            for picture in self.pictures():
                yield from picture.packets
            yield from self.tail
            return
        yield from self.first.packets
        # Packets read ahead were attached to the first picture; demuxing goes on from there.
        self._pictures.close()
        with self._naming_errors():
            for item in self._open.items:
                if isinstance(item, Note):
                    self._found.add(item)
                elif isinstance(item, Packet) and item.stream.index != self.stream.index and item.size > 0:
                    yield item

    def _take_pictures(self, items: Iterator[PictureItem]) -> Generator[Picture, None, None]:
        """Yield the pictures, and keep everything else."""
        with self._naming_errors():
            for item in items:
                self._found.add(item)
                if isinstance(item, Picture):
                    yield item

    @contextmanager
    def _naming_errors(self) -> Iterator[None]:
        """Turn the errors of the stages into InputError with the name of the film."""
        try:
            yield
        except DamageError as exc:
            latest = self._found.latest
            where = "from its beginning" if latest is None else f"after {float(latest * self.spec.time_base):.2f} s"
            hint = "use a whole copy, or cut the film there"
            if self._open.may_accelerate:
                hint = "try it without `hwaccel`"
            raise InputError(f"{self.source.name}: damaged {where} ({exc}); {hint}") from exc
        except UnreadableError as exc:
            raise InputError(f"{self.source.name}: {exc}") from exc
