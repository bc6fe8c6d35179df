"""Imports run one way, so that what is below can be read, tested and changed without what is above."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tether_rt

PACKAGE = Path(tether_rt.__file__).parent

# From the top down: a folder, or a module that stands lower than its folder. What stands in one line may not import from its
# neighbours, only from what is below.
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in (
        "__main__",
        "demo",
        "cli",
        "commands",
        "server",
        "app",
        "routes",
        "api",
        "ingest hub erasure",
        "accounts http recordings",
        "auth",
        "mongo",
        "domain settings",
        "runtime",
        "demo.samples errors client",
    )
)


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted([*PACKAGE.rglob("*.py"), *(PACKAGE / "client").rglob("*.py")]):  # a link is not followed by itself
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__") or "tether_rt"] = path
    return found


MODULES = modules()


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports, wherever in it, as far as they name modules."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                assert path.parent == PACKAGE / "client", f"{path} imports relative to itself"
                continue  # it has two names (docs/decisions/python-client.md)
            assert node.module is not None
            own = node.module == "tether_rt" or node.module.startswith("tether_rt.")
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if own and name.removeprefix("tether_rt.") in MODULES else node.module)
    return found


def own_imports(path: Path) -> set[str]:
    return {name.removeprefix("tether_rt.") for name in imports(path) if name.startswith("tether_rt.")}


def place_of(module: str) -> str:
    """Return the folder or module by which LAYERS names this module."""
    names = [name for layer in LAYERS for name in layer if f"{module}.".startswith(f"{name}.")]
    assert names, f"{module} has no place in the layers: give it one"
    return max(names, key=len)


def layer_of(module: str) -> int:
    place = place_of(module)
    return next(number for number, layer in enumerate(LAYERS) if place in layer)


INNER = [name for name in MODULES if name != "tether_rt"]


@pytest.mark.parametrize("module", INNER)
def test_imports_run_down_and_not_to_a_neighbour(module: str) -> None:
    for imported in own_imports(MODULES[module]):
        if place_of(imported) != place_of(module):
            assert layer_of(imported) > layer_of(module), f"{module} imports {imported}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    edges = {name: own_imports(path) & MODULES.keys() for name, path in MODULES.items()}
    while leaves := [name for name, imported in edges.items() if not imported & edges.keys()]:
        for name in leaves:
            del edges[name]
    assert edges == {}, "these import each other"


def test_the_package_itself_imports_nothing() -> None:
    assert imports(MODULES["tether_rt"]) <= {"__future__"}


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("motor", "mongo"),
        ("pymongo", "mongo"),
        ("bson", "mongo"),
        ("aioboto3", "recordings.r2"),
        ("aiobotocore", "recordings.r2"),
        ("botocore", "recordings.r2 recordings.s3_put"),
        ("aiohttp", "recordings.r2 recordings.s3_put client"),
        ("tinytag", "recordings.duration"),
        ("jwt", "auth.credentials"),
        ("argon2", "auth.credentials"),
        ("cryptography", "auth.credentials auth.sealed_bodies ingest.vendors.proof_methods"),
        ("phonenumbers", "domain.phone"),
        ("jsonschema", "domain.wording"),
        ("jsonschema_rs", "domain.contract domain.wording"),
        ("prometheus_client", "runtime.metrics"),
        ("click", "cli commands demo.demo"),
    ],
)
def test_a_library_is_known_in_one_place(library: str, home: str) -> None:
    users = {name for name, path in MODULES.items() if any(one.partition(".")[0] == library for one in imports(path))}
    assert users, "nobody uses it"
    assert {name for name in users if not any(f"{name}.".startswith(f"{place}.") for place in home.split())} == set()


@pytest.mark.parametrize(
    "module",
    [
        *(name for name in MODULES if name.startswith(("domain.", "ingest.vendors."))),
        "errors",
        "auth.credentials",
        "http.headers",
        "http.json_body",
        "hub.frames",
        "hub.protocol",
        "ingest.storable",
        "mongo.batch_plan",
        "mongo.wire.op_msg",
        "recordings.fetch.url_policy",
        "client.errors",
        "client.items",
        "commands.event_table",
    ],
)
def test_what_is_pure_does_no_io_and_knows_no_loop(module: str) -> None:
    assert imports(MODULES[module]).isdisjoint(
        {"asyncio", "socket", "subprocess", "threading", "time", "tornado", "logging", "os"}
    )


def test_every_layer_has_somebody_in_it() -> None:
    assert {name for layer in LAYERS for name in layer} == {place_of(name) for name in INNER}
