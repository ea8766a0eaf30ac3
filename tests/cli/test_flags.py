"""Flags for the fields that messages name."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidcolor.cli.commands import main
from vidcolor.cli.flags import FLAGS, with_flags
from vidcolor.media.outcomes import Outcome, Rehearsal


def test_every_field_has_a_flag_that_exists() -> None:
    """Whatever a message can name, the command that colors films has an option for it, and no field is left out."""
    parameters = main.commands["colorize"].params
    flags = {flag for parameter in parameters for flag in parameter.opts if flag.startswith("-")}
    assert {flag.split()[0] for flag in FLAGS.values()} <= flags
    assert {str(parameter.name) for parameter in parameters if parameter.expose_value} - {"source"} <= set(FLAGS)


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
