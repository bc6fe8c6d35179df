"""The cache of API keys and sessions, with a database that the test can hold up and a clock that it sets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.proxy import Proxy
from tests.support.service import SECRET, add_user
from tether_rt import accounts
from tether_rt.auth.credentials import Keyring, SessionClaims
from tether_rt.auth.identity import MAX_WAITING, Identity, LookupCache, Session
from tether_rt.auth.source_admin import SourceAdmin
from tether_rt.domain.source import Source
from tether_rt.errors import Unavailable
from tether_rt.mongo import client as store
from tether_rt.mongo.sessions import Sessions
from tether_rt.mongo.sources import Sources
from tether_rt.mongo.users import Users
from tether_rt.runtime.deadlines import Deadline


class Database:
    """Has `keys`; answers while the gate is open, and records what it was asked."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self.keys = {key: key.upper() for key in keys}
        self.asked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = 0.0
        self.failure: Exception | None = None

    async def find(self, keys: list[str]) -> dict[str, str]:
        self.asked.append(keys)
        answer = {key: self.keys[key] for key in keys if key in self.keys}
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return answer

    def cache(self, **bounds: int) -> LookupCache[str]:
        return LookupCache(self.find, clock=lambda: self.now, **bounds)


async def settled() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_key_is_looked_up_once_in_four_seconds_whether_it_exists_or_not() -> None:
    database = Database(["a"])
    cache = database.cache()
    for _ in range(5):
        assert await cache.get("a", Deadline()) == "A"
        assert await cache.get("b", Deadline()) is None
    assert database.asked == [["a"], ["b"]]
    database.now = 3.99
    assert await cache.get("a", Deadline()) == "A"
    database.keys.clear()
    database.now = 4.0
    assert await cache.get("a", Deadline()) is None
    assert database.asked[2:] == [["a"]]


async def test_callers_that_wait_for_the_same_key_share_the_answer() -> None:
    database = Database(["a"])
    database.gate.clear()
    cache = database.cache()
    asking = [asyncio.create_task(cache.get("a", Deadline())) for _ in range(50)]
    await settled()
    database.gate.set()
    assert await asyncio.gather(*asking) == ["A"] * 50
    assert database.asked == [["a"]]


async def test_keys_that_come_while_a_query_is_under_way_are_asked_for_together() -> None:
    database = Database(f"k{number}" for number in range(0, 3000, 2))
    database.gate.clear()
    cache = database.cache()
    asking = [asyncio.create_task(cache.get(f"k{number}", Deadline())) for number in range(3000)]
    await settled()
    database.gate.set()
    answers = await asyncio.gather(*asking)
    assert answers == [None if number % 2 else f"K{number}" for number in range(3000)]
    assert [len(keys) for keys in database.asked] == [1000, 1000, 1000]


async def test_a_key_that_was_good_goes_before_strangers_and_is_not_driven_out_by_them() -> None:
    database = Database(["good"])
    cache = database.cache(max_cached=500)
    assert await cache.get("good", Deadline()) == "GOOD"
    for start in range(0, 1500, 100):
        await asyncio.gather(*(cache.get(f"random{start + number}", Deadline()) for number in range(100)))
    before = len(database.asked)
    assert await cache.get("good", Deadline()) == "GOOD"
    assert len(database.asked) == before, "still cached"
    assert len(cache) == 1 + 500

    database.now = 4.0  # the cache has expired
    database.gate.clear()
    strangers = [asyncio.create_task(cache.get(f"other{number}", Deadline())) for number in range(2500)]
    await settled()
    asking = asyncio.create_task(cache.get("good", Deadline()))
    await settled()
    database.gate.set()
    assert await asking == "GOOD"
    await asyncio.gather(*strangers)
    assert database.asked[before + 1][0] == "good", "in the next query, and its first"


async def test_too_many_strangers_are_told_to_come_back_and_a_good_key_is_not() -> None:
    database = Database(["good"])
    cache = database.cache()
    await cache.get("good", Deadline())
    database.now = 4.0
    database.gate.clear()
    first = asyncio.create_task(cache.get("first", Deadline()))
    await settled()
    waiting = [asyncio.create_task(cache.get(f"random{number}", Deadline())) for number in range(MAX_WAITING)]
    await settled()
    with pytest.raises(Unavailable) as refusal:
        await cache.get("one too many", Deadline())
    assert refusal.value.retry_after_s == 1
    good = asyncio.create_task(cache.get("good", Deadline()))
    await settled()
    database.gate.set()
    assert await good == "GOOD"
    assert set(await asyncio.gather(first, *waiting)) == {None}


async def test_a_key_that_is_forgotten_while_it_is_looked_up_is_looked_up_again() -> None:
    """An answer from before the change must not be remembered after it."""
    database = Database(["old"])
    database.gate.clear()
    cache = database.cache()
    before = asyncio.create_task(cache.get("old", Deadline()))
    await settled()
    database.keys.clear()
    cache.forget("old")
    database.gate.set()
    assert await before == "OLD", "who asked before the change is answered as it was then"
    assert await cache.get("old", Deadline()) is None
    assert await cache.get("old", Deadline()) is None
    assert len(database.asked) == 2


async def test_a_failure_is_raised_to_all_who_wait_and_is_not_cached() -> None:
    """Each batch that waits would otherwise find out with a slow query of its own."""
    database = Database(["a", "b"])
    database.gate.clear()
    database.failure = Unavailable("away")
    cache = database.cache()
    asking = [asyncio.create_task(cache.get("a", Deadline()))]
    await settled()
    asking.append(asyncio.create_task(cache.get("b", Deadline())))
    await settled()
    database.gate.set()
    assert [str(answer) for answer in await asyncio.gather(*asking, return_exceptions=True)] == ["away", "away"]
    assert database.asked == [["a"]]
    database.failure = None
    assert await cache.get("a", Deadline()) == "A"
    assert await cache.get("b", Deadline()) == "B"


async def test_a_caller_that_leaves_takes_the_answer_from_nobody() -> None:
    database = Database(["a"])
    database.gate.clear()
    cache = database.cache()
    leaving, staying = (
        asyncio.create_task(cache.get("a", Deadline())),
        asyncio.create_task(cache.get("a", Deadline())),
    )
    await settled()
    leaving.cancel()
    await settled()
    database.gate.set()
    assert await staying == "A"


# ---------------------------------------------------------------------- on a real database


async def somebody(database: store.Database) -> accounts.NewUser:
    _, added = await add_user(database, "Acme")
    return added


def identity_with(database: store.Database, secret: str = SECRET) -> Identity:
    return Identity(Users(database), Sources(database), Sessions(database), Keyring(secret))


async def test_a_key_is_its_users_and_its_organizations(database: store.Database) -> None:
    added = await somebody(database)
    found = await identity_with(database).caller(added.api_key, Deadline())
    assert found == Source(added.user_id, added.organization_id, "Agent Smith")


async def test_a_key_sealed_with_another_secret_still_works_is_not_shown_and_can_be_replaced(database: store.Database) -> None:
    added = await somebody(database)
    moved = identity_with(database, "another secret, after a move without the old one")
    assert await moved.caller(added.api_key, Deadline()) is not None
    assert await moved.api_key(added.user_id) is None
    new = await moved.regenerate_api_key(added.user_id)
    assert new is not None
    assert await moved.api_key(added.user_id) == new
    assert await moved.caller(new, Deadline()) is not None
    assert await moved.caller(added.api_key, Deadline()) is None


async def test_a_user_who_no_longer_exists_has_no_key_and_gets_none(database: store.Database) -> None:
    asked = identity_with(database)
    assert await asked.api_key("0" * 24) is None
    assert await asked.regenerate_api_key("0" * 24) is None


async def test_a_session_holds_until_it_is_ended_however_good_its_token(database: store.Database) -> None:
    added = await somebody(database)
    sessions = Sessions(database)
    claims = SessionClaims(store.new_id(), added.user_id, added.organization_id, datetime.now(UTC) + timedelta(hours=1))
    claims = replace(claims, expires_at=claims.expires_at.replace(microsecond=0))
    await sessions.add(claims.session_id, claims.user_id, claims.organization_id, claims.expires_at)
    token = Keyring(SECRET).session_token(claims)
    asked = identity_with(database)
    assert await asked.session(token, Deadline()) == Session(**asdict(claims), role="agent")
    assert await asked.live_sessions([claims.session_id, "0" * 24]) == {claims.session_id}
    await asked.sign_out(claims.session_id)
    assert await asked.session(token, Deadline()) is None
    assert await asked.live_sessions([claims.session_id]) == set()
    await asked.sign_out(claims.session_id)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "tk_live_" + "x" * 43])
async def test_a_text_that_is_no_token_or_key_needs_no_query(database: store.Database, token: str) -> None:
    asked = identity_with(database)
    await database.client.drop_database(database.name)
    await database.command("profile", 2)
    assert await asked.session(token, Deadline()) is None
    assert await asked.caller(token[:-1], Deadline()) is None
    await database.command("profile", 0)
    assert await database["system.profile"].count_documents({"op": "query"}) == 0


async def vendors_source(database: store.Database) -> str:
    """Add an ElevenLabs source and return its id."""
    body = {"name": "Voice agents", "kind": "elevenlabs", "secrets": ["wsec_1"]}
    return (await SourceAdmin(Sources(database), Keyring(SECRET)).add(store.new_id(), None, body)).source["_id"]


async def test_a_vendors_secrets_are_read_by_every_process_within_seconds(database: store.Database) -> None:
    now_s = 0.0
    identity = identity_with(database)
    elsewhere = Identity(
        Users(database), Sources(database), Sessions(database), Keyring(SECRET), clock=lambda: now_s
    )  # another process
    source_id = await vendors_source(database)
    admin = SourceAdmin(Sources(database), Keyring(SECRET), identity.forget)
    for asked in (identity, elsewhere):
        assert await asked.elevenlabs_source("wsec_1", Deadline()) is not None
    await admin.change(None, source_id, {"secrets": ["wsec_2"]})
    now_s = 4.0
    for asked in (identity, elsewhere):
        found = await asked.vendor_source("elevenlabs", source_id, Deadline())
        assert found is not None
        assert found.secrets == ("wsec_2",)
        assert "wsec_2" not in repr(found)
        assert await asked.elevenlabs_source("wsec_1", Deadline()) is None


async def test_secrets_sealed_with_another_secret_prove_nothing_and_the_log_says_so(
    database: store.Database, caplog: pytest.LogCaptureFixture
) -> None:
    source_id = await vendors_source(database)
    moved = identity_with(database, "another secret, after a move without the old one")
    found = await moved.vendor_source("elevenlabs", source_id, Deadline())
    assert found is not None
    assert found.secrets == ()
    assert [record.message for record in caplog.records if record.name == "tether.auth"] == ["source_secrets_unreadable"]


async def test_what_is_no_id_is_not_looked_up(proxied: store.Database, proxy: Proxy) -> None:
    identity = identity_with(proxied)
    await proxy.refuse()
    for text in ("", "x", "F" * 24, "f" * 25, "f" * 23 + "\n"):
        assert await identity.vendor_source("retell", text, Deadline()) is None
    with pytest.raises(store.DriverError):
        await identity.vendor_source("retell", "f" * 24, Deadline())
