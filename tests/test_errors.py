"""The codes of errors: one list in the code, in the contract and in the documents."""

from __future__ import annotations

import re
from typing import Any, get_args

import orjson

from tests.support.documents import rows, text_of
from tether_rt import errors
from tether_rt.domain.contract import load_contract
from tether_rt.domain.warnings import WarningCode

SCHEMAS: dict[str, Any] = orjson.loads(load_contract().openapi_json())["components"]["schemas"]
CODES = get_args(errors.Code)


def classes(kind: type[errors.TetherError] = errors.TetherError) -> list[type[errors.TetherError]]:
    return [kind, *[each for subclass in kind.__subclasses__() for each in classes(subclass)]]


def test_the_contract_lists_every_code_and_no_other() -> None:
    assert SCHEMAS["ErrorCode"]["enum"] == list(CODES)


def test_the_documents_say_of_every_code_what_to_change() -> None:
    sections = ("Of the request", "Of the body", "Of a field")
    said = {code.strip("`"): advice for section in sections for code, _, advice in rows("docs/errors.md", section)}
    assert sorted(said) == sorted(CODES)
    assert all(said.values())


def test_the_contract_and_the_documents_have_every_code_of_a_warning() -> None:
    assert SCHEMAS["WarningCode"]["enum"] == list(get_args(WarningCode))
    said = {code.strip("`"): meaning for code, meaning in rows("docs/errors.md", "Warnings")}
    assert list(said) == list(get_args(WarningCode))
    assert all(said.values())


def test_every_class_has_a_code_with_its_status() -> None:
    statuses = dict(re.findall(r"^\| `(\w+)` \| ([\d, ]+) \|", text_of("docs/errors.md"), re.MULTILINE))
    for kind in classes():
        if kind not in (errors.ConfigError, errors.ReaderTooSlow):  # never sent
            assert str(kind.status) in statuses[kind.code], kind


def test_a_refusal_says_its_first_fault_and_all_of_them() -> None:
    faults = (
        errors.Fault("missing_field", "status", "Missing required field: status"),
        errors.Fault("bad_request", None, "No."),
    )
    refusal = errors.BadRequest.of(faults)
    assert (str(refusal), refusal.code, refusal.field) == ("Missing required field: status", "missing_field", "status")
    assert refusal.faults == faults
    assert errors.BadRequest("No.").faults == (errors.Fault("bad_request", None, "No."),)
