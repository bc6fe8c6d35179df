"""Bodies of our own contract that come as a Standard Webhook, with an envelope and without."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.adapting import adapted, changed, dead, mutated, part, same_as_expected, sample
from tests.support.contract import CALL
from tether_rt.ingest.vendors.parts import Ignored
from tether_rt.ingest.vendors.standard import adapt

NAME = "standard-call.completed.json"
EVENT = sample(NAME)


def test_the_sample_is_the_call_that_it_should_be() -> None:
    found = part(adapt, EVENT)
    same_as_expected(NAME, found.fields)
    assert (found.call_key, found.has_facts, found.is_own_body) == ("std-0001", True, True)
    assert found.fields == EVENT["data"]
    assert {note.field: note.path for note in found.notes} == {field: f"data.{field}" for field in EVENT["data"]}


@pytest.mark.parametrize("body", [CALL, {**CALL, "type": "ours", "historic": True, "campaign": 5}])
def test_a_body_without_an_envelope_is_taken_with_all_its_fields(body: dict[str, Any]) -> None:
    found = part(adapt, body)
    assert found.fields == body
    assert found.call_key == CALL["externalCallId"]
    assert ("more fields" in found.notes[-1].note) == ("campaign" in body)


@pytest.mark.parametrize("odd", [None, 5, "", " "])
def test_a_call_without_an_id_has_no_key(odd: Any) -> None:
    assert part(adapt, changed(EVENT, data={**EVENT["data"], "externalCallId": odd})).call_key == ""


@pytest.mark.parametrize("kind", ["call.started", "tomorrows.event"])
def test_other_events_are_ignored(kind: str) -> None:
    for root in (changed(EVENT, type=kind), {"type": kind}):
        found = adapted(adapt, root)
        assert isinstance(found, Ignored)
        assert found.code == "unknown_event"
        assert kind in found.error


@pytest.mark.parametrize(
    ("root", "place"),
    [
        ([], None),
        (None, None),
        ({**EVENT, "type": 5}, "type"),
        ({**EVENT, "data": [1]}, "data"),
        ({"type": "call.completed"}, "data"),
    ],
)
def test_what_is_no_call_is_said(root: Any, place: str | None) -> None:
    assert dead(adapt, root) == ("shape", place)


@given(st.sampled_from((EVENT, CALL)).flatmap(mutated))
def test_whatever_an_event_holds_it_is_judged(root: Any) -> None:
    adapted(adapt, root)
