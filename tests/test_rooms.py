"""Which folder may import which, and which may print, exit or use the libraries of the command line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (ROOT / "vidcolor", ROOT / "training" / "vidcolor_training", ROOT / "weights" / "vidcolor_weights")
ROOMS = (
    {"vidcolor_training"},
    {"vidcolor_training.evaluation", "vidcolor_training.objectives"},
    {"vidcolor_training.data", "vidcolor_training.pretrained"},
    {"vidcolor_training.extras", "vidcolor_training.recipes"},
    {"vidcolor.__main__"},
    {"vidcolor.cli"},
    {"vidcolor.demo", "vidcolor.inspect"},
    {"vidcolor.folder"},
    {"vidcolor.photograph", "vidcolor.pipeline"},
    {"vidcolor.film_run", "vidcolor.generator", "vidcolor.render"},
    {"vidcolor.resume"},
    {"vidcolor.motion"},
    {"vidcolor.inference"},
    {"vidcolor.networks"},
    {"vidcolor.media"},
    {"vidcolor.stills"},
    {"vidcolor.color"},
    {"vidcolor.files"},
    {"vidcolor.frames", "vidcolor.options", "vidcolor.progress", "vidcolor.stages"},
    {"vidcolor._version", "vidcolor.errors", "vidcolor_weights"},
)
"""From the top down. Rooms of one set do not import each other."""
EVERYWHERE = "vidcolor"
"""The package itself: the public names, which load what they need when they are first used."""
COMMAND_LINE = {"vidcolor.__main__", "vidcolor.cli", "vidcolor_training"}
"""Rooms that may print, exit, and import click and rich."""
CONSOLE_LIBRARIES = {"click", "rich"}
CONSOLE_CALLS = {"print", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write", "sys.stderr.write"}


def test_imports_point_down() -> None:
    """A module imports only from its own room and from those below it, also inside functions and for types."""
    floors = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
    up = []
    for module, imported in all_imports():
        if module == EVERYWHERE or imported == EVERYWHERE:
            continue
        own, other = room_of(module), room_of(imported)
        if own != other and floors[other] <= floors[own]:
            up.append(f"{module} imports {imported}")
    assert not up


def test_no_circles() -> None:
    """No module imports itself by way of others; the sorter raises with the circle."""
    sorter = TopologicalSorter[str]()
    for module, imported in all_imports():
        if module != EVERYWHERE and imported != module:
            sorter.add(module, imported)
    assert list(sorter.static_order())


def test_only_the_command_line_prints_and_exits() -> None:
    """The library raises errors and calls back; printing and exiting are the command line's."""
    found = []
    for module, path in module_paths().items():
        if room_of(module) in COMMAND_LINE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in CONSOLE_CALLS:
                found.append(f"{module} calls {ast.unparse(node.func)}")
            elif isinstance(node, ast.Name) and node.id == "SystemExit":
                found.append(f"{module} names SystemExit")
            found += [f"{module} imports {name}" for name in imported_packages(node) if name in CONSOLE_LIBRARIES]
    assert not found


def room_of(module: str) -> str:
    """``vidcolor.media`` of ``vidcolor.media.probe``; a module that is in no room of its package is in the package."""
    parts = module.split(".")
    inner = ".".join(parts[:2])
    return inner if parts[0] == "vidcolor" or any(inner in rooms for rooms in ROOMS) else parts[0]


def all_imports() -> Iterator[tuple[str, str]]:
    """Pairs of a module of ours and one that it imports."""
    paths = module_paths()
    for module, path in paths.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((module, alias.name) for alias in node.names if alias.name in paths)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    if inner in paths:
                        yield module, inner
                    elif node.module in paths:
                        yield module, node.module


def module_paths() -> dict[str, Path]:
    """Return the file of each of our modules."""
    return {name_of(path, source): path for source in SOURCES for path in source.rglob("*.py")}


def imported_packages(node: ast.AST) -> set[str]:
    """Return the top-level packages that an import statement names."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module is not None:
        return {node.module.partition(".")[0]}
    return set()


def name_of(path: Path, source: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
