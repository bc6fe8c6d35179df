"""The one shape that every error has."""

from __future__ import annotations

from typing import Any, get_args

from tether_rt.errors import Code


def sentence_of(status: int, body: Any, headers: Any) -> str:
    """Return the sentence of an error; fail unless the error has the one shape that all errors have."""
    expected = {"success", "error", "code", "requestId", *(("field", "errors") if status == 400 else ())}
    assert body.keys() - {"ready", "checks"} == expected, body
    assert body["success"] is False
    assert body["code"] in get_args(Code)
    assert body["requestId"] == next(value for name, value in headers.items() if name.lower() == "x-request-id")
    if status == 400:
        assert body["errors"][0] == {name: body[name] for name in ("code", "field", "error")}
    sentence: str = body["error"]
    assert sentence
    assert "\n" not in sentence
    return sentence
