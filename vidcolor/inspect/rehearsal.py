"""Find out what becomes of a film, by writing its first picture.

The picture is encoded and muxed as the whole film would be, to a file in the user's temporary folder, and that file is
read back. So the outcomes include what the encoder and the muxer refuse, and what they drop without an error.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from vidcolor.color import h273
from vidcolor.color.luma_weights import luma_weights
from vidcolor.errors import VidcolorError
from vidcolor.files.paths import check_destination
from vidcolor.files.suffixes import film_name, picture_name
from vidcolor.frames import ChromaFormat, Plane
from vidcolor.inspect.film import is_rgb
from vidcolor.media.carriage import describe
from vidcolor.media.destinations import FileDestination
from vidcolor.media.encoder import EncoderChoice
from vidcolor.media.film_names import choose_suffix
from vidcolor.media.metadata import container_metadata, kept_metadata
from vidcolor.media.outcomes import Outcome, Rehearsal
from vidcolor.media.reader import VideoReader
from vidcolor.media.writer import VideoWriter
from vidcolor.options import EncodeOptions
from vidcolor.stills.kinds import is_picture


def default_output(source: Path, options: EncodeOptions) -> Path:
    """Return the name of the output if none is given, such as ``film-colored.mp4`` for ``film.mp4``.

    A container that cannot hold all of the film is replaced by one that holds more of it.
    """
    named = picture_name(source) if is_picture(source) else film_name(source, choose_suffix(source, options))
    return named.with_name(f"{source.stem}-colored{named.suffix}")


def rehearse_film(reader: VideoReader, dest: Path, options: EncodeOptions, *, overwrite: bool) -> Rehearsal:
    """Write the first picture of a film, and return the outcomes; a refused output is a result, not an error."""
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        stage = Path(folder) / f"rehearsal{dest.suffix}"
        try:
            check_destination(dest, source=reader.source.path, overwrite=overwrite)
            luma_weights(reader.spec)
            return _rehearse(reader, dest, stage, options)
        except VidcolorError as exc:
            return Rehearsal(output=dest, outcomes=(), warnings=(), refused=str(exc).replace(str(stage), str(dest)))


def _rehearse(reader: VideoReader, dest: Path, stage: Path, options: EncodeOptions) -> Rehearsal:
    with VideoWriter(FileDestination(stage, overwrite=False), reader=reader, options=options) as writer:
        neutral = neutral_chroma(writer.chroma)
        writer.write(reader.first, neutral, neutral)
    known = (*_picture_outcomes(reader, writer.encoder.choice), *reader.outcomes, *writer.outcomes)
    with VideoReader(stage) as copy:
        named = {outcome.what for outcome in known}
        seen = [outcome for outcome in compared(reader, copy) if outcome.what not in named]
    return Rehearsal(
        output=dest,
        outcomes=(*known, *seen),
        warnings=(*reader.warnings, *writer.warnings),
        refused=None,
    )


def neutral_chroma(chroma: ChromaFormat) -> Plane:
    """Return a plane without color: (height, width), the middle code value."""
    shape, middle = (chroma.height, chroma.width), 1 << (chroma.bit_depth - 1)
    return np.full(shape, middle, np.uint16) if chroma.bit_depth > 8 else np.full(shape, middle, np.uint8)


def _picture_outcomes(reader: VideoReader, choice: EncoderChoice) -> Iterator[Outcome]:
    """Yield the outcomes for the picture itself, which are the same for every container."""
    spec, name = reader.spec, choice.pixel_format.name
    settings = " ".join(f"{key}={value}" for key, value in choice.settings.items())
    encoded = f"encoded anew by {choice.codec.name}" + (f" ({settings})" if settings else "")
    yield Outcome(describe(reader.stream), "changed", f"{describe(reader.stream)}: colored, {encoded}")
    if is_rgb(reader):
        yield Outcome(
            "matrix", "changed", "R'G'B' becomes Y'CbCr of full range with the matrix of BT.709; greys stay exact"
        )
    elif choice.pixel_format.bit_depth >= spec.bit_depth:
        yield Outcome("luma", "kept", f"every code value goes to the encoder as it is, {spec.width}×{spec.height}")
    source = reader.stream.codec_context.pix_fmt
    yield Outcome("chroma", "changed", f"the colors are the network's, whatever was there ({source} becomes {name})")


def compared(source: VideoReader, copy: VideoReader) -> Iterator[Outcome]:
    """Yield an outcome for each property of the source, found by comparing it with the copy."""
    before, after = _properties(source), _properties(copy)
    target = copy.container.format.name.partition(",")[0]
    for what, value in before.items():
        if value is not None and value == after[what]:
            yield Outcome(what, "kept", value)
        elif value is not None:
            arrives = after[what]
            why = f"{what}: {value} becomes {arrives or 'unsaid'} in {target}"
            yield Outcome(what, "changed" if arrives else "dropped", why)
    yield from _times_outcome(source, copy, target)
    yield from _metadata_outcomes(source, copy, target)


def _properties(film: VideoReader) -> dict[str, str | None]:
    """Return the properties of a film by name; None for what the film does not specify."""
    spec = film.spec
    shape = spec.sample_aspect_ratio
    chapters = len(film.container.chapters())
    return {
        "pixel shape": None if shape in (None, 1) else f"{shape.numerator}:{shape.denominator}",
        "rotation": f"{spec.rotation}°" if spec.rotation else None,
        "interlacing": f"{spec.first_field} field first" if spec.first_field else None,
        "range": "full" if spec.full_range else "limited",
        "matrix": h273.name_of(spec.matrix, h273.MATRICES),
        "primaries": h273.name_of(spec.primaries, h273.PRIMARIES),
        "transfer": h273.name_of(spec.transfer, h273.TRANSFERS),
        "HDR metadata": None if spec.hdr is None else str(spec.hdr),
        "chapters": f"{chapters}" if chapters else None,
    }


def _times_outcome(source: VideoReader, copy: VideoReader, target: str) -> Iterator[Outcome]:
    ticks, kept = source.spec.time_base, copy.spec.time_base
    if (ticks / kept).denominator == 1:
        yield Outcome("times", "kept", f"to the tick ({ticks} s)")
    else:
        yield Outcome("times", "changed", f"times are rounded from {ticks} to {kept} s, in which {target} counts")


def _metadata_outcomes(source: VideoReader, copy: VideoReader, target: str) -> Iterator[Outcome]:
    held = source.container.metadata
    handed = container_metadata(held, copy.container.format.name)
    arrived = _folded(copy.container.metadata)
    stale = sorted(held.keys() - kept_metadata(held).keys())
    kept = sorted(key for key in held if key in handed and arrived.get(key.lower()) == held[key])
    lost = sorted(held.keys() - {*stale, *kept})
    if kept:
        yield Outcome("metadata", "kept", ", ".join(kept))
    if stale:
        why = f"metadata {', '.join(stale)}: true of the old file only, left out"
        yield Outcome("metadata of the old file", "dropped", why)
    if lost:
        yield Outcome("further metadata", "dropped", f"metadata {', '.join(lost)}: {target} did not take it as it is")


def _folded(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in metadata.items()}
