"""Records come back from JSON as they were written, and anything else is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from vidcolor.resume import records
from vidcolor.resume.records import parse_json, read_json, structure_record


@dataclass(frozen=True)
class Inner:
    """A record within a record, with a default."""

    size: int
    name: str = "none"


@dataclass(frozen=True)
class Outer:
    """A field of every type that records have."""

    count: int
    flag: bool
    maybe: bool | None
    numbers: tuple[int, ...]
    words: tuple[str, ...]
    pairs: dict[str, str]
    inner: Inner


RECORD = Outer(-(2**62), True, None, (1, 2), ("a",), {"b": "c"}, Inner(3))


@pytest.mark.parametrize("maybe", [None, True, False])
def test_round_trip(maybe: bool | None) -> None:
    """A record that went through JSON is equal to itself."""
    content = {**asdict(RECORD), "maybe": maybe}
    found = structure_record(Outer, parse_json(json.dumps(content).encode()))
    assert asdict(found) == content
    assert isinstance(found.numbers, tuple)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": "1"}, r"expected int, found str @ \$\.count"),
        ({"count": 1.0}, "expected int, found float"),
        ({"count": True}, "expected int, found bool"),
        ({"count": 2**63}, "63 bits"),
        ({"count": -(2**63)}, "63 bits"),
        ({"flag": 1}, "expected bool, found int"),
        ({"flag": None}, "expected bool, found NoneType"),
        ({"maybe": 0}, "expected bool, found int"),
        ({"numbers": "12"}, "expected list, found str"),
        ({"numbers": {"1": 2}}, "expected list, found dict"),
        ({"numbers": [1, True]}, "expected int, found bool"),
        ({"words": "ab"}, "expected list, found str"),
        ({"words": [1]}, "expected str, found int"),
        ({"pairs": [["b", "c"]]}, "expected dict, found list"),
        ({"pairs": {"b": 1}}, "expected str, found int"),
        ({"inner": {"size": 3}}, r"expected the fields size, name @ \$\.inner"),
        ({"inner": {"size": None, "name": ""}}, r"expected int, found NoneType @ \$\.inner\.size"),
        ({"inner": None}, "expected dict, found NoneType"),
        ({"more": 1}, "expected the fields count, flag"),
    ],
)
def test_wrong_fields_are_refused(change: dict[str, Any], message: str) -> None:
    """Values of another type, numbers out of range and unknown fields are refused, with the path of the field."""
    with pytest.raises(ValueError, match=message):
        structure_record(Outer, {**asdict(RECORD), "numbers": [], "words": [], **change})


@pytest.mark.parametrize("name", list(asdict(RECORD)))
def test_missing_fields_are_refused(name: str) -> None:
    """Every field must be there."""
    content = {key: value for key, value in asdict(RECORD).items() if key != name}
    with pytest.raises(ValueError, match="expected the fields"):
        structure_record(Outer, content)


@pytest.mark.parametrize("content", [None, [], "x", 1])
def test_a_record_is_an_object(content: object) -> None:
    """Any other JSON value is refused."""
    with pytest.raises(ValueError, match="expected dict"):
        structure_record(Outer, content)


def test_only_small_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file up to the limit is parsed, a larger one and deeply nested JSON are refused."""
    monkeypatch.setattr(records, "MAX_BYTES", 4)
    path = tmp_path / "record.json"
    path.write_bytes(b"[10]")
    assert read_json(path) == [10]
    path.write_bytes(b"[10] ")
    with pytest.raises(ValueError, match="too large"):
        read_json(path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(b"[" * 200_000)
