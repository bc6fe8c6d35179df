"""Whatever is posted: a 2xx, or a 4xx in the one error shape. Never a 5xx, never silence."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.service import Tenant, sample

_SETTINGS = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["completed", "inbound", "+14165550100", "2026-05-15T09:10:00Z", "9999-12-31T23:59:60+00:00", "$set", "\0"]
    )
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12
)
_VALID = sample("delivery")


@st.composite
def mutated_calls(draw: st.DrawFn) -> Any:
    """A valid call with up to three of its values, at any depth, replaced, removed or added to."""
    call = copy.deepcopy(_VALID)
    if draw(st.booleans()):
        del call["externalCallId"]
    for _ in range(draw(st.integers(0, 3))):
        holder: Any = call
        while True:
            keys = list(range(len(holder))) if isinstance(holder, list) else list(holder)
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(holder[key], (dict, list)) and draw(st.booleans()):
                holder = holder[key]
                continue
            if draw(st.integers(0, 3)) == 0:
                del holder[key]
            else:
                holder[key] = draw(_values)
            break
        if isinstance(holder, dict) and draw(st.integers(0, 3)) == 0:
            holder[draw(st.text(max_size=8))] = draw(_values)
    return call


async def _judge(tenant: Tenant, body: bytes) -> None:
    answer = await tenant.post_call(body)
    if answer.status in (200, 201):
        assert answer.body["success"] is True
        assert len(answer.body["callId"]) == 24
    else:
        assert 400 <= answer.status < 500, (answer.status, answer.body)
        assert answer.body["success"] is False
        assert answer.body["error"]
        assert len(answer.body["error"]) < 400


@_SETTINGS
@given(body=_values)
async def test_any_json_is_answered_in_shape(tenant: Tenant, body: Any) -> None:
    await _judge(tenant, json.dumps(body).encode())


@_SETTINGS
@given(call=mutated_calls())
async def test_any_nearly_valid_call_is_answered_in_shape(tenant: Tenant, call: Any) -> None:
    await _judge(tenant, json.dumps(call).encode())


@_SETTINGS
@given(body=st.binary(max_size=200))
async def test_any_bytes_are_answered_in_shape(tenant: Tenant, body: bytes) -> None:
    await _judge(tenant, body)
