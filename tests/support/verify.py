"""Check the stored data: every acknowledged call is stored once and as a whole, and nothing is stored in part.

`verify` reads the whole database and is the same after every kind of fault.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.support.retrying import Delivery
from tests.support.service import Tenant
from tether_rt.domain.call import UNKNOWN_CALLER
from tether_rt.domain.phone import same_telephone
from tether_rt.mongo.client import Database, Document

_READS_AT_ONCE = 8


@dataclass(frozen=True)
class Found:
    """What `verify` found in the database."""

    calls: dict[str, Document]
    events: dict[str, list[str]]
    """By organization: the text of every event, in order; the first one has number 1."""


async def verify(database: Database, ledger: Iterable[Delivery] = (), listener: Tenant | None = None) -> Found:
    """Assert everything that must hold of the database, and of the calls in the vendor's ledger.

    - every acknowledged call exists exactly once, under the id that was said, with what was sent;
    - every call has all its events, consecutive and in their order, and one message; no event, message, conversation or
      contact belongs to no call;
    - numbers begin with 1, have no gap, and end where the counter stands;
    - a call's contact has its number, or none and only this call, and one conversation.

    With a `listener` (signed in, of the calls' organization) each acknowledged recording is read over HTTP, too.
    """
    calls = {call["_id"]: call async for call in database["calls"].find({})}
    contacts = {contact["_id"]: contact async for contact in database["contacts"].find({})}
    _check_unique(calls)
    _check_people(calls, contacts, [each async for each in database["conversations"].find({})])
    _check_messages(calls, [each async for each in database["messages"].find({})])
    events = await _check_feed(database, calls)
    acknowledged = [delivery for delivery in ledger if delivery.call_id is not None]
    for delivery in acknowledged:
        assert delivery.call_id in calls, f"an acknowledged call is lost: {delivery}"
        _check_call(calls[delivery.call_id], delivery, contacts)
    if listener is not None:
        await _check_recordings(listener, acknowledged)
    return Found(calls, events)


def _check_unique(calls: dict[str, Document]) -> None:
    keys = Counter((call["userId"], call["providerCallId"]) for call in calls.values() if "providerCallId" in call)
    assert [key for key, count in keys.items() if count > 1] == []


def _check_people(calls: dict[str, Document], contacts: dict[str, Document], conversations: list[Document]) -> None:
    by_id = {conversation["_id"]: conversation for conversation in conversations}
    numbered = [(contact["organizationId"], contact["number"]) for contact in contacts.values() if "number" in contact]
    assert len(set(numbered)) == len(numbered)
    withheld = Counter(call["contactId"] for call in calls.values() if call.get("fromWithheld"))
    assert withheld == Counter(contact["_id"] for contact in contacts.values() if "number" not in contact)
    assert {contact["conversationId"] for contact in contacts.values()} == set(by_id)
    assert {call["contactId"] for call in calls.values()} == set(contacts), "a contact without a call, or the other way round"
    for call in calls.values():
        contact = contacts[call["contactId"]]
        conversation = by_id[call["conversationId"]]
        other_side = call["from"] if call["direction"] == "inbound" else call["to"]
        forms = (None,) if other_side is None else same_telephone(other_side)
        assert contact.get("number") in forms
        assert contact["organizationId"] == call["organizationId"]
        assert contact["conversationId"] == conversation["_id"]
        assert (conversation["contactId"], conversation["organizationId"]) == (contact["_id"], call["organizationId"])


def _check_messages(calls: dict[str, Document], messages: list[Document]) -> None:
    assert Counter(message["callId"] for message in messages) == Counter(list(calls))
    for message in messages:
        call = calls[message["callId"]]
        assert message["content"] == (call["summary"] or "")
        assert message["type"] == "call"
        for name in ("organizationId", "contactId", "conversationId", "direction"):
            assert message[name] == call[name]


async def _check_feed(database: Database, calls: dict[str, Document]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = defaultdict(list)
    async for segment in database["feed"].find({}).sort([("organizationId", 1), ("first", 1)]):
        own = texts[segment["organizationId"]]
        assert segment["first"] == len(own) + 1, "a gap or an overlap in the numbers"
        own += segment["events"]
        assert segment["last"] == len(own)
    counters = {each["_id"]: each["seq"] async for each in database["counters"].find({"seq": {"$gt": 0}})}
    assert counters == {organization_id: len(own) for organization_id, own in texts.items()}
    told: Counter[str] = Counter()
    for organization_id, own in texts.items():
        events = [json.loads(text) for text in own]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        while events:
            call = calls[events[0]["data"]["callId"]]
            names = _names(call)
            _check_events(call, events[: len(names)], names)
            assert call["organizationId"] == organization_id
            told[call["_id"]] += 1
            del events[: len(names)]
    assert told == Counter(list(calls)), "a call without its events, or with them twice"
    return dict(texts)


def _names(call: Document) -> list[str]:
    ready = ["call_recording_ready"] if call["recordings"] else []
    return ["call_initiated", "call_ended", *ready, "fetch_messages"]


def _check_events(call: Document, events: list[dict[str, Any]], names: list[str]) -> None:
    assert [event["event"] for event in events] == names, "a call has a part of its events, or they are not consecutive"
    assert [event["id"] for event in events] == [f"{call['_id']}:{name}" for name in names]
    assert len({event["at"] for event in events}) == 1
    for event in events:
        for name in ("callId", "contactId", "conversationId"):
            assert event["data"][name] == call[name]
    assert events[0]["data"]["from"] == call["from"]
    assert events[1]["data"]["summary"] == call["summary"]
    if call["recordings"]:
        assert events[2]["data"]["recordingId"] == call["recordings"][0]["recordingId"]


def _check_call(call: Document, delivery: Delivery, contacts: dict[str, Document]) -> None:
    body = delivery.body
    assert (call["userId"], call["organizationId"]) == (delivery.user_id, delivery.organization_id)
    assert call.get("providerCallId") == body.get("externalCallId")
    for stored, sent in (("status", "status"), ("duration", "duration"), ("direction", "direction"), ("summary", "summary")):
        assert call[stored] == body.get(sent)
    assert call["transcription"] == body.get("transcript", [])
    assert [each["sha256"] for each in call["recordings"]] == [
        hashlib.sha256(recording).hexdigest() for recording in _recordings(body)
    ]
    name = contacts[call["contactId"]]["name"]
    assert name != UNKNOWN_CALLER or not body.get("callerName"), "a name that was given is not there"


def _recordings(body: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(body["recording"])] if "recording" in body else []


async def _check_recordings(listener: Tenant, deliveries: Iterable[Delivery]) -> None:
    waiting = iter([delivery for delivery in deliveries if "recording" in delivery.body])

    async def line() -> None:
        for delivery in waiting:
            link = await listener.get(f"/api/calls/{delivery.call_id}/recording")
            assert link.status == 200, link
            url = link.body["audioUrl"]
            async with listener.http.get(url if url.startswith("http") else listener.base_url + url) as response:
                assert response.status == 200
                assert [await response.read()] == _recordings(delivery.body)

    await asyncio.gather(*(line() for _ in range(_READS_AT_ONCE)))
