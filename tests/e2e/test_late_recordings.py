"""Recordings that come later: on their way, given up with a reason, tried again, and there at last."""

from __future__ import annotations

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, Tenant, sample

pytestmark = on_disk

LATER = {"Prefer": "respond-async"}


async def test_a_recording_that_was_given_up_says_why_and_can_be_tried_again(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    call = sample("appointment", recording="http://10.0.0.1/call.mp3")
    call_id = (await tenant.post_call(call, headers=LATER)).body["callId"]
    await agent.row(call_id).get_by_role("link").click()
    recording = agent.page.get_by_role("group", name="Recording")
    await expect(recording).to_contain_text("There is no recording yet.")
    await expect(recording).to_contain_text("not public")
    await expect(agent.row(call_id)).to_contain_text("Recording failed")
    async with agent.page.expect_response(lambda answer: answer.url.endswith("/recording/retry")) as answering:
        await recording.get_by_role("button", name="Try again").click()
    assert (await answering.value).ok
    await expect(recording).to_contain_text("not public")
