"""No text that a vendor sends can run, break the page or hide other content."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Error, Page, expect

from tests.e2e.conftest import EXPECTED, NewAgent, on_disk
from tests.support import audio
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


def hostile(field: str) -> str:
    """Return a text that names its field if it runs as a script."""
    return f"{field}<script>window.ran='{field}'</script><img src=x onerror=\"window.ran='{field}'\">"


INHERITED = ("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "__defineGetter__", "then", "length")
"""Property names that every JavaScript object has."""


async def require_untouched(page: Page) -> None:
    """Check that no script ran, no element was added, and no prototype was changed."""
    assert await page.evaluate("() => window.ran") is None
    assert (
        await page.locator("#app :is(img, iframe, script, object, embed, style, form[action], a[href^='javascript'])").count()
        == 0
    )
    assert await page.evaluate("() => [({}).ran, ({}).polluted, Object.keys(Object.prototype).length]") == [None, None, 0]


async def test_every_field_that_a_vendor_sets_is_text_on_every_page(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    extra_fields: dict[str, Any] = {
        hostile("extra key"): {hostile("inner key"): [hostile("extra value")]},
        "html": hostile("html"),
    }
    call = sample(
        "appointment",
        callerName=hostile("callerName"),
        agentName=hostile("agentName"),
        summary=hostile("summary"),
        externalCallId=hostile("externalCallId"),
        callStartTime=...,
        transcript=[
            {"role": "agent", "message": hostile("agent's words"), "timestamp": 0},
            {"role": "user", "message": hostile("user's words"), "timestamp": 1},
        ],
        metadata={hostile("key"): hostile("value"), **{name: {"polluted": True, "ran": True} for name in INHERITED}},
        **extra_fields,
    )
    answer = await tenant.post_call(call)
    assert answer.status == 201, answer.body
    ids = answer.body
    agent = await new_agent(service.base_url)
    page = agent.page
    await agent.enter(tenant)

    row = agent.row(ids["callId"])
    await expect(row).to_contain_text(hostile("callerName"))
    await expect(row).to_contain_text(hostile("summary"))
    await require_untouched(page)

    await agent.open(f"/#/calls/{ids['callId']}")
    await expect(page.get_by_role("heading", name=hostile("callerName"))).to_be_visible()
    call_view = page.locator("#app")
    for field in ("agentName", "summary", "externalCallId", "agent's words", "user's words", "key", "value"):
        await expect(call_view).to_contain_text(hostile(field))
    extra = page.get_by_test_id("extra")
    for field in ("extra key", "html"):
        await expect(extra).to_contain_text(hostile(field))
    for name in INHERITED:
        await expect(page.get_by_test_id("metadata")).to_contain_text(name)
    while await (closed := page.locator("details:not([open]) > summary")).count():
        await closed.first.click()
    for field in ("inner key", "extra value"):
        await expect(extra).to_contain_text(hostile(field))
    await require_untouched(page)

    await agent.open(f"/#/contacts/{ids['contactId']}")
    await expect(page.get_by_role("heading", name=hostile("callerName"))).to_be_visible()
    await expect(page.locator(".contact-call")).to_contain_text(hostile("summary"))
    await require_untouched(page)

    await agent.open("/#/analytics")
    await expect(page.get_by_role("row", name=re.compile(re.escape("<script>window.ran='agentName'")))).to_be_visible()
    await require_untouched(page)

    await agent.open("/#/developer")
    await expect(page.get_by_test_id("api-key")).to_be_visible()
    await tenant.post_call({**call, "externalCallId": hostile("another id")})
    await page.locator(".event summary").last.click()
    await expect(page.locator(".event-text").first).to_contain_text("window.ran='callerName'")
    await require_untouched(page)

    await agent.open(f"/#/calls?agentName={quote(hostile('agentName'))}&search={quote('appointment')}")
    await agent.open(f"/#/calls?agentName={quote(hostile('agentName'))}")
    await expect(agent.rows).to_have_count(2)
    await require_untouched(page)


@pytest.mark.parametrize(
    "address",
    [
        "/?<script>window.ran=1</script>",
        "/#<img src=x onerror=window.ran=1>",
        "/#/calls/<script>window.ran=1</script>",
        "/#/calls/%3Cimg%20src=x%20onerror=window.ran=1%3E",
        "/#/contacts/javascript:window.ran=1",
        "/#/calls?search=<svg onload=window.ran=1>&agentName=<script>window.ran=1</script>&status=<b>&date=<b>",
        "/#/calls?__proto__[polluted]=1&constructor[prototype][polluted]=1",
        "/#/%ff%fe",
    ],
)
async def test_a_hostile_link_runs_nothing(service: Service, tenant: Tenant, new_agent: NewAgent, address: str) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, address)
    await require_untouched(agent.page)


async def test_html_inside_a_recording_is_not_rendered(service: Service, tenant: Tenant, browser: Browser) -> None:
    """Somebody opens the link itself: Chromium plays it, whatever its first bytes are."""
    html = b"<!doctype html><html><script>document.title = 'ran'; window.ran = 1</script></html>"
    recording = audio.id3(audio.mp3(), 200).replace(bytes(200), html.ljust(200), 1)
    posted = await tenant.post_call(sample(recording=base64.b64encode(recording).decode()))
    url = (await tenant.get(f"/api/calls/{posted.body['callId']}/recording")).body["audioUrl"]
    context = await browser.new_context()
    page = await context.new_page()
    opened = await page.goto(url)
    assert opened is not None
    assert opened.headers["content-type"] == "audio/mpeg"
    assert await page.evaluate("() => [document.contentType, document.title, window.ran ?? null]") == ["audio/mpeg", "", None]
    await page.goto(service.base_url + "/docs")
    for element in ("script", "iframe", "object"):
        attribute = "data" if element == "object" else "src"
        await page.evaluate(
            """([name, attribute, url]) => new Promise((done) => {
                const element = document.createElement(name);
                element.onload = element.onerror = done;
                element[attribute] = url;
                document.body.append(element);
                setTimeout(done, 500);
            })""",
            [element, attribute, url],
        )
    assert await page.evaluate("() => window.ran ?? null") is None
    await context.close()


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
