"""Sources of vendors' kinds over HTTP: their addresses, secrets that nobody sees again, and what is counted of them."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import bson
import pytest

from tests.api.test_sources import send
from tests.support import signing
from tests.support.service import SECRET as SERVER_SECRET
from tests.support.service import Service, Tenant
from tests.support.waiting import eventually
from tests.support.webhooks import SECRETS, body_of, vendors_door
from tether_rt.auth.credentials import Keyring
from tether_rt.domain.source import KINDS, MAX_SECRETS
from tether_rt.runtime.deadlines import Deadline

SECRET = f"wsec_{uuid.uuid4().hex}"
NEW_SECRET = f"wsec_{uuid.uuid4().hex}"
VENDORS = tuple(kind for kind in KINDS if kind != "api")


@pytest.fixture
async def admin(service_on_disk: Service) -> Tenant:
    """An admin of a new organization; sources of earlier tests, which had the same secrets, are gone."""
    await service_on_disk.database["sources"].delete_many({})
    for secret in (SECRET, NEW_SECRET):
        service_on_disk.server.app.identity.forget(Keyring(SERVER_SECRET).secret_digest(secret))
    return await service_on_disk.tenant(role="admin")


async def added(admin: Tenant, kind: str = "elevenlabs", **body: Any) -> dict[str, Any]:
    """Add a source of a vendor and return it."""
    answer = await send(admin, "POST", "", {"name": "Voice agents", "kind": kind, "secrets": [SECRET], **body})
    assert answer.status == 201, answer.body
    assert answer.body.keys() == {"success", "source", "webhookPath"}
    source: dict[str, Any] = answer.body["source"]
    assert answer.body["webhookPath"] == source["webhookPath"]
    return source


async def secrets_of(service: Service, source: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the secrets with which the server would check a webhook now, None if it would take none."""
    found = await service.server.app.identity.vendor_source(source["kind"], source["id"], Deadline())
    return None if found is None else found.secrets


async def by_bearer(service: Service, secret: str) -> str | None:
    """Return the id of the ElevenLabs source whose secret this is."""
    found = await service.server.app.identity.elevenlabs_source(secret, Deadline())
    return None if found is None else found.id


@pytest.mark.parametrize("kind", VENDORS)
async def test_a_vendors_source_has_an_address_and_no_key(admin: Tenant, kind: str) -> None:
    source = await added(admin, kind)
    assert re.fullmatch(r"[0-9a-f]{24}", source["id"])
    assert source == {
        **source,
        "kind": kind,
        "keys": [],
        "webhookPath": f"/api/webhook/{kind}/{source['id']}",
        "secrets": [{"createdAt": source["createdAt"]}],
        "refused": {},
        "lastRefusedAt": None,
    }
    assert source["settings"]["proof"] == ("hmac" if kind == "vapi" else None)
    assert (await send(admin, "GET", f"/{source['id']}")).body["source"] == {
        **source,
        "createdByName": "Agent Smith",
        "refusedLastDay": 0,
        "deliveries": {},
    }
    assert (await send(admin, "GET", "")).body["sources"] == [source]


async def test_ids_of_vendors_sources_cannot_be_guessed_and_lists_have_the_oldest_first(admin: Tenant) -> None:
    ids = [(await added(admin, "retell"))["id"] for _ in range(6)]
    assert len({one[:8] for one in ids}) == 6  # an id that grows with time begins with it
    assert [one["id"] for one in (await send(admin, "GET", "")).body["sources"]] == ids


async def test_secrets_are_in_no_answer_no_log_and_no_dump_of_the_database(
    admin: Tenant, service_on_disk: Service, caplog: pytest.LogCaptureFixture
) -> None:
    source = await added(admin, secrets=[SECRET, NEW_SECRET])
    answers = [
        await send(admin, "GET", f"/{source['id']}"),
        await send(admin, "PATCH", f"/{source['id']}", {"secrets": [SECRET, NEW_SECRET]}),
        await send(admin, "PATCH", f"/{source['id']}", {"secrets": [SECRET, ""]}),
        await send(admin, "POST", "", {"name": "A", "kind": "elevenlabs", "secrets": [SECRET, "x" * 2000]}),
        await send(admin, "GET", ""),
    ]
    assert [answer.status for answer in answers] == [200, 200, 400, 400, 200]
    assert await by_bearer(service_on_disk, SECRET) == source["id"]
    dump = b""
    for name in await service_on_disk.database.list_collection_names():
        dump += b"".join([bson.encode(document) async for document in service_on_disk.database[name].find()])
    assert source["id"].encode() in dump
    for secret in (SECRET, NEW_SECRET):
        assert secret not in str([answer.body for answer in answers])
        assert secret not in caplog.text + str([record.__dict__ for record in caplog.records])
        assert secret.encode() not in dump


async def test_secrets_are_replaced_and_hold_at_once(admin: Tenant, service_on_disk: Service) -> None:
    source = await added(admin, secrets=[f" {SECRET}\n"])
    assert await secrets_of(service_on_disk, source) == (SECRET,)
    assert await by_bearer(service_on_disk, NEW_SECRET) is None
    both = (await send(admin, "PATCH", f"/{source['id']}", {"secrets": [SECRET, NEW_SECRET, SECRET]})).body["source"]
    assert await secrets_of(service_on_disk, source) == (SECRET, NEW_SECRET)
    assert [await by_bearer(service_on_disk, secret) for secret in (SECRET, NEW_SECRET)] == [source["id"]] * 2
    assert both["secrets"][0] == source["secrets"][0]
    assert both["secrets"][1]["createdAt"] > source["createdAt"]
    renamed = (await send(admin, "PATCH", f"/{source['id']}", {"name": "New"})).body["source"]
    assert renamed["secrets"] == both["secrets"]
    new = (await send(admin, "PATCH", f"/{source['id']}", {"secrets": [NEW_SECRET]})).body["source"]
    assert new["secrets"] == both["secrets"][1:]
    assert await secrets_of(service_on_disk, source) == (NEW_SECRET,)
    assert [await by_bearer(service_on_disk, secret) for secret in (SECRET, NEW_SECRET)] == [None, source["id"]]


async def test_a_source_may_be_added_before_its_vendor_has_made_a_secret(admin: Tenant, service_on_disk: Service) -> None:
    answer = await send(admin, "POST", "", {"name": "A", "kind": "elevenlabs"})
    source = answer.body["source"]
    assert source["secrets"] == []
    assert await secrets_of(service_on_disk, source) == ()
    secrets = [f"{SECRET}{number}" for number in range(MAX_SECRETS)]
    assert (await send(admin, "PATCH", f"/{source['id']}", {"secrets": secrets})).status == 200
    assert await secrets_of(service_on_disk, source) == tuple(secrets)


async def test_only_an_enabled_source_of_the_right_kind_is_found(admin: Tenant, service_on_disk: Service) -> None:
    source = await added(admin)
    others = [("retell", source["id"]), ("api", source["id"]), ("elevenlabs", "f" * 24), ("api", admin.user_id)]
    for kind, source_id in (*others, ("elevenlabs", f"{source['id']}\n"), ("elevenlabs", f"X{source['id'][1:]}")):
        assert await service_on_disk.server.app.identity.vendor_source(kind, source_id, Deadline()) is None
    for enabled in (True, False, True):
        await send(admin, "PATCH", f"/{source['id']}", {"enabled": enabled})
        assert await secrets_of(service_on_disk, source) == ((SECRET,) if enabled else None)
        assert await by_bearer(service_on_disk, SECRET) == (source["id"] if enabled else None)

    async def is_counted() -> bool:
        shown = (await send(admin, "GET", f"/{source['id']}")).body["source"]
        return bool(shown["refused"] == {"disabled": 1} and shown["lastRefusedAt"] > source["createdAt"])

    await eventually(is_counted)


async def test_a_secret_of_two_organizations_is_nobodys_bearer(admin: Tenant, service_on_disk: Service) -> None:
    secret = f"wsec_{admin.organization_id}"
    first = await added(admin, secrets=[secret])
    await added(admin, secrets=[secret])
    await added(admin, "retell", secrets=[secret])
    assert await by_bearer(service_on_disk, secret) == first["id"]
    stranger = await service_on_disk.tenant(role="admin")
    theirs = await added(stranger, secrets=[secret])
    assert await by_bearer(service_on_disk, secret) is None
    await send(stranger, "PATCH", f"/{theirs['id']}", {"secrets": [NEW_SECRET]})
    assert await by_bearer(service_on_disk, secret) == first["id"]
    for unusable in ("", "x" * 5_000, admin.api_key, "é\x80"):
        assert await by_bearer(service_on_disk, unusable) is None


async def test_another_organizations_source_does_not_exist(admin: Tenant, service_on_disk: Service) -> None:
    source = await added(admin)
    stranger = await service_on_disk.tenant(role="admin")
    for method, path, body in (("GET", "", None), ("PATCH", "", {"secrets": ["mine"]}), ("POST", "/rotate", {})):
        answer = await send(stranger, method, f"/{source['id']}{path}", body)
        assert (answer.status, answer.body["error"]) == (404, "There is no such source.")
    assert (await send(stranger, "GET", "")).body["sources"] == []
    assert await secrets_of(service_on_disk, source) == (SECRET,)


async def test_what_is_refused_without_proof_is_counted_by_code_and_not_kept(admin: Tenant) -> None:
    door = await vendors_door(admin, "retell")
    body = body_of("retell-call_ended-no_answer.json")
    stale = signing.retell(SECRETS["retell"], body, time.time() - 301)
    wrong = signing.retell("another secret", body, time.time())
    answers = [await admin.request("POST", door.path, data=body, headers=headers) for headers in (wrong, {}, stale, wrong)]
    await send(admin, "PATCH", f"/{door.source_id}", {"enabled": False})
    answers.append(await door.send(body))
    assert [answer.status for answer in answers] == [401, 401, 401, 401, 404]

    async def are_counted() -> bool:
        shown = (await send(admin, "GET", f"/{door.source_id}")).body["source"]
        return bool(shown["refused"] == {"signature": 3, "stale": 1, "disabled": 1} and shown["lastRefusedAt"])

    await eventually(are_counted)
    shown = (await send(admin, "GET", f"/{door.source_id}")).body["source"]
    assert (shown["lastSeenAt"], shown["deliveries"], await door.deliveries()) == (None, {}, [])


async def test_a_proven_webhook_is_seen_and_its_verdict_counted(admin: Tenant) -> None:
    door = await vendors_door(admin, "retell")
    for _ in range(2):
        await door.receive("retell-call_ended-no_answer.json")

    async def is_seen() -> bool:
        shown = (await send(admin, "GET", f"/{door.source_id}")).body["source"]
        return bool(shown["lastSeenAt"] and shown["deliveries"] == {"created": 1, "duplicate": 1})

    await eventually(is_seen)
    assert (await send(admin, "GET", f"/{door.source_id}")).body["source"]["refused"] == {}


async def test_webhooks_are_taken_with_the_old_and_the_new_secret_and_then_with_the_new_alone(admin: Tenant) -> None:
    door = await vendors_door(admin, "retell")
    body = body_of("retell-call_started.json")
    old, new = SECRETS["retell"], "key_new"

    async def statuses() -> list[int]:
        signed = [signing.retell(secret, body, time.time()) for secret in (old, new)]
        return [(await admin.request("POST", door.path, data=body, headers=headers)).status for headers in signed]

    assert await statuses() == [200, 401]
    for secrets, expected in (([old, new], [200, 200]), ([new], [401, 200])):
        await send(admin, "PATCH", f"/{door.source_id}", {"secrets": secrets})
        assert await statuses() == expected


async def test_an_elevenlabs_secret_is_a_bearer_token(admin: Tenant) -> None:
    source = await added(admin)
    body = body_of("elevenlabs-post_call_transcription.json")
    statuses = {}
    for token in (SECRET, NEW_SECRET, admin.api_key, ""):
        answer = await admin.request("POST", "/api/webhook/elevenlabs", token=token, data=body)
        statuses[token] = answer.status
    assert statuses == {SECRET: 200, NEW_SECRET: 401, admin.api_key: 401, "": 401}
    (listed,) = (await admin.get(f"/api/deliveries?source={source['id']}")).body["deliveries"]
    assert listed["verdict"] == "created"


async def test_a_vendors_source_has_no_key_to_rotate_and_one_with_keys_no_secrets(admin: Tenant) -> None:
    source = await added(admin)
    refused = await send(admin, "POST", f"/{source['id']}/rotate", {})
    assert refused.status == 400
    assert refused.body["error"].startswith("A source of the kind elevenlabs has no API key: change its secrets instead")
    with_key = (await send(admin, "POST", "", {"name": "A"})).body["source"]
    refused = await send(admin, "PATCH", f"/{with_key['id']}", {"secrets": [SECRET]})
    assert (refused.status, refused.body["field"]) == (400, "secrets")
    refused = await send(admin, "PATCH", f"/{source['id']}", {"settings": {"proof": "secret"}})
    assert (refused.status, refused.body["field"]) == (400, "settings.proof")


async def test_settings_of_vendors_are_shown_and_taken_back(admin: Tenant, service_on_disk: Service) -> None:
    source = await added(admin, "vapi", settings={"publicUrl": "https://calls.example.com:8443/in/", "proof": "standard"})
    assert source["settings"].items() >= {"publicUrl": "https://calls.example.com:8443/in", "proof": "standard"}.items()
    found = await service_on_disk.server.app.identity.vendor_source("vapi", source["id"], Deadline())
    assert found is not None
    assert (found.source.settings.public_url, found.source.settings.proof) == (
        "https://calls.example.com:8443/in",
        "standard",
    )
    changes = {"settings": {"publicUrl": None, "proof": "secret"}}
    changed = (await send(admin, "PATCH", f"/{source['id']}", changes)).body["source"]
    assert changed["settings"] == {**source["settings"], "publicUrl": None, "proof": "secret"}


async def test_sources_of_earlier_versions_read_as_before(admin: Tenant, service_on_disk: Service) -> None:
    source = (await send(admin, "POST", "", {"name": "A"})).body["source"]
    unset = {"secrets": "", "refusals": "", "lastRefusal": "", "settings.proof": "", "settings.publicUrl": ""}
    await service_on_disk.database["sources"].update_one({"_id": source["id"]}, {"$unset": unset})
    assert (await send(admin, "GET", f"/{source['id']}")).body["source"] == {
        **source,
        "createdByName": "Agent Smith",
        "refusedLastDay": 0,
        "deliveries": {},
    }
    assert source["settings"]["publicUrl"] is None
