"""What a film's work depends on: the input, the settings, the weights. Work goes on only where all of it is the same.

What changes the colors by no more than rounding (the device, the versions of libraries) is told, not refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import av
import cv2
import torch

from vidcolor._version import __version__
from vidcolor.errors import InputError
from vidcolor.inference.colorizer import Predictor
from vidcolor.options import ColorizeOptions, EncodeOptions
from vidcolor.resume.records import record_of

SAMPLE_BYTES = 1 << 20  # read from the beginning and from the end of the input
APART = frozenset({"overwrite", "resume", "scenes", "encode", "on_error", "hwaccel"})
"""Fields of the options that do not reach the pictures as they stand. What is finished before damage stops the work is
the same as where it is gone over, and hardware decodes the same pictures."""


@runtime_checkable
class Known(Protocol):
    """A predictor that says which it is."""

    fingerprint: str
    """The same for the same parameters only."""
    runs_on: str
    """Device and data type: what its answers depend on within rounding."""


@dataclass(frozen=True, kw_only=True)
class InputFacts:
    """How the input looks: of many files all together."""

    files: int
    bytes: int
    modified_ns: int
    """When the last change was made."""
    digest: str
    """Of the first and the last bytes, and of many files also of their names."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What one film's work depends on."""

    input: InputFacts
    settings: dict[str, str]
    """Options as they are typed, and their values; the weights and vidcolor's version among them."""
    surroundings: dict[str, str]
    """What changes the result by no more than rounding."""

    @classmethod
    def of(
        cls,
        files: Sequence[Path],
        options: ColorizeOptions,
        *,
        scenes: Sequence[Fraction] | None,
        predictor: Predictor,
    ) -> Self:
        """Look at everything.

        Args:
            files: what the film is read from.
            scenes: where shots begin, in seconds, if that is given.

        Raises:
            InputError: a file cannot be read.
        """
        settings = {
            **_typed(options, ColorizeOptions),
            **_typed(options.encode, EncodeOptions),
            "--scenes": "none" if scenes is None else ", ".join(map(str, scenes)),
            "weights": predictor.fingerprint if isinstance(predictor, Known) else type(predictor).__qualname__,
            "vidcolor": __version__,
        }
        surroundings = {
            "the network on": predictor.runs_on if isinstance(predictor, Known) else "unknown",
            "PyTorch": torch.__version__,
            "OpenCV": cv2.__version__,
            "PyAV": av.__version__,
        }
        return cls(input=input_facts(files), settings=settings, surroundings=surroundings)

    @classmethod
    def from_json(cls, content: object) -> Self:
        """What :meth:`to_json` gave; raises ValueError where it is anything else."""
        return record_of(cls, content, input=InputFacts)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries."""
        return asdict(self)

    @property
    def key(self) -> str:
        """Hexadecimal digits that are the same for the same input and settings only."""
        what = {"input": asdict(self.input), "settings": self.settings}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def changed_since(self, begun: Identity) -> str | None:
        """What of the input or the settings is no longer as it was, in a few words; None: nothing."""
        if self.input != begun.input:
            return f"the input has changed ({_input_change(begun.input, self.input)})"
        names = sorted(begun.settings.keys() | self.settings.keys())
        changes = [
            _change(name, begun.settings.get(name), self.settings.get(name))
            for name in names
            if begun.settings.get(name) != self.settings.get(name)
        ]
        return ", ".join(changes) or None

    def surroundings_changed_since(self, begun: Identity) -> list[str]:
        """One line where the result will not be what it would have been, to the bit."""
        changes = [
            f"{name} {begun.surroundings.get(name)} (now {value})"
            for name, value in self.surroundings.items()
            if begun.surroundings.get(name) != value
        ]
        if not changes:
            return []
        return [f"the film was begun with {', '.join(changes)}: what follows may differ from that by rounding"]


def _typed(options: Any, record: type[Any]) -> dict[str, str]:
    names = [field.name for field in fields(record) if field.name not in APART]
    return {f"--{name.replace('_', '-')}": _value(getattr(options, name)) for name in names}


def _value(value: object) -> str:
    return " ".join(f"{key}={value[key]}" for key in sorted(value)) or "none" if isinstance(value, dict) else str(value)


def _change(name: str, was: str | None, is_now: str | None) -> str:
    if name == "weights":
        return "it was begun with other weights"
    return f"it was begun with {name} {was}, now it is {is_now}"


def input_facts(files: Sequence[Path]) -> InputFacts:
    """Look at the input as it is now.

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
    """Compare the input, while it is read, with what it was when the work began.

    Raises:
        InputError: it has grown, been cut off or been replaced.
    """
    found = input_facts(files)
    if found != begun:
        how = _input_change(begun, found)
        raise InputError(f"{files[0]}: has changed while it was read ({how}); is it still being written or copied?")


def _input_change(begun: InputFacts, found: InputFacts) -> str:
    if begun.files != found.files:
        return f"{begun.files} files are now {found.files}"
    if begun.bytes != found.bytes:
        return f"{begun.bytes:,} bytes are now {found.bytes:,}"
    if begun.digest == found.digest or begun.modified_ns != found.modified_ns:
        return f"last written at {_clock(begun.modified_ns)}, now {_clock(found.modified_ns)}"
    return "other contents"


def _clock(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9).isoformat(sep=" ", timespec="milliseconds")
