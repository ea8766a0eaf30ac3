"""Write a film as numbered pictures, such as ``out_%06d.png``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from av.stream import Discard

from vidcolor.color import h273
from vidcolor.color.chroma import film_to_rgb
from vidcolor.color.chroma_table import FROM_BT709
from vidcolor.color.luma import expand_range, quarter_turns
from vidcolor.color.transfer import HDR_NAMES, is_hdr
from vidcolor.errors import OptionError, OutputError
from vidcolor.frames import ChromaFormat, Picture, Plane
from vidcolor.media.carriage import describe
from vidcolor.media.destinations import NumberedDestination
from vidcolor.media.encoder import FALLBACK_RATE
from vidcolor.media.reader import VideoReader
from vidcolor.media.sources import SequenceSource
from vidcolor.media.timestamps import CountedTimes, OwnTimes, Times
from vidcolor.options import EncodeOptions
from vidcolor.stills.reader import SourcePicture
from vidcolor.stills.writer import DEEP, PICTURE_ENCODERS, write_picture

INTERLACED = "the film is interlaced: each picture holds two fields; `deinterlace` makes whole ones"
CHROMA_BITS = 16  # more than R'G'B' needs, so that rounding does not show


class SequenceWriter:
    """The pictures of a film in files of their own, upright, in sRGB; each appears when it is complete.

    Pictures from numbered ones keep their numbers, with gaps; others are numbered one after the other. What is written
    stays if the work ends early. All checks are made when the object is made.

    Args:
        destination: where the pictures go.
        reader: the source.
        options: must be the defaults, because pictures have no such options.

    Raises:
        OutputError: the suffix cannot be written, or pictures of the source would be replaced.
        OptionError: ``options`` are given.
    """

    errors: tuple[str, ...] = ()
    """No packets of other streams are written that could be damaged."""

    def __init__(self, destination: NumberedDestination, *, reader: VideoReader, options: EncodeOptions) -> None:
        self.bytes_written = 0
        self._destination = destination
        self._reader = reader
        self._check(options)
        spec = reader.spec
        self._times: Times = OwnTimes()
        if not isinstance(reader.source, SequenceSource):
            self._times = CountedTimes(spec.time_base, 1 / (spec.frame_rate or FALLBACK_RATE))
        self.chroma = ChromaFormat(
            width=spec.width,
            height=spec.height,
            bit_depth=CHROMA_BITS,
            subsampling_x=1,
            subsampling_y=1,
            siting="center",
        )
        self._losses = tuple(_losses(reader, destination.pattern.path.suffix.lower()))
        self._has_interlaced = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Every picture is complete already."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each thing that could not be kept as it was."""
        found = [INTERLACED] if self._has_interlaced else []
        return tuple(dict.fromkeys((*self._losses, *found, *self._times.warnings)))

    def write(self, picture: Picture, cb: Plane, cr: Plane) -> None:
        """Write a picture.

        Args:
            picture: the next one of ``reader``.
            cb: (height, width) of :attr:`chroma`, code values of its bit depth.
            cr: the same.

        Raises:
            OutputError: the file cannot be written.
        """
        spec = self._reader.spec
        self._has_interlaced = self._has_interlaced or picture.first_field is not None
        number, _ = self._times.stamp(picture)
        path = self._destination.pattern.file(self._destination.first + number)
        rgb = np.rot90(film_to_rgb(picture, cb, cr, spec, CHROMA_BITS), quarter_turns(spec))
        write_picture(path, [rgb], self._as_photograph(picture), overwrite=self._destination.overwrite)
        self.bytes_written += path.stat().st_size

    def _check(self, options: EncodeOptions) -> None:
        path, source = self._destination.pattern.path, self._reader.source
        if path.suffix.lower() not in PICTURE_ENCODERS:
            known = ", ".join(PICTURE_ENCODERS)
            raise OutputError(f"{path}: pictures cannot be written as '{path.suffix}'; choose one of {known}")
        if options != EncodeOptions():
            raise OptionError(f"{path}: pictures have no encoder options; leave `codec` and all others out")
        if isinstance(source, SequenceSource) and self._replaces(source):
            raise OutputError(f"{path}: would replace pictures of the input; choose another name")

    def _replaces(self, source: SequenceSource) -> bool:
        theirs, ours = source.sequence.pattern, self._destination.pattern
        if not theirs.path.parent.samefile(ours.path.parent):
            return False
        names = {theirs.file(number).name for number in source.sequence.numbers}
        return any(ours.file(number).name in names for number in source.sequence.numbers)

    def _as_photograph(self, picture: Picture) -> SourcePicture:
        """Return the record that the writer of still pictures takes."""
        spec = self._reader.spec
        return SourcePicture(
            path=Path(self._reader.source.name),
            grey=np.rot90(expand_range(picture.luma, spec), quarter_turns(spec)),
            bit_depth=16 if spec.bit_depth > 8 else 8,
            alpha=None,
        )


def _losses(reader: VideoReader, suffix: str) -> Iterator[str]:
    """Yield a warning for each thing that numbered pictures cannot hold."""
    spec = reader.spec
    if spec.bit_depth > 8 and suffix not in DEEP:
        yield f"the luma's {spec.bit_depth} bits are rounded to 8 ('{suffix}' holds no more)"
    if spec.first_field is not None:
        yield INTERLACED
    if spec.primaries in FROM_BT709:
        primaries = h273.PRIMARIES[spec.primaries]
        yield f"the film's primaries are {primaries}; the pictures are marked as sRGB"
    if is_hdr(spec.transfer):
        name = HDR_NAMES[spec.transfer]
        yield f"the film is HDR ({name}); the pictures hold its values without marking them as HDR"
    if spec.hdr is not None:
        yield f"HDR metadata ({spec.hdr}): numbered pictures cannot store it, left out"
    if spec.sample_aspect_ratio not in (None, 1):
        ratio = spec.sample_aspect_ratio
        yield f"the film's pixels are {ratio} times as wide as high, which the pictures do not store"
    for stream in reader.container.streams:
        if stream.index != reader.stream.index and stream.discard != Discard.all:
            yield f"{describe(stream)}: numbered pictures cannot store it, left out"
    if reader.container.chapters():
        yield f"numbered pictures cannot store the {len(reader.container.chapters())} chapters"
