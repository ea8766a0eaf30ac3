"""Small files of JSON that come back as the records they were, or are refused, whoever wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from vidcolor.files.paths import is_file

T = TypeVar("T")

MAX_BYTES = 1 << 24
"""Far above what any record takes."""


def _is_int(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 63


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": _is_int,
    "bool": lambda value: isinstance(value, bool),
    "bool | None": lambda value: value is None or isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "tuple[int, ...]": lambda value: isinstance(value, list) and all(map(_is_int, value)),
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "dict[str, str]": lambda value: isinstance(value, dict) and all(isinstance(item, str) for item in value.values()),
}
"""By how the type of a field is written."""


def read_json(path: Path) -> Any:
    """What a small file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, too large, or no JSON.
    """
    if not is_file(path):
        raise ValueError(f"{path} is no file")
    with path.open("rb") as file:
        return parse_json(file.read(MAX_BYTES + 1))


def parse_json(text: bytes) -> Any:
    """What it says; raises ValueError where it is no JSON, or more than any record."""
    if len(text) > MAX_BYTES:
        raise ValueError("too large")
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def record_of(record: type[T], content: object, **inner: type[Any]) -> T:
    """The dataclass whose ``asdict`` went through JSON.

    Args:
        record: the dataclass.
        content: what was read.
        inner: by field, the dataclasses that it holds.

    Raises:
        ValueError: any field is missing, unknown or of another type.
    """
    types = {field.name: str(field.type) for field in fields(record)}  # type: ignore[arg-type]
    if not isinstance(content, dict) or content.keys() != types.keys():
        raise ValueError(f"expected the fields {', '.join(types)}")
    values = {}
    for name, kind in types.items():
        value = content[name]
        if name in inner:
            values[name] = record_of(inner[name], value)
        elif _CHECKS[kind](value):
            values[name] = tuple(value) if isinstance(value, list) else value
        else:
            raise ValueError(f"{name} is no {kind}")
    return record(**values)
