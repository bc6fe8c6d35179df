"""The page of sources: adding one, setting it up at its vendor, seeing its first delivery, and changing it."""

from __future__ import annotations

import base64
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Answer, Service, Tenant, missed
from tests.support.signing import SIGNERS, TELNYX_PUBLIC_KEY, TELNYX_SEED, twilio

pytestmark = on_disk

SAMPLES: Final = Path(__file__).parents[1] / "ingest/vendors/samples"
SECRET: Final = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
VENDORS: Final = {
    "elevenlabs": ("ElevenLabs", "audio", "Webhook secret", "post_call_transcription.json", "New call"),
    "retell": ("Retell", "call_analyzed", "API key", "call_ended.json", "Waiting"),
    "vapi": ("Vapi", "end-of-call-report", "Secret of the credential", "end-of-call-report.json", "New call"),
    "twilio": ("Twilio", "completed", "Auth token", "status-completed.txt", "New call"),
    "standard": ("Standard Webhooks", "call.completed", "Signing secret", "call.completed.json", "New call"),
    "bland": ("Bland", None, "Webhook signing secret", "post_call.json", "New call"),
    "quo": ("Quo", "call.summary.completed", "Signing key", "call.completed.json", "Waiting"),
    "telnyx": ("Telnyx", "call.hangup", "Public key", "call.initiated.json", "Waiting"),
}
"""By kind: the name, an event to tick, what the secret is called, the sample that comes first, and what becomes of it."""


async def test_a_source_is_added_rotated_and_disabled(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(admin)
    page = agent.page
    await page.get_by_role("link", name="Deliveries").click()
    await page.get_by_role("link", name="Sources").click()
    await expect(page.get_by_text("No sources yet.")).to_be_visible()

    await page.get_by_role("link", name="Add a source").click()
    await expect(page.get_by_role("heading", name="Add a source")).to_be_focused()
    await page.get_by_role("radio", name="Your own system").check()
    await page.get_by_label("Name", exact=True).fill("Booking <b>agent</b>")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="API key of Booking <b>agent</b>")).to_be_focused()
    key = page.get_by_test_id("new-key")
    first = await key.inner_text()
    await page.get_by_role("button", name="Copy", exact=True).click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("() => navigator.clipboard.readText()") == first
    sent = await replace(admin, api_key=first).post_call(missed())
    assert sent.status == 201, sent.body

    await page.reload()
    await expect(page.get_by_role("heading", name="Booking <b>agent</b>", exact=True)).to_be_focused()
    await expect(key).to_have_count(0)
    await page.get_by_role("button", name="Rotate key of Booking <b>agent</b>").click()
    await expect(page.get_by_text("The previous key works until")).to_be_visible()
    second = await key.inner_text()
    assert first != second
    for one in (first, second):
        assert (await replace(admin, api_key=one).post_call(missed())).status == 201

    await page.get_by_label("Calls are from the past").check()
    await page.get_by_label("Name", exact=True).fill("Booking desk")
    await page.get_by_role("button", name="Save settings").click()
    await expect(page.get_by_text("Saved")).to_be_visible()
    await page.get_by_role("button", name="Disable Booking desk").click()
    await expect(page.locator(".delivery-facts")).to_contain_text("Disabled")
    assert (await replace(admin, api_key=second).post_call(missed())).status == 401
    await page.get_by_role("button", name="Enable Booking desk").click()
    await expect(page.locator(".delivery-facts")).to_contain_text("Enabled")
    await page.reload()
    await expect(page.get_by_label("Calls are from the past")).to_be_checked()
    await page.get_by_role("link", name="Sources").first.click()
    source = page.locator(".source")
    await expect(source).to_contain_text("Booking desk")
    await expect(source).to_contain_text(re.compile("Enabled · last seen"))

    await agent.open(f"/#/calls/{sent.body['callId']}")
    await expect(page.locator(".facts div", has_text="Received from")).to_contain_text("Booking <b>agent</b>")


@pytest.mark.parametrize("kind", VENDORS)
async def test_a_vendor_is_set_up_step_by_step(service: Service, new_agent: NewAgent, kind: str) -> None:
    admin = await service.tenant(role="admin")
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(admin, "/#/sources/new")
    page = agent.page
    vendor, event, label, sample, verdict = VENDORS[kind]
    await page.get_by_role("radio", name=vendor, exact=True).check()
    await expect(page.get_by_label("Name", exact=True)).to_have_value(vendor)
    await page.get_by_role("button", name="Add source").click()
    await expect(page.get_by_role("heading", name=vendor, exact=True)).to_be_focused()

    [source] = (await admin.get("/api/sources")).body["sources"]
    assert source["kind"] == kind
    await expect(page.get_by_test_id("webhook-address")).to_have_text(service.base_url + source["webhookPath"])
    await page.get_by_role("button", name="Copy address").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("() => navigator.clipboard.readText()") == service.base_url + source["webhookPath"]
    if event:
        await expect(page.get_by_role("list", name="Events")).to_contain_text(event)
    await expect(page.get_by_text("Until there is a secret, everything is refused.")).to_be_visible()

    await page.get_by_label(label, exact=True).fill(TELNYX_PUBLIC_KEY if kind == "telnyx" else SECRET)
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("1 secret set")).to_be_visible()
    await expect(page.get_by_text("Waiting for the first delivery.")).to_be_visible()
    assert SECRET not in await page.locator(".setup").inner_html()
    own = (await admin.get(f"/api/sources/{source['id']}")).body["source"]
    assert len(own["secrets"]) == 1
    assert own["settings"]["publicUrl"] == (service.base_url if kind == "twilio" else None)
    assert own["settings"]["proof"] == ("standard" if kind == "vapi" else None)

    body = (SAMPLES / f"{kind}-{sample}").read_bytes()
    address = service.base_url + source["webhookPath"]
    if kind == "twilio":
        headers = {"Content-Type": "application/x-www-form-urlencoded", **twilio(SECRET, body, address)}
    else:
        sign = SIGNERS["standard" if kind == "vapi" else kind]
        headers = {"Content-Type": "application/json", **sign(TELNYX_SEED if kind == "telnyx" else SECRET, body, time.time())}
    assert (await admin.request("POST", source["webhookPath"], data=body, headers=headers)).status == 200
    await expect(page.locator(".arrivals")).to_contain_text(verdict)
    await expect(page.locator(".arrivals")).to_contain_text("Waiting for the next one.")


async def test_secrets_are_made_and_replaced_but_never_shown_again(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    added = (await admin.post("/api/sources", {"name": "Own", "kind": "standard"})).body["source"]
    agent = await new_agent(service.base_url)
    await agent.enter(admin, f"/#/sources/{added['id']}")
    page = agent.page
    await page.get_by_role("button", name="Make a secret").click()
    made = await page.get_by_test_id("made-secret").inner_text()
    assert len(base64.b64decode(made.removeprefix("whsec_"))) == 32
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("1 secret set")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("1 secret set")).to_be_visible()
    assert made not in await page.content()

    await page.get_by_role("button", name="Replace…").click()
    await page.get_by_role("button", name="Add another").click()
    await page.get_by_label("Signing secret 1").fill(made)
    await page.get_by_label("Signing secret 2").fill(SECRET)
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("2 secrets set")).to_be_visible()


async def test_settings_of_a_vendors_source_are_saved_and_wrong_ones_are_named(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    added = (await admin.post("/api/sources", {"name": "Reception", "kind": "twilio"})).body["source"]
    agent = await new_agent(service.base_url)
    await agent.enter(admin, f"/#/sources/{added['id']}")
    page = agent.page
    await page.get_by_label("Own numbers").fill("4165550100")
    await page.get_by_role("button", name="Save settings").click()
    await expect(page.get_by_role("alert")).to_contain_text("settings.numbers[0] must start with +")
    await expect(page.get_by_label("Own numbers")).to_have_value("4165550100")

    await page.get_by_label("Own numbers").fill("+14165550100, +1 (416) 555-0101")
    await page.get_by_label("Public URL").fill("https://calls.example.com")
    await page.get_by_label("User for recordings").fill("AC0123")
    await page.get_by_label("Password for recordings").fill("hunter2")
    await page.get_by_role("button", name="Save settings").click()
    await expect(page.get_by_text("Saved")).to_be_visible()
    settings = (await admin.get(f"/api/sources/{added['id']}")).body["source"]["settings"]
    assert settings["publicUrl"] == "https://calls.example.com"
    assert (settings["fetchUser"], settings["fetchPasswordSet"]) == ("AC0123", True)
    await page.reload()
    await expect(page.get_by_label("Own numbers")).to_have_value("+14165550100, +14165550101")
    await page.get_by_label("Public URL").fill("")
    await page.get_by_role("button", name="Save settings").click()
    await expect(page.get_by_text("Saved")).to_be_visible()
    settings = (await admin.get(f"/api/sources/{added['id']}")).body["source"]["settings"]
    assert (settings["publicUrl"], settings["fetchPasswordSet"]) == (None, True), "an empty password stays as it was"


async def _post(admin: Tenant, source: dict[str, Any], body: bytes, secret: str) -> Answer:
    headers = {"Content-Type": "application/json", **SIGNERS[source["kind"]](secret, body, time.time())}
    return await admin.request("POST", source["webhookPath"], data=body, headers=headers)


async def test_the_first_delivery_is_seen_to_arrive(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    added = {"name": "Front desk", "kind": "elevenlabs", "secrets": ["wsec_right"]}
    source = (await admin.post("/api/sources", added)).body["source"]
    agent = await new_agent(service.base_url)
    await agent.enter(admin, f"/#/sources/{source['id']}")
    page = agent.page
    arrivals = page.locator(".arrivals")
    await expect(arrivals).to_contain_text("Waiting for the first delivery.")
    body = (SAMPLES / "elevenlabs-post_call_transcription.json").read_bytes()

    assert (await _post(admin, source, body, "wsec_wrong")).status == 401
    await expect(arrivals).to_contain_text("Refused")
    await expect(arrivals).to_contain_text("The signature was wrong or missing.")
    await expect(page.get_by_role("heading", name="Refused at the door")).to_be_visible()

    answer = await _post(admin, source, body, "wsec_right")
    assert answer.status == 200
    await expect(arrivals).to_contain_text("New call")
    await expect(page.locator(".delivery-facts")).to_contain_text("New call")
    await expect(page.get_by_role("list", name="Recent deliveries").get_by_role("listitem")).to_have_count(1)

    await arrivals.get_by_role("link", name="View call").click()
    call = page.get_by_test_id("call")
    await expect(call).to_contain_text("Outbound call to (415) 555-0142")
    await expect(call.get_by_test_id("outcome")).to_contain_text("Ended because of")
    tools = call.locator(".turn-tools").first
    await tools.get_by_text("lookup_delivery").click()
    await expect(tools).to_contain_text("+14155550142")

    await agent.open(f"/#/deliveries?source={source['id']}")
    await page.locator(".delivery-link").click()
    await expect(page.get_by_role("heading", name="Webhook from Front desk")).to_be_focused()
    row = page.locator(".trail-note", has_text="toNumber")
    await expect(row).to_be_enabled()
    await row.focus()
    await expect(page.locator(".body-line[data-marked]")).to_have_text('"external_number": "+14155550142",')
