"""What ``vidcolor models`` prints: three tables. ``--json`` has all that a weights file holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.filesize import decimal

Facts = Mapping[str, Any]
WEIGHTS_COLUMNS = ("name", "network", "size", "trained on", "on validation pictures")
UNKNOWN = "?"
NO_NETWORKS = ("not listed", "their modules need PyTorch: pip install 'vidcolor[gpu]'")


def models_lines(sections: Mapping[str, Mapping[str, Facts]]) -> Iterator[str]:
    """Yield the lines of all tables.

    Args:
        sections: ``networks``, ``weights`` and ``recipes``, each with names and what is known of them.
    """
    networks = [(name, facts["summary"]) for name, facts in sections["networks"].items()]
    yield from _section("networks", networks or [NO_NETWORKS])
    weights = [weights_row(name, facts) for name, facts in sections["weights"].items()]
    yield from _section("weights", [WEIGHTS_COLUMNS, *weights])
    yield from _section("recipes", [(name, facts["summary"]) for name, facts in sections["recipes"].items()])


def weights_row(name: str, facts: Facts) -> tuple[str, ...]:
    """Return the five facts on a weights file, in the order of :data:`WEIGHTS_COLUMNS`.

    Args:
        name: of the file.
        facts: what :func:`vidcolor.inference.weights_file.describe` returns.
    """
    training = facts.get("training", {})
    if "blend" in training:
        # Older blends carry the figures of one of the two networks that they lie between.
        training = {key: value for key, value in training.items() if key not in {"figures", "pictures_seen"}}
    return name, facts["network"], decimal(facts["bytes"]), _pictures(training), _figures(training)


def _pictures(training: Facts) -> str:
    if "data_pictures" not in training:
        return UNKNOWN
    seen = f", {training['pictures_seen']:,} seen" if "pictures_seen" in training else ""
    return f"{training['data_pictures']:,} pictures{seen}"


def _figures(training: Facts) -> str:
    """Return the main figures of the last stage of training, which has a row for grey, one for the truth, and its own.

    Weights of earlier versions spell ``colorfulness`` with a u.
    """
    if "blend" in training:
        return "a blend of two networks: see its model card"
    stages: Mapping[str, Mapping[str, Facts]] = training.get("figures", {})
    rows = list(stages.values())[-1] if stages else {}
    own = next((figures for row, figures in rows.items() if row not in {"grey", "truth"}), None)
    if own is None or own.get("psnr") is None:
        return UNKNOWN
    colorfulness, true = (_colorfulness(figures) for figures in (own, rows.get("truth", {})))
    return f"PSNR {own['psnr']:.1f} dB, colorfulness {colorfulness} (true colors: {true})"


def _colorfulness(figures: Facts) -> str:
    value = figures.get("colorfulness", figures.get("colourfulness"))
    return UNKNOWN if value is None else f"{value:.1f}"


def _section(heading: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield heading
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(map(str.ljust, row, widths)).rstrip()
