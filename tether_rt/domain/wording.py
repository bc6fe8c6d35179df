"""What is wrong with a value that a schema does not admit, as faults in plain sentences. Pure.

`jsonschema` finds what is wrong, by keywords that are replaced here: its own put the instance's `repr` into every message. The
wording is made for input of any size. It finds the bad items of a long array with the compiled validator, stops after a few,
and never repeats the caller's values, whose text may be megabytes long or nested past what `repr` bears.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

import jsonschema_rs
from jsonschema import Draft202012Validator, ValidationError, validators

from tether_rt.domain.formats import FORMATS
from tether_rt.domain.hints import field_meant, name_sent_for, seconds_meant, time_meant, value_meant
from tether_rt.errors import Code, Fault

MAX_NAME_CHARS: Final = 64
"""A field's name, which may be the caller's own, is cut at this length in a sentence."""
MAX_BAD_ITEMS: Final = 10
"""Of one array. A mistake in a transcript is made in each of its turns."""
MAX_UNKNOWN_FIELDS: Final = 5
"""Of one object."""

REF_PREFIX: Final = "#/components/schemas/"
_PLAIN_NAME: Final = re.compile(rf"[A-Za-z0-9_$-]{{1,{MAX_NAME_CHARS}}}", re.ASCII)

_CODES: Final[Mapping[str, Code]] = {
    "type": "wrong_type",
    "enum": "unknown_value",
    "required": "missing_field",
    "additionalProperties": "unknown_field",
    "anyOf": "wrong_format",
    "pattern": "wrong_format",
    "format": "wrong_format",
    "minimum": "out_of_range",
    "maximum": "out_of_range",
    "minLength": "empty_value",
    "maxLength": "too_long",
    "minItems": "empty_value",
    "maxItems": "out_of_range",
}
"""The codes of faults by the keyword that is not satisfied; a null is `null_value` instead of `wrong_type`."""

_FORMAT_WORDS: Final = {
    "date": "a date such as 2026-05-15",
    "date-time": "an RFC 3339 date and time such as 2026-05-15T09:10:00.000Z",
}
_LEAVE_OUT: Final = ": leave it out"
_TYPE_WORDS: Final = {
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}


def fault(error: ValidationError) -> Fault:
    """Return the fault that an error of the wording validator says."""
    steps = list(error.absolute_path)
    path = path_of(steps)
    if error.validator == "required":
        schema: Any = error.schema
        names: Any = error.instance
        sent = name_sent_for(str(steps[-1]), schema.get("properties", ()), names)
        return missing_field(path, sent)
    code = "null_value" if error.validator == "type" and error.instance is None and path else _CODES[str(error.validator)]
    if path:
        return Fault(code, path, f"{path} {error.message}")
    is_object = error.message.startswith("must be an object")
    return Fault(code, None, "The body must be a JSON object" if is_object else f"The body {error.message}")


def missing_field(path: str, sent: str | None = None) -> Fault:
    """Return the fault of a required field that is missing; `sent` is the name of another one that probably means it."""
    hint = "" if sent is None else f". You sent {name_of(sent)}: did you mean {path.rpartition('.')[2]}?"
    return Fault("missing_field", path, f"Missing required field: {path}{hint}")


def path_of(steps: Iterable[str | int]) -> str:
    """Return the place of a value as text, such as `transcript[3].role`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{name_of(step)}" for step in steps).removeprefix(".")


def name_of(text: str) -> str:
    """Return a field's name as it may stand in a sentence: plain, or quoted and cut when it is anything but a name."""
    if _PLAIN_NAME.fullmatch(text):
        return text
    return json.dumps(text if len(text) <= MAX_NAME_CHARS else text[:MAX_NAME_CHARS] + "…")


# The functions below are keywords of jsonschema: (validator, the keyword's value, the instance, the whole schema) → errors.

_Errors = Iterator[ValidationError]
_Schemas = Mapping[str, Any]


def _properties(validator: Any, properties: Mapping[str, Any], instance: Any, parent: Any) -> _Errors:
    if not validator.is_type(instance, "object"):
        return
    for name, schema in properties.items():
        if name not in instance:
            continue
        for error in validator.descend(instance[name], schema, path=name):
            if instance[name] is None and name in parent.get("required", ()):
                error.message = error.message.replace(_LEAVE_OUT, ", but it is needed")
            yield error


def _type(schemas: _Schemas, validator: Any, types: str | list[str], instance: Any, schema: Any) -> _Errors:
    allowed = [types] if isinstance(types, str) else types
    if any(validator.is_type(instance, name) for name in allowed):
        return
    if instance is None:
        yield ValidationError(f"must be {_types(allowed)}, and is null{_LEAVE_OUT}")
    else:
        yield ValidationError(f"must be {_types(allowed)}{_type_hint(schemas, allowed, instance, schema)}")


def _types(allowed: list[str]) -> str:
    return " or ".join(_TYPE_WORDS[name] for name in allowed)


def _type_hint(schemas: _Schemas, allowed: list[str], instance: Any, schema: Any) -> str:
    """Return what to add to a sentence about a wrong type: the value that was probably meant, or an example."""
    if "number" in allowed and (seconds := seconds_meant(instance)):
        return f": did you mean {seconds}, without quotes?"
    if schema.get("format") == "date-time" and (moment := time_meant(instance)):
        return f': did you mean "{moment}"?'
    if "string" in allowed and isinstance(instance, (int, float)) and not isinstance(instance, bool):
        return ": put it in quotes"
    if isinstance(instance, str) and allowed == ["object"] and "example" in schema:
        return f" such as {json.dumps(schema['example'])}"
    if isinstance(instance, str) and allowed == ["array"]:
        example = schemas.get(_ref(schema.get("items", {})), {}).get("example")
        return f" of objects such as {json.dumps(example)}, not plain text" if example else ""
    return ""


def _ref(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).removeprefix(REF_PREFIX)


def _enum(_: Any, options: list[Any], instance: Any, __: Any) -> _Errors:
    # In JSON true is not 1, in Python it is.
    if not any(each == instance and isinstance(each, bool) == isinstance(instance, bool) for each in options):
        words = ", ".join(each if isinstance(each, str) else json.dumps(each) for each in options)
        meant = value_meant(instance, options)
        hint = f": did you mean {meant}?" if meant else ""
        yield ValidationError((f"must be one of {words}" if len(options) > 1 else f"must be {words}") + hint)


def _required(validator: Any, names: list[str], instance: Any, _: Any) -> _Errors:
    if validator.is_type(instance, "object"):
        for name in names:
            if name not in instance:
                yield ValidationError("is missing", path=[name])


def _additional_properties(validator: Any, schema: Any, instance: Any, parent: Any) -> _Errors:
    if schema is True or not validator.is_type(instance, "object"):
        return
    known = parent.get("properties", {})
    unknown = (name for name in instance if name not in known)
    if schema is False:
        yield from map(partial(_unknown_field, tuple(known), parent.get("x-unknown")), islice(unknown, MAX_UNKNOWN_FIELDS))
        return
    for name in unknown:
        yield from validator.descend(instance[name], schema, path=name)


def _unknown_field(known: tuple[str, ...], said: str | None, name: str) -> ValidationError:
    meant = field_meant(name, known)
    if meant or said is None:
        said = "is not a known field" + (f": did you mean {meant}?" if meant else "")
    return ValidationError(said, path=[name])


def _items(compiled: Mapping[str, jsonschema_rs.Validator], validator: Any, schema: Any, instance: Any, _: Any) -> _Errors:
    if not validator.is_type(instance, "array"):
        return
    # jsonschema takes 28 µs for a transcript turn, the compiled validator 0.2: only a turn that is wrong is worded.
    known = compiled.get(_ref(schema))
    bad = ((index, item) for index, item in enumerate(instance) if known is None or not known.is_valid(item))
    for index, item in islice(bad, MAX_BAD_ITEMS) if known is not None else bad:
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
        meant = time_meant(instance) if name == "date-time" else None
        yield ValidationError(f"must be {_FORMAT_WORDS[name]}" + (f": did you mean {meant}?" if meant else ""))


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


def _min_items(_: Any, limit: int, instance: Any, __: Any) -> _Errors:
    if isinstance(instance, list) and len(instance) < limit:
        yield ValidationError("must not be empty" if limit == 1 else f"must have at least {limit} entries")


def _max_items(_: Any, limit: int, instance: Any, __: Any) -> _Errors:
    if isinstance(instance, list) and len(instance) > limit:
        yield ValidationError(f"must have at most {limit} entries")


_STRUCTURE: Final[Iterable[str]] = ("$ref", "propertyNames", "allOf")
"""Keywords that only lead on to others, so jsonschema's own have no message to mend."""

_WORDED: Final[Mapping[str, Callable[..., _Errors]]] = {
    **{name: Draft202012Validator.VALIDATORS[name] for name in _STRUCTURE},
    "properties": _properties,
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
    "minItems": _min_items,
    "maxItems": _max_items,
}

KEYWORDS: Final = frozenset((*_WORDED, "type", "items"))
"""The keywords that the schemas may assert with; a test holds them to it."""


def wording_validator(compiled: Mapping[str, jsonschema_rs.Validator], schemas: _Schemas) -> Callable[[_Schemas], Any]:
    """Return the class of validators that find the faults; `compiled` are the validators of the component `schemas`."""
    return validators.create(
        meta_schema=Draft202012Validator.META_SCHEMA,
        validators={**_WORDED, "type": partial(_type, schemas), "items": partial(_items, compiled)},
        type_checker=Draft202012Validator.TYPE_CHECKER,
    )
