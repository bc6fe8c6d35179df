"""Undocumented names of libraries stay in the few files that have a reason for them.

A name that begins with an underscore belongs to the class, module or object that defines it; the documentation of a library
promises nothing about it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tether_rt

PACKAGE = Path(tether_rt.__file__).parent
HOME = {"hub/wire.py": "Tornado's write buffer", "mongo/wire": "PyMongo's connections"}
"""Where such names have been measured to be worth it, and are tried against the pinned versions."""

ALLOWED: dict[str, set[str]] = {}
"""Exceptions, by file. None is left, and none is added."""
BUILT_IN = ("builtins", "abc", "typing", "enum", "dataclasses")
DOCUMENTED = {"_exit", "_asdict", "_fields", "_make", "_replace"}
"""Of `os` and of named tuples."""

FILES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def own_names(tree: ast.Module) -> set[str]:
    """Return the private names that a file defines itself: functions, classes, attributes, fields."""
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
            found.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in found if is_private(name)}


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def foreign_names(path: Path) -> Iterator[str]:
    """Yield the private names of others that a file uses: imported, or an attribute of something that is not its own."""
    tree = ast.parse(path.read_text())
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and not is_self(node.value) and node.attr not in own:
            yield node.attr


@cache
def names_of_library_class(library_class: type) -> frozenset[str]:
    """Return the private attributes and methods of one class of a library, as its source has them."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(library_class)))
    except (OSError, TypeError):  # written in C
        return frozenset(filter(is_private, vars(library_class)))
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_self(node.value)}
    return frozenset(filter(is_private, {*vars(library_class), *attributes}))


def inherited_names(path: Path) -> Iterator[str]:
    """Yield the private names of a library's classes that a file's subclasses use or define."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    module = importlib.import_module(".".join(("tether_rt", *parts)).removesuffix(".__init__"))
    for node in ast.parse(path.read_text()).body:
        our_class = getattr(module, node.name) if isinstance(node, ast.ClassDef) else None
        if not isinstance(our_class, type):
            continue
        libraries = [base for base in our_class.__mro__ if base.__module__.partition(".")[0] not in ("tether_rt", *BUILT_IN)]
        names = frozenset[str]().union(*map(names_of_library_class, libraries))
        used = {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
        yield from names & (used | own_names(ast.Module([node], [])))


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith(tuple(HOME)) and file != "__main__.py"])
def test_a_file_uses_no_undocumented_name_of_a_library(file: str) -> None:
    assert undocumented(file) - ALLOWED.get(file, set()) == set()


def undocumented(file: str) -> set[str]:
    return {*foreign_names(PACKAGE / file), *inherited_names(PACKAGE / file)}


def test_what_is_gone_is_taken_off_the_list() -> None:
    assert {file: names - undocumented(file) for file, names in ALLOWED.items()} == {file: set() for file in ALLOWED}
    assert all(any(file.startswith(home) for file in FILES) for home in HOME)
