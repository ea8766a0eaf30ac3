"""The metadata of a film that holds for its copy, too."""

from __future__ import annotations

from collections.abc import Mapping

from av.container import InputContainer

from vidcolor._version import __version__

STALE_KEYS = frozenset(
    (
        # written by the program that made the old file
        "encoder",
        "encoding_tool",
        "major_brand",
        "minor_version",
        "compatible_brands",
        "duration",
        # transparency, which the copy does not have
        "alpha_mode",
        # rotation, as before display matrices: the matrix is copied
        "rotate",
        # statistics that mkvmerge writes for each stream
        "bps",
        "number_of_frames",
        "number_of_bytes",
        "_statistics_tags",
        "_statistics_writing_app",
        "_statistics_writing_date_utc",
    )
)
"""Metadata that is not true of the copy; compared in lower case, with or without a language (``BPS-eng``)."""


def kept_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata without the keys that are true of the old file only."""
    return {key: value for key, value in metadata.items() if not _is_stale(key)}


def container_metadata(source: Mapping[str, str], format_name: str) -> dict[str, str]:
    """Return the metadata of the copy: that of the source, and a note that the colors are made by a machine.

    MP4 has a field for the encoding tool. Matroska stores any tag, so there the note has a tag of its own.
    """
    metadata = kept_metadata(source)
    metadata["encoding_tool"] = f"vidcolor {__version__} (machine-colored)"
    if format_name in {"matroska", "webm"}:
        metadata["COLORIZED_BY"] = f"vidcolor {__version__}"
    return metadata


def timecode_of(source: InputContainer) -> dict[str, str]:
    """Return the timecode of a film's timecode track as metadata for the picture stream; empty if there is none."""
    tracks = (stream.metadata for stream in source.streams if stream.type == "data")
    return next(({"timecode": metadata["timecode"]} for metadata in tracks if "timecode" in metadata), {})


def _is_stale(key: str) -> bool:
    name = key.lower()
    return name in STALE_KEYS or (name[-4:-3] == "-" and name[:-4] in STALE_KEYS)
