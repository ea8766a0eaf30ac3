"""Where a film comes from: a file, a pipe, or numbered pictures. All give packets of streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidcolor.errors import InputError
from vidcolor.media.image_sequence import PictureSequence
from vidcolor.media.items import Jump
from vidcolor.media.pipes import PipeInput, needs_seeking
from vidcolor.media.probe import open_film, open_picture

FilmInput = str | Path | PipeInput | PictureSequence


class Source(Protocol):
    """A film that can be opened once."""

    name: str
    """What messages call it; of numbered pictures, the one that was read last."""
    path: Path | None
    """The file that the output must not replace; None where there is no single one."""
    files: Sequence[Path]
    """All that it is read from; none for a pipe."""
    frames: int | None
    """How many pictures there are, where that is known better than from the container."""
    warnings: list[str]
    """One line each for what is odd about it."""
    is_scan: bool
    """Whether it is stills: independent of each other, and as deep as a still may be."""

    def open(self) -> InputContainer:
        """Raises InputError where it is no film."""

    def interrupt(self) -> None:
        """Let a read that waits in another thread find the end."""

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any] | Jump]:
        """The packets of all streams of ``container``, what :meth:`open` gave, with an empty one at each stream's end.

        Raises InputError and ``av.FFmpegError``.
        """


class FileSource:
    """A film in a file. ``accelerator``: hardware to decode it."""

    is_scan = False

    def __init__(self, path: Path, accelerator: HWAccel | None = None) -> None:
        self.name = str(path)
        self.frames: int | None = None
        self.path: Path | None = path
        self.files: Sequence[Path] = (path,)
        self.warnings: list[str] = []
        self._file = path
        self._accelerator = accelerator

    def interrupt(self) -> None:
        """A file keeps nobody waiting."""

    def open(self) -> InputContainer:
        return open_film(self._file, self._accelerator)

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any] | Jump]:
        return container.demux()


class PipeSource:
    """A film that goes by once."""

    is_scan = False

    def __init__(self, pipe: PipeInput) -> None:
        self.name = pipe.name
        self.frames: int | None = None
        self.path: Path | None = None
        self.files: Sequence[Path] = ()
        self.warnings: list[str] = []
        self._pipe = pipe

    def interrupt(self) -> None:
        self._pipe.interrupt()

    def open(self) -> InputContainer:
        head = self._pipe.head()
        if not head:
            raise InputError(f"{self.name}: nothing came through the pipe; did the program before it fail?")
        if needs_seeking(head):
            hint = "give the name of the file, or pipe Matroska (ffmpeg -i FILE -c copy -f matroska -)"
            raise InputError(f"{self.name}: an MP4 or MOV with its index at the end cannot be read from a pipe; {hint}")
        try:
            return av.open(self._pipe, "r", metadata_errors="ignore")
        except av.FFmpegError as exc:
            hint = "expected Matroska, MPEG-TS, NUT, YUV4MPEG2 or another that needs no seeking"
            raise InputError(f"{self.name}: what comes through the pipe is no film ({exc.strerror}); {hint}") from exc

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any] | Jump]:
        return container.demux()


class SequenceSource:
    """Numbered pictures: the first one's container tells of all, and the files' bytes are its packets.

    Each number has its time, so that a gap stays one.
    """

    is_scan = True

    def __init__(self, sequence: PictureSequence) -> None:
        self.name = str(sequence.pattern.path)
        self.path: Path | None = None
        self.files: Sequence[Path] = [sequence.pattern.file(number) for number in sequence.numbers]
        self.frames: int | None = len(sequence.numbers)
        self.warnings = sequence.warnings()
        self.sequence = sequence

    def interrupt(self) -> None:
        """Nor do these."""

    def open(self) -> InputContainer:
        sequence = self.sequence
        return open_picture(sequence.pattern.file(sequence.numbers[0]), sequence.rate)

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any]]:
        assert stream.time_base is not None  # choose_video
        numbers = self.sequence.numbers
        for number, following in pairwise((*numbers, numbers[-1] + 1)):
            content = self._content(number)
            packet: Packet[Any] = Packet(len(content))  # with the room behind it that decoders read into
            packet.update(content)
            packet.is_keyframe = True  # or else the PNG decoder adds it to the picture before
            packet.stream, packet.time_base = stream, stream.time_base
            packet.pts = packet.dts = number - numbers[0]
            packet.duration = following - number
            yield packet
        end: Packet[Any] = Packet()
        end.stream = stream
        yield end

    def _content(self, number: int) -> bytes:
        path = self.sequence.pattern.file(number)
        self.name = str(path)
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc
        if not content:
            raise InputError(f"{path}: is empty; expected a picture")
        return content


def source_of(film: FilmInput | Source, accelerator: HWAccel | None = None) -> Source:
    """Return the source for a film, or the source itself; ``accelerator`` is for films in files."""
    if isinstance(film, PipeInput):
        return PipeSource(film)
    if isinstance(film, PictureSequence):
        return SequenceSource(film)
    if isinstance(film, str | Path):
        return FileSource(Path(film), accelerator)
    return film
