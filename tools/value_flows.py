"""Find where the values of a package go, by its types: from variable to parameter, from parameter to attribute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mypy import build, nodes
from mypy.find_sources import create_source_list
from mypy.options import Options
from mypy.types import AnyType, CallableType, Instance, Type, TypeType, UnionType, get_proper_type

PACKAGE = "vidcolor"
SKIPPED = ("av", "click", "cv2", "numpy", "openvino", "PIL", "rich", "torch", "torchvision")
"""Packages that are not loaded: a value is not followed into them."""
COPIES = frozenset({"dataclasses.replace", "typing.cast"})
"""Functions whose result is one of their arguments, or a copy."""


@dataclass(frozen=True)
class Place:
    """Where a value is held: a variable or parameter, an attribute, or what a function returns."""

    where: str
    """Dotted name of the function or class."""
    name: str
    module: str

    def __str__(self) -> str:
        return f"{self.where.removeprefix(f'{PACKAGE}.')}({self.name})"


@dataclass(frozen=True)
class Flow:
    """A value goes from one place to another: by a call (1 step), or by an assignment (0 steps)."""

    source: Place
    target: Place
    into: int | None = None
    """The call that passes the value, or the reading of a property."""
    out_of: int | None = None
    """The call that returns it: the flow counts where the value has come by that call, or from an attribute."""
    through: Place | None = None
    """The attribute of a record by which the value is reached: the flow counts where that holds the value."""

    is_read: bool = False
    """Whether ``into`` is the reading of a property."""

    @property
    def steps(self) -> int:
        """How many calls this is."""
        return int(self.into is not None and not self.is_read)


@dataclass(frozen=True)
class Found:
    """A place from which an expression takes its value; see :class:`Flow`."""

    place: Place
    out_of: int | None = None
    through: Place | None = None


@dataclass
class Code:
    """The modules of the package, checked by mypy."""

    types: dict[nodes.Expression, Type]
    modules: dict[str, nodes.MypyFile]
    classes: list[nodes.TypeInfo] = field(default_factory=list)


def load(package: Path) -> Code:
    """Check a package with mypy and keep its syntax trees and types."""
    options = Options()
    options.incremental, options.export_types, options.preserve_asts = False, True, True
    patterns = [pattern for name in SKIPPED for pattern in (name, f"{name}.*")]
    options.per_module_options = {pattern: {"follow_imports": "skip"} for pattern in patterns}
    options.ignore_missing_imports, options.explicit_package_bases = True, True
    result = build.build(create_source_list([str(package)], options), options)
    modules = {name: tree for name, tree in result.files.items() if name.split(".")[0] == package.name}
    code = Code(result.types, modules)
    code.classes = [
        symbol.node
        for name, tree in modules.items()
        for symbol in tree.names.values()
        if isinstance(symbol.node, nodes.TypeInfo) and symbol.node.module_name == name
    ]
    return code


def children(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield the statements and expressions directly inside another."""
    if isinstance(node, nodes.AssignmentStmt):
        yield node.rvalue  # which mypy lists under another name
    for name in getattr(node, "__match_args__", ()):
        yield from flat_nodes(getattr(node, name, None) if name != "node" else None)


def flat_nodes(value: object) -> Iterator[nodes.Node]:
    """Yield the statements and expressions in nested lists."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from flat_nodes(item)
    elif isinstance(value, nodes.Statement | nodes.Expression | nodes.Argument):
        yield value


def is_record(info: nodes.TypeInfo) -> bool:
    """Return whether a class is a frozen dataclass."""
    return bool(info.metadata.get("dataclass", {}).get("frozen", False))


class FlowCollector:
    """Collects the flows of one module."""

    def __init__(self, code: Code, module: str) -> None:
        self.flows: list[Flow] = []
        self._code = code
        self._module = module
        self._functions: list[nodes.FuncDef] = []
        self._variables: dict[nodes.Var, Place] = {}

    def collect(self, node: nodes.Node) -> None:
        """Add the flows of a statement or expression and of all that it contains."""
        self._collect_own(node)
        if isinstance(node, nodes.FuncDef):
            self._functions.append(node)
        for child in children(node):
            self.collect(child)
        if isinstance(node, nodes.FuncDef):
            self._functions.pop()

    def _collect_own(self, node: nodes.Node) -> None:
        match node:
            case nodes.FuncDef():
                self._variables |= {part.variable: place_of(node, part.variable.name) for part in node.arguments}
            case nodes.AssignmentStmt():
                for target in node.lvalues:
                    self._assign(target, node.rvalue)
            case nodes.AssignmentExpr():
                self._assign(node.target, node.value)
            case nodes.ForStmt():
                self._assign(node.index, node.expr, items=True)
            case nodes.GeneratorExpr():
                for index, sequence in zip(node.indices, node.sequences, strict=True):
                    self._assign(index, sequence, items=True)
            case nodes.WithStmt():
                for value, name in zip(node.expr, node.target, strict=True):
                    self._assign(name, value)
            case nodes.ReturnStmt() | nodes.YieldExpr() | nodes.YieldFromExpr() if self._functions:
                self._flow(self.found(node.expr), place_of(self._functions[-1], "return"))
            case nodes.CallExpr():
                self._collect_call(node)
            case nodes.MemberExpr():
                self._collect_property(node)

    def _collect_call(self, call: nodes.CallExpr) -> None:
        for callee in self._callees(call.callee):
            if isinstance(callee, nodes.FuncDef):
                self._pass(call, callee)
                if isinstance(call.callee, nodes.MemberExpr) and callee.info and is_record(callee.info):
                    self._flow(self.found(call.callee.expr), place_of(callee, "self"), id(call))
            elif is_record(callee):
                for name, value in named_arguments(call, field_names(callee)):
                    self._flow(self.found(value), place_of(callee, name))
            elif isinstance(start := method(callee, "__init__"), nodes.FuncDef):
                self._pass(call, start)

    def _collect_property(self, read: nodes.MemberExpr) -> None:
        for info in self._classes_of(read.expr):
            for owner in filter(is_record, implementations(self._code, info)):
                node = owner.get(read.name)
                if node is not None and isinstance(node.node, nodes.Decorator) and is_ours(node.node.func):
                    self._flow(self.found(read.expr), place_of(node.node.func, "self"), id(read), is_read=True)

    def found(self, value: nodes.Expression | None) -> list[Found]:
        """Return where the value of an expression comes from, as far as it is followed."""
        match value:
            case nodes.NameExpr(node=nodes.Var() as variable):
                return [Found(self._place_of_variable(variable))]
            case nodes.MemberExpr():
                return list(self._found_attribute(value))
            case nodes.CallExpr():
                return list(self._found_result(value))
            case nodes.ConditionalExpr():
                return [*self.found(value.if_expr), *self.found(value.else_expr)]
            case nodes.OpExpr(op="or" | "and"):
                return [*self.found(value.left), *self.found(value.right)]
            case nodes.TupleExpr() | nodes.ListExpr():
                return [place for item in value.items for place in self.found(item)]
            case nodes.StarExpr():
                return self.found(value.expr)
            case nodes.AssignmentExpr():
                return self.found(value.value)
            case nodes.ListComprehension():
                return self.found(value.generator.left_expr)
            case nodes.GeneratorExpr():
                return self.found(value.left_expr)
        return []

    def _found_attribute(self, value: nodes.MemberExpr) -> Iterator[Found]:
        classes = list(self._classes_of(value.expr))
        if not classes:
            yield from self.found(value.expr)  # of a class of another package, such as Path
        for info in classes:
            for owner in implementations(self._code, info):
                node = owner.get(value.name)
                place = place_of(defining(owner, value.name), value.name)
                if node is not None and isinstance(node.node, nodes.Decorator):
                    yield Found(place_of(node.node.func, "return"), out_of=id(value))
                elif is_record(owner):
                    yield from (replace(found, through=place) for found in self.found(value.expr))
                else:
                    yield Found(place)

    def _found_result(self, call: nodes.CallExpr) -> Iterator[Found]:
        if isinstance(call.callee, nodes.RefExpr) and call.callee.fullname in COPIES:
            yield from (place for argument in call.args for place in self.found(argument))
            return
        callees = list(self._callees(call.callee))
        for callee in callees:
            if isinstance(callee, nodes.FuncDef):
                yield Found(place_of(callee, "return"), out_of=id(call))
            elif is_record(callee):
                yield from (place for argument in call.args for place in self.found(argument))
        if not callees and isinstance(call.callee, nodes.NameExpr) and isinstance(call.callee.node, nodes.TypeInfo):
            yield from (place for argument in call.args for place in self.found(argument))

    def _place_of_variable(self, variable: nodes.Var) -> Place:
        if variable not in self._variables:
            self._variables[variable] = Place(self._function_name(), variable.name, self._module)
        return self._variables[variable]

    def _function_name(self) -> str:
        return self._functions[-1].fullname if self._functions else self._module

    def _assign(self, target: nodes.Expression | None, value: nodes.Expression, *, items: bool = False) -> None:
        """Add ``target = value``; or ``for target in value``, with ``items``."""
        if isinstance(target, nodes.TupleExpr | nodes.ListExpr):
            values = value.items if isinstance(value, nodes.TupleExpr) and not items else [value] * len(target.items)
            for part, of_part in zip(target.items, values, strict=True):
                self._assign(part, of_part)
            return
        match target:
            case nodes.NameExpr(node=nodes.Var() as variable):
                self._flow(self.found(value), self._place_of_variable(variable))
            case nodes.MemberExpr():
                for info in self._classes_of(target.expr):
                    self._flow(self.found(value), place_of(defining(info, target.name), target.name))

    def _pass(self, call: nodes.CallExpr, function: nodes.FuncDef) -> None:
        for name, value in named_arguments(call, parameter_names(function)):
            self._flow(self.found(value), place_of(function, name), id(call))

    def _flow(self, sources: list[Found], target: Place, into: int | None = None, *, is_read: bool = False) -> None:
        flows = (Flow(found.place, target, into, found.out_of, found.through, is_read) for found in sources)
        self.flows += [flow for flow in flows if flow.source != target]

    def _classes_of(self, value: nodes.Expression) -> Iterator[nodes.TypeInfo]:
        """Yield the classes of the package that an expression can have."""
        for kind in flat_types(self._code.types.get(value)):
            if isinstance(kind, Instance) and is_ours(kind.type):
                yield kind.type

    def _callees(self, callee: nodes.Expression) -> Iterator[nodes.FuncDef | nodes.TypeInfo]:
        """Yield the functions and classes of the package that an expression can name."""
        node = callee.node if isinstance(callee, nodes.RefExpr) else None
        if isinstance(node, nodes.Decorator):
            node = node.func
        if isinstance(node, nodes.FuncDef | nodes.TypeInfo):
            yield from (node,) if is_ours(node) else ()
        elif isinstance(callee, nodes.MemberExpr):
            for info in self._classes_of(callee.expr):
                for owner in implementations(self._code, info):
                    found = method(owner, callee.name)
                    yield from (found,) if found is not None else ()
            for kind in flat_types(self._code.types.get(callee.expr)):
                if isinstance(kind, CallableType) and kind.is_type_obj() and is_ours(kind.type_object()):
                    found = method(kind.type_object(), callee.name)  # a method of the class itself
                    yield from (found,) if found is not None else ()


def flat_types(kind: Type | None) -> Iterator[Type]:
    """Yield the members of a union, and of what it may be the class of."""
    if kind is None:
        return
    proper = get_proper_type(kind)
    if isinstance(proper, UnionType):
        for item in proper.items:
            yield from flat_types(item)
    elif isinstance(proper, TypeType):
        yield from flat_types(proper.item)
    elif not isinstance(proper, AnyType):
        yield proper


def is_ours(node: nodes.FuncDef | nodes.TypeInfo) -> bool:
    """Return whether a function or class is of the package."""
    return node.fullname.split(".")[0] == PACKAGE


def method(info: nodes.TypeInfo, name: str) -> nodes.FuncDef | None:
    """Return a method of a class, or one that it inherits from a class of the package."""
    found = info.get(name)
    node = found.node if found is not None else None
    if isinstance(node, nodes.Decorator):
        node = node.func
    return node if isinstance(node, nodes.FuncDef) and is_ours(node) else None


def defining(info: nodes.TypeInfo, name: str) -> nodes.TypeInfo:
    """Return the class that defines an attribute."""
    return next((base for base in info.mro if name in base.names), info)


def implementations(code: Code, info: nodes.TypeInfo) -> Iterator[nodes.TypeInfo]:
    """Yield a class, those that inherit from it, and, of a protocol, those that have its members."""
    yield info
    for other in code.classes:
        fits = info.is_protocol and all(other.get(name) for name in info.protocol_members)
        if other is not info and (info in other.mro or fits):
            yield other


def parameter_names(function: nodes.FuncDef) -> list[str]:
    """Return the parameters of a function as a caller sees them, without ``self`` and ``cls``."""
    names = [argument.variable.name for argument in function.arguments]
    return names[1:] if function.info and not function.is_static else names


def field_names(record: nodes.TypeInfo) -> list[str]:
    """Return the fields of a dataclass in order."""
    return [attribute["name"] for attribute in record.metadata["dataclass"]["attributes"]]


def named_arguments(call: nodes.CallExpr, names: list[str]) -> Iterator[tuple[str, nodes.Expression]]:
    """Yield the arguments of a call with the parameters that take them; starred ones are left out."""
    free = iter(names)
    for value, kind, name in zip(call.args, call.arg_kinds, call.arg_names, strict=True):
        if kind == nodes.ARG_POS:
            taken = next(free, None)
            yield from [(taken, value)] if taken is not None else []
        elif kind == nodes.ARG_NAMED and name in names:
            yield name, value


def place_of(owner: nodes.FuncDef | nodes.TypeInfo, name: str) -> Place:
    """Return the place of a parameter, a field, or of what a function returns."""
    module = owner.module_name if isinstance(owner, nodes.TypeInfo) else module_of(owner)
    return Place(owner.fullname, name, module)


def module_of(function: nodes.FuncDef) -> str:
    """Return the module of a function or method."""
    return function.info.module_name if function.info else function.fullname.rpartition(".")[0]


def all_flows(code: Code) -> list[Flow]:
    """Return the flows of all modules."""
    flows = []
    for module, tree in code.modules.items():
        collector = FlowCollector(code, module)
        for statement in tree.defs:
            collector.collect(statement)
        flows += collector.flows
    return flows
