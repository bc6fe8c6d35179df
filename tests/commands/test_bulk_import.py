"""`tether-rt import`: a file of calls is stored once, whatever happens on the way, and what was refused is said."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.moody import Moody, answer, moody_server
from tests.support.service import Service, Tenant, missed
from tests.support.waiting import eventually
from tests.test_cli import run


def written(path: Path, lines: Iterable[Any]) -> Path:
    """Write a file of lines, each JSON unless it is text already."""
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


async def imported(path: Path, url: str, key: str, *more: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(run, "import", str(path), "--url", url, "--key", key, *more)


def report_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1, done
    return dict(json.loads(done.stdout))


async def total(tenant: Tenant) -> int:
    return int((await tenant.get("/api/calls/history")).body["total"])


@pytest.fixture
async def tenant(service_on_disk: Service) -> Tenant:
    return await service_on_disk.tenant()


async def test_a_file_is_stored_and_a_second_run_sends_nothing(tenant: Tenant, tmp_path: Path) -> None:
    calls = [
        missed(externalCallId=f"old-{number}", historic=True, callStartTime="2020-01-01T00:00:00Z") for number in range(50)
    ]
    without_id = [missed() for _ in range(5)]
    path = written(tmp_path / "calls.jsonl", [*calls, "", *without_id, calls[0], {**calls[1], "agentName": "Alex"}])
    first = await imported(path, tenant.base_url, tenant.api_key)
    assert first.returncode == 0, first
    expected = {
        "lines": 57,
        "created": 55,
        "duplicates": 2,
        "payloadDiffers": 1,
        "storedBefore": 0,
        "refusedLines": 0,
        "refused": [],
    }
    assert report_of(first) == expected
    assert "57 lines: 55 created, 2 duplicates" in first.stderr
    again = await imported(path, tenant.base_url + "/", tenant.api_key)
    assert report_of(again) == {**expected, "created": 0, "duplicates": 0, "payloadDiffers": 0, "storedBefore": 57}
    assert await total(tenant) == 55
    done = [json.loads(line) for line in (tmp_path / "calls.done.jsonl").read_text().splitlines()]
    assert sorted(entry["line"] for entry in done[1:]) == [*range(1, 51), *range(52, 59)]
    assert tenant.api_key not in str(done)


async def test_what_is_refused_is_said_kept_and_can_be_mended_in_the_file(tenant: Tenant, tmp_path: Path) -> None:
    good, bad = missed(externalCallId="good"), missed(externalCallId="bad", status="answered")
    path = written(tmp_path / "calls.jsonl", [bad, good, '{"half": '])
    first = await imported(path, tenant.base_url, tenant.api_key)
    assert first.returncode == 1
    report = report_of(first)
    assert (report["created"], report["refusedLines"]) == (1, 2)
    status, half = report["refused"]
    assert status.keys() == {"line", "code", "field", "error"}
    assert (status["line"], half["line"]) == (1, 3)
    assert (status["code"], status["field"]) == ("unknown_value", "status")
    assert half["code"] == "not_json"
    assert sorted((tmp_path / "calls.refused.jsonl").read_text().splitlines()) == sorted([json.dumps(bad), '{"half":'])
    written(path, [{**bad, "status": "busy"}, good])
    second = await imported(path, tenant.base_url, tenant.api_key)
    assert second.returncode == 0
    assert (report_of(second)["created"], report_of(second)["storedBefore"]) == (1, 1)
    assert not (tmp_path / "calls.refused.jsonl").exists()
    assert await total(tenant) == 2


@pytest.fixture
async def moody() -> AsyncIterator[Moody]:
    async with moody_server() as server:
        yield server


@pytest.mark.parametrize(
    "first", [answer(503), answer(429, **{"Retry-After": "1"}), answer(502), answer(500), answer(408), None]
)
async def test_what_passes_is_tried_again(moody: Moody, tmp_path: Path, first: web.Response | None) -> None:
    moody.answers = [first, answer(201)]
    done = await imported(written(tmp_path / "calls.jsonl", [missed()]), moody.url, "k")
    assert done.returncode == 0
    assert (len(moody.received), report_of(done)["created"]) == (2, 1)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 301])
async def test_what_concerns_every_line_stops_it_with_one_sentence(moody: Moody, tmp_path: Path, status: int) -> None:
    moody.answers = [answer(status, Location="https://elsewhere.example/")]
    done = await imported(written(tmp_path / "calls.jsonl", [missed() for _ in range(9)]), moody.url, "k", "--concurrency", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"Error: {moody.url}/api/calls/ingest answers {status} No.\n"
    assert len(moody.received) == 1


async def test_an_import_that_is_killed_and_run_again_stores_each_call_once(tenant: Tenant, tmp_path: Path) -> None:
    path = written(tmp_path / "calls.jsonl", [missed(externalCallId=f"old-{number}") for number in range(300)])
    done_path = tmp_path / "calls.done.jsonl"
    command = [sys.executable, "-m", "tether_rt", "import", str(path), "--url", tenant.base_url, "--key", tenant.api_key]
    process = await asyncio.create_subprocess_exec(*command, "--concurrency", "4", stderr=subprocess.DEVNULL)

    async def is_under_way() -> bool:
        return done_path.exists() and done_path.read_bytes().count(b"\n") > 20

    await eventually(is_under_way)
    process.kill()
    await process.wait()
    done = await imported(path, tenant.base_url, tenant.api_key)
    report = report_of(done)
    assert done.returncode == 0
    assert report["storedBefore"] > 0
    assert report["storedBefore"] + report["created"] + report["duplicates"] == report["lines"] == await total(tenant) == 300


async def test_an_import_that_was_killed_goes_on_where_it_was(moody: Moody, tmp_path: Path) -> None:
    """Lines without an id of their own are not sent twice but for those whose answer did not arrive."""
    path = written(tmp_path / "calls.jsonl", [{**missed(), "number": number} for number in range(3)])
    done_path = tmp_path / "calls.done.jsonl"
    assert (await imported(path, moody.url, "k")).returncode == 0
    whole = done_path.read_bytes().splitlines(keepends=True)
    done_path.write_bytes(b"".join(whole[:3]) + whole[3][:-20])  # killed while it wrote the third
    moody.received.clear()
    again = report_of(await imported(path, moody.url, "k"))
    assert (again["storedBefore"], again["created"], len(moody.received)) == (2, 1, 1)
    assert report_of(await imported(path, moody.url, "k"))["storedBefore"] == 3


@pytest.mark.parametrize("other", [{"key": "other"}, {"url": "http://127.0.0.1:1"}])
async def test_what_one_organization_has_is_not_taken_as_stored_in_another(
    moody: Moody, tmp_path: Path, other: dict[str, str]
) -> None:
    path = written(tmp_path / "calls.jsonl", [missed()])
    own = {"url": moody.url, "key": "k"}
    assert (await imported(path, **own)).returncode == 0
    done = await imported(path, **{**own, **other})
    assert done.returncode == 2
    assert "calls.done.jsonl is of an import to another address or with another key" in done.stderr


async def test_lines_that_somebody_mends_are_not_lost(moody: Moody, tmp_path: Path) -> None:
    moody.answers = [answer(400)]
    path = written(tmp_path / "calls.jsonl", [missed()])
    assert (await imported(path, moody.url, "k")).returncode == 1
    written(tmp_path / "calls.refused.jsonl", ["mended"])
    assert (await imported(path, moody.url, "k")).returncode == 1
    assert (tmp_path / "calls.refused.jsonl~").read_text() == "mended\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--url", "calls.example", "--key", "k"), "--url must begin with http:// or https://, not 'calls.example'."),
        (("--url", "http://a", "--key", "k\n"), "--key must be one word, such as tk_live_…."),
        (("--url", "http://a", "--key", "k", "--concurrency", "0"), "Invalid value for '--concurrency'"),
        (("--url", "http://a"), "Missing option '--key' (env var: 'TETHER_API_KEY')."),
    ],
)
def test_what_is_wrong_with_an_import_is_said(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = run("import", str(written(tmp_path / "calls.jsonl", [])), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
