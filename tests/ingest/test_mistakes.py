"""The ten most likely mistakes of a vendor's engineer: each answer says what to change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.service import Tenant, missed

TURN = {"role": "agent", "message": "Hi."}


def without(name: str, **more: Any) -> dict[str, Any]:
    call = {**missed(), **more}
    del call[name]
    return call


BODIES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a name in snake case": (without("fromNumber", from_number="+14165550100"), "fromNumber", "missing_field", "from_number"),
    "another word for a name": (without("toNumber", to="+14165550100"), "toNumber", "missing_field", "to"),
    "another word for a status": ({**missed(), "status": "answered"}, "status", "unknown_value", "mean completed?"),
    "another word for a direction": (
        {**missed(), "direction": "incoming"},
        "direction",
        "unknown_value",
        "mean inbound?",
    ),
    "a role of other vendors": (
        {**missed(), "transcript": [{**TURN, "role": "assistant"}]},
        "transcript[0].role",
        "unknown_value",
        "mean agent?",
    ),
    "content in place of message": (
        {**missed(), "transcript": [{"role": "agent", "content": "Hi."}]},
        "transcript[0].message",
        "missing_field",
        "content",
    ),
    "an epoch number": ({**missed(), "callStartTime": 1778836200}, "callStartTime", "wrong_type", "2026-05-15T09:10:00.000Z"),
    "a duration as a clock": ({**missed(), "duration": "2:34"}, "duration", "wrong_type", "154"),
    "a transcript in plain text": ({**missed(), "transcript": "Agent: Hi."}, "transcript", "wrong_type", "array"),
    "a national number": ({**missed(), "fromNumber": "416 555 0100"}, "fromNumber", "national_number", "+14165550100"),
    "a null": ({**missed(), "summary": None}, "summary", "null_value", "leave it out"),
}


@pytest.mark.parametrize("mistake", BODIES)
async def test_a_mistake_in_the_body_is_answered_by_what_to_change(tenant: Tenant, mistake: str) -> None:
    body, field, code, said = BODIES[mistake]
    answer = await tenant.post_call(body)
    assert answer.status == 400
    fault = next(one for one in answer.body["errors"] if one["field"] == field)
    assert fault["code"] == code, fault
    assert said in fault["error"], fault
    assert (await tenant.get("/api/calls/history")).body["total"] == 0


async def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_the_contract(tenant: Tenant) -> None:
    turns = [TURN, {"role": "bot", "message": "?"}]
    body = {"direction": "in", "toNumber": "12", "duration": -1, "status": "completed", "transcript": turns, "agentName": 7}
    answer = await tenant.post_call(body)
    assert answer.status == 400
    fields = [fault["field"] for fault in answer.body["errors"]]
    first, *_ = fields
    assert set(fields) == {
        "direction", "fromNumber", "toNumber", "duration", "transcript[1].role", "summary", "recording", "agentName"
    }  # fmt: skip
    assert len(fields) == len(set(fields))
    assert (answer.body["error"], answer.body["field"]) == (answer.body["errors"][0]["error"], first)


async def test_a_blank_id_is_refused_with_all_else_and_counted_by_its_code(tenant: Tenant) -> None:
    answer = await tenant.post_call(missed(externalCallId=" ", duration=-1))
    assert [fault["code"] for fault in answer.body["errors"]] == ["out_of_range", "empty_value"]
    metrics = (await tenant.request("GET", "/metrics")).body.decode()
    assert 'tether_errors_total{code="out_of_range"}' in metrics


async def test_an_address_with_a_slash_or_a_slip_is_answered_by_the_right_one(tenant: Tenant) -> None:
    for path in ("/api/calls/ingest/", "/api//calls/ingest", "/api/call/ingest", "/API/calls/ingest"):
        answer = await tenant.request("POST", path, token=tenant.api_key, json=missed())
        assert answer.status == 404
        assert answer.body["code"] == "unknown_path"
        assert answer.body["error"].endswith("Did you mean /api/calls/ingest?")


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
async def test_a_key_in_the_wrong_place_is_answered_by_where_it_goes(tenant: Tenant, header: str) -> None:
    answer = await tenant.request("POST", "/api/calls/ingest", headers={header: tenant.api_key}, json=missed())
    assert answer.status == 401
    assert "Authorization: Bearer" in answer.body["error"]
    assert "after the word Bearer" in answer.body["error"]
    assert tenant.api_key not in json.dumps(answer.body)


async def test_a_form_and_a_get_are_answered_by_what_is_taken(tenant: Tenant) -> None:
    form = await tenant.request("POST", "/api/calls/ingest", token=tenant.api_key, data={"direction": "inbound"})
    assert (form.status, form.body["code"]) == (415, "unsupported_media")
    assert "application/json" in form.body["error"]
    get = await tenant.request("GET", "/api/calls/ingest", token=tenant.api_key)
    assert (get.status, get.headers["Allow"]) == (405, "POST, PATCH")
    assert get.body["error"].endswith("It takes POST, PATCH.")


@pytest.mark.parametrize("query", ["dryRun=true", "dry_run", "validate=1", "test=true", "DRY-RUN=0"])
async def test_a_dry_run_of_the_ingest_is_refused_and_stores_nothing(tenant: Tenant, query: str) -> None:
    answer = await tenant.request("POST", f"/api/calls/ingest?{query}", token=tenant.api_key, json=missed())
    assert (answer.status, answer.body["code"]) == (400, "use_validate")
    assert "/api/calls/validate" in answer.body["error"]
    assert (await tenant.get("/api/calls/history")).body["total"] == 0


async def test_text_that_is_nearly_right_is_taken(tenant: Tenant) -> None:
    """A byte order mark, and half an emoji where a text was cut."""
    text = json.dumps(missed(summary="XYZ")).replace("XYZ", "cut \\ud83d")
    answer = await tenant.post_call(b"\xef\xbb\xbf" + text.encode())
    assert answer.status == 201
    call = (await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"]
    assert call["summary"] == "cut \ufffd"


async def test_utf_16_is_refused_in_words(tenant: Tenant) -> None:
    answer = await tenant.post_call(json.dumps(missed()).encode("utf-16"))
    assert (answer.status, answer.body["code"]) == (400, "not_utf8")
    assert "UTF-8" in answer.body["error"]
