"""Free-form fields of a call come back as they were sent, whatever MongoDB and its driver read into their names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.service import Service, Tenant, missed, sample
from tether_rt.mongo.indexes import create_indexes

REFERENCE = {"$ref": "x", "$id": "y", "$db": "z"}

SHAPES: dict[str, Any] = {
    "a reference": REFERENCE,
    "a reference without a database": {"$ref": "x", "$id": 1},
    "a reference whose database is null": {"$ref": "x", "$id": 1, "$db": None},
    "a reference with more fields around it": {"a": 1, "$ref": "x", "b": 2, "$id": {"c": REFERENCE}, "d": [REFERENCE]},
    "a reference without an id": {"$ref": "x"},
    "an id without a reference": {"$id": 1, "$db": 2},
    "a reference to a number": {"$ref": 5, "$id": 1, "$db": 3},
    "a reference to null": {"$ref": None, "$id": None},
    "references in lists": [[REFERENCE], {"a": [REFERENCE, {"$ref": 1}]}],
    "extended JSON": {"a": {"$date": "2026-05-15T09:00:00Z"}, "b": {"$oid": "0" * 24}, "c": {"$numberLong": "1"}},
    "a pattern": {"$regex": "a", "$options": "i"},
    "a program": {"$code": "return 1", "$scope": {"a": 1}},
    "bytes": {"$binary": {"base64": "AAAA", "subType": "03"}},
    "operators": {"$set": {"a": 1}, "$where": "1", "$": 2, "$$NOW": 3},
    "odd names": {"": {"": 1}, "a.b": 2, ".": 3, "a.$.b": 4, "_id": {"$ref": "x", "$id": 1}, "__proto__": 5, "0": 6},
}


async def post(tenant: Tenant, call: dict[str, Any]) -> str:
    answer = await tenant.post_call(call)
    assert answer.status == 201, answer.body
    return str(answer.body["callId"])


async def shown(tenant: Tenant, call_id: str) -> dict[str, Any]:
    answer = await tenant.get(f"/api/calls/{call_id}")
    assert answer.status == 200, answer.body
    return dict(answer.body["call"]["providerMetadata"])


@pytest.mark.parametrize("shape", SHAPES)
async def test_metadata_and_unknown_fields_come_back_as_they_were_sent(tenant: Tenant, shape: str) -> None:
    value = SHAPES[shape]
    unknown = {"custom": value, **(value if isinstance(value, dict) else {})}
    metadata = value if isinstance(value, dict) else {"list": value}
    found = await shown(tenant, await post(tenant, missed(metadata=metadata, **unknown)))
    # As text, so that the order of the names counts as well.
    assert json.dumps(found) == json.dumps({"metadata": metadata, "extra": unknown})


async def test_no_route_fails_for_what_a_call_holds(tenant: Tenant) -> None:
    metadata = {str(number): value for number, value in enumerate(SHAPES.values())}
    call_id = await post(tenant, sample(metadata=metadata, agentName="Dollar", custom=metadata))
    assert await shown(tenant, call_id) == {"metadata": metadata, "extra": {"custom": metadata}}
    history = await tenant.get("/api/calls/history?agentName=Dollar")
    assert [call["callId"] for call in history.body["calls"]] == [call_id]
    contact_id = history.body["calls"][0]["contactId"]
    renamed = await tenant.request("PATCH", f"/api/contacts/{contact_id}", token=tenant.token, json={"name": "Penny"})
    assert renamed.status == 200
    for path in ("export?search=penny", "statistics", "activity", "agents", f"{call_id}/recording", f"{call_id}/peaks"):
        answer = await tenant.get(f"/api/calls/{path}")
        assert answer.status == 200, (path, answer.body)
    assert await shown(tenant, call_id) == {"metadata": metadata, "extra": {"custom": metadata}}


async def test_a_start_leaves_the_free_form_fields_of_earlier_calls_alone(tenant: Tenant, service: Service) -> None:
    metadata = {str(number): value for number, value in enumerate(SHAPES.values())}
    call_id = await post(tenant, missed(metadata=metadata))
    await service.database["calls"].update_one({"_id": call_id}, {"$set": {"terms": ["parcel"], "numbers": ["4165550100"]}})
    await create_indexes(service.database, 7)
    assert (await shown(tenant, call_id))["metadata"] == metadata
