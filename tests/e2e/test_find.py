"""Finding a call: by a word of its transcript, by filters, and by a link."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.search_cases import CASES, LANGUAGE, LANGUAGE_NOTHING, NOTHING, post_case
from tests.support.service import Service, Tenant, missed, sample
from tests.support.waiting import eventually

pytestmark = on_disk


async def test_a_word_of_the_transcript_leads_to_its_position(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    wanted = (await tenant.post_call(sample("appointment"))).body["callId"]
    await tenant.post_call(sample("delivery"))

    async def can_be_found() -> bool:
        return bool((await tenant.get("/api/calls/history?search=travelling")).body["total"])

    await eventually(can_be_found)  # transcripts are indexed a little after the call is stored
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await expect(agent.rows).to_have_count(2)

    await agent.page.get_by_role("searchbox").fill("travelling")
    await expect(agent.rows).to_have_count(1)
    await agent.row(wanted).get_by_role("link").click()
    match = agent.page.locator(".turn mark")
    await expect(match).to_have_text("travelling")
    await expect(match).to_be_in_viewport()
    await expect(agent.page.get_by_text("1 of 1 match")).to_be_visible()
    await match.click()
    await agent.page.wait_for_function("() => !document.querySelector('audio').paused")
    # The turn with the word begins at 12 s; the word itself is near its end.
    assert 12 < await agent.page.locator("audio").evaluate("(a) => a.currentTime") < 20


async def test_filters_are_in_the_address_and_apply_to_new_calls(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    busy = (await tenant.post_call(missed(status="busy"))).body["callId"]
    await tenant.post_call(missed())
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    page = agent.page
    await page.get_by_role("button", name="Filters").click()
    for name, choice in (("Status", "Busy"), ("Direction", "Inbound"), ("Date", "Today")):
        await agent.filter(name, choice)
    await page.keyboard.press("Escape")
    await expect(agent.rows).to_have_count(1)
    assert page.url.endswith("#/calls?status=busy&direction=inbound&date=today")

    colleague = await new_agent(service.base_url, beside=agent)
    await colleague.page.goto(page.url)
    await colleague.live()
    await expect(colleague.row(busy)).to_be_visible()
    await expect(colleague.page.get_by_text("1 call", exact=True)).to_be_visible()

    await tenant.post_call(missed())
    await tenant.post_call(missed(status="busy", direction="outbound"))
    another = (await tenant.post_call(missed(status="busy"))).body["callId"]
    await expect(agent.row(another)).to_be_visible()
    assert await agent.call_ids() == [another, busy]
    await agent.row(busy).get_by_role("link").click()
    await expect(page.get_by_test_id("call")).to_be_visible()
    assert page.url.endswith(f"#/calls/{busy}?status=busy&direction=inbound&date=today")
    await page.get_by_role("button", name="Clear all").click()
    await expect(agent.rows).to_have_count(5)


async def test_a_search_applies_to_the_transcripts_of_new_calls(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, "/#/calls?search=travelling")
    await expect(agent.page.get_by_text("No matching calls")).to_be_visible()
    await tenant.post_call(sample("delivery"))
    wanted = (await tenant.post_call(sample("appointment"))).body["callId"]
    await expect(agent.row(wanted)).to_be_visible()
    assert await agent.call_ids() == [wanted]


async def test_the_dashboards_own_search_finds_what_the_servers_does(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    wrong = await agent.page.evaluate(
        """async (cases) => {
          const { matchesSearch, parseQuery } = await import("/static/js/search/query.js");
          return cases.flatMap(({ finds, misses, externalCallId, ...call }) => [
            ...finds.filter((search) => !matchesSearch({ ...call, ids: [externalCallId] }, parseQuery(search))),
            ...misses.filter((search) => matchesSearch({ ...call, ids: [externalCallId] }, parseQuery(search))),
          ]);
        }""",
        CASES + LANGUAGE,
    )
    assert wrong == []


async def test_a_call_comes_into_a_search_live_and_is_there_after_a_reload(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    search = agent.page.get_by_role("searchbox")
    for case in CASES[:2] + CASES[5:10]:
        await search.fill(case["finds"][0])
        await expect(agent.page.get_by_text("No matching calls")).to_be_visible()
        (wanted,) = await post_case(tenant, case)
        await expect(agent.row(wanted)).to_be_visible()
        await agent.page.reload()
        await expect(agent.row(wanted)).to_be_visible()
        await agent.live()
        await search.fill(case["misses"][0])
        await expect(agent.row(wanted)).to_have_count(0)


async def test_a_number_as_the_row_writes_it_finds_the_row(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    wanted = (await tenant.post_call(missed(fromNumber="+14165550199"))).body["callId"]
    other = (await tenant.post_call(missed(fromNumber="+14165550198"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    written = re.search(r"\(416\) 555-0199", await agent.row(wanted).inner_text())
    assert written is not None
    await agent.page.get_by_role("searchbox").fill(written[0])
    await expect(agent.row(other)).to_have_count(0)
    await expect(agent.row(wanted)).to_be_visible()


async def test_what_cannot_be_searched_says_so(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    await tenant.post_call(missed())
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    for search in NOTHING + LANGUAGE_NOTHING:
        await agent.page.get_by_role("searchbox").fill(search)
        await expect(agent.page.get_by_text("Nothing to search for")).to_be_visible()
        await expect(agent.rows).to_have_count(0)
        await agent.page.get_by_role("searchbox").fill("")
        await expect(agent.rows).to_have_count(1)


async def test_the_part_of_a_sentence_without_spaces_that_was_searched_is_marked(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    said = [{"role": "user", "message": "明日の予約を確認したいです"}]
    call_id = (await tenant.post_call(missed(transcript=said))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}?search=予約")
    await expect(agent.page.locator(".turn mark")).to_have_text("予約")


async def test_a_call_is_found_by_its_number_its_name_and_its_summary(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    wanted = (await tenant.post_call(sample("appointment", callerName="Zoë Ångström", toNumber="+14165557731"))).body["callId"]
    other = (await tenant.post_call(sample("outage"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    for words in ("7731", "zoe angs", "cleaning thurs"):
        await agent.page.get_by_role("searchbox").fill(words)
        await expect(agent.row(other)).to_have_count(0)
        await expect(agent.row(wanted)).to_be_visible()
        await agent.page.get_by_role("searchbox").fill("")
        await expect(agent.row(other)).to_be_visible()


async def test_the_matches_of_a_search_can_be_stepped_through(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}?search=thursday")
    page = agent.page
    here = page.locator(".turn mark[data-now]")
    await expect(here).to_be_in_viewport()
    count = await page.locator(".turn:has(mark)").count()
    await expect(page.get_by_text(f"1 of {count} matches")).to_be_visible()
    first = await here.evaluate("(mark) => mark.closest('.turn').textContent")
    await page.get_by_role("button", name="Next match").click()
    await expect(page.get_by_text(f"2 of {count} matches")).to_be_visible()
    await expect(here).to_have_count(1)
    await expect(here).to_be_in_viewport()
    assert await here.evaluate("(mark) => mark.closest('.turn').textContent") != first
    await page.get_by_role("button", name="Previous match").click()
    await page.get_by_role("button", name="Previous match").click()
    await expect(page.get_by_text(f"{count} of {count} matches")).to_be_visible()


async def test_durations_agents_and_dates_filter_the_list(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    short = (await tenant.post_call(sample("delivery"))).body["callId"]
    long = (await tenant.post_call(sample("appointment", callStartTime="2026-05-15T09:12:34Z"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    page = agent.page
    await page.get_by_role("button", name="Filters").click()
    await agent.filter("Duration", "Up to 30 s")
    await expect(agent.row(long)).to_have_count(0)
    await expect(agent.row(short)).to_be_visible()
    await agent.filter("Duration", "Any")
    await agent.filter("Agent", "Alex (Maple Dental)")
    await expect(agent.row(short)).to_have_count(0)
    await expect(agent.row(long)).to_be_visible()
    await agent.filter("Agent", "Any")
    await page.get_by_label("From", exact=True).fill("2026-05-15")
    await page.get_by_label("To", exact=True).fill("2026-05-15")
    await expect(agent.row(short)).to_have_count(0)
    await expect(agent.row(long)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Remove filter: 15 May")).to_be_visible()
    await page.get_by_role("button", name="Clear all").click()
    await expect(agent.row(short)).to_be_visible()
    await page.get_by_role("button", name="Filters").click()
    await expect(page.get_by_label("From", exact=True)).to_have_value("")
    await agent.filter("Date", "Today")
    await page.get_by_label("From", exact=True).fill("2026-05-16")
    await expect(page).to_have_url(re.compile(r"#/calls\?startDate=2026-05-16$"))


async def test_filters_are_always_seen_and_each_can_be_taken_away(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    busy = (await tenant.post_call(missed(status="busy"))).body["callId"]
    failed = (await tenant.post_call(missed(status="failed"))).body["callId"]
    agent = await new_agent(service.base_url, viewport={"width": 390, "height": 844})
    await agent.enter(tenant)
    page = agent.page
    await agent.open("/#/calls?status=busy&direction=inbound&minDuration=0.5")  # as if pasted into the open page
    chips = page.get_by_role("list", name="Filters in use").get_by_role("button")
    await expect(chips).to_have_text(["Busy", "Inbound", "0.5 s or more", "Clear all"])
    await chips.nth(2).click()
    await expect(chips.nth(1)).to_be_focused()
    await expect(agent.rows).to_have_count(1)
    await expect(agent.row(busy)).to_be_visible()
    await page.get_by_role("button", name="Remove filter: Busy").press("Enter")
    await expect(agent.row(failed)).to_be_visible()
    await expect(page.get_by_role("button", name="Remove filter: Inbound")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Filters")).to_be_focused()
    await expect(chips).to_have_count(0)
    await page.get_by_role("searchbox").fill("nobody")
    await expect(agent.rows).to_have_count(0)
    await page.get_by_role("button", name="Clear search").click()
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await expect(agent.rows).to_have_count(2)


async def test_filters_are_chosen_by_keyboard(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    await tenant.post_call(missed(status="busy"))
    failed = (await tenant.post_call(missed(status="failed"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    page = agent.page
    await page.keyboard.press("f")
    await expect(page.get_by_role("group", name="Filters")).to_be_visible()
    await page.keyboard.press("Tab")
    for _ in range(4):
        await page.keyboard.press("ArrowRight")
    await expect(agent.rows).to_have_count(1)
    await expect(agent.row(failed)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("group", name="Filters")).to_have_count(0)
    await expect(page.get_by_role("button", name="Filters")).to_be_focused()


async def test_the_filtered_calls_are_exported(service: Service, tenant: Tenant, new_agent: NewAgent, tmp_path: Path) -> None:
    await tenant.post_call(missed(status="busy", callerName="=1+1"))
    await tenant.post_call(missed())
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, "/#/calls?status=busy")
    await expect(agent.rows).to_have_count(1)
    async with agent.page.expect_download() as downloading:
        await agent.page.get_by_role("link", name="Export").click()
    download = await downloading.value
    assert download.suggested_filename.startswith("calls-")
    await download.save_as(tmp_path / "calls.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "calls.csv").read_text("utf-8-sig"))))
    assert [row["status"] for row in rows] == ["busy"]
    assert rows[0]["contact"] != "=1+1", "a spreadsheet would evaluate it"


async def test_a_transcript_is_searched_by_the_same_rules(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    said = ["See you on Friday, see you", "You see, the crown", "明日の予約を確認したいです", "I shall see you, says Müller"]
    turns = [{"role": "user", "message": message, "timestamp": 5 * at} for at, message in enumerate(said)]
    call_id = (await tenant.post_call(missed(transcript=turns))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    field = page.get_by_label("Search in this transcript")
    marks = page.locator(".turn mark")
    for search, found, words in (
        ('"see you"', "1 of 2 matches", ["See you", "see you", "see you"]),
        ("予約を", "1 of 1 match", ["予約を"]),
        ("muller", "1 of 1 match", ["Müller"]),
        ("tooth", "No match", []),
    ):
        await field.fill(search)
        await expect(page.get_by_text(found)).to_be_visible()
        await expect(marks).to_have_text(words)
    await field.fill("see")
    await expect(page.get_by_text("1 of 3 matches")).to_be_visible()
    await field.press("Enter")
    await expect(page.get_by_text("2 of 3 matches")).to_be_visible()
    await field.press("Shift+Enter")
    await field.press("Shift+Enter")
    await expect(page.get_by_text("3 of 3 matches")).to_be_visible()
    await expect(page.locator(".turn:has(mark[data-now])")).to_contain_text("Müller")
    await field.press("Escape")
    await expect(marks).to_have_count(0)
    await expect(page.get_by_test_id("call")).to_be_visible()


async def test_the_page_says_how_to_search(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await agent.page.get_by_role("button", name="How to search").click()
    await expect(agent.page.get_by_role("dialog", name="How to search")).to_contain_text("agent:rosa")
    await agent.page.keyboard.press("Escape")
    await agent.page.get_by_role("searchbox").fill("how are you")
    await expect(agent.page.get_by_text("Nearly every call has these words")).to_be_visible()


async def test_a_japanese_word_in_the_middle_of_a_sentence_leads_to_its_moment(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    said = ["お電話ありがとうございます", "こんにちは", "明日の予約を確認したいのですが"]
    turns = [{"role": "user" if at else "agent", "message": message, "timestamp": 7 * at} for at, message in enumerate(said)]
    call = sample("delivery", transcript=turns, callerName="田中花子", summary="A call")
    wanted = (await tenant.post_call(call)).body["callId"]
    await tenant.post_call(missed(callerName="予約 Hotel"))
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    page = agent.page

    async def can_be_found() -> bool:
        return bool((await tenant.get("/api/calls/history?search=%E4%BA%88%E7%B4%84%E3%82%92")).body["total"])

    await eventually(can_be_found)
    await page.get_by_role("searchbox").fill("予約")
    await expect(agent.rows).to_have_count(2)
    hit = agent.row(wanted).get_by_role("button")
    await expect(hit).to_have_text(re.compile(r"0:14.*田中花子.*明日の予約を確認したいのですが", re.S))
    await expect(hit.locator("mark")).to_have_text("予約")
    await hit.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("call")).to_be_visible()
    await page.wait_for_function(
        "() => { const a = document.querySelector('audio'); return a && !a.paused && a.currentTime >= 14 }"
    )
    assert await page.locator("audio").evaluate("(audio) => audio.currentTime") < 30
    await expect(page.locator(".turn[data-now]")).to_contain_text("予約")
    await expect(page.locator(".turn mark[data-now]")).to_have_text("予約")
    assert "t=14" in page.url


async def test_a_call_that_arrives_in_a_search_shows_its_sentence(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, "/#/calls?search=%22see%20you%22")
    await expect(agent.page.get_by_text("No matching calls")).to_be_visible()
    said = [{"role": "user", "message": "I shall see you on Friday", "timestamp": 3}]
    wanted = (await tenant.post_call(missed(transcript=said))).body["callId"]
    await expect(agent.row(wanted).locator("mark")).to_have_text("see you")
