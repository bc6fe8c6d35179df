"""A body of any kind becomes a call that can be stored, or a refusal that lists what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract import CALL, CONTRACT, INGEST
from tests.test_contract_agreement import JSON
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest
from tether_rt.http.json_body import read
from tether_rt.ingest.judging import judge, require_valid, rules_of_calls
from tether_rt.mongo.calls import call_elements

FREE = st.dictionaries(st.text(), JSON, max_size=4)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
NOW = datetime(2026, 5, 15, 9, 10, tzinfo=UTC)


@given(FREE, FREE, NUMBERS, st.sets(st.sampled_from(sorted(CALL))))
@settings(max_examples=1000)
def test_a_body_is_a_call_or_refused_in_words(
    extra: dict[str, Any], metadata: dict[str, Any], duration: float, left_out: set[str]
) -> None:
    sent = {**extra, **{name: value for name, value in CALL.items() if name not in left_out}, "metadata": metadata}
    try:
        raw = orjson.dumps({**sent, "duration": duration})
    except TypeError:  # past 64 bits
        return
    refusals = []
    try:
        body, text = read(raw)
        require_valid(CONTRACT, INGEST, body, text, rules_of_calls)
        call_elements(judge(CONTRACT, body, text, "", Source("5" * 24, "6" * 24, "Vendor"), NOW), None)
    except BadRequest as refusal:
        refusals.append(refusal)
    for one in refusals:
        assert one.faults
        assert all(fault.error for fault in one.faults)
