"""A film as numbered pictures: the twin of :class:`vidcolor.media.writer.VideoWriter` for ``out_%06d.png``."""

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
from vidcolor.media.encoder import FALLBACK_RATE
from vidcolor.media.image_sequence import PicturePattern, check_numbered
from vidcolor.media.passthrough import describe
from vidcolor.media.reader import VideoReader
from vidcolor.media.sources import SequenceSource
from vidcolor.media.timestamps import CountedTimes, OwnTimes, Times
from vidcolor.options import EncodeOptions
from vidcolor.stills.reader import SourcePicture
from vidcolor.stills.writer import DEEP, PICTURE_ENCODERS, write_picture

FIRST_NUMBER = 1  # of a film's pictures, as in ffmpeg
INTERLACED = "the film is interlaced: each picture holds two moments; `deinterlace` makes whole ones"
CHROMA_BITS = 16  # so that nothing is lost on the way to R'G'B'


class SequenceWriter:
    """A film's pictures in files of their own, upright, in sRGB; each appears when it is whole.

    Pictures that come from numbered ones keep their numbers, gaps too; others are counted from 1. What was written
    stays if the work ends early. All checks are made when the object is made.

    Raises:
        OutputError: the folder does not exist, pictures are there already (without ``overwrite``) or are the source's
            own, or the suffix is not one that is written.
        OptionError: options of encoders of films are given.
    """

    errors: tuple[str, ...] = ()
    """No packets of other streams are written that could be damaged."""

    def __init__(self, pattern: PicturePattern, *, like: VideoReader, options: EncodeOptions, overwrite: bool) -> None:
        self.bytes_written = 0
        self._pattern = pattern
        self._like = like
        self._overwrite = overwrite
        self._times, self._first = self._numbering()
        self._check(options)
        spec = like.spec
        self.chroma = ChromaFormat(
            width=spec.width,
            height=spec.height,
            bit_depth=CHROMA_BITS,
            subsampling_x=1,
            subsampling_y=1,
            siting="center",
        )
        self._static_warnings = tuple(self._losses())
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
        return tuple(dict.fromkeys((*self._static_warnings, *found, *self._times.warnings)))

    def write(self, picture: Picture, cb: Plane, cr: Plane) -> None:
        """Write a picture.

        Args:
            picture: the next one of ``like``.
            cb, cr: (height, width) of :attr:`chroma`, code values of its depth.

        Raises:
            OutputError: the file cannot be written.
        """
        spec = self._like.spec
        self._has_interlaced = self._has_interlaced or picture.first_field is not None
        number, _ = self._times.stamp(picture)
        path = self._pattern.file(self._first + number)
        rgb = np.rot90(film_to_rgb(picture, cb, cr, spec, CHROMA_BITS), quarter_turns(spec))
        write_picture(path, rgb, self._as_photograph(picture), overwrite=self._overwrite)
        self.bytes_written += path.stat().st_size

    def _numbering(self) -> tuple[Times, int]:
        """What numbers the pictures, and the first number."""
        source, spec = self._like.source, self._like.spec
        if isinstance(source, SequenceSource):
            return OwnTimes(), source.sequence.numbers[0]
        return CountedTimes(spec.time_base, 1 / (spec.frame_rate or FALLBACK_RATE)), FIRST_NUMBER

    def _check(self, options: EncodeOptions) -> None:
        path, source = self._pattern.path, self._like.source
        if path.suffix.lower() not in PICTURE_ENCODERS:
            known = ", ".join(PICTURE_ENCODERS)
            raise OutputError(f"{path}: pictures cannot be written as '{path.suffix}'; choose one of {known}")
        if options != EncodeOptions():
            raise OptionError(f"{path}: pictures take no options of films' encoders; leave `codec` and its like out")
        check_numbered(self._pattern, first=self._first, overwrite=self._overwrite)
        if isinstance(source, SequenceSource) and self._replaces(source):
            raise OutputError(f"{path}: would replace pictures of the input; choose another name")

    def _replaces(self, source: SequenceSource) -> bool:
        theirs, ours = source.sequence.pattern, self._pattern
        if not theirs.path.parent.samefile(ours.path.parent):
            return False
        names = {theirs.file(number).name for number in source.sequence.numbers}
        return any(ours.file(number).name in names for number in source.sequence.numbers)

    def _losses(self) -> Iterator[str]:
        """Yield a warning for each thing that numbered pictures cannot hold."""
        like, suffix = self._like, self._pattern.path.suffix.lower()
        spec = like.spec
        if spec.bit_depth > 8 and suffix not in DEEP:
            yield f"the luma's {spec.bit_depth} bits are rounded to 8 ('{suffix}' holds no more)"
        if spec.first_field is not None:
            yield INTERLACED
        if spec.primaries in FROM_BT709:
            primaries = h273.PRIMARIES[spec.primaries]
            yield f"the film's primaries are {primaries}; in the pictures they are taken for sRGB's"
        if is_hdr(spec.transfer):
            name = HDR_NAMES[spec.transfer]
            yield f"the film is HDR ({name}); the pictures hold its values, and do not say what they are"
        if spec.hdr is not None:
            yield f"HDR metadata ({spec.hdr}): numbered pictures cannot carry it, left out"
        if spec.sample_aspect_ratio not in (None, 1):
            ratio = spec.sample_aspect_ratio
            yield f"the film's pixels are {ratio} times as wide as high, which the pictures do not say"
        for stream in like.container.streams:
            if stream.index != like.stream.index and stream.discard != Discard.all:
                yield f"{describe(stream)}: numbered pictures cannot carry it, left out"
        if like.container.chapters():
            yield f"numbered pictures cannot carry the {len(like.container.chapters())} chapters"

    def _as_photograph(self, picture: Picture) -> SourcePicture:
        """What the writer of photographs wants to know."""
        spec = self._like.spec
        return SourcePicture(
            path=Path(self._like.source.name),
            grey=expand_range(picture.luma, spec),
            bit_depth=16 if spec.bit_depth > 8 else 8,
            alpha=None,
            exif=None,
            dpi=None,
        )
