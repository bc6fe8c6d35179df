"""Many webhooks of several vendors at once: each is taken, and they cost a bounded amount of memory."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import orjson

from tests.support.adapting import sample
from tests.support.program import Program, program
from tests.support.webhooks import VendorsDoor, body_of, vendors_door

COUNT = 200
"""Of each vendor."""
AT_ONCE = 48


def retell() -> bytes:
    event = sample("retell-call_analyzed.json")
    event["call"]["call_id"] = uuid.uuid4().hex
    event["call"].pop("recording_url", None)
    return orjson.dumps(event)


def vapi() -> bytes:
    event = sample("vapi-end-of-call-report.json")
    event["message"]["call"]["id"] = uuid.uuid4().hex
    for holder in (event["message"], event["message"].get("artifact", {})):
        for name in [name for name in holder if "recording" in name.lower()]:
            del holder[name]
    return orjson.dumps(event)


def twilio() -> bytes:
    return body_of("twilio-status-completed.txt").replace(
        b"CA0123456789abcdef0123456789abcdef", f"CA{uuid.uuid4().hex}".encode()
    )


async def test_a_flood_of_webhooks_is_taken_in_bounded_memory(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri) as running:
        tenant = await running.tenant(role="admin")
        doors = {name: await vendors_door(tenant, name) for name in ("retell", "vapi", "twilio")}
        bodies = [(doors[event.__name__], event()) for _ in range(COUNT) for event in (retell, vapi, twilio)]
        await sent(bodies[:60])  # what every process needs once
        before_mb = running.peak_mb()
        await sent(bodies[60:])
        assert running.peak_mb() - before_mb < 64
        await require_calls(running, tenant.organization_id, len(bodies))


async def sent(bodies: list[tuple[VendorsDoor, bytes]]) -> None:
    waiting = iter(bodies)

    async def line() -> None:
        for door, body in waiting:
            answer = await door.send(body)
            assert answer.status == 200, answer.body
            assert answer.body["callId"]

    await asyncio.gather(*(line() for _ in range(AT_ONCE)))


async def require_calls(running: Program, organization_id: str, count: int) -> None:
    assert await running.database["calls"].count_documents({"organizationId": organization_id}) == count
    own = {"organizationId": organization_id, "verdict": "created"}
    assert await running.database["deliveries"].count_documents(own) == count
