"""Limits on what one caller may do: answered in time with `Retry-After`, and not noticed by anybody else."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import settings_on
from tests.support.doors import UPGRADE
from tests.support.raw import connection
from tests.support.service import CHEAP_HASHER, PASSWORD, Answer, Service, Tenant, missed, running
from tests.support.waiting import eventually
from tether_rt.auth import credentials
from tether_rt.auth.passwords import MAX_CONCURRENT_CHECKS, PasswordCheck
from tether_rt.auth.rate_limits import RateLimit, SignInLimits

WRONG = "not the password"


class Clock:
    """Returns what the test has set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def decoy_hash() -> str:
    """Return a hash that costs as little as those of the tests' users."""
    return CHEAP_HASHER.hash("a password that nobody knows")


@pytest.fixture
def clock() -> Clock:
    """The clock by which failed sign-ins are limited."""
    return Clock()


@pytest.fixture
async def limited(mongodb_uri: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Service]:
    """A server behind a proxy at 127.0.0.1, with small limits."""
    settings = settings_on(
        mongodb_uri,
        tmp_path,
        rate_limit="0.2",
        max_dashboards=5,
        max_dashboards_per_user=3,
        trusted_proxies="127.0.0.1",
    )
    passwords = PasswordCheck(SignInLimits(clock=clock), decoy_hash=decoy_hash)
    async with running(settings, passwords=passwords) as service:
        yield service


def refused(service: Service, limit: str) -> float:
    """Return how many requests this limit has refused."""
    return service.server.app.metrics.registry.get_sample_value("tether_limited_total", {"limit": limit}) or 0.0


def require_wait(answer: Answer, status: int, seconds: int | None = None) -> int:
    """Check the shape of a refusal and return its `Retry-After` in seconds."""
    assert answer.status == status, answer
    named = answer.headers["Retry-After"]
    assert named.isdigit()
    assert int(named) >= 1
    assert seconds is None or int(named) == seconds
    return int(named)


# ---------------------------------------------------------------------- calls of one key


async def test_a_key_past_its_rate_is_told_when_to_come_back_and_others_are_not(limited: Service) -> None:
    clock = Clock()
    limited.server.app.web.key_rate = RateLimit(2, 5, clock=clock)
    one, two = await limited.tenant(), await limited.tenant()
    assert [(await one.post_call(missed())).status for _ in range(2)] == [201, 201], "ten seconds' worth at once"
    require_wait(await one.post_call(missed()), 429, 5)
    assert (await two.post_call(missed())).status == 201
    clock.now += 4.9
    require_wait(await one.post_call(missed()), 429, 1)
    clock.now += 0.1
    assert (await one.post_call(missed())).status == 201
    assert (await one.get("/api/calls/history")).body["total"] == 3, "what was refused was not stored"
    assert refused(limited, "key_rate") == 2


async def test_a_rate_is_judged_before_the_body_is_awaited_and_after_the_key(limited: Service) -> None:
    tenant = await limited.tenant()
    for _ in range(2):
        await tenant.post_call(missed())
    headers = {"Authorization": f"Bearer {tenant.api_key}", "Content-Type": "application/json", "Content-Length": "100000"}
    async with connection(limited.base_url) as raw:
        await raw.request("POST /api/calls/ingest", headers)
        answer = await raw.answer()
        assert (answer.status, answer.headers["retry-after"]) == (429, "5")
    tenant.api_key = credentials.new_api_key()
    assert (await tenant.post_call(missed())).status == 401


async def test_a_new_key_does_not_bring_a_new_allowance(limited: Service) -> None:
    tenant = await limited.tenant()
    for _ in range(2):
        assert (await tenant.post_call(missed())).status == 201
    tenant.api_key = (await tenant.post("/api/user/api-key/regenerate")).body["data"]["apiKey"]
    require_wait(await tenant.post_call(missed()), 429)


@pytest.mark.parametrize("service", ["disk"], indirect=True)
async def test_without_the_setting_there_is_no_limit(service: Service) -> None:
    assert service.server.settings.rate_limit == 0
    assert service.server.app.web.key_rate is None


# ---------------------------------------------------------------------- signing in


async def sign_in(tenant: Tenant, password: str, address: str = "192.0.2.1", email: str | None = None) -> Answer:
    """Try to sign in from an address."""
    body = {"email": email or tenant.email, "password": password}
    return await tenant.request("POST", "/api/auth/login", json=body, headers={"X-Forwarded-For": f"6.6.6.6, {address}"})


async def test_an_account_is_closed_to_who_fails_ten_times_and_open_to_its_user_elsewhere(
    limited: Service, clock: Clock
) -> None:
    tenant = await limited.tenant()
    for spelling in (tenant.email, tenant.email.upper(), f" {tenant.email} ") * 3 + (tenant.email,):
        assert (await sign_in(tenant, WRONG, email=spelling)).status == 401
    require_wait(await sign_in(tenant, WRONG), 429, 60)
    require_wait(await sign_in(tenant, PASSWORD), 429, 60)
    assert (await sign_in(tenant, PASSWORD, "198.51.100.1")).status == 200
    assert (await tenant.get("/api/auth/verify-token")).status == 200, "a session that is open goes on"
    clock.now += 60
    assert (await sign_in(tenant, PASSWORD)).status == 200
    assert [(await sign_in(tenant, WRONG)).status for _ in range(11)] == [401] * 10 + [429]
    assert refused(limited, "sign_in") == 3


async def test_an_address_that_no_user_has_is_limited_alike(limited: Service) -> None:
    """Otherwise the limit would tell which addresses are users'."""
    tenant = await limited.tenant()
    answers = [await sign_in(tenant, WRONG, email="nobody@example.com") for _ in range(11)]
    assert [answer.status for answer in answers] == [401] * 10 + [429]
    for _ in range(10):
        await sign_in(tenant, WRONG)
    assert (await sign_in(tenant, WRONG)).body["error"] == answers[-1].body["error"]


async def test_attempts_made_all_at_once_are_counted_one_by_one(limited: Service) -> None:
    tenant = await limited.tenant()
    answers = await asyncio.gather(*(sign_in(tenant, WRONG) for _ in range(40)))
    assert Counter(answer.status for answer in answers) == {401: 10, 429: 30}
    assert all("Retry-After" in answer.headers for answer in answers if answer.status == 429)


async def test_one_place_that_tries_many_accounts_is_stopped_and_others_are_not(limited: Service) -> None:
    tenant = await limited.tenant()
    attempts = (sign_in(tenant, WRONG, f"2001:db8::{number}", f"user{number}@example.com") for number in range(60))
    answers = await asyncio.gather(*attempts)
    assert Counter(answer.status for answer in answers) == {401: 50, 429: 10}, "one network, whichever of its addresses"
    assert (await sign_in(tenant, PASSWORD, "2001:db8::ffff")).status == 429
    assert (await sign_in(tenant, PASSWORD, "2001:db8:0:1::1")).status == 200


async def test_an_address_that_the_caller_made_up_is_not_believed(
    mongodb_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        tenant = await service.tenant()
        answers = [await sign_in(tenant, WRONG, f"192.0.2.{number}") for number in range(11)]
    assert [answer.status for answer in answers] == [401] * 10 + [429]
    lines = [(record.getMessage(), getattr(record, "fields", {})) for record in caplog.records]
    assert {fields["remote"] for event, fields in lines if event == "request"} == {"127.0.0.1"}
    assert [fields["proxy"] for event, fields in lines if event == "proxy_not_trusted"] == ["127.0.0.1"], "said once"


async def test_a_flood_of_sign_ins_takes_its_turns_and_everybody_else_is_served(mongodb_uri: str, tmp_path: Path) -> None:
    lock, at_once, most_at_once, names = threading.Lock(), 0, 0, set()
    may_go_on = threading.Event()

    def matches(password: str, hashed: str) -> bool:
        nonlocal at_once, most_at_once
        with lock:
            at_once += 1
            most_at_once = max(most_at_once, at_once)
            names.add(threading.current_thread().name.rstrip("0123456789"))
        if password == WRONG:
            may_go_on.wait()
        with lock:
            at_once -= 1
        return credentials.password_matches(password, hashed)

    passwords = PasswordCheck(max_waiting=40, matches=matches, decoy_hash=decoy_hash)
    settings = settings_on(mongodb_uri, tmp_path, trusted_proxies="127.0.0.1")
    async with running(settings, passwords=passwords) as service:
        tenant = await service.tenant()
        attempts = (sign_in(tenant, WRONG, f"10.1.{number}.1", f"u{number}@example.com") for number in range(100))
        flood = [asyncio.create_task(attempt) for attempt in attempts]
        try:
            await eventually(lambda: refused(service, "sign_in_line") >= 60)
            assert (await tenant.post_call(missed())).status == 201
            assert (await tenant.request("GET", "/healthz")).status == 200
        finally:
            may_go_on.set()
        answers = await asyncio.gather(*flood)
    assert 1 <= most_at_once <= MAX_CONCURRENT_CHECKS
    assert names == {"tether-password_"}, "in threads of their own"
    assert Counter(answer.status for answer in answers) == {401: 40, 503: 60}
    for answer in answers:
        if answer.status == 503:
            require_wait(answer, 503)


# ---------------------------------------------------------------------- keys that nobody has


async def test_thousands_of_random_keys_cost_few_queries_and_a_good_key_gets_through(mongodb_uri: str, tmp_path: Path) -> None:
    """Counted by MongoDB itself."""
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        tenant = await service.tenant()
        profile = service.database["system.profile"]
        await service.database.command("profile", 2)
        keys = iter([credentials.new_api_key() for _ in range(2000)])
        statuses: Counter[int] = Counter()
        calls = []
        done = asyncio.Event()

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            stranger = Tenant(service.base_url, http, "", "", "", "")

            async def storm() -> None:
                for key in keys:
                    statuses[(await stranger.request("POST", "/api/calls/ingest", token=key)).status] += 1

            async def vendor() -> None:
                while not done.is_set():
                    calls.append((await tenant.post_call(missed())).status)

            posting = asyncio.create_task(vendor())
            await asyncio.gather(*(storm() for _ in range(200)))
            done.set()
            await posting
        await service.database.command("profile", 0)
        asked = await profile.count_documents({"ns": f"{service.database.name}.users"})
        assert statuses == {401: 2000}
        assert set(calls) == {201}
        assert 1 <= asked <= 200, "ten keys a query at the very least"


@pytest.mark.parametrize("service", ["disk"], indirect=True)
async def test_what_cannot_be_a_key_or_a_token_costs_no_query_at_all(service: Service, tenant: Tenant) -> None:
    profile = service.database["system.profile"]
    await profile.drop()
    await service.database.command("profile", 2)
    try:
        good = credentials.new_api_key()
        shapes: list[Any] = [good[:-1], good + "A", good.upper(), good[8:], "tk_test_" + good[8:], good[:-1] + "é", "x" * 8000]
        for token in [*shapes, secrets.token_urlsafe(32), tenant.token, tenant.token[:-2] + "xx"]:
            for method, path in (("POST", "/api/calls/ingest"), ("GET", "/api/calls/history")):
                if token == tenant.token and method == "GET":
                    continue
                assert (await tenant.request(method, path, token=token)).status == 401
    finally:
        await service.database.command("profile", 0)
    looked_up = {"ns": {"$regex": r"\.(users|sources|sessions)$"}, "command.filter": {"$exists": True}}
    asked_regularly = {"command.filter.accessChangedAt": {"$exists": True}}
    queries = [one["command"]["filter"] async for one in profile.find({**looked_up, "$nor": [asked_regularly]})]
    assert queries == []


# ---------------------------------------------------------------------- dashboards


async def knock(tenant: Tenant) -> Answer:
    """Ask for an upgrade; only for one that is refused."""
    return await tenant.get("/ws", headers=UPGRADE)


async def test_dashboards_are_limited_by_user_and_in_all_before_the_upgrade(limited: Service) -> None:
    one, two, three = [await limited.tenant() for _ in range(3)]
    open_ones = [await one.dashboard() for _ in range(3)]
    require_wait(await knock(one), 429)
    open_twos = [await two.dashboard() for _ in range(2)]
    for tenant in (two, three):
        require_wait(await knock(tenant), 503)
    assert (refused(limited, "user_dashboards"), refused(limited, "dashboards")) == (1, 2)

    await open_twos.pop().close()
    open_threes = [await three.dashboard()]
    await open_ones.pop().close()
    open_ones.append(await one.dashboard())
    require_wait(await knock(one), 503)
    for dashboard in (*open_ones, *open_twos, *open_threes):
        await dashboard.close()
    hub = limited.server.app.hub
    await eventually(lambda: not hub.dashboards)
    open_ones = [await one.dashboard() for _ in range(3)]
    require_wait(await knock(one), 429)
    for dashboard in open_ones:
        await dashboard.close()


async def test_a_dashboard_that_is_refused_has_taken_no_place(limited: Service) -> None:
    tenant = await limited.tenant()
    for _ in range(20):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
            await tenant.http.ws_connect(f"{limited.base_url}/ws?after=x", headers={"Authorization": f"Bearer {tenant.token}"})
    dashboards = [await tenant.dashboard() for _ in range(3)]
    require_wait(await knock(tenant), 429)
    for dashboard in dashboards:
        await dashboard.close()
