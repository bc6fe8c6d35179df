"""What a batch will write, worked out without a database."""

from __future__ import annotations

import json
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.entries import NOW, caller, entry, recording
from tether_rt.domain.call import UNKNOWN_CALLER
from tether_rt.domain.events import CallIds
from tether_rt.domain.source import Source
from tether_rt.mongo.batch_plan import Created, Duplicate, Entry, Plan, segment_document
from tether_rt.mongo.client import CODEC, new_id
from tether_rt.mongo.lookups import StoredCall
from tether_rt.mongo.wire.op_msg import Spliced, encoded, encoding
from tether_rt.runtime.cooperative import run_to_completion

WHOSE = caller()
NUMBER = "+442079460958"
LAST = 1000
CONTACT = {"_id": "c" * 24, "organizationId": WHOSE.organization_id, "number": NUMBER, "conversationId": "d" * 24}


def plan(*entries: Entry, **found: Any) -> Plan:
    made = Plan(entries, NOW, found.get("existing", {}), found.get("committed", {}))
    run_to_completion(made.fill(found.get("contacts", ())))
    return made


def known(name: str) -> list[dict[str, Any]]:
    """Return one contact as it was found, with this name."""
    return [{**CONTACT, "name": name}]


def as_stored(document: dict[str, Any] | Spliced) -> dict[str, Any]:
    """Return a document as MongoDB would give it back."""
    return bson.decode(encoded(document, CODEC), codec_options=CODEC)


def calls_of(made: Plan) -> list[dict[str, Any]]:
    return [as_stored(call) for call in made.calls]


def writes_of(made: Plan) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return what each kind of write to each collection brings."""
    found = {}
    for command in made.commands(LAST, NOW):
        ((kind, collection),) = command.body.items()
        if collection != "feed":
            found[kind, collection] = [as_stored(document) for document in command.documents]
    return found


def test_a_first_call_makes_a_contact_a_conversation_a_call_and_a_message_that_name_each_other() -> None:
    one = entry(WHOSE, fromNumber=NUMBER, summary="Hello.", callerName="Tom", externalCallId="x", custom=1)
    made = plan(one)
    (outcome,) = made.outcomes
    assert isinstance(outcome, Created)
    ids = outcome.ids
    assert ids.call_id == one.call_id
    (call,), (message,) = calls_of(made), map(as_stored, made.messages)
    writes = writes_of(made)
    (contact,) = writes["insert", "contacts"]
    (conversation,) = writes["insert", "conversations"]
    assert (writes["insert", "calls"], writes["insert", "messages"], len(writes)) == ([call], [message], 4)
    assert contact["_id"] == contact["contactId"] == call["contactId"] == message["contactId"] == ids.contact_id
    assert conversation["_id"] == contact["conversationId"] == call["conversationId"] == ids.conversation_id
    assert (contact["number"], contact["name"], conversation["contactId"]) == (NUMBER, "Tom", ids.contact_id)
    assert {document["organizationId"] for document in (call, message, contact, conversation)} == {WHOSE.organization_id}
    assert (message["type"], message["content"], message["callId"]) == ("call", "Hello.", ids.call_id)
    expected = (
        "_id callId organizationId userId contactId conversationId provider providerCallId direction status from to duration "
        "startTime endTime summary agentName transcription recordings providerMetadata createdAt updatedAt"
    )
    assert set(expected.split()) <= call.keys()
    assert call["providerMetadata"] == {"metadata": None, "extra": {"custom": 1}}


def test_a_call_without_an_external_id_has_no_such_field() -> None:
    made = plan(entry(WHOSE))
    assert "providerCallId" not in calls_of(made)[0]


def test_a_recording_is_kept_with_everything_that_serves_it() -> None:
    voice = recording()
    (call,) = calls_of(plan(entry(WHOSE, voice=voice)))
    assert call["recordings"] == [
        {
            "recordingId": voice.recording_id,
            "key": voice.key,
            "contentType": "audio/mpeg",
            "bytes": 123_456,
            "sha256": voice.sha256,
            "duration": 31.3,
            "kind": "MP3",
            "playable": True,
        }
    ]


def test_calls_of_one_number_in_one_batch_share_one_contact() -> None:
    entries = [entry(WHOSE, fromNumber=NUMBER), entry(WHOSE, direction="outbound", toNumber=NUMBER, callerName="Tom")]
    made = plan(*entries, entry(WHOSE, fromNumber=NUMBER, callerName="Jerry"))
    writes = writes_of(made)
    assert [len(writes["insert", name]) for name in ("contacts", "conversations")] == [1, 1]
    assert writes["insert", "contacts"][0]["name"] == "Tom"
    assert [call["contactName"] for call in calls_of(made)] == [UNKNOWN_CALLER, "Tom", "Tom"]
    assert len({call["contactId"] for call in calls_of(made)}) == 1


@pytest.mark.parametrize(("name", "given_name"), [("Ann", "Tom"), ("Ann", None), (UNKNOWN_CALLER, None)])
def test_a_known_contact_is_touched_and_keeps_its_name(name: str, given_name: str | None) -> None:
    changes: dict[str, Any] = {"callerName": given_name} if given_name else {}
    made = plan(entry(WHOSE, fromNumber=NUMBER, **changes), contacts=known(name))
    writes = writes_of(made)
    (change,) = writes["update", "contacts"]
    assert change["q"] == {"_id": {"$in": [CONTACT["_id"]]}, "name": {"$in": [name]}}
    assert change["u"]["$set"].keys() == {"lastCallAt", "updatedAt"}
    assert writes.keys() == {("update", "contacts"), ("insert", "calls"), ("insert", "messages")}
    assert calls_of(made)[0]["contactName"] == name


def test_known_contacts_are_touched_together_but_for_those_that_learn_their_name() -> None:
    numbers = [f"+1416555010{digit}" for digit in range(3)]
    contacts = [{**CONTACT, "_id": digit * 24, "number": number} for digit, number in zip("abc", numbers, strict=True)]
    contacts[0]["name"] = "Ann"
    contacts[1]["name"] = contacts[2]["name"] = UNKNOWN_CALLER
    made = plan(
        *(entry(WHOSE, fromNumber=number) for number in numbers[:2]),
        entry(WHOSE, fromNumber=numbers[2], callerName="Tom"),
        contacts=contacts,
    )
    learns, touched = writes_of(made)["update", "contacts"]
    assert learns["q"] == {"_id": "c" * 24, "name": UNKNOWN_CALLER}
    assert learns["u"]["$set"]["name"] == "Tom"
    assert touched["multi"] is True
    assert touched["q"]["_id"] == {"$in": ["a" * 24, "b" * 24]}
    assert sorted(touched["q"]["name"]["$in"]) == ["Ann", UNKNOWN_CALLER]


TELEPHONES = [["+525512345678", "+5215512345678"], ["+541123456789", "+5491123456789"], [NUMBER], ["sip:alice@example.com"]]


@given(
    sent=st.lists(
        st.sampled_from(["anonymous", *(number for forms in TELEPHONES for number in forms)]), min_size=1, max_size=12
    ),
    stored=st.sets(st.sampled_from([number for forms in TELEPHONES for number in forms])),
)
def test_every_telephone_has_one_contact_and_every_withheld_call_its_own(sent: list[str], stored: set[str]) -> None:
    contacts = [{**CONTACT, "_id": new_id(), "number": number, "name": "Ann"} for number in stored]
    made = plan(*(entry(WHOSE, fromNumber=number) for number in sent), contacts=contacts)
    of_calls = [call["contactId"] for call in calls_of(made)]
    withheld = [contact for contact, number in zip(of_calls, sent, strict=True) if number == "anonymous"]
    assert len(set(withheld)) == len(withheld)
    new = {contact["_id"]: contact.get("number") for contact in writes_of(made).get(("insert", "contacts"), [])}
    assert [new[contact] for contact in withheld] == [None] * len(withheld)
    for forms in TELEPHONES:
        own = {contact for contact, number in zip(of_calls, sent, strict=True) if number in forms}
        known = {contact["_id"] for contact in contacts if contact["number"] in forms}
        assert own <= known if known else len(own) <= 1
        assert len(own) <= max(1, len(known))


def test_a_placeholder_is_replaced_only_while_it_is_one() -> None:
    made = plan(entry(WHOSE, fromNumber=NUMBER, callerName="$Tom.B"), contacts=known(UNKNOWN_CALLER))
    (change,) = writes_of(made)["update", "contacts"]
    assert change["q"] == {"_id": CONTACT["_id"], "name": UNKNOWN_CALLER}
    assert change["u"]["$set"]["name"] == "$Tom.B"


def test_a_stored_call_is_a_duplicate_that_writes_nothing() -> None:
    same = entry(WHOSE, externalCallId="x", fingerprint="one")
    existing = {(WHOSE.id, "x"): StoredCall("a" * 24, "one")}
    made = plan(same, entry(WHOSE, externalCallId="x", fingerprint="two", callerName="New"), existing=existing)
    assert made.outcomes == [Duplicate("a" * 24, "one", "one"), Duplicate("a" * 24, "one", "two")]
    assert (made.calls, made.messages, made.events) == ([], [], [])
    assert (made.call_count, made.event_count, made.numbers) == (0, 0, set())


def test_the_second_of_two_in_one_batch_is_a_duplicate_of_the_first() -> None:
    first, second = (entry(WHOSE, externalCallId="x", fingerprint=text) for text in ("one", "two"))
    colleague = Source(new_id(), WHOSE.organization_id, "Ann Lee")
    made = plan(first, second, entry(colleague, externalCallId="x"), entry(WHOSE), entry(WHOSE))
    assert made.outcomes[1] == Duplicate(first.call_id, "one", "two")
    assert [type(outcome) for outcome in made.outcomes] == [Created, Duplicate, Created, Created, Created]
    assert len(made.calls) == 4


def test_a_call_that_an_earlier_try_has_stored_is_told_so_and_not_written_again() -> None:
    one = entry(WHOSE, externalCallId="x")
    ids = CallIds(one.call_id, "c" * 24, "d" * 24)
    existing = {(WHOSE.id, "x"): StoredCall(one.call_id, "f")}
    made = plan(one, entry(WHOSE), existing=existing, committed={one.call_id: ids})
    assert made.outcomes[0] == Created(ids)
    assert [Created(CallIds(call["callId"], call["contactId"], call["conversationId"])) for call in calls_of(made)] == [
        made.outcomes[1]
    ]


def test_times_are_cut_to_the_milliseconds_that_the_database_keeps() -> None:
    moment = NOW.replace(microsecond=567_999)
    made = Plan([entry(WHOSE)], moment)
    run_to_completion(made.fill(()))
    assert made.now == NOW
    assert calls_of(made)[0]["createdAt"] == NOW


@given(voiced=st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_segment_holds_every_event_in_the_order_of_its_calls(voiced: list[bool]) -> None:
    entries = [entry(WHOSE, voice=recording() if voice else None) for voice in voiced]
    made = plan(*entries)
    assert (made.call_count, made.event_count) == (len(entries), len(made.events))
    assert len(made.events) == sum(4 if one.recording else 3 for one in entries)
    segment = segment_document(WHOSE.organization_id, LAST, made.events, made.now)
    texts = [json.loads(text) for text in segment["events"]]
    assert [text["seq"] for text in texts] == list(range(segment["first"], LAST + 1))
    assert (segment["last"], segment["at"]) == (LAST, made.now)
    assert list(dict.fromkeys(text["data"]["callId"] for text in texts)) == [one.call_id for one in entries]


def test_the_writes_end_with_the_segment_that_announces_them() -> None:
    made = plan(entry(WHOSE))
    segment = made.commands(LAST, NOW)[-1]
    assert segment.body == {"insert": "feed"}
    (document,) = map(as_stored, segment.documents)
    assert (document["organizationId"], document["last"], document["at"]) == (WHOSE.organization_id, LAST, NOW)


def test_a_batch_is_worked_out_and_encoded_in_steps_between_which_others_have_their_turn() -> None:
    made = Plan([entry(WHOSE) for _ in range(5)], NOW)
    assert len(list(made.fill(()))) == 5
    commands = made.commands(LAST, NOW)
    assert len(list(encoding(commands, "database", CODEC))) == sum(len(command.documents) for command in commands)
