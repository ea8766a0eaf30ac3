"""Change the code of a room in small ways, and see which changes its tests notice.

``python -m tools.mutants motion --number 60 --seed 1`` draws 60 changes of constants, comparisons and operators in
``vidcolor/motion``, makes one at a time in a copy of the checkout, and runs the quick tests of ``tests/motion`` on it.
A line of JSON says what became of each: ``dies``, if a test fails or does not end, or ``survives``.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

ROOT = Path(__file__).resolve().parents[1]
COPIED, LINKED = ("vidcolor", "tests"), ("training", "weights", "tools", "benchmarks", "docs", "pyproject.toml")
MAX_SECONDS = 900
"""Time for the tests of one mutant."""
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
CALLS = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "floor": "ceil", "ceil": "floor"}
GROWTH = 1.5
"""Factor on a constant with a fraction; a whole number grows by 1."""


@dataclass(frozen=True)
class Mutant:
    """One small change of a module."""

    path: Path
    """From the root of the checkout."""
    line: int
    before: str
    after: str
    source: str
    """The whole module with the change."""


def changed(node: ast.AST) -> ast.AST | None:
    """Return a syntax node that does something slightly different; None if the node is left as it is."""
    match node:
        case ast.Constant(value=bool() as value):
            return ast.Constant(not value)
        case ast.Constant(value=int() as value):
            return ast.Constant(value + 1)
        case ast.Constant(value=float() as value):
            return ast.Constant(value * GROWTH or 1.0)
        case ast.Compare(ops=[operator]) if type(operator) in COMPARISONS:
            return ast.Compare(node.left, [COMPARISONS[type(operator)]()], node.comparators)
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            return ast.BinOp(node.left, OPERATORS[type(operator)](), node.right)
        case ast.BoolOp():
            return ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            return node.operand
        case ast.Name(id=name) if name in CALLS:
            return ast.Name(CALLS[name], node.ctx)
        case ast.Attribute(attr=name) if name in CALLS:
            return ast.Attribute(node.value, CALLS[name], node.ctx)
    return None


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield all mutants of a module; annotations stay as they are."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns"):
                continue
            for index, node in enumerate(value if isinstance(value, list) else [value]):
                other = changed(node) if isinstance(node, ast.AST) else None
                if other is None:
                    continue
                _put(parent, field, index, other)
                mutated = ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree)))
                _put(parent, field, index, node)
                yield Mutant(path, getattr(node, "lineno", 0), ast.unparse(node), ast.unparse(other), mutated)


def _put(parent: ast.AST, field: str, index: int, node: ast.AST) -> None:
    value = getattr(parent, field)
    if isinstance(value, list):
        value[index] = node
    else:
        setattr(parent, field, node)


def is_noticed(mutant: Mutant, room: str, checkout: Path) -> bool:
    """Run the tests of a room on a mutant, those of its module first; return whether one fails."""
    file = checkout / mutant.path
    original = file.read_text(encoding="utf-8")
    folder = Path("tests") / room
    first = folder / f"test_{mutant.path.stem}.py"
    paths = os.pathsep.join(map(str, (checkout, checkout / "training", checkout / "weights")))
    tests = [str(path) for path in (first, folder) if (ROOT / path).exists()]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    file.write_text(mutant.source, encoding="utf-8")
    try:
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, timeout=MAX_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_text(original, encoding="utf-8")
    return done.returncode != 0


def main() -> None:
    """Draw mutants of a room, and print what becomes of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("room", help="a folder of vidcolor/, such as motion")
    parser.add_argument("--number", type=int, default=60, help="how many changes are tried")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--without", nargs="*", default=[], help="modules that are left out")
    arguments = parser.parse_args()
    folder = Path("vidcolor") / arguments.room
    paths = [path for path in sorted((ROOT / folder).glob("*.py")) if path.stem not in arguments.without]
    mutants = [mutant for path in paths for mutant in mutants_of(path.relative_to(ROOT))]
    drawn = random.Random(arguments.seed).sample(mutants, min(arguments.number, len(mutants)))
    died = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        checkout = Path(name)
        for part in COPIED:
            copytree(ROOT / part, checkout / part)
        for part in LINKED:
            (checkout / part).symlink_to(ROOT / part)
        for mutant in drawn:
            dies = is_noticed(mutant, arguments.room, checkout)
            died += dies
            place = f"{mutant.path}:{mutant.line}"
            about = {"place": place, "before": mutant.before, "after": mutant.after}
            _print({**about, "result": "dies" if dies else "survives"})
    _print({"room": arguments.room, "mutants": len(mutants), "drawn": len(drawn), "died": died})


def _print(record: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
