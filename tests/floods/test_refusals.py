"""A flood of refusals costs a bounded amount of everything, and the bounds are per source."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_on
from tests.support.service import SECRET, Service, Tenant, missed, running
from tests.support.waiting import eventually
from tether_rt.auth.credentials import Keyring
from tether_rt.domain.delivery import MAX_REFUSED
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest
from tether_rt.ingest import deliveries as keeping
from tether_rt.ingest.deliveries import DeliveryKeeper, RefusedRequest
from tether_rt.ingest.delivery_bodies import DeliveryBodies
from tether_rt.mongo import client as store
from tether_rt.mongo.deliveries import Deliveries
from tether_rt.mongo.indexes import create_indexes
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.spool import Spool
from tether_rt.runtime.metrics import Metrics

WRONG = "(416) 555-0199"


@pytest.fixture
async def flooded(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        yield service


async def metric(service: Service, name: str) -> float:
    async with service.http.get(f"{service.base_url}/metrics") as response:
        return float(next(line.rpartition(" ")[2] for line in (await response.text()).splitlines() if line.startswith(name)))


async def flood(tenant: Tenant, calls: list[Any], at_once: int = 32) -> None:
    async def send() -> None:
        while calls:
            assert (await tenant.post_call(calls.pop())).status == 400

    await asyncio.gather(*(send() for _ in range(at_once)))


async def test_a_flood_of_refusals_keeps_the_newest_and_leaves_the_others_alone(flooded: Service) -> None:
    """More than a source may have kept at once: all are answered, 1,000 are kept, the others are counted."""
    admin, other = await flooded.tenant(role="admin"), await flooded.tenant(role="admin")
    assert (await other.post_call(missed(fromNumber=WRONG))).status == 400
    sent = keeping.BURST + 1_000
    await flood(admin, [missed(fromNumber=WRONG) for _ in range(sent)])
    assert (await other.post_call(missed())).status == 201

    async def is_over() -> bool:
        names = ("kept_total", 'dropped_total{cause="rate"}', 'dropped_total{cause="queue"}')
        return sum([await metric(flooded, f"tether_deliveries_{name}") for name in names]) == sent + 1

    await eventually(is_over)
    assert await metric(flooded, 'tether_deliveries_dropped_total{cause="rate"}') > 0
    assert await metric(flooded, "tether_deliveries_waiting") == 0

    async def are_trimmed() -> bool:
        return bool((await admin.get("/api/deliveries")).body["total"] == MAX_REFUSED)

    await eventually(are_trimmed)
    of_admin = {"organizationId": admin.organization_id}
    assert await flooded.database["delivery_bodies"].count_documents(of_admin) == MAX_REFUSED
    assert (await other.get("/api/deliveries")).body["total"] == 1


async def test_the_same_refusal_a_thousand_times_is_one_delivery(flooded: Service) -> None:
    admin = await flooded.tenant(role="admin")
    call = missed(fromNumber=WRONG)
    await flood(admin, [call] * 1_000)

    async def are_counted() -> bool:
        deliveries = (await admin.get("/api/deliveries")).body["deliveries"]
        return [one["times"] for one in deliveries] == [1_000]

    await eventually(are_counted)
    (delivery,) = (await admin.get("/api/deliveries")).body["deliveries"]
    assert len(delivery["attempts"]) <= 20


# ---------------------------------------------------------------------- bounds that a test cannot reach through the door


@dataclass
class Kept:
    """A keeper with small limits, on a real database and a folder."""

    keeper: DeliveryKeeper
    deliveries: Deliveries
    bodies: DeliveryBodies
    metrics: Metrics
    database: store.Database
    folder: Path

    def refuse(self, raw: bytes, source_id: str = "a" * 24) -> None:
        """Have a request kept."""
        source = Source(source_id, "b" * 24, "A source")
        now = datetime.now(UTC)
        self.keeper.keep(RefusedRequest(source, "r", now, "ingest", None, BadRequest("It is wrong."), raw, len(raw)))

    async def stored(self) -> list[Any]:
        """Return the deliveries, newest first, once nothing waits."""
        await self.keeper.drain()
        return await self.database["deliveries"].find().sort("at", -1).to_list(None)

    def files(self) -> int:
        return len([path for path in (self.folder / "deliveries").rglob("*") if path.is_file()])

    def dropped(self, cause: str) -> float:
        return float(self.metrics.registry.get_sample_value("tether_deliveries_dropped_total", {"cause": cause}) or 0)


@asynccontextmanager
async def keeper_on(mongodb_uri: str, folder: Path, *, running: bool = True, **limits: Any) -> AsyncIterator[Kept]:
    client = store.connect(mongodb_uri)
    database = store.database(client, f"t{uuid.uuid4().hex[:12]}")
    await create_indexes(database, 7)
    disk, spool = DiskStore(folder), Spool(folder / "spool")
    await disk.start()
    await spool.start()
    keyring, metrics, deliveries = Keyring(SECRET), Metrics(), Deliveries(database)
    bodies = DeliveryBodies(deliveries, keyring.body_seal(), disk, spool)
    keeper = DeliveryKeeper(deliveries, bodies, keyring, metrics, **limits)
    task = asyncio.create_task(keeper.run()) if running else None
    yield Kept(keeper, deliveries, bodies, metrics, database, folder)
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await client.drop_database(database.name)
    await spool.close()
    await disk.close()
    client.close()


def large(letter: bytes, size_bytes: int = 400_000) -> bytes:
    return b'{"recording": "' + letter * size_bytes + b'"}'


async def test_the_oldest_go_first_with_their_files_when_a_source_has_too_many_bytes(mongodb_uri: str, tmp_path: Path) -> None:
    async with keeper_on(mongodb_uri, tmp_path, max_refused_bytes=1_000_000) as kept:
        for letter in (b"a", b"b", b"c", b"d"):
            kept.refuse(large(letter))
            kept.refuse(letter, source_id="c" * 24)
            await kept.stored()

        async def are_trimmed() -> bool:
            return len(await kept.stored()) == 2 + 4 and kept.files() == 2

        await eventually(are_trimmed)
        (newest,) = [one for one in await kept.stored() if one["keptBytes"] > 100][:1]
        body = await kept.bodies.read("b" * 24, newest["_id"])
        assert body is not None
        assert bytes(body) == large(b"d")


async def test_a_queue_that_is_full_drops_and_counts(mongodb_uri: str, tmp_path: Path) -> None:
    async with keeper_on(mongodb_uri, tmp_path, running=False) as kept:
        for number in range(keeping.MAX_WAITING + 5):
            kept.refuse(b"%d" % number, source_id=f"{number % 7:024d}")
        assert kept.dropped("queue") == 5
    async with keeper_on(mongodb_uri, tmp_path, running=False) as kept:
        whole = bytes(keeping.MAX_WAITING_BYTES // 2)
        for number in range(3):
            kept.refuse(whole, source_id=f"{number:024d}")
        assert kept.dropped("queue") == 1


async def test_large_bodies_use_up_the_rate_of_their_source(mongodb_uri: str, tmp_path: Path) -> None:
    async with keeper_on(mongodb_uri, tmp_path, running=False, clock=lambda: 0.0) as kept:
        size_bytes = keeping.MAX_WAITING_BYTES // 4
        kept.refuse(bytes(size_bytes))
        for _ in range(keeping.BURST - 1):
            kept.refuse(b"")
        assert kept.dropped("rate") == size_bytes // keeping.BYTES_PER_USE


async def test_what_has_expired_is_removed_with_its_file(mongodb_uri: str, tmp_path: Path) -> None:
    async with keeper_on(mongodb_uri, tmp_path, sweep_every_s=0.05) as kept:
        kept.refuse(large(b"a"))
        kept.refuse(b"small")
        assert len(await kept.stored()) == 2
        lives = await kept.database["deliveries"].distinct("expiresAt")
        assert all(timedelta(days=6.9) < until - datetime.now(UTC) < timedelta(days=7.1) for until in lives)
        assert kept.files() == 1
        past = datetime.now(UTC) - timedelta(seconds=1)
        await kept.database["delivery_bodies"].update_one({"end": {"$gt": 0}}, {"$set": {"fileExpiresAt": past}})

        async def is_gone() -> bool:
            return kept.files() == 0

        await eventually(is_gone)
        await eventually(lambda: one_body_is_left(kept))
        expiring = {
            name: (await kept.database[name].index_information())["expiresAt_1"]["expireAfterSeconds"]
            for name in ("deliveries", "delivery_bodies")
        }
        assert expiring == {"deliveries": 0, "delivery_bodies": 0}, "MongoDB removes the others"


async def one_body_is_left(kept: Kept) -> bool:
    return await kept.database["delivery_bodies"].count_documents({}) == 1
