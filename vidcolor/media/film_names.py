"""Choose the suffix, and so the container, of a colored film for which none is given."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition

from vidcolor.errors import VidcolorError
from vidcolor.files.suffixes import film_suffixes
from vidcolor.media.codecs import find_encoder
from vidcolor.media.containers import TS_CODECS
from vidcolor.media.outcomes import Outcome
from vidcolor.media.passthrough import Passthrough
from vidcolor.media.probe import choose_video, open_film
from vidcolor.options import EncodeOptions

FORMATS = {
    ".m2ts": "mpegts",
    ".m4v": "mp4",
    ".mkv": "matroska",
    ".mov": "mov",
    ".mp4": "mp4",
    ".mts": "mpegts",
    ".ts": "mpegts",
}
"""libav's name of the container for each of ``KEPT_FILM_SUFFIXES``."""


def choose_suffix(film: Path, options: EncodeOptions) -> str:
    """Return the suffix of the container that holds the most of a film's streams.

    Of several, it is that in which fewest are converted, and of those the first of
    :func:`~vidcolor.files.suffixes.film_suffixes`. A film that cannot be opened gets the first one, too.

    Args:
        film: the source.
        options: how it is encoded.
    """
    suffixes = film_suffixes(film)
    if options.format is not None:
        return suffixes[0]
    try:
        with open_film(film) as container:
            losses = {
                suffix: _losses(container, film, FORMATS[suffix])
                for suffix in suffixes
                if _holds_picture(FORMATS[suffix], options.codec)
            }
    except VidcolorError:
        return suffixes[0]
    return min(losses, key=lambda suffix: losses[suffix], default=suffixes[0])


def _losses(container: InputContainer, film: Path, format_name: str) -> tuple[int, int]:
    """Return how many streams a container cannot hold, and how many are converted for it."""
    kinds = [outcome.kind for outcome in _outcomes(container, film, format_name)]
    return kinds.count("dropped"), kinds.count("changed")


def _outcomes(container: InputContainer, film: Path, format_name: str) -> Iterator[Outcome]:
    picture = choose_video(container, film)
    target = av.open(io.BytesIO(), "w", format=format_name)
    try:
        passthrough = Passthrough(target, str(film))
        for stream in container.streams:
            # Whether a cover can be stored is known only with its packet.
            if stream.index != picture.index and not stream.disposition & Disposition.attached_pic:
                passthrough.add(stream, ())
        yield from passthrough.outcomes
    finally:
        with suppress(av.FFmpegError):
            target.close()


def _holds_picture(format_name: str, codec_name: str) -> bool:
    """Return whether a container can hold what an encoder of pictures makes."""
    codec = find_encoder(codec_name, "video")
    if format_name == "mpegts":
        return codec.canonical_name in TS_CODECS
    try:
        target = av.open(io.BytesIO(), "w", format=format_name)
        target.add_stream(codec.name)
    except ValueError:
        return False
    return True
