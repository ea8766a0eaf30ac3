"""Recipes as TOML: from a file to checked records, and from records to a file that holds every value."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin

import cattrs
import tomli_w
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError

from vidcolor.errors import OptionError
from vidcolor_training.recipes.recipe import FieldError, NetworkRecipe, Recipe

KINDS = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with vidcolor, sorted."""
    folder = resources.files(__package__)
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """Load a recipe by its name, or from a TOML file.

    Args:
        name_or_path: A name such as ``default``, or a path that ends with ``.toml``.
        changes: Assignments ``table.key=value``, with the value in TOML, that replace a value of the recipe, or of
            every stage: ``stages.size=128``; outside tables ``seed=2``.

    Raises:
        OptionError: The recipe does not exist, or one of its values is not valid.
    """
    own = Path(name_or_path)
    if own.suffix == ".toml":
        if not own.is_file():
            raise OptionError(f"{own}: expected a recipe, found no such file")
        try:
            text = own.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise OptionError(f"{own}: expected a recipe in UTF-8, found a file that cannot be read: {exc}") from exc
    elif name_or_path in recipe_names():
        text = (resources.files(__package__) / f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        raise OptionError(f"unknown recipe {name_or_path!r}; there are: {', '.join(recipe_names())}, or a .toml file")
    return parse_recipe(text, changes, where=name_or_path)


def parse_recipe(text: str, changes: Sequence[str] = (), *, where: str) -> Recipe:
    """Parse the text of a recipe with ``changes`` (see :func:`load_recipe`). ``where`` names it in errors.

    Raises:
        OptionError: The text is not TOML, or one of its values is not valid.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise OptionError(f"recipe {where}: expected TOML, found something else: {exc}") from exc
    for change in changes:
        try:
            _apply(change, table)
        except (tomllib.TOMLDecodeError, LookupError, AttributeError, TypeError) as exc:
            expected = "TABLE.KEY=VALUE with a table of the recipe and a value in TOML"
            raise OptionError(f"recipe {where}: expected {expected}, found {change!r}") from exc
    try:
        return CONVERTER.structure(table, Recipe)
    except BaseValidationError as exc:
        message, _, path = cattrs.transform_error(exc, path="", format_exception=_describe)[0].rpartition(" @ ")
        raise OptionError(f"recipe {where}: {_place(path, table)}{message}") from exc


def resolved_text(recipe: Recipe) -> str:
    """Return a recipe as TOML with every value, defaults and changes included. Parsing it gives an equal recipe."""
    table = CONVERTER.unstructure(recipe)
    return tomli_w.dumps({key: value for key, value in table.items() if value is not None})


def recipe_sha256(recipe: Recipe) -> str:
    """Return the SHA-256 of :func:`resolved_text`."""
    return hashlib.sha256(resolved_text(recipe).encode()).hexdigest()


def _apply(change: str, table: dict[str, Any]) -> None:
    """Replace a value of a recipe's table; of every stage where the change names ``stages``."""
    *sections, key = change.partition("=")[0].strip().split(".")
    value = tomllib.loads(change)
    target: Any = table
    for section in sections:
        value, target = value[section], target[section]
    for part in target if isinstance(target, list) else [target]:
        part[key] = value[key]


def _make_converter() -> cattrs.Converter:
    """Return a converter that refuses unknown fields, and values of another type instead of converting them."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in KINDS:
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook_func(lambda kind: str(kind).startswith("typing.Literal"), _structure_literal)
    converter.register_structure_hook(NetworkRecipe, _structure_network)
    converter.register_unstructure_hook(NetworkRecipe, lambda network: {"name": network.name, **network.config})
    return converter


def _strict(kind: type) -> Callable[[Any, Any], Any]:
    """Return a structure hook that takes values of ``kind`` alone; whole numbers are numbers too."""
    accepted = (int, float) if kind is float else kind

    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"expected {KINDS[kind]}, found {value!r}")
        return kind(value)

    return structure


def _structure_literal(value: Any, literal: Any) -> Any:
    choices = get_args(literal)
    if value not in choices:
        raise TypeError(f"expected one of {', '.join(map(str, choices))}, found {value!r}")
    return value


def _structure_network(table: Any, _: Any) -> NetworkRecipe:
    if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
        raise TypeError(f"expected a table with the name of a network, found {table!r}")
    return NetworkRecipe(name=table["name"], config={key: value for key, value in table.items() if key != "name"})


CONVERTER = _make_converter()


def _describe(exc: BaseException, kind: type | None) -> str:
    """Return what was expected and what was found, for an exception that was raised at one value."""
    if isinstance(exc, KeyError):
        return "expected a value, found none"
    if isinstance(exc, ForbiddenExtraKeysError):
        return f"unknown field {', '.join(sorted(exc.extra_fields))}"
    if isinstance(exc, FieldError) or str(exc).startswith("expected "):
        return str(exc)
    if kind is None:  # cattrs gives no type for a tuple of the wrong length
        return "expected an array, found one of another length"
    return f"expected {'an array' if get_origin(kind) is tuple else 'a table'}, found something else"


def _place(path: str, table: Mapping[str, Any]) -> str:
    """Return the path of a value as users read it: ``stages[0].size`` as ``stage coarse: size: ``."""
    path = path.lstrip(".")
    if match := re.match(r"stages\[(\d+)\]\.?", path):
        stage = table["stages"][int(match[1])]
        number = int(match[1]) + 1
        name = stage.get("name", number) if isinstance(stage, Mapping) else number
        path = f"stage {name}.{path[match.end() :]}".rstrip(".")
    return "".join(f"{part}: " for part in path.split(".") if part)
