"""The matrix of what is kept holds, and the page that shows it is that of these cases."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.formats import ABSENT, CASES, COLUMNS, KEPT, MILLISECONDS, PAGE, FilmCase, page, rows_of, run


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffprobe") is None or shutil.which("ffmpeg") is None, reason="judged by ffmpeg")
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_is_lost_but_for_a_stated_reason(case: FilmCase, tmp_path: Path) -> None:
    """Every cell is kept, not there to be kept, or has the reason that the case states."""
    cells = run(case, tmp_path)
    allowed = {column: {KEPT, ABSENT, case.reasons.get(column, KEPT)} for column in COLUMNS}
    allowed["timestamps"].add(MILLISECONDS)
    assert {column: cell for column, cell in cells.items() if cell not in allowed[column]} == {}
    assert (case.name, *cells.values()) in rows_of(PAGE.read_text(encoding="utf-8"))[0]


def test_the_page_shows_these_cases() -> None:
    """docs/formats.md has a row for each, in order, and no file in it went wrong; python -m tools.formats renews it."""
    text = PAGE.read_text(encoding="utf-8")
    rows, odd = rows_of(text)
    assert [row[0] for row in rows] == [case.name for case in CASES]
    assert page(rows, odd) == text
    assert len(odd) >= 50
    assert all(outcome.startswith(("colored", "refused: ")) for _, outcome in odd)
