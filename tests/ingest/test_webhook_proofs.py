"""The proof of a webhook's origin, through the front door."""

from __future__ import annotations

import time

import pytest

from tests.support import signing
from tests.support.service import Service, Tenant
from tests.support.waiting import eventually
from tests.support.webhooks import SECRETS, VendorsDoor, body_of, vendors_door
from tether_rt.ingest.vendors.proof_methods import MAX_FORM_BYTES

SAMPLES = {
    "elevenlabs": "elevenlabs-call_initiation_failure-busy.json",
    "retell": "retell-call_ended-no_answer.json",
    "vapi": "vapi-end-of-call-report-no-answer.json",
    "twilio": "twilio-status-busy.txt",
    "standard": "standard-call.completed.json",
}


@pytest.fixture
async def tenant(service_on_disk: Service) -> Tenant:
    """An admin of a new organization."""
    return await service_on_disk.tenant(role="admin")


async def status_of(door: VendorsDoor, body: bytes, headers: dict[str, str], query: str = "") -> int:
    """Send a body with these headers, and return the status of the answer."""
    sent = {"Content-Type": "application/json", **headers}
    return (await door.tenant.request("POST", f"{door.path}{query}", data=body, headers=sent)).status


async def give_secrets(door: VendorsDoor, *secrets: str) -> None:
    """Replace the source's secrets."""
    path, token = f"/api/sources/{door.source_id}", door.tenant.token
    assert (await door.tenant.request("PATCH", path, token=token, json={"secrets": secrets})).status == 200


async def refusals(door: VendorsDoor) -> dict[str, int]:
    """Return how many requests the source has refused, by cause."""
    source = (await door.tenant.get(f"/api/sources/{door.source_id}")).body["source"]
    counts: dict[str, int] = source["refused"]
    return counts


@pytest.mark.parametrize("kind", sorted(SAMPLES))
async def test_an_event_that_is_not_its_vendors_is_refused_counted_and_not_kept(tenant: Tenant, kind: str) -> None:
    door = await vendors_door(tenant, kind)
    body = body_of(SAMPLES[kind])
    good = door.headers(body)
    for forged, headers in ((body, {}), (body + b" ", good), (body, dict.fromkeys(good, "\u00e9"))):
        assert await status_of(door, forged, headers) == 401
    expected = {"signature": 3}
    if kind != "twilio":
        expected["stale"] = 2
        for age_s in (4000, -400):
            assert await status_of(door, body, door.headers(body, time.time() - age_s)) == 401
    assert await door.deliveries() == []
    assert await status_of(door, body, good) == 200
    assert len(await door.deliveries()) == 1

    async def is_counted() -> bool:
        return await refusals(door) == expected

    await eventually(is_counted)


async def test_any_of_a_sources_secrets_is_enough(tenant: Tenant) -> None:
    door = await vendors_door(tenant, "retell")
    await give_secrets(door, "key_new", SECRETS["retell"])
    body = body_of(SAMPLES["retell"])
    for secret, status in ((SECRETS["retell"], 200), ("key_new", 200), ("key_other", 401)):
        assert await status_of(door, body, signing.retell(secret, body, time.time())) == status


async def test_vapi_proves_itself_as_its_source_says(tenant: Tenant) -> None:
    body = body_of(SAMPLES["vapi"])
    secret = SECRETS["vapi"]
    ways = {
        "hmac": [signing.vapi(secret, body, time.time()), signing.vapi_body_alone(secret, body, 0)],
        "secret": [{"X-Vapi-Secret": secret}, {"Authorization": f"Bearer {secret}"}],
        "standard": [signing.standard(SECRETS["standard"], body, time.time())],
    }
    for proof in ways:
        door = await vendors_door(tenant, "vapi", proof=proof)
        if proof == "standard":
            await give_secrets(door, SECRETS["standard"])
        for way, offers in ways.items():
            for headers in offers:
                assert await status_of(door, body, headers) == (200 if way == proof else 401), (proof, way)


async def test_twilio_signs_the_address_that_it_calls_with_its_query_and_perhaps_another_hash(tenant: Tenant) -> None:
    door = await vendors_door(tenant, "twilio", publicUrl="https://calls.example.com/hooks")
    body = body_of(SAMPLES["twilio"])
    url = f"https://calls.example.com:443/hooks{door.path}?leg=a%20b&x='"
    for digest in ("sha1", "sha256"):
        headers = signing.twilio(SECRETS["twilio"], body, url, digest=digest)
        assert await status_of(door, body, headers, "?leg=a%20b&x='") == 200
        assert await status_of(door, body, headers, "?leg=a+b&x='") == 401
        assert await status_of(door, body, {**headers, "X-Forwarded-Host": "evil.example"}, "?leg=a%20b") == 401


async def test_a_form_that_is_too_large_to_be_sorted_is_413(tenant: Tenant) -> None:
    door = await vendors_door(tenant, "twilio")
    body = b"CallSid=" + b"x" * MAX_FORM_BYTES
    assert await status_of(door, body, door.headers(body)) == 413

    async def is_counted() -> bool:
        return await refusals(door) == {"too_large": 1}

    await eventually(is_counted)
