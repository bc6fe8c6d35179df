"""Undocumented names of the driver are used in `mongo/wire/` alone, are all listed, and exist in the installed version."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pymongo.database
import pytest
from pymongo.synchronous.pool import Connection

import tether_rt.mongo
from tether_rt.mongo import client as store
from tether_rt.mongo.wire import UNDOCUMENTED

PACKAGE = Path(tether_rt.mongo.__file__).parent
WIRE = sorted((PACKAGE / "wire").glob("*.py"))
OTHERS = sorted(PACKAGE.glob("*.py"))
DRIVERS = ("pymongo", "motor", "bson")
DOCUMENTED = frozenset(
    "bson bson.codec_options bson.errors bson.raw_bson motor.motor_asyncio pymongo pymongo.errors pymongo.read_concern".split()
)
"""Modules whose names are documented, unless they begin with an underscore."""
BY_ATTRIBUTE = {
    name.rpartition(".")[2]: name for name in UNDOCUMENTED if name.split(".")[-2][0].isupper() or "Database" in name
}
"""Names that are reached through an object, and not imported."""
OF_NAMED_TUPLES = ("_asdict", "_replace")
"""Documented, and with an underscore so that no field has the name."""


def undocumented_imports(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports from the driver that is not documented."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in DRIVERS:
            for alias in node.names:
                if node.module not in DOCUMENTED or alias.name.startswith("_"):
                    yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] in DRIVERS and one.name not in DOCUMENTED)


def undocumented_attributes(tree: ast.Module) -> Iterator[str]:
    """Yield attributes that are listed, and private ones of anything but `self` and the standard library."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            is_known = isinstance(node.value, ast.Name) and node.value.id in ("self", "os")
            is_private = node.attr.startswith("_") and not node.attr.startswith("__") and node.attr not in OF_NAMED_TUPLES
            if not is_known and (is_private or node.attr in BY_ATTRIBUTE):
                yield BY_ATTRIBUTE.get(node.attr, node.attr)


def used(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {*undocumented_imports(tree), *undocumented_attributes(tree)}


def test_the_list_has_every_undocumented_name_that_is_used_and_no_other() -> None:
    assert set().union(*map(used, WIRE)) == set(UNDOCUMENTED)


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_nothing_else_uses_an_undocumented_name(path: Path) -> None:
    assert used(path) == set()


OF_OBJECTS = {"motor.motor_asyncio.AsyncIOMotorDatabase.delegate", "pymongo.synchronous.pool.Connection.conn"}
"""Attributes that only objects have, and not their classes."""


@pytest.mark.parametrize("name", [name for name in UNDOCUMENTED if name not in OF_OBJECTS])
def test_the_installed_driver_has_the_name(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("pymongo.helpers_shared._check_command_response", ({"ok": 1}, None)),
        ("pymongo.helpers_shared._check_write_command_response", ({"ok": 1},)),
        ("pymongo.synchronous.mongo_client.MongoClient._conn_for_writes", ("self", None, "operation")),
        ("pymongo.synchronous.pool.Connection.close_conn", ("self", None)),
    ],
)
def test_the_installed_driver_takes_the_arguments(name: str, arguments: tuple[object, ...]) -> None:
    inspect.signature(pkgutil.resolve_name(name)).bind(*arguments)


def test_the_installed_drivers_objects_have_the_attributes() -> None:
    client = store.connect("mongodb://127.0.0.1:1")
    assert isinstance(store.database(client, "unused").delegate, pymongo.database.Database)
    client.close()
    assert "conn" in inspect.signature(Connection).parameters
    assert isinstance(pkgutil.resolve_name("pymongo.network_layer.NetworkingInterface.get_conn"), property)
