"""`GET /api/calls/export`: the filtered calls as a table, and what its reader sees when it breaks off."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymongo import uri_parser

from tests.conftest import settings_on
from tests.support.proxy import Passage, Proxy, proxy_to, proxy_to_unix
from tests.support.raw import RawConnection, connection
from tests.support.service import Service, Tenant, missed, running
from tests.support.site import logged
from tests.support.waiting import eventually
from tether_rt.api.export import file_name
from tether_rt.mongo.call_history import CallFilter
from tether_rt.mongo.client import new_id

CALLS = 1_200
"""More than two pages of what is read at a time."""


@asynccontextmanager
async def behind_proxy(mongodb_uri: str, folder: Path) -> AsyncIterator[tuple[Service, Tenant, Proxy]]:
    """Run a server that reaches mongod through a proxy, with many calls of one tenant."""
    ((host, port),) = uri_parser.parse_uri(mongodb_uri)["nodelist"]
    line = proxy_to_unix(Path(host)) if port is None else proxy_to(host, port)
    async with line as proxy:
        uri = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
        async with running(settings_on(uri, folder)) as service:
            tenant = await service.tenant()
            assert (await tenant.post_call(missed())).status == 201
            call = await service.database["calls"].find_one({"organizationId": tenant.organization_id})
            assert call is not None
            del call["_id"], call["callId"], call["providerCallId"]
            ids = [new_id() for _ in range(CALLS - 1)]
            await service.database["calls"].insert_many([{**call, "_id": i, "callId": i, "providerCallId": i} for i in ids])
            yield service, tenant, proxy


async def test_a_table_has_the_readers_time_beside_utc_and_a_link_to_each_call(tenant: Tenant) -> None:
    posted = await tenant.post_call(missed(callStartTime="2026-05-01T23:30:00Z", duration=60, status="busy"))
    assert posted.status == 201, posted.body
    query = {"status": "busy", "startDate": "2026-05-01", "timeZone": "Europe/Berlin"}
    answer = await tenant.get("/api/calls/export", params=query)
    (row,) = csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")))
    assert (row["started"], row["startedLocal"]) == ("2026-05-01T23:30:00.000Z", "2026-05-02 01:30:00")
    assert (row["endedLocal"], row["timeZone"]) == ("2026-05-02 01:31:00", "Europe/Berlin")
    assert row["link"] == f"{tenant.base_url}/#/calls/{posted.body['callId']}"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="calls-busy-from-2026-05-01.csv"'
    unknown = await tenant.get("/api/calls/export", params={"timeZone": "Etc/Unknown"})
    (row,) = csv.DictReader(io.StringIO(unknown.body.decode("utf-8-sig")))
    assert (row["startedLocal"], row["timeZone"]) == ("2026-05-01 23:30:00", "UTC")


BERLIN = ZoneInfo("Europe/Berlin")
MAY, JUNE = datetime(2026, 4, 30, 22, tzinfo=UTC), datetime(2026, 5, 31, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("narrowed", "name"),
    [
        ({}, "calls-2026-05-15.csv"),
        ({"start": MAY, "end": JUNE}, "calls-2026-05-01-to-2026-05-31.csv"),
        ({"start": MAY, "end": MAY + timedelta(days=1), "status": "no-answer"}, "calls-no-answer-2026-05-01.csv"),
        ({"end": JUNE, "direction": "inbound"}, "calls-inbound-until-2026-05-31.csv"),
        ({"agent_name": 'Ann "x"; \r\n', "search": "\u9001\u8d27 two"}, "calls-ann-x-two-2026-05-15.csv"),
        ({"search": "\u9001\u8d27"}, "calls-2026-05-15.csv"),
    ],
)
def test_the_file_is_named_after_the_filter(narrowed: dict[str, Any], name: str) -> None:
    assert file_name(CallFilter(**narrowed), datetime(2026, 5, 15, 9, tzinfo=UTC), BERLIN) == name


async def ask(raw: RawConnection, tenant: Tenant, method: str = "GET") -> None:
    await raw.request(f"{method} /api/calls/export", {"Authorization": f"Bearer {tenant.token}"})


def cut_at(number: int, proxy: Proxy) -> list[bytes]:
    """Cut the proxy's connections from the query for the page of that number on; return the queries that were seen."""
    queries: list[bytes] = []

    async def look(passage: Passage, up: bool, piece: bytes) -> bool:
        if up and b"find\x00\x06\x00\x00\x00calls\x00" in piece and b"limit\x00" in piece:
            queries.append(piece)
        return len(queries) < number

    proxy.look = look
    return queries


async def test_a_table_that_breaks_off_does_not_look_whole_and_the_log_says_so(
    mongodb_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    async with behind_proxy(mongodb_uri, tmp_path) as (service, tenant, proxy):
        caplog.clear()
        cut_at(2, proxy)
        async with connection(service.base_url) as raw:
            await ask(raw, tenant)
            received = await raw.ended()
        proxy.look = None
        assert received.startswith(b"HTTP/1.1 200 OK")
        assert received.count(b"no-answer") == 500
        assert not received.endswith(b"\r\n0\r\n\r\n"), "the end of a chunked answer"
        await eventually(lambda: not service.server.app.web.active)
        aborted, request = logged(caplog)
        assert aborted.getMessage() == "response_aborted"
        assert aborted.fields["requestId"] == request.fields["requestId"]
        assert request.fields["status"] == 503
        whole = await tenant.get("/api/calls/export")
        assert len(list(csv.reader(io.StringIO(whole.body.decode("utf-8-sig"))))) == CALLS + 1


async def test_a_table_that_cannot_begin_is_503_within_the_deadline(mongodb_uri: str, tmp_path: Path) -> None:
    async with behind_proxy(mongodb_uri, tmp_path) as (service, tenant, proxy):
        frozen: list[bytes] = []

        async def look(passage: Passage, up: bool, piece: bytes) -> bool:
            if up and b"find\x00\x06\x00\x00\x00calls\x00" in piece:
                frozen.append(piece)
                proxy.freeze()
            return True

        proxy.look = look
        async with connection(service.base_url) as raw:
            await ask(raw, tenant)
            answer = await raw.answer()
        assert frozen
        proxy.look = None
        proxy.thaw()
        assert answer.status == 503
        assert answer.body["error"] == "The database did not answer in time; send the request again."
        assert int(answer.headers["retry-after"]) >= 1


async def test_head_reads_no_calls(mongodb_uri: str, tmp_path: Path) -> None:
    async with behind_proxy(mongodb_uri, tmp_path) as (service, tenant, proxy):
        queries = cut_at(CALLS, proxy)
        async with connection(service.base_url) as raw:
            await ask(raw, tenant, "HEAD")
            answer = await raw.answer(of_head=True)
            assert answer.status == 200
            assert answer.headers["content-type"] == "text/csv; charset=utf-8"
            assert "content-length" not in answer.headers
            assert queries == []
            await raw.request("HEAD /api/calls/export?limit=1&status=odd", {"Authorization": f"Bearer {tenant.token}"})
            assert (await raw.answer(of_head=True)).status == 400


async def test_a_reader_that_stalls_is_cut_off(mongodb_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        tenant = await service.tenant()
        assert (await tenant.post_call(missed(summary="a" * 40_000))).status == 201
        call = await service.database["calls"].find_one({"organizationId": tenant.organization_id})
        assert call is not None
        del call["_id"], call["callId"], call["providerCallId"]
        ids = [new_id() for _ in range(500)]
        await service.database["calls"].insert_many([{**call, "_id": i, "callId": i, "providerCallId": i} for i in ids])
        service.server.app.web.write_deadline_s = 0.3
        async with connection(service.base_url) as raw:
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # what arrives stays in the kernel
            await ask(raw, tenant)
            await eventually(lambda: "response_aborted" in [record.getMessage() for record in logged(caplog)])
            await eventually(lambda: not service.server.app.web.active)
