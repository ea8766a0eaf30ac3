"""Parameters are followed from function to function, and those of the public functions do not go deep."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.parameter_chain import PACKAGE, ROOT, follow_parameter
from tools.value_flows import Code, load

MAX_MODULES = 6
MAX_CALLS = 10

SAMPLE = """
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Checked:
    path: Path
    overwrite: bool

    def begin(self) -> None:
        write(self.path)
        write(self.overwrite)


class Owner:
    def __init__(self, checked: Checked) -> None:
        self.checked = replace(checked, overwrite=True)

    def work(self) -> None:
        self.checked.begin()


def write(path: object) -> None:
    print(path)


def check(name: str | Path, strict: bool) -> Checked:
    return Checked(Path(name), strict)


def name_of(checked: Checked) -> str:
    return checked.path.name + "!"


def unrelated(path: Path) -> None:
    found = check(path, True)
    found.begin()


def run(name: str, other: int) -> None:
    checked = check(name, False)
    owner = Owner(checked)
    hand_on(owner)
    write(name_of(checked))


def hand_on(owner: Owner) -> None:
    owner.work()
"""


@pytest.fixture(scope="module")
def vidcolor() -> Code:
    """The package with its types, which takes half a minute."""
    return load(ROOT / PACKAGE)


@pytest.mark.slow
def test_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversions, records and stored values are followed; owners, other fields and other callers are not."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "sample.py").write_text(SAMPLE)
    course = follow_parameter(load(package), "vidcolor.sample.run", "name")
    assert course.calls == {
        "sample.run(name) → sample.check(name)",
        "sample.run(checked) → sample.Owner.__init__(checked)",
        "sample.run(checked) → sample.name_of(checked)",
        "sample.Owner(checked) → sample.Checked.begin(self)",
        "sample.Checked.begin(self) → sample.write(path)",
    }
    assert course.longest.steps == 4
    assert follow_parameter(load(package), "vidcolor.sample.run", "other").calls == set()


@pytest.mark.slow
@pytest.mark.parametrize("parameter", ["dest", "options"])
def test_the_pipeline_is_flat(vidcolor: Code, parameter: str) -> None:
    """What a film is colored with is handed down through few calls and modules."""
    course = follow_parameter(vidcolor, "vidcolor.pipeline.colorize_video", parameter)
    assert 3 <= course.longest.steps <= MAX_CALLS
    assert len(course.modules_of(course.longest)) <= MAX_MODULES
