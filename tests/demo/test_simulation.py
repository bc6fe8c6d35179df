from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.demo import samples
from tether_rt.demo.simulation import sample_call
from tether_rt.domain.contract import load_contract
from tether_rt.domain.phone import to_e164

NOW = datetime(2026, 5, 15, 9, 10, tzinfo=UTC)
CONTRACT = load_contract()
NAMES = (*samples.COMPLETED, *samples.UNANSWERED)
VARIED = {"externalCallId", "callStartTime", "fromNumber", "toNumber", "callerName", "metadata", "duration"}


def call(name: str, seed: int) -> dict[str, Any]:
    return sample_call(random.Random(seed), name, NOW)


@given(st.sampled_from(NAMES), st.integers(0, 10_000))
def test_every_simulated_call_keeps_the_contract(name: str, seed: int) -> None:
    made = call(name, seed)
    CONTRACT.check("CallsIngestExternalCallRequest", made)
    for field in ("fromNumber", "toNumber"):
        assert to_e164(made[field], field) == made[field]
    assert made["callStartTime"] == "2026-05-15T09:10:00.000Z"


@given(st.sampled_from(samples.COMPLETED), st.integers(0, 10_000))
def test_what_is_spoken_is_what_is_written(name: str, seed: int) -> None:
    sample, made = samples.payload(name), call(name, seed)
    assert {key: made[key] for key in sample.keys() - VARIED} == {key: sample[key] for key in sample.keys() - VARIED}
    assert made["duration"] == sample["duration"]
    if name == "appointment":
        assert made["callerName"].startswith("Priya ")
    if name == "outage":
        assert made["metadata"]["ticket"] == "NL-20417"


def test_simulated_calls_differ() -> None:
    made = [call("outage", seed) for seed in range(50)]
    assert len({one["externalCallId"] for one in made}) == 50
    assert len({one["fromNumber"] for one in made}) > 30
    assert len({one.get("callerName") for one in made}) > 5


def test_who_calls_again_is_called_the_same() -> None:
    by_number: dict[str, set[str | None]] = {}
    for seed in range(2000):
        made = call("outage", seed)
        by_number.setdefault(made["fromNumber"], set()).add(made.get("callerName"))
    assert max(len(names) for names in by_number.values()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_samples_themselves_keep_the_contract(name: str) -> None:
    payload = samples.payload(name)
    CONTRACT.check("CallsIngestExternalCallRequest", payload)
    assert ("recording" in payload) == (name in samples.COMPLETED)
    assert json.loads(json.dumps(payload)) == payload
