"""The flags of the command line for the fields that the library's messages name.

The library writes a field's name in backticks: "`crf` 51: ...; choose another `codec`". Here it becomes "--crf 51: ...;
choose another --codec".
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

from vidcolor.options import ColorizeOptions, EncodeOptions

T = TypeVar("T")

NAMES = [
    field.name for record in (ColorizeOptions, EncodeOptions) for field in fields(record) if field.name != "encode"
]
FLAGS = {
    **{name: f"--{name.replace('_', '-')}" for name in (*NAMES, "weights", "device", "batch_size", "rate")},
    "dest": "-o",
    "encoder_options": "--encoder-option",
    "fit_render_size": "--render-size auto",
}
"""Names of fields and arguments of the library, and what is typed for them."""
FIELD = re.compile(rf"`({'|'.join(FLAGS)})`")


def with_flags(value: T) -> T:
    """Replace the names of fields with flags, in a message, and in all messages of a tuple or a record."""
    changed: object = value
    if isinstance(value, str):
        changed = FIELD.sub(lambda match: FLAGS[match[1]], value)
    elif isinstance(value, tuple):
        changed = tuple(map(with_flags, value))
    elif is_dataclass(value) and not isinstance(value, type):
        changed = replace(value, **{field.name: with_flags(getattr(value, field.name)) for field in fields(value)})
    return cast(T, changed)
