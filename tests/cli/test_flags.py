"""Flags for the fields that messages name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import vidcolor
from vidcolor.cli.commands import main
from vidcolor.cli.flags import FLAGS, with_flags
from vidcolor.media.outcomes import Outcome, Rehearsal


def test_every_field_has_a_flag_that_exists() -> None:
    """Whatever a message can name, the command that colors films has an option for it, and no field is left out."""
    parameters = main.commands["colorize"].params
    flags = {flag for parameter in parameters for flag in parameter.opts if flag.startswith("-")}
    assert {flag.split()[0] for flag in FLAGS.values()} <= flags
    assert {str(parameter.name) for parameter in parameters if parameter.expose_value} - {"source"} <= set(FLAGS)


def test_both_spellings_of_color() -> None:
    """The option that keeps colors can be typed either way."""
    (keep,) = (parameter for parameter in main.commands["colorize"].params if parameter.name == "keep_color")
    assert keep.opts == ["--keep-color", "--keep-colour"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`codec` x264: unknown; see `encoder_options`", "--codec x264: unknown; see --encoder-option"),
        (
            "choose a smaller `render_size`, or `fit_render_size`",
            "choose a smaller --render-size, or --render-size auto",
        ),
        ("name a file with `dest`", "name a file with -o"),
        (
            "`codecs`, `Codec`, codec and `co\ndec` are no fields",
            "`codecs`, `Codec`, codec and `co\ndec` are no fields",
        ),
    ],
)
def test_messages(message: str, expected: str) -> None:
    """Names of fields in backticks become flags; other words stay."""
    assert with_flags(message) == expected


def test_records() -> None:
    """All messages of a record are changed; paths are not."""
    outcome = Outcome("depth", "dropped", "`codec` ffv1 keeps it")
    path = Path("`codec`.mkv")
    changed = with_flags(Rehearsal(output=path, outcomes=(outcome,), warnings=("no `crf`",), refused=None))
    assert changed.outcomes[0].why == "--codec ffv1 keeps it"
    assert (changed.output, changed.warnings, changed.refused) == (path, ("no --crf",), None)


def library_strings() -> Iterator[tuple[str, str]]:
    """Every string of the package outside the command line, without docstrings: where it stands, and its text."""
    for path in Path(vidcolor.__file__).parent.rglob("*.py"):
        if path.parent.name == "cli":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
                yield f"{path.name}:{node.lineno}", node.value


def test_the_library_names_fields() -> None:
    """No message of the library names a flag, and what it has in backticks is a field's name."""
    strings = list(library_strings())
    assert len(strings) > 1000
    assert not [(where, text) for where, text in strings if re.search(r"(?<!\w)--[a-z]|with -o\b", text)]
    named = {(where, name) for where, text in strings for name in re.findall(r"`(.*?)`", text)}
    assert not {(where, name) for where, name in named if name not in FLAGS}
