"""The page that tests a vendor's payload: the verdict, the call as it would be, and where each field comes from."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.async_api import expect

from tests.e2e.conftest import Agent, NewAgent, on_disk
from tests.support.service import Service, Tenant

pytestmark = on_disk

SAMPLES = Path(__file__).parents[1] / "ingest/vendors/samples"


async def _opened(service: Service, new_agent: NewAgent, query: str = "") -> tuple[Agent, Tenant]:
    admin = await service.tenant(role="admin")
    agent = await new_agent(service.base_url)
    await agent.enter(admin, f"/#/payload-test{query}")
    return agent, admin


async def _test(agent: Agent, vendor: str, payload: str) -> None:
    await agent.page.get_by_label("Vendor").select_option(vendor)
    await agent.page.get_by_role("textbox", name="Payload").fill(payload)
    await agent.page.get_by_role("button", name="Test", exact=True).click()


async def test_a_payload_shows_the_call_and_where_each_field_comes_from(service: Service, new_agent: NewAgent) -> None:
    agent, admin = await _opened(service, new_agent)
    page = agent.page
    await page.get_by_label("Payload from a file").set_input_files(SAMPLES / "elevenlabs-post_call_transcription.json")
    await page.get_by_label("Vendor").select_option("ElevenLabs")
    await page.get_by_role("button", name="Test", exact=True).click()
    await expect(page.get_by_role("heading", name="This would become a new call.")).to_be_focused()

    preview = page.locator(".call-preview")
    await expect(preview).to_contain_text("Outbound call to (415) 555-0142")
    await expect(preview).to_contain_text("The customer kept tomorrow's 9-11 delivery window")
    await preview.get_by_text("Transcript, 5 turns").click()
    await expect(preview.locator(".turn")).to_have_count(5)

    marked = page.locator(".body-line[data-marked]")
    row = page.locator(".trail-note", has_text="toNumber").first
    await row.hover()
    await expect(marked).to_have_text('"external_number": "+14155550142",')
    await row.press("Enter")
    await expect(marked).to_be_focused()
    await expect(marked).to_be_in_viewport()
    await page.keyboard.press("Shift+Tab")
    await page.locator(".trail-note", has_text="duration").first.focus()
    await expect(marked).to_have_text('"call_duration_secs": 23,')

    assert (await admin.get("/api/deliveries")).body["total"] == 0
    assert (await admin.get("/api/calls/history")).body["total"] == 0


async def test_twilios_form_is_read_like_any_other_payload(service: Service, new_agent: NewAgent) -> None:
    agent, _ = await _opened(service, new_agent)
    await _test(agent, "Twilio", (SAMPLES / "twilio-status-completed.txt").read_text())
    await expect(agent.page.get_by_role("heading", name="This would become a new call.")).to_be_visible()
    await expect(agent.page.get_by_test_id("missing")).to_contain_text("transcript, summary")
    await agent.page.locator(".trail-note", has_text="fromNumber").first.focus()
    await expect(agent.page.locator(".body-line[data-marked]")).to_have_text('"From": "+14155550142",')


async def test_what_is_no_call_says_why(service: Service, new_agent: NewAgent) -> None:
    agent, _ = await _opened(service, new_agent)
    page = agent.page
    verdict = page.locator(".verdict-box")
    await _test(agent, "Retell", (SAMPLES / "retell-call_started.json").read_text())
    await expect(verdict).to_contain_text("This would be ignored.")
    await expect(verdict).to_contain_text("not_final")
    await expect(page.locator(".call-preview")).to_have_count(0)

    await _test(agent, "Retell", '{"event": <b>')
    await expect(verdict).to_contain_text("This cannot become a call.")
    await expect(verdict).to_contain_text("unparsable")
    await expect(page.get_by_text("It cannot be read.")).to_be_visible()

    call = json.loads((SAMPLES / "retell-call_ended-no_answer.json").read_text())
    call["call"]["from_number"] = "<img src=x onerror=alert(1)>"
    await _test(agent, "Retell", json.dumps(call))
    await expect(verdict).to_contain_text("number_invalid")
    await expect(verdict).to_contain_text("call.from_number")
    await expect(page.locator(".body-text")).to_contain_text("<img src=x onerror=alert(1)>")


async def test_a_source_lends_its_numbers(service: Service, new_agent: NewAgent) -> None:
    agent, admin = await _opened(service, new_agent)
    page = agent.page
    body = {"name": "Branch", "kind": "vapi", "settings": {"numbers": ["+14155550118"]}}
    source = (await admin.post("/api/sources", body)).body["source"]
    await agent.open(f"/#/sources/{source['id']}")
    await page.get_by_role("link", name="Test a payload").click()
    await expect(page.get_by_label("Vendor")).to_have_value("vapi")
    await expect(page.get_by_label("With the settings of")).to_have_value(source["id"])
    report = json.loads((SAMPLES / "vapi-end-of-call-report.json").read_text())
    del report["message"]["phoneNumber"]
    report["message"]["call"].pop("phoneNumber", None)
    await page.get_by_role("textbox", name="Payload").fill(json.dumps(report))
    await page.get_by_role("button", name="Test", exact=True).click()
    await expect(page.get_by_role("heading", name="This would become a new call.")).to_be_visible()
    await page.get_by_label("With the settings of").select_option("No source")
    await page.get_by_role("button", name="Test", exact=True).click()
    await expect(page.locator(".verdict-box")).to_contain_text("number_missing")
