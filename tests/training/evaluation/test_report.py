"""Reports: what is written can be read, shown and trusted."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from vidcolor.errors import InputError, OutputError
from vidcolor_training.evaluate_command import evaluate
from vidcolor_training.evaluation.histogram import BINS, common_ceiling, histogram_svg
from vidcolor_training.evaluation.metric_info import METRIC_INFO, by_group, format_figure
from vidcolor_training.evaluation.provenance import row_names
from vidcolor_training.evaluation.report import EvaluationReport, format_table
from vidcolor_training.evaluation.report_files import read_report, write_report
from vidcolor_training.evaluation.report_html import best_rows

EVIL = "<script>alert('x')</script> & \"quotes\".png"
VOID = {"meta", "img", "link", "br", "line", "rect", "path"}


@pytest.fixture
def report(tmp_path: Path) -> EvaluationReport:
    """Two weights, one of them with a hostile name, with an infinite figure in a row and one in an item."""
    rows = {
        "grey": {"mse": 0.01, "psnr": 20.0, "colorfulness": 0.0},
        EVIL: {"mse": 0.005, "psnr": 23.0, "colorfulness": 30.0},
        "b": {"mse": 0.006, "psnr": 22.0, "colorfulness": 45.0},
        "truth": {"mse": 0.0, "psnr": None, "colorfulness": 42.0},
    }
    figures = {"mse": 0.5, "psnr": math.inf, "ciede2000": 7.0, "colorfulness": 30.0}
    items = {name: {EVIL: figures, "2.png": figures} for name in rows}
    return EvaluationReport(
        kind="stills",
        rows=rows,
        items=items,
        about={"size": 64, EVIL: [EVIL, 0.25, {"seed": 1}]},
        not_measured={"fid": "not at hand <b>"},
        left_out={"c<i>.png": "has no color itself"},
        pictures=[(tmp_path / "a sheet.jpg", EVIL)],
        players=[(tmp_path / "clip.mp4", "grey | ours | truth")],
    )


class Page(HTMLParser):
    """The elements of a page; fails where they do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(report: EvaluationReport, folder: Path) -> Page:
    """The page that is written for a report."""
    write_report(report, folder)
    page = Page()
    page.feed((folder / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_what_is_written_can_be_read(report: EvaluationReport, tmp_path: Path) -> None:
    """report.json holds everything, in strict JSON, and infinite figures come back."""
    write_report(report, tmp_path)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    table = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert table["schema"] == "vidcolor-report-1"
    assert table["items"]["b"]["2.png"]["psnr"] is None
    again = read_report(tmp_path)
    assert again.rows == report.rows
    assert again.items == report.items
    assert again.about == report.about
    assert again.left_out == report.left_out
    assert (again.not_measured, again.pictures, again.players) == (report.not_measured, report.pictures, report.players)


def test_other_files_are_no_reports(tmp_path: Path, report: EvaluationReport) -> None:
    """A missing file, one of another schema and one of another shape are refused; so is a folder that is missing."""
    with pytest.raises(InputError, match="expected a report"):
        read_report(tmp_path)
    for text in ('{"schema": "other"}', "[]", '{"schema": "vidcolor-report-1"}', "x"):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(InputError, match="expected a report"):
            read_report(tmp_path)
    with pytest.raises(OutputError, match="folder does not exist"):
        write_report(report, tmp_path / "nowhere")


def test_the_page_escapes_what_comes_from_outside(report: EvaluationReport, tmp_path: Path) -> None:
    """Names arrive as text in the page, and no script or foreign address does; pictures are named relatively."""
    page = page_of(report, tmp_path)
    tags = [tag for tag, _ in page.seen]
    assert "script" not in tags
    assert any(EVIL in text for text in page.text)
    addresses = [value for _, attributes in page.seen for key, value in attributes.items() if key in ("src", "href")]
    assert addresses == ["a%20sheet.jpg", "a%20sheet.jpg", "clip.mp4"]
    assert "video" in tags


def test_every_table_of_the_page_has_grey_and_truth(report: EvaluationReport, tmp_path: Path) -> None:
    """Each table begins with grey and ends with the truth, set apart from the weights."""
    page = page_of(report, tmp_path)
    tables = [tag for tag, _ in page.seen].count("table")
    fixed = [attributes for tag, attributes in page.seen if tag == "tr" and attributes.get("class") == "fixed"]
    assert tables == len(by_group(report.rows["grey"])) == 2
    assert len(fixed) == 2 * tables


def test_only_weights_compete(report: EvaluationReport) -> None:
    """The best figure is the smallest, the largest or the nearest to the truth, as the metric wants it; never grey's
    or the truth's, and never of one alone.
    """
    assert best_rows(report.rows, "mse") == {EVIL}
    assert best_rows(report.rows, "psnr") == {EVIL}
    assert best_rows(report.rows, "colorfulness") == {"b"}
    assert best_rows({name: report.rows[name] for name in ("grey", "b", "truth")}, "mse") == set()
    assert best_rows({name: {"unheard of": 1.0} for name in ("a", "b")}, "unheard of") == set()


def test_the_table_in_plain_text(report: EvaluationReport) -> None:
    """One block for each group, every row in each; infinity, small negatives and gaps are shown as such."""
    blocks = format_table({**report.rows, "gap": {"mse": 1.0}}).split("\n\n")
    assert len(blocks) == 2
    for block in blocks:
        assert [line.split()[0] for line in block.splitlines()[1:]] == ["grey", EVIL.split()[0], "b", "truth", "gap"]
    assert blocks[0].splitlines()[4].split() == ["truth", "0.00000", "∞"]
    assert format_figure("mean_a", -0.0001) == "0.00"
    assert max(len(line) for block in blocks for line in block.splitlines()) < 120


def test_a_histogram_is_well_formed_and_complete() -> None:
    """All bars together stand for all figures, those beyond the axis too: as high as one bar of figures all alike."""
    random = np.random.default_rng(0)

    def heights(values: list[float]) -> list[float]:
        svg = ElementTree.fromstring(histogram_svg(values, [0.0], ceiling=1.0))
        return [float(bar.attrib["height"]) for bar in svg.iter("rect")]

    alike = heights([0.4] * 10)
    assert len(alike) == 1
    assert sum(heights([*random.random(200), 7.0, math.inf])) == pytest.approx(alike[0], rel=0.02)
    assert len(heights(list(random.random(2000)))) == BINS
    assert common_ceiling([[1.0] * 98, [2.0, 500.0]]) < 3


def test_every_metric_is_described() -> None:
    """Definitions are there, and labels are short and tell metrics apart."""
    labels = [info.label for info in METRIC_INFO.values()]
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) <= 13
    assert all(info.definition for info in METRIC_INFO.values())


def test_weights_of_one_name_have_rows_of_their_own() -> None:
    """The folder tells them apart, as much of it as is needed."""
    names = row_names(
        [Path("/a/x/w.safetensors"), Path("/a/y/w.safetensors"), Path("/b/y/w.safetensors"), Path("/v.s")]
    )
    assert list(names) == ["x/w.safetensors", "a/y/w.safetensors", "b/y/w.safetensors", "v.s"]


@pytest.mark.slow
def test_the_command_writes_a_report(photographs: Path, tmp_path: Path) -> None:
    """The default weights on four pictures: all three parts of the report, and no second one in its place."""
    folder = tmp_path / "deep" / "report"
    (tmp_path / "none").mkdir()
    arguments = [
        str(photographs),
        "-o",
        str(folder),
        "--size",
        "64",
        "--limit",
        "3",
        "--device",
        "cpu",
        "--pretrained",
        str(tmp_path / "none"),
    ]
    result = CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "not measured: lpips" in result.output
    report = read_report(folder)
    assert list(report.rows) == ["grey", "default.safetensors", "truth"]
    weights = report.about["weights"]["default.safetensors"]
    assert weights["parameters"] > 1e6
    assert len(weights["sha256"]) == len(report.about["data"]["sha256"]) == 64
    assert {"vidcolor", "torch", "numpy", "scikit-image"} < set(report.about["versions"])
    assert all(path.is_file() for path, _ in report.pictures)
    assert len(report.pictures) == 3
    with pytest.raises(OutputError, match="holds a report already"):
        CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
