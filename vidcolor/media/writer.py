"""Write a film in one go, as pipes need it: a frame encoder and a muxer."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from vidcolor.frames import Picture, Plane
from vidcolor.media.containers import choose_container
from vidcolor.media.destinations import ContainerDestination
from vidcolor.media.frame_encoder import FrameEncoder
from vidcolor.media.muxer import Muxer
from vidcolor.media.outcomes import Outcome, warnings_of
from vidcolor.media.reader import VideoReader
from vidcolor.options import EncodeOptions


class VideoWriter:
    """A film in the making: the pictures of ``reader`` with other chroma, and everything else of ``reader`` as it is.

    A file appears under its name when the ``with`` block ends well; after an exception nothing is left. A pipe gets the
    film as it is made. All checks are made when the object is made.

    Args:
        destination: where the film goes.
        reader: the source.
        options: how the pictures are encoded.

    Raises:
        OutputError: the file cannot be created, or the container refuses what it is given.
        OptionError: the container, the encoder or one of its options does not exist or does not fit.
    """

    def __init__(self, destination: ContainerDestination, *, reader: VideoReader, options: EncodeOptions) -> None:
        self._reader = reader
        format_name = choose_container(destination, options.format)
        self.encoder = FrameEncoder(options, reader.spec, format_name=format_name, may_round=reader.source.is_stills)
        self.chroma = self.encoder.chroma
        self._muxer = Muxer(destination.begin(), reader=reader, encoder=self.encoder, audio_codec=options.audio_codec)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is not None:
            self._muxer.discard()
            return
        with self._muxer:
            with self._muxer.naming_errors():
                last = self.encoder.flush()
            self._muxer.write(last)
            self._muxer.write(others=self._reader.tail)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """One for each thing that is changed or dropped, and for each of the other streams."""
        return (*self.encoder.outcomes, *self._muxer.outcomes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each thing that could not be kept as it was."""
        return (*warnings_of(self.outcomes), *self.encoder.warnings, *self._muxer.warnings)

    @property
    def errors(self) -> tuple[str, ...]:
        """One line for each damaged packet of another stream that was left out so far."""
        return self._muxer.errors

    @property
    def bytes_written(self) -> int:
        """The size of the film in bytes; final once the ``with`` block has ended."""
        return self._muxer.bytes_written

    def write(self, picture: Picture, cb: Plane, cr: Plane) -> None:
        """Encode a picture at its own time, after the packets of other streams that precede it.

        Args:
            picture: the next one of ``reader``.
            cb: (height, width) of :attr:`chroma`, code values of its bit depth.
            cr: the same.

        Raises:
            OutputError: the disk is full, or the encoder or the container refuses what it is given.
        """
        with self._muxer.naming_errors():
            packets = self.encoder.encode(picture, cb, cr)
        self._muxer.write(packets, others=picture.packets)
