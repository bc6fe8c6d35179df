"""The contract: `schemas/` turned into validators, plain sentences and the documents that are served.

A compiled validator (`jsonschema_rs`) admits what is valid: it sees every request, on the event loop. `jsonschema` only words
what is wrong with the others (`wording`). Both read the same file and share the functions behind `format`, and a property test
holds that they never disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import orjson
import yaml

from tether_rt.domain.formats import FORMATS
from tether_rt.domain.wording import REF_PREFIX, fault, wording_validator
from tether_rt.errors import BadRequest, ConfigError, Fault

MAX_FAULTS: Final = 50
"""An answer lists so many."""
_MOST_ERRORS: Final = 500
"""So many are looked at. A call's body cannot have more, as the wording stops after a few in each list and object."""
_TOP_LEVEL: Final = re.compile(r"[^.\[]*")

_METHODS: Final = frozenset(("get", "post", "put", "patch", "delete", "head", "options"))


class Contract:
    """The HTTP and the WebSocket contract; immutable, built once by `load_contract`."""

    def __init__(self, openapi: dict[str, Any], asyncapi: dict[str, Any]) -> None:
        self._openapi = openapi
        self._asyncapi = asyncapi
        self.operations: Final = frozenset(
            (method.upper(), path) for path, item in openapi["paths"].items() for method in item if method in _METHODS
        )
        """Every (method, path template) of the HTTP contract, such as ("GET", "/api/calls/{callId}")."""
        self._compiled: dict[str, jsonschema_rs.Validator] = {}
        self._wording: dict[str, Any] = {}
        self._places: dict[str, dict[str, int]] = {}
        """The place of each field in its schema."""
        for document in (openapi, asyncapi):
            self._add(document["components"]["schemas"])

    def _add(self, schemas: Mapping[str, Any]) -> None:
        if twice := schemas.keys() & self._compiled.keys():
            raise ConfigError(f"Both contracts have a schema named {min(twice)}")
        compiled = {}
        roots = {name: {"$ref": REF_PREFIX + name, "components": {"schemas": dict(schemas)}} for name in schemas}
        for name, root in roots.items():
            compiled[name] = jsonschema_rs.Draft202012Validator(root, formats=dict(FORMATS), validate_formats=True)
        wording = wording_validator(compiled, schemas)
        self._compiled.update(compiled)
        self._wording.update((name, wording(root)) for name, root in roots.items())
        for name, schema in schemas.items():
            self._places[name] = {field: place for place, field in enumerate(schema.get("properties", ()))}

    @property
    def schema_names(self) -> frozenset[str]:
        """The names that `check` takes: every component schema of both documents."""
        return frozenset(self._compiled)

    def check(self, schema_name: str, body: object) -> None:
        """Return when `body` (JSON, as `orjson.loads` gives it) satisfies the named component schema.

        Raises `BadRequest` with everything that is wrong (`faults`), `KeyError` for a schema that does not exist.
        """
        if not self.is_valid(schema_name, body):
            raise BadRequest.of(self.faults(schema_name, body))

    def is_valid(self, schema_name: str, body: object) -> bool:
        """Return whether `body` satisfies the named component schema."""
        return self._compiled[schema_name].is_valid(body)

    def faults(self, schema_name: str, body: object) -> list[Fault]:
        """Return what is wrong with a body that is not valid, which is at least one fault, in the order of the schema."""
        # None: a value that JSON does not have, such as NaN, which only the compiled validator refuses.
        return self.in_order(schema_name, self.found(schema_name, body)) or [
            Fault("bad_request", None, f"The body does not match the schema {schema_name}")
        ]

    def found(self, schema_name: str, body: object) -> list[Fault]:
        """Return what is wrong with a body, in the order in which it is found; nothing for a valid one."""
        return [fault(error) for error in islice(self._wording[schema_name].iter_errors(body), _MOST_ERRORS)]

    def in_order(self, schema_name: str, faults: Iterable[Fault]) -> list[Fault]:
        """Return the first `MAX_FAULTS` faults in the order of the schema's fields, one of each place."""
        places = self._places[schema_name]
        first: dict[str | None, Fault] = {}
        for each in faults:
            first.setdefault(each.field, each)

        def place(one: Fault) -> int:
            name = _TOP_LEVEL.match(one.field) if one.field is not None else None
            return places.get(name[0], len(places)) if name else -1

        return sorted(first.values(), key=place)[:MAX_FAULTS]

    def openapi_json(self, base_path: str = "") -> bytes:
        """Return `schemas/openapi.yaml` as JSON, of a server below this path."""
        servers = [{**server, "url": base_path or "/"} for server in self._openapi["servers"]]
        return orjson.dumps({**self._openapi, "servers": servers})

    def asyncapi_json(self, base_path: str = "") -> bytes:
        """Return `schemas/asyncapi.yaml` as JSON, of a server below this path."""
        below = {"pathname": base_path} if base_path else {}
        servers = {name: {**server, **below} for name, server in self._asyncapi["servers"].items()}
        return orjson.dumps({**self._asyncapi, "servers": servers})


def load_contract(folder: Path | None = None) -> Contract:
    """Read both documents from `folder`, by default the installed package's or the checkout's `schemas/`.

    Raises `ConfigError` when they are not there or cannot be read.
    """
    folder = folder or _schemas_folder()
    return Contract(_read(folder / "openapi.yaml"), _read(folder / "asyncapi.yaml"))


def _schemas_folder() -> Path:
    package = Path(__file__).parents[1]
    installed = package / "schemas"
    return installed if installed.is_dir() else package.parent / "schemas"


def _read(path: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is seven times as fast, where PyYAML was built with it
    try:
        document = yaml.load(path.read_bytes(), loader)  # noqa: S506  both loaders are safe ones
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"The contract {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"The contract {path} is not a YAML mapping")
    return document
