"""Nothing that a vendor sends can run, break the page or hide what is beside it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Error, expect

from tests.e2e.conftest import EXPECTED, NewAgent, on_disk
from tests.support.service import Service, Tenant, sample

pytestmark = on_disk

SCRIPTS = (
    "<script>window.ran = true</script>",
    "<img src=x onerror='window.ran = true'>",
    "<svg onload=alert(1)>",
    "javascript:window.ran=true",
    '"><iframe srcdoc="<script>parent.ran=true</script>">',
    "${window.ran = true}",
    "{{constructor.constructor('window.ran=true')()}}",
    "\u202egnp.exe\u0000 \ufeff",
)


def _deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"end": "bottom"}
    for _ in range(levels):
        value = {"next": value}
    return value


async def test_hostile_text_is_text(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    everything = " ".join(SCRIPTS)
    call = sample(
        "delivery",
        callerName=SCRIPTS[1],
        agentName=SCRIPTS[2],
        summary=everything,
        transcript=[{"role": "agent", "message": text, "timestamp": 0} for text in SCRIPTS],
        metadata={
            **{text.replace("\u0000", ""): text for text in SCRIPTS},
            "__proto__": {"ran": True},
            "type": "script",
            "props": {"dangerouslySetInnerHTML": {"__html": SCRIPTS[1]}},
            "deep": _deep(60),
            "wide": list(range(5000)),
            "long": "x" * 20_000,
        },
        dangerouslySetInnerHTML={"__html": SCRIPTS[1]},
    )
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    answer = await tenant.post_call(call)
    assert answer.status == 201, answer.body
    row = agent.row(answer.body["callId"])
    await expect(row).to_contain_text(SCRIPTS[1])
    await row.get_by_role("link").click()

    page = agent.page
    await expect(page.get_by_role("heading", name=SCRIPTS[1])).to_be_visible()
    await expect(page.locator(".turn").first).to_contain_text(SCRIPTS[0])
    assert await page.locator(".turn-text").all_text_contents() == list(SCRIPTS)
    metadata = page.get_by_test_id("metadata")
    await expect(metadata).to_contain_text(SCRIPTS[4])
    await expect(metadata).to_contain_text("__proto__")
    for _ in range(3):
        await metadata.locator("details:not([open]) > summary").filter(has_text="next").last.click()
    await metadata.get_by_role("button", name="Show all").click()

    assert await page.evaluate("() => window.ran") is None
    assert await page.locator("#app :is(img, iframe, script, object, embed)").count() == 0
    assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


async def test_the_page_refuses_markup_even_from_itself(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    agent.expected = re.compile(f"{EXPECTED.pattern}|TrustedHTML|trusted-types")
    response = await agent.page.goto(agent.base_url)
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert {"default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"} <= {
        part.strip() for part in policy.split(";")
    }
    with pytest.raises(Error, match="TrustedHTML"):
        await agent.page.evaluate("() => { document.body.innerHTML = '<b>x</b>'; }")
