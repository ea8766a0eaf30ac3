"""Identify the input, the options and the weights of a film, so that work is resumed only if they are the same.

Differences that change colors only by rounding (the device, versions of libraries) give a warning.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import av
import cv2

from vidcolor._version import __version__
from vidcolor.errors import InputError
from vidcolor.inference.colorizer import Predictor
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.resume.records import structure_record

SAMPLE_BYTES = 1 << 20
"""Bytes at the start and at the end of the input that are hashed."""
UNRELATED_OPTIONS = frozenset({"overwrite", "resume", "scenes", "encode", "on_error", "hwaccel", "audio_codec"})
"""Options that do not change the encoded pictures, or are compared separately (``scenes``, ``encode``).

``on_error`` is one, because pictures before the first damage are the same with all its values; so is ``hwaccel``,
because hardware decodes the same pictures.
"""


@runtime_checkable
class IdentifiedPredictor(Protocol):
    """A predictor with a fingerprint of its parameters."""

    fingerprint: str
    """Equal for equal parameters only."""
    runs_on: str
    """Device and arithmetic, which change results by rounding."""
    backend: str
    """Name and version of the library that computes."""


@dataclass(frozen=True, kw_only=True)
class InputFacts:
    """Size, time and hash of the input; of several files, all of them together."""

    files: int
    bytes: int
    modified_ns: int
    """Time of the last modification, nanoseconds since the epoch."""
    digest: str
    """SHA-256 of the first and the last bytes; of several files, also of their names, sizes and times."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The input, the options and the versions that a film is made with."""

    input: InputFacts
    settings: dict[str, str]
    """Names of options and their values as text, the hash of the weights, and vidcolor's version."""
    surroundings: dict[str, str]
    """Device and versions of libraries, which change the result only by rounding."""

    @classmethod
    def of(
        cls,
        files: Sequence[Path],
        options: ColorizeOptions,
        *,
        scenes: Sequence[Fraction] | None,
        predictor: Predictor,
    ) -> Self:
        """Collect the identity of a film.

        Args:
            files: of the input.
            options: of the film.
            scenes: start times of the shots in seconds, if the user gives them.
            predictor: of the colors.

        Raises:
            InputError: a file cannot be read.
        """
        settings = {
            **_settings_of(options, ColorizeOptions),
            **_settings_of(options.encode, EncodeOptions),
            "scenes": "none" if scenes is None else ", ".join(map(str, scenes)),
            "weights": predictor.fingerprint
            if isinstance(predictor, IdentifiedPredictor)
            else type(predictor).__qualname__,
            "vidcolor": __version__,
        }
        surroundings = {
            **_numerics_class(predictor),
            "OpenCV": cv2.__version__,
            "PyAV": av.__version__,
        }
        return cls(input=input_facts(files), settings=settings, surroundings=surroundings)

    @classmethod
    def from_json(cls, content: object) -> Self:
        """Build the identity from the result of :meth:`to_json`.

        Raises:
            ValueError: ``content`` is anything else.
        """
        return structure_record(cls, content)

    def to_json(self) -> dict[str, Any]:
        """Return the identity as dictionaries that JSON can hold."""
        return asdict(self)

    @property
    def key(self) -> str:
        """SHA-256 of input and settings, hexadecimal."""
        what = {"input": asdict(self.input), "settings": self.settings}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def changed_since(self, begun: Identity) -> str | None:
        """Describe how input or settings differ from those of an earlier run; None: they are the same."""
        if self.input != begun.input:
            return f"the input has changed ({_describe_input_change(begun.input, self.input)})"
        names = sorted(begun.settings.keys() | self.settings.keys())
        changes = [
            _describe_change(name, begun.settings.get(name), self.settings.get(name))
            for name in names
            if begun.settings.get(name) != self.settings.get(name)
        ]
        return ", ".join(changes) or None

    def surroundings_changed_since(self, begun: Identity) -> list[str]:
        """Return a warning if device or versions differ from those of an earlier run; otherwise an empty list."""
        changes = [
            f"{name} {begun.surroundings.get(name)} (now {value})"
            for name, value in self.surroundings.items()
            if begun.surroundings.get(name) != value
        ]
        if not changes:
            return []
        return [f"the film was begun with {', '.join(changes)}: what follows may differ from that by rounding"]


def _numerics_class(predictor: Predictor) -> dict[str, str]:
    """Return what decides how a network rounds: the arithmetic, the library, and the instructions of the processor."""
    if not isinstance(predictor, IdentifiedPredictor):
        return {"the network on": "unknown"}
    return {
        "the network on": predictor.runs_on,
        "the engine": predictor.backend,
        "processor instructions": f"{platform.machine()} {cv2.getCPUFeaturesLine()}",
    }


def _settings_of(options: Any, record: type[Any]) -> dict[str, str]:
    """Return the fields of an options record that change pictures, as text."""
    names = [field.name for field in fields(record) if field.name not in UNRELATED_OPTIONS]
    return {name: _format_value(getattr(options, name)) for name in names}


def _format_value(value: object) -> str:
    return " ".join(f"{key}={value[key]}" for key in sorted(value)) or "none" if isinstance(value, dict) else str(value)


def _describe_change(name: str, was: str | None, is_now: str | None) -> str:
    if name == "weights":
        return "it was begun with other weights"
    field = name if name == "vidcolor" else f"`{name}`"
    return f"it was begun with {field} {was}, now it is {is_now}"


def input_facts(files: Sequence[Path]) -> InputFacts:
    """Read size, time and hash of the input.

    Raises:
        InputError: a file cannot be read.
    """
    digest = hashlib.sha256()
    size, modified = 0, 0
    try:
        for file in files:
            status = file.stat()
            size, modified = size + status.st_size, max(modified, status.st_mtime_ns)
            if len(files) > 1:
                digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
        with files[0].open("rb") as first:
            digest.update(first.read(SAMPLE_BYTES))
        with files[-1].open("rb") as last:
            last.seek(max(files[-1].stat().st_size - SAMPLE_BYTES, 0))
            digest.update(last.read(SAMPLE_BYTES))
    except OSError as exc:
        raise InputError(f"{exc.filename}: cannot be read ({exc.strerror}); put it back where it was") from exc
    return InputFacts(files=len(files), bytes=size, modified_ns=modified, digest=digest.hexdigest())


def check_unchanged(files: Sequence[Path], begun: InputFacts) -> None:
    """Check that the input has not changed since the work began.

    Raises:
        InputError: its size, time or content has changed.
    """
    found = input_facts(files)
    if found != begun:
        how = _describe_input_change(begun, found)
        raise InputError(f"{files[0]}: has changed while it was read ({how}); is it still being written or copied?")


def _describe_input_change(begun: InputFacts, found: InputFacts) -> str:
    if begun.files != found.files:
        return f"{begun.files} files are now {found.files}"
    if begun.bytes != found.bytes:
        return f"{begun.bytes:,} bytes are now {found.bytes:,}"
    if begun.digest == found.digest or begun.modified_ns != found.modified_ns:
        return f"last written at {_format_time(begun.modified_ns)}, now {_format_time(found.modified_ns)}"
    return "other contents"


def _format_time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9).isoformat(sep=" ", timespec="milliseconds")
