"""Vendors' webhooks, through the front door."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.adapting import EXPECTED
from tests.support.service import Service, Tenant
from tests.support.webhooks import vendors_door
from tether_rt.domain.call import iso_ms, parse_time

VENDORS = ("elevenlabs", "retell", "vapi", "twilio", "standard")
FILES = {vendor: [name for name in EXPECTED if name.startswith(f"{vendor}-")] for vendor in VENDORS}


@pytest.fixture
async def tenant(service_on_disk: Service) -> Tenant:
    """An admin of a new organization."""
    return await service_on_disk.tenant(role="admin")


def require_call(call: dict[str, Any], expected: dict[str, Any]) -> None:
    """Assert that a call is what its vendor's sample says."""
    named = {"direction": "direction", "status": "status", "fromNumber": "from", "toNumber": "to", "duration": "duration"}
    for name, ours in {**named, "agentName": "agentName", "summary": "summary", "callerName": "contactName"}.items():
        if name in expected:
            said = "The source's name" if expected[name] == "the source's name" else expected[name]
            assert call[ours] == said, name
    if "startTime" in expected:
        assert call["startTime"] == iso_ms(parse_time(expected["startTime"]))
    if "turns" in expected:
        assert len(call["transcription"]) == expected["turns"]
    if "missing" in expected:
        assert call["missing"] == expected["missing"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_samples_in_the_order_in_which_they_are_sent(tenant: Tenant, vendor: str) -> None:
    door = await vendors_door(tenant, vendor)
    for name in FILES[vendor]:
        expected = EXPECTED[name]
        delivery = await door.receive(name)
        assert (delivery["verdict"], delivery["code"]) == (expected["verdict"], expected.get("reason")), name
        if expected["verdict"] == "created":
            require_call(await door.call(delivery), expected)
