"""The compiled validator, which lets calls in, and the one that words what is wrong never disagree."""

from __future__ import annotations

from typing import Any, get_args

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract import CALL, CONTRACT, INGEST, TURN
from tether_rt.domain.contract import MAX_FAULTS
from tether_rt.errors import Code

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TEMPTING: st.SearchStrategy[Any] = st.sampled_from(
    [
        "",
        "agent",
        "user",
        "completed",
        "inbound",
        "2026-05-15T09:10:00Z",
        "199.-12-28T00:00:00Z",
        "1990-12-31T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "2026-05-15T09:10:00Z\n",
        "64f0a1b2c3d4e5f6a7b8cb00",
        "64f0a1b2c3d4e5f6a7b8cb00\n",
        0,
        1,
        -0.0,
        1.0,
        50.0,
        200,
        201,
        2**63,
        2**64,
        -(2**70),
        10**400,
        1e308,
        True,
        False,
        None,
        [],
        {},
    ]
)
SEEDS: dict[str, Any] = {
    INGEST: CALL,
    "CallsIngestTranscriptTurn": TURN,
    "LoginRequest": {"email": "a@b.example", "password": "p"},
    "ConversationAllRequest": {"contactId": "64f0a1b2c3d4e5f6a7b8cb00"},
    "ConversationMessagesRequest": {
        "conversationId": "64f0a1b2c3d4e5f6a7b8cb00",
        "before": "64f0a1b2c3d4e5f6a7b8cb00",
        "limit": 50,
    },
}


def mutate(draw: st.DrawFn, value: Any) -> Any:
    """Return a copy of `value` with things replaced, removed and added at random places."""
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return draw(TEMPTING | JSON)
    if isinstance(value, list):
        items = [mutate(draw, item) for item in value if draw(st.integers(0, 9))]
        return items + draw(st.lists(TEMPTING, max_size=1))
    if isinstance(value, dict):
        fields = {key: mutate(draw, item) for key, item in value.items() if draw(st.integers(0, 9))}
        if choice == 1:
            fields[draw(st.text(max_size=5))] = draw(TEMPTING | JSON)
        return fields
    return value


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, Any]:
    name = draw(st.sampled_from(sorted(SEEDS)))
    return name, mutate(draw, SEEDS[name])


def assert_agreement(schema: str, body: object) -> None:
    if CONTRACT.is_valid(schema, body):
        assert CONTRACT.found(schema, body) == []
        return
    faults = CONTRACT.faults(schema, body)
    assert 1 <= len(faults) <= MAX_FAULTS
    assert len({fault.field for fault in faults}) == len(faults)
    for fault in faults:
        assert fault.code in get_args(Code)
        assert fault.error
        assert "\n" not in fault.error
        orjson.dumps(fault._asdict())


@given(bodies())
@settings(deadline=None, max_examples=1000)
def test_the_validators_agree_on_mutated_bodies(case: tuple[str, Any]) -> None:
    assert_agreement(*case)


@given(st.sampled_from(sorted(CONTRACT.schema_names)), JSON)
@settings(deadline=None, max_examples=500)
def test_the_validators_agree_on_any_json(schema: str, body: object) -> None:
    assert_agreement(schema, body)
