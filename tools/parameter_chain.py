"""Measure how deep a parameter goes: ``python -m tools.parameter_chain vidcolor.pipeline.colorize_video dest``.

The calls that hand the parameter on are printed, and the longest chain of them. Followed are the value itself, its
attributes, what a class of another package converts it to (``Path(dest)``), and frozen dataclasses that hold it. Other
objects that store it own it: passing them on does not count, but calls by which their methods hand on the value do.
What is computed from it, such as another path or a message, is another value.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mypy import nodes
from mypy.types import Instance

from tools.value_flows import PACKAGE, Code, Flow, Place, all_flows, flat_types, load, place_of

ROOT = Path(__file__).resolve().parents[1]

Calls = tuple[int, ...] | None
"""The calls by which a value has come; None: it comes from an attribute, by any call."""


@dataclass(frozen=True)
class Chain:
    """A way of the value from the parameter on."""

    flows: tuple[Flow, ...] = ()
    calls: Calls = ()

    @property
    def steps(self) -> int:
        """How many calls the chain has."""
        return sum(flow.steps for flow in self.flows)

    def extended(self, flow: Flow, attributes: set[str]) -> Chain | None:
        """Return the chain with another flow; None if the value cannot come that way.

        Args:
            flow: from the place where the chain ends.
            attributes: the dotted names of classes.
        """
        calls = self.calls
        if flow.out_of is not None and calls is not None:
            if not calls or calls[-1] != flow.out_of:
                return None
            calls = calls[:-1]
        if flow.into is not None and calls is not None:
            calls = (*calls, flow.into)
        return Chain((*self.flows, flow), None if flow.target.where in attributes else calls)


def all_chains(flows: Iterable[Flow], start: Place, classes: set[str], holding: set[Place]) -> Iterator[Chain]:
    """Yield chains to every place that holds the value, each longer than those before to the same place.

    Args:
        flows: those of the package.
        start: the parameter.
        classes: the dotted names of all classes.
        holding: attributes that hold the value.
    """
    leaving: dict[Place, list[Flow]] = {}
    for flow in flows:
        if flow.through is None or flow.through in holding:
            leaving.setdefault(flow.source, []).append(flow)
    depths: dict[tuple[Place, Calls], int] = {}
    stack = [Chain()]
    while stack:
        chain = stack.pop()
        yield chain
        passed = {start, *(flow.target for flow in chain.flows)}
        for flow in leaving.get(chain.flows[-1].target if chain.flows else start, []):
            longer = chain.extended(flow, classes) if flow.target not in passed else None
            if longer is not None and longer.steps > depths.get((flow.target, longer.calls), -1):
                depths[flow.target, longer.calls] = longer.steps
                stack.append(longer)


def follow(flows: list[Flow], start: Place, classes: set[str], parts: set[Place]) -> list[Chain]:
    """Return all chains; ``parts`` are attributes of the parameter itself."""
    holding = parts
    while True:
        chains = list(all_chains(flows, start, classes, holding))
        found = holding | {flow.target for chain in chains for flow in chain.flows if flow.target.where in classes}
        if found == holding:
            return chains
        holding = found


@dataclass(frozen=True)
class Course:
    """All the ways of a parameter."""

    start: Place
    chains: tuple[Chain, ...]

    @property
    def longest(self) -> Chain:
        """The chain with the most steps."""
        return max(self.chains, key=lambda chain: chain.steps)

    @property
    def calls(self) -> set[str]:
        """The calls that hand the value on."""
        flows = (flow for chain in self.chains for flow in chain.flows if flow.steps)
        return {f"{flow.source} → {flow.target}" for flow in flows}

    def modules_of(self, *chains: Chain) -> set[str]:
        """Return the modules that the value comes through."""
        return {self.start.module, *(flow.target.module for chain in chains for flow in chain.flows)}


def follow_parameter(code: Code, function: str, parameter: str) -> Course:
    """Follow a parameter of a function, both given by name.

    Raises:
        SystemExit: there is no such function or parameter.
    """
    start, parts = find_parameter(code, function, parameter)
    return Course(start, tuple(follow(all_flows(code), start, {info.fullname for info in code.classes}, parts)))


def find_parameter(code: Code, function: str, parameter: str) -> tuple[Place, set[Place]]:
    """Return the place of a parameter, and the attributes of its class.

    Raises:
        SystemExit: there is no such function or parameter.
    """
    module, _, name = function.rpartition(".")
    symbol = code.modules[module].names.get(name) if module in code.modules else None
    node = symbol.node if symbol is not None else None
    if isinstance(node, nodes.Decorator):
        node = node.func
    for argument in node.arguments if isinstance(node, nodes.FuncDef) else ():
        if argument.variable.name == parameter and isinstance(node, nodes.FuncDef):
            kinds = [kind.type for kind in flat_types(argument.variable.type) if isinstance(kind, Instance)]
            return place_of(node, parameter), {place_of(kind, part) for kind in kinds for part in kind.names}
    raise SystemExit(f"{function}: expected a function with a parameter '{parameter}'")


def main() -> None:
    """Print all calls that hand a parameter on, and the longest chain of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("function", help="dotted name, such as vidcolor.pipeline.colorize_video")
    parser.add_argument("parameter")
    arguments = parser.parse_args()
    course = follow_parameter(load(ROOT / PACKAGE), arguments.function, arguments.parameter)
    longest, everywhere = course.longest, course.modules_of(*course.chains)
    lines = [
        *sorted(course.calls),
        f"all calls: {len(course.calls)}, in {len(everywhere)} modules",
        *(f"{'→' if flow.steps else ' '} {flow.target}" for flow in longest.flows),
        f"longest chain: {longest.steps} calls, through {len(course.modules_of(longest))} modules",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
