"""Option records: what they decide by themselves."""

from __future__ import annotations

import pytest

from vidcolor.errors import OptionError
from vidcolor.options import ColorizeOptions


@pytest.mark.parametrize(
    ("given", "spacing"),
    [({}, None), ({"smoothing": 0}, 1), ({"anchor_every": 7}, 7), ({"anchor_every": 3, "smoothing": 0}, 3)],
)
def test_anchor_spacing(given: dict[str, float], spacing: int | None) -> None:
    """Every fourth frame by default; every frame where the raw network is asked for; else what was said."""
    assert ColorizeOptions(**given).anchor_spacing == spacing


@pytest.mark.parametrize(
    "given",
    [
        {"render_size": 31},
        {"smoothing": -0.1},
        {"smoothing": 1.1},
        {"anchor_every": 0},
        {"anchor_every": 65},
        {"saturation": 5},
    ],
)
def test_out_of_range(given: dict[str, float]) -> None:
    """A value that makes no sense is refused, and the message names its field."""
    with pytest.raises(OptionError, match=f"^`{next(iter(given))}` must"):
        ColorizeOptions(**given)
