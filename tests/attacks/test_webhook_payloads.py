"""Vendors' events with anything in them: each is answered 200 and has a verdict that says what is wrong, and where."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.adapting import EXPECTED, mutated, sample
from tests.support.service import Service
from tests.support.webhooks import VendorsDoor, vendors_door
from tether_rt.ingest.vendors.proof_methods import MAX_ED25519_BYTES, MAX_FORM_BYTES
from tether_rt.ingest.vendors.registry import VENDORS


def _bytes_of(payload: Any, kind: str) -> bytes:
    if kind == "twilio" and isinstance(payload, dict):
        return urlencode({name: value if isinstance(value, str) else "" for name, value in payload.items()}).encode()
    return json.dumps(payload).encode(errors="surrogatepass")  # with NaN, which is no JSON


@pytest.mark.parametrize("kind", VENDORS)
async def test_every_event_has_a_verdict(service_on_disk: Service, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    door = await vendors_door(await service_on_disk.tenant(role="admin"), kind)
    samples = [sample(name) for name in EXPECTED if name.startswith(f"{kind}-") and "legacy" not in name]
    loop = asyncio.get_running_loop()

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(samples).flatmap(mutated))
    def any_event(payload: Any) -> None:
        asyncio.run_coroutine_threadsafe(has_verdict(door, _bytes_of(payload, kind)), loop).result()

    with caplog.at_level(logging.ERROR):
        await asyncio.to_thread(any_event)
    assert [record.message for record in caplog.records] == []


LARGEST: Final = {"twilio": MAX_FORM_BYTES, "telnyx": MAX_ED25519_BYTES}
"""Bodies whose signature needs all of them at once: a larger one is refused."""


async def has_verdict(door: VendorsDoor, body: bytes) -> None:
    if len(body) > LARGEST.get(door.kind, len(body)):
        assert (await door.send(body)).status == 413
        return
    delivery = await door.receive(body)
    assert delivery["verdict"] in ("created", "merged", "duplicate", "waiting", "ignored", "dead")
    if delivery["verdict"] in ("ignored", "dead"):
        assert delivery["code"]
        assert delivery["error"]
    if delivery["callId"] is not None:
        assert (await door.call(delivery))["callId"] == delivery["callId"]
