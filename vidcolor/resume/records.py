"""Read small JSON files strictly into the frozen records that were written to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from cattrs import BaseConverter, BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn

from vidcolor.files.paths import is_file

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]
"""A structure hook of cattrs: takes a JSON value and a type, returns the value as that type or raises ValueError."""

MAX_BYTES = 1 << 24
"""Size of a JSON file above which it is refused; far more than any record takes."""
MAX_INT_BITS = 63
"""Bits of an integer without its sign, above which it is refused."""


def read_json(path: Path) -> Any:
    """Parse a small JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a regular file, larger than :data:`MAX_BYTES`, or not JSON.
    """
    if not is_file(path):
        raise ValueError(f"{path} is no file")
    with path.open("rb") as file:
        return parse_json(file.read(MAX_BYTES + 1))


def parse_json(text: bytes) -> Any:
    """Parse JSON of up to :data:`MAX_BYTES`.

    Raises:
        ValueError: it is longer, or not JSON.
    """
    if len(text) > MAX_BYTES:
        raise ValueError("too large")
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def structure_record(record: type[T], content: object) -> T:
    """Build a dataclass from JSON, the inverse of ``dataclasses.asdict``; nothing is converted or filled in.

    Args:
        record: a dataclass of int, bool, str, ``tuple[…, ...]``, ``dict[str, str]``, optional values and dataclasses.
        content: what :func:`parse_json` returned.

    Raises:
        ValueError: a field is missing, unknown, or of another type.
    """
    try:
        return _CONVERTER.structure(content, record)
    except (BaseValidationError, ValueError) as exc:
        raise ValueError("; ".join(transform_error(exc, format_exception=lambda error, _: str(error)))) from exc


def _check_type(value: object, expected: type[Any]) -> Any:
    """Return the value if it has exactly the expected type."""
    if type(value) is not expected:
        raise ValueError(f"expected {expected.__name__}, found {type(value).__name__}")
    if isinstance(value, int) and value.bit_length() > MAX_INT_BITS:
        raise ValueError(f"expected an integer of up to {MAX_INT_BITS} bits, found {value.bit_length()} bits")
    return value


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _is_dict(kind: Any) -> bool:
    return get_origin(kind) is dict


def _tuple_hook(kind: Any, converter: BaseConverter) -> Hook:
    """Make a hook that takes a JSON array only, where cattrs takes any iterable."""
    item = get_args(kind)[0]
    structure = converter.get_structure_hook(item)
    return lambda value, _: tuple(structure(each, item) for each in _check_type(value, list))


def _dict_hook(kind: Any, converter: BaseConverter) -> Hook:
    """Make a hook that takes a JSON object only, where cattrs takes any mapping."""
    item = get_args(kind)[1]
    structure = converter.get_structure_hook(item)
    return lambda value, _: {key: structure(each, item) for key, each in _check_type(value, dict).items()}


def _record_hook(kind: Any, converter: BaseConverter) -> Hook:
    """Make a hook that takes exactly the fields of a dataclass, where cattrs fills in defaults and ignores others."""
    structure: Hook = make_dict_structure_fn(kind, converter)
    names = [field.name for field in fields(kind)]

    def hook(value: Any, _: Any) -> Any:
        if _check_type(value, dict).keys() != set(names):
            raise ValueError(f"expected the fields {', '.join(names)}")
        return structure(value, kind)

    return hook


def _make_converter() -> Converter:
    converter = Converter()
    for kind in (int, bool, str):
        converter.register_structure_hook(kind, _check_type)
    converter.register_structure_hook_factory(_is_tuple, _tuple_hook)
    converter.register_structure_hook_factory(_is_dict, _dict_hook)
    converter.register_structure_hook_factory(is_dataclass, _record_hook)
    return converter


_CONVERTER = _make_converter()
