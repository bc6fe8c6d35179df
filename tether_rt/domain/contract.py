"""The contract: `schemas/` turned into validators, plain sentences and the documents that are served.

A compiled validator (`jsonschema_rs`) admits what is valid: it sees every request, on the event loop. `jsonschema` only words
what is wrong with the others. Both read the same file and share the functions behind `format`, and a property test holds
that they never disagree.

The wording is made for input of any size: it stops at the first problem, finds the first bad item of a long array with the
compiled validator, and never repeats the caller's values, whose text may be megabytes long or nested past what `repr` bears.
"""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import orjson
import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from tether_rt.errors import BadRequest, ConfigError

MAX_NAME_CHARS: Final = 64
"""A field's name, which may be the caller's own, is cut at this length in a sentence."""
MAX_TIME_CHARS: Final = 64
_CACHED_DATES: Final = 1_024
"""Calls of one day have one date."""

_METHODS: Final = frozenset(("get", "post", "put", "patch", "delete", "head", "options"))
_REF_PREFIX: Final = "#/components/schemas/"
_PLAIN_NAME: Final = re.compile(rf"[A-Za-z0-9_$-]{{1,{MAX_NAME_CHARS}}}", re.ASCII)
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_DATE_TIME: Final = re.compile(rf"{_DATE.pattern}[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)


class Contract:
    """The HTTP and the WebSocket contract; immutable, built once by `load_contract`."""

    def __init__(self, openapi: dict[str, Any], asyncapi: dict[str, Any]) -> None:
        self._openapi_json = orjson.dumps(openapi)
        self._asyncapi_json = orjson.dumps(asyncapi)
        self.operations: Final = frozenset(
            (method.upper(), path) for path, item in openapi["paths"].items() for method in item if method in _METHODS
        )
        """Every (method, path template) of the HTTP contract, such as ("GET", "/api/calls/{callId}")."""
        self._compiled: dict[str, jsonschema_rs.Validator] = {}
        self._wording: dict[str, Any] = {}
        for document in (openapi, asyncapi):
            self._add(document["components"]["schemas"])

    def _add(self, schemas: Mapping[str, Any]) -> None:
        if twice := schemas.keys() & self._compiled.keys():
            raise ConfigError(f"Both contracts have a schema named {min(twice)}")
        compiled = {}
        roots = {name: {"$ref": _REF_PREFIX + name, "components": {"schemas": dict(schemas)}} for name in schemas}
        for name, root in roots.items():
            compiled[name] = jsonschema_rs.Draft202012Validator(root, formats=dict(FORMATS), validate_formats=True)
        wording = _wording_validator(compiled)
        self._compiled.update(compiled)
        self._wording.update((name, wording(root)) for name, root in roots.items())

    @property
    def schema_names(self) -> frozenset[str]:
        """The names that `check` takes: every component schema of both documents."""
        return frozenset(self._compiled)

    def check(self, schema_name: str, body: object) -> None:
        """Return when `body` (JSON, as `orjson.loads` gives it) satisfies the named component schema.

        Raises `BadRequest` with one sentence that names the first problem's place and what it must be, `KeyError` for a
        schema that does not exist.
        """
        if self._compiled[schema_name].is_valid(body):
            return
        # No sentence: a value that JSON does not have, such as NaN, which only the compiled validator refuses.
        raise BadRequest(self.first_problem(schema_name, body) or f"The body does not match the schema {schema_name}")

    def first_problem(self, schema_name: str, body: object) -> str | None:
        """Return the sentence about the first problem, in the order of the schema and then of the body; None when valid."""
        error = next(self._wording[schema_name].iter_errors(body), None)
        return None if error is None else _sentence(error)

    def openapi_json(self) -> bytes:
        """Return `schemas/openapi.yaml` as JSON."""
        return self._openapi_json

    def asyncapi_json(self) -> bytes:
        """Return `schemas/asyncapi.yaml` as JSON."""
        return self._asyncapi_json


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


# ---------------------------------------------------------------------- formats, shared by both validators


def is_date(text: str) -> bool:
    """Say if `text` is an RFC 3339 full-date that the calendar has."""
    match = _DATE.fullmatch(text)
    return match is not None and _is_in_calendar(*match.groups())


@lru_cache(_CACHED_DATES)
def _is_in_calendar(*digits: str) -> bool:
    year, month, day = map(int, digits)
    # The calendar repeats every 400 years; year 0, which RFC 3339 has and Python has not, is as long as the year 400.
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year or 400, month)[1]


def is_date_time(text: str) -> bool:
    """Say if `text` is an RFC 3339 date-time: its section 5.6 with `T` and `Z` in either case, and real values (5.7).

    A leap second is 23:59:60 UTC and nothing else. Whether a program can hold the moment (year 0) is not asked here. The
    RFC bounds no fraction; past `MAX_TIME_CHARS` it is not a time that anybody measured.
    """
    match = _DATE_TIME.fullmatch(text) if len(text) <= MAX_TIME_CHARS else None
    if match is None:
        return False
    year, month, day, hour, minute, second, sign, offset_hour, offset_minute = match.groups("00")
    if not _is_in_calendar(year, month, day) or hour > "23" or minute > "59" or offset_hour > "23" or offset_minute > "59":
        return False
    if second == "60":
        offset_min = int(sign + offset_hour) * 60 + int(sign + offset_minute)
        return (int(hour) * 60 + int(minute) - offset_min) % 1440 == 1439
    return second <= "59"


FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {"date": is_date, "date-time": is_date_time}
"""Every `format` that is enforced. The compiled validator has some of its own, which take `199.-12-28` for a date."""

_FORMAT_WORDS: Final = {
    "date": "a date such as 2026-05-15",
    "date-time": "an RFC 3339 date and time such as 2026-05-15T09:10:00.000Z",
}

# ---------------------------------------------------------------------- sentences

_TYPE_WORDS: Final = {
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}


def _sentence(error: ValidationError) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{_name(step)}" for step in error.absolute_path)[1:]
    if error.validator == "required":
        return f"Missing required field: {path}"
    if not path:
        return "The body must be a JSON object" if error.message == "must be an object" else f"The body {error.message}"
    return f"{path} {error.message}"


def _name(text: str) -> str:
    """Return a field's name as it may stand in a sentence: plain, or quoted and cut when it is anything but a name."""
    if _PLAIN_NAME.fullmatch(text):
        return text
    return json.dumps(text if len(text) <= MAX_NAME_CHARS else text[:MAX_NAME_CHARS] + "…")


# The functions below are keywords of jsonschema: (validator, the keyword's value, the instance, the whole schema) → errors.
# They replace the ones that jsonschema has because those put the instance's `repr` into every message.

_Errors = Iterator[ValidationError]


def _type(validator: Any, types: str | list[str], instance: Any, _: Any) -> _Errors:
    allowed = [types] if isinstance(types, str) else types
    if not any(validator.is_type(instance, name) for name in allowed):
        yield ValidationError("must be " + " or ".join(_TYPE_WORDS[name] for name in allowed))


def _enum(_: Any, options: list[Any], instance: Any, __: Any) -> _Errors:
    # In JSON true is not 1, in Python it is.
    if not any(each == instance and isinstance(each, bool) == isinstance(instance, bool) for each in options):
        words = ", ".join(each if isinstance(each, str) else json.dumps(each) for each in options)
        yield ValidationError(f"must be one of {words}" if len(options) > 1 else f"must be {words}")


def _required(validator: Any, names: list[str], instance: Any, _: Any) -> _Errors:
    if validator.is_type(instance, "object"):
        for name in names:
            if name not in instance:
                yield ValidationError("is missing", path=[name])


def _additional_properties(validator: Any, schema: Any, instance: Any, parent: Any) -> _Errors:
    if schema is True or not validator.is_type(instance, "object"):
        return
    known = parent.get("properties", {})
    for name, value in instance.items():
        if name in known:
            continue
        if schema is False:
            yield ValidationError("is not a known field", path=[name])
        else:
            yield from validator.descend(value, schema, path=name)


def _items(compiled: Mapping[str, jsonschema_rs.Validator], validator: Any, schema: Any, instance: Any, _: Any) -> _Errors:
    if not validator.is_type(instance, "array"):
        return
    # jsonschema takes 28 µs for a transcript turn, the compiled validator 0.2: only a turn that is wrong is worded.
    known = compiled.get(schema.get("$ref", "").removeprefix(_REF_PREFIX))
    for index, item in enumerate(instance):
        if known is None or not known.is_valid(item):
            yield from validator.descend(item, schema, path=index)


def _any_of(validator: Any, schemas: list[Any], instance: Any, parent: Any) -> _Errors:
    if not any(validator.evolve(schema=schema).is_valid(instance) for schema in schemas):
        yield ValidationError(_must_be(parent))


def _pattern(_: Any, pattern: str, instance: Any, parent: Any) -> _Errors:
    # In Python `$` also matches before a line break at the end, in the ECMA 262 that JSON Schema means it does not.
    anchored = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    if isinstance(instance, str) and not re.search(anchored, instance):
        yield ValidationError(_must_be(parent))


def _must_be(schema: Any) -> str:
    return f"must be {schema.get('x-must-be', 'in the form that the contract gives')}"


def _format(_: Any, name: str, instance: Any, __: Any) -> _Errors:
    if isinstance(instance, str) and name in FORMATS and not FORMATS[name](instance):
        yield ValidationError(f"must be {_FORMAT_WORDS[name]}")


def _minimum(validator: Any, limit: float, instance: Any, _: Any) -> _Errors:
    if validator.is_type(instance, "number") and instance < limit:
        yield ValidationError(f"must be {limit} or more")


def _maximum(validator: Any, limit: float, instance: Any, _: Any) -> _Errors:
    if validator.is_type(instance, "number") and instance > limit:
        yield ValidationError(f"must be {limit} or less")


def _min_length(_: Any, limit: int, instance: Any, __: Any) -> _Errors:
    if isinstance(instance, str) and len(instance) < limit:
        yield ValidationError("must not be empty" if limit == 1 else f"must have at least {limit} characters")


def _max_length(_: Any, limit: int, instance: Any, __: Any) -> _Errors:
    if isinstance(instance, str) and len(instance) > limit:
        yield ValidationError(f"must have at most {limit} characters")


_STRUCTURE: Final[Iterable[str]] = ("$ref", "properties", "propertyNames", "allOf")
"""Keywords that only lead on to others, so jsonschema's own have no message to mend."""

_WORDED: Final[Mapping[str, Callable[..., _Errors]]] = {
    **{name: Draft202012Validator.VALIDATORS[name] for name in _STRUCTURE},
    "type": _type,
    "enum": _enum,
    "required": _required,
    "additionalProperties": _additional_properties,
    "anyOf": _any_of,
    "pattern": _pattern,
    "format": _format,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _min_length,
    "maxLength": _max_length,
}

KEYWORDS: Final = frozenset((*_WORDED, "items"))
"""The keywords that the schemas may assert with; a test holds them to it."""


def _wording_validator(compiled: Mapping[str, jsonschema_rs.Validator]) -> Callable[[Mapping[str, Any]], Any]:
    return validators.create(
        meta_schema=Draft202012Validator.META_SCHEMA,
        validators={**_WORDED, "items": partial(_items, compiled)},
        type_checker=Draft202012Validator.TYPE_CHECKER,
    )
