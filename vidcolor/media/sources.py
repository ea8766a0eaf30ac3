"""The sources of a film: a file, a pipe or numbered pictures. Each gives the packets of an open container."""

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
from vidcolor.media.demuxing import end_of, packets_of
from vidcolor.media.image_sequence import PictureSequence
from vidcolor.media.items import Jump
from vidcolor.media.pipes import PipeInput, needs_seeking
from vidcolor.media.probe import open_film, open_picture

FilmInput = str | Path | PipeInput | PictureSequence


class Source(Protocol):
    """Where a film comes from."""

    name: str
    """The name in messages: the file that is being read."""
    path: Path | None
    """The file that the output must not replace; None for a pipe and for numbered pictures."""
    files: Sequence[Path]
    """All files of the film; empty for a pipe."""
    frames: int | None
    """The number of pictures, where the source knows it better than the container."""
    warnings: Sequence[str]
    """What is unusual about the source, one line each."""
    is_stills: bool
    """Whether the pictures are still images, each in a packet that is decoded by itself."""

    def open(self) -> InputContainer:
        """Open the container; raises InputError if it is not a film."""

    def interrupt(self) -> None:
        """Make a read that waits in another thread return."""

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any] | Jump]:
        """Yield the packets of all streams, with an empty one at the end of each stream.

        Args:
            container: what :meth:`open` returned.
            stream: the picture stream in it.

        Raises:
            InputError: a file of the film cannot be read.
            av.FFmpegError: the container is damaged.
        """


class FileSource:
    """A film in a file.

    Args:
        path: the file.
        accelerator: hardware that decodes the film.
    """

    is_stills = False
    frames: int | None = None
    warnings: Sequence[str] = ()

    def __init__(self, path: Path, accelerator: HWAccel | None = None) -> None:
        self.name = str(path)
        self.path: Path | None = path
        self.files: Sequence[Path] = (path,)
        self._file = path
        self._accelerator = accelerator

    def open(self) -> InputContainer:
        """Open the file; see :func:`~vidcolor.media.probe.open_film`."""
        return open_film(self._file, self._accelerator)

    def interrupt(self) -> None:
        """Do nothing: reads from a file return soon."""

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any] | Jump]:
        """Yield the packets of all streams."""
        return packets_of(container)


class PipeSource:
    """A film from a pipe, which can be read once."""

    is_stills = False
    frames: int | None = None
    path: Path | None = None
    files: Sequence[Path] = ()
    warnings: Sequence[str] = ()

    def __init__(self, pipe: PipeInput) -> None:
        self.name = pipe.name
        self._pipe = pipe

    def open(self) -> InputContainer:
        """Wait for the first bytes and open the container; raises InputError if it is not a film from a pipe."""
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

    def interrupt(self) -> None:
        """Make a read that waits in another thread return."""
        self._pipe.interrupt()

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any] | Jump]:
        """Yield the packets of all streams."""
        return packets_of(container)


class SequenceSource:
    """Numbered pictures. The container is that of the first one; the packets are the contents of the files.

    A picture's number is its time, so that a gap in the numbers is one in time.
    """

    is_stills = True
    path: Path | None = None

    def __init__(self, sequence: PictureSequence) -> None:
        self.name = str(sequence.pattern.path)
        self.files: Sequence[Path] = [sequence.pattern.file(number) for number in sequence.numbers]
        self.frames: int | None = len(sequence.numbers)
        self.warnings: Sequence[str] = tuple(sequence.warnings())
        self.sequence = sequence

    def open(self) -> InputContainer:
        """Open the first picture; raises InputError if it is none."""
        sequence = self.sequence
        return open_picture(sequence.pattern.file(sequence.numbers[0]), sequence.rate)

    def interrupt(self) -> None:
        """Do nothing: reads from a file return soon."""

    def packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any] | Jump]:
        """Yield one packet for each picture; pts is its number, counted from the first one."""
        assert stream.time_base is not None  # choose_video
        numbers = self.sequence.numbers
        for number, following in pairwise((*numbers, numbers[-1] + 1)):
            content = self._content(number)
            packet: Packet[Any] = Packet(len(content))  # allocates the padding that decoders need
            packet.update(content)
            packet.is_keyframe = True  # or else the PNG decoder adds it to the picture before
            packet.stream, packet.time_base = stream, stream.time_base
            packet.pts = packet.dts = number - numbers[0]
            packet.duration = following - number
            yield packet
        yield end_of(stream)

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
