"""`tether-rt verify`: silent about what is whole, one line for each fault, on both stores."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import r2_settings, settings_on
from tests.support.s3 import S3Server
from tests.support.service import SECRET, Service, missed, running, sample


@pytest.fixture(params=["disk", "r2"])
async def service(
    request: pytest.FixtureRequest, mongodb_uri: str, tmp_path: Path, s3_server: S3Server
) -> AsyncIterator[Service]:
    """A server with a database of its own: in one that tests share, some have left what is not whole."""
    r2 = r2_settings(s3_server) if request.param == "r2" else {}
    async with running(settings_on(mongodb_uri, tmp_path, **r2)) as service:
        yield service


async def verified(service: Service) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command on the service's database; return its status, its lines and what it said."""
    settings = service.server.settings
    variables = {
        "MONGODB_URI": settings.mongodb_uri or "",
        "TETHER_DATABASE": settings.database,
        "TETHER_SECRET": SECRET,
        "TETHER_DATA_DIR": str(settings.data_dir),
        "R2_ENDPOINT_URL": settings.r2_endpoint_url or "",
        "R2_ACCESS_KEY_ID": settings.r2_access_key_id or "",
        "R2_SECRET_ACCESS_KEY": settings.r2_secret_access_key or "",
        "R2_BUCKET": settings.r2_bucket or "",
    }

    return await verified_with(variables)


async def verified_with(variables: dict[str, str]) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command with these settings."""

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tether_rt", "verify"]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    done = await asyncio.to_thread(run)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


async def test_what_is_whole_has_no_fault_and_each_fault_a_line(service: Service) -> None:
    tenant = await service.tenant()
    calls = []
    for number in range(4):
        answer = await tenant.post_call(sample() if number % 2 else missed())
        assert answer.status == 201
        calls.append(answer.body)
    database = service.database
    own = {"organizationId": tenant.organization_id}
    status, lines, said = await verified(service)
    assert (status, lines) == (0, [])
    assert "0 faults in" in said
    assert "recordings" in said

    whole: dict[str, Any] = {
        "calls": await database["calls"].find_one({"_id": calls[1]["callId"]}),
        "feed": await database["feed"].find_one({**own, "first": {"$gt": 1}}, sort=[("first", 1)]),
        "contacts": await database["contacts"].find_one({"_id": calls[2]["contactId"]}),
        "messages": await database["messages"].find_one({"callId": calls[3]["callId"]}),
    }
    gone = whole["feed"]
    lonely = {**whole["contacts"], "_id": "f" * 24, "contactId": "f" * 24, "number": "+14165550001"}
    await service.server.app.recordings.remove(whole["calls"]["recordings"][0]["key"])
    await database["feed"].delete_one({"_id": gone["_id"]})
    await database["contacts"].delete_one({"_id": calls[2]["contactId"]})
    await database["contacts"].insert_one(lonely)
    await database["messages"].delete_one({"_id": whole["messages"]["_id"]})
    try:
        status, lines, said = await verified(service)
    finally:
        await database["feed"].insert_one(gone)
        await database["contacts"].insert_one(whole["contacts"])
        await database["contacts"].delete_one({"_id": lonely["_id"]})
        await database["messages"].insert_one(whole["messages"])
        await database["calls"].update_one({"_id": calls[1]["callId"]}, {"$set": {"recordings": []}})
    assert status == 1
    assert said == f"5 faults in {said.partition(' in ')[2]}"
    key = whole["calls"]["recordings"][0]["key"]
    expected = [
        {**own, "callId": calls[1]["callId"], "key": key, "fault": "the call's recording is missing, or shorter than it was"},
        {**own, "callId": calls[2]["callId"], "contactId": calls[2]["contactId"], "fault": "the call's contact is missing"},
        {**own, "callId": calls[3]["callId"], "fault": "the call has 0 messages instead of one"},
        {**own, "fault": f"the events {gone['first']} to {gone['last']} are missing"},
        {**own, "contactId": lonely["_id"], "fault": "the contact has no calls"},
    ]
    assert sorted(lines, key=json.dumps) == sorted(expected, key=json.dumps)
    assert (await verified(service))[0] == 0


async def test_a_store_that_is_away_is_no_fault(service: Service) -> None:
    tenant = await service.tenant()
    assert (await tenant.post_call(sample())).status == 201
    settings = service.server.settings
    variables = {
        "MONGODB_URI": settings.mongodb_uri or "",
        "TETHER_DATABASE": settings.database,
        "TETHER_SECRET": SECRET,
        "R2_ENDPOINT_URL": "http://127.0.0.1:9",
        "R2_ACCESS_KEY_ID": "id",
        "R2_SECRET_ACCESS_KEY": "secret",
        "R2_BUCKET": "bucket",
    }
    command = [sys.executable, "-m", "tether_rt", "verify"]
    done = await asyncio.to_thread(subprocess.run, command, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "The recording store cannot be reached just now" in done.stderr
