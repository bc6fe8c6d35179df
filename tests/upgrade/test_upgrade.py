"""What earlier versions stored is read by this one: `tests/upgrade/<version>.tar.gz`, loaded into MongoDB and served."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
import shutil
import tarfile
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import bson
import pytest
from pymongo import MongoClient

from tests.commands.test_verifying import verified_with
from tests.support import mongo_tools
from tests.support.program import Program, program
from tests.support.service import PASSWORD, Tenant, missed
from tests.support.waiting import eventually
from tests.support.webhooks import SECRETS, VendorsDoor
from tests.upgrade.make import EMAIL, FOLDER

ARCHIVES: Final = sorted(FOLDER.glob("*.tar.gz"))
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?=Z)")
_PASSING: Final = frozenset({"lastSeenAt", "lastUsedAt", "total", "requestId"})
"""What changes while the test asks: it is seen, and adds to the audit log."""


@dataclass(frozen=True)
class Age:
    """Whole days since an archive was made. What is stored is loaded as if that had been today, so that nothing has expired."""

    since: timedelta

    def moved(self, value: Any) -> Any:
        """Return a stored value with its dates moved."""
        if isinstance(value, datetime):
            return value + self.since
        if isinstance(value, dict):
            return {name: self.moved(each) for name, each in value.items()}
        return [self.moved(each) for each in value] if isinstance(value, list) else value

    def is_kept(self, before: Any, now: Any) -> bool:
        """Say whether an answer says what it said before. It may say more; texts that were sent keep their times."""
        if isinstance(before, dict):
            names = before.keys() - _PASSING
            return isinstance(now, dict) and all(name in now and self.is_kept(before[name], now[name]) for name in names)
        if isinstance(before, list):
            return isinstance(now, list) and len(now) >= len(before) and all(map(self.is_kept, before, now[-len(before) :]))
        if isinstance(before, str):
            moved = _TIME.sub(lambda found: self._text(found[0]), before)
            return now in (before, moved)
        return bool(before == now)

    def _text(self, time: str) -> str:
        moved = datetime.fromisoformat(f"{time}+00:00") + self.since
        return moved.strftime("%Y-%m-%dT%H:%M:%S") + (f".{moved.microsecond // 1000:03}" if "." in time else "")


def load(archive: Path, folder: Path, uri: str, database: str) -> tuple[dict[str, Any], Age]:
    """Put an archive's database and recordings back; return its facts, and how old it is."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    age = Age(timedelta(days=(datetime.now(UTC) - datetime.fromisoformat(facts["madeAt"])).days))
    for path in (folder / "database").glob("*.bson.gz"):
        documents = bson.decode_all(gzip.decompress(path.read_bytes()))
        path.write_bytes(gzip.compress(b"".join(bson.encode(age.moved(document)) for document in documents)))
    (folder / "dump").mkdir()
    shutil.move(folder / "database", folder / "dump" / database)
    with MongoClient[dict[str, Any]](uri) as client:
        mongo_tools.restore(client, folder / "dump")
    return facts, age


async def admin_of(running: Program, facts: dict[str, Any]) -> Tenant:
    """Sign in with the password of the one who was added by the earlier version."""
    nobody = Tenant(running.server.url, running.http, "", "", EMAIL, facts["apiKey"])
    answer = await nobody.request("POST", "/api/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status == 200, answer.body
    return replace(nobody, token=answer.body["token"], organization_id=answer.body["user"]["organizationId"])


async def lines(admin: Tenant, after: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await admin.get(f"/api/feed?after={after}")).body.splitlines()]


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.gz"))
async def test_what_an_earlier_version_stored_is_read_and_goes_on(archive: Path, mongodb_uri: str, tmp_path: Path) -> None:
    database = f"t{uuid.uuid4().hex[:12]}"
    data = tmp_path / "var"
    facts, age = await asyncio.to_thread(load, archive, data, mongodb_uri, database)
    sent, ids = facts["sent"], facts["ids"]
    async with program(tmp_path, mongodb_uri, variables={"TETHER_DATABASE": database}) as running:
        admin = await admin_of(running, facts)
        for path, before in facts["answers"].items():
            answer = await admin.get(path)
            assert answer.status == 200, (path, answer.body)
            assert age.is_kept(before, answer.body), (path, before, answer.body)

        link = (await admin.get(f"/api/calls/{ids['spoken']}/recording")).body["audioUrl"]
        async with admin.http.get(link) as response:
            assert hashlib.sha256(await response.read()).hexdigest() == facts["heard"]

        # From any number on, and in the same words.
        _, *events = facts["feed"]
        for after in (0, 7, len(events) - 1):
            now, *told = await lines(admin, after)
            assert (now["event"], now["seq"], told) == ("hello", after, events[after:])

        assert (await admin.request("GET", "/api/calls/statistics", token=facts["readToken"])).status == 200

        status, faults, said = await verified_with(running.server.variables)
        assert (status, faults) == (0, []), said

        for name, call in sent.items():
            key = facts["sourceKey"] if name == "of a source" else facts["apiKey"]
            answer = await admin.request("POST", "/api/calls/ingest", token=key, json=call)
            if name == "no id":
                assert answer.status == 201, "what has no id is never a repetition"
            elif name == "erased":
                assert (answer.status, answer.body["deduplicated"]) == (200, True)
            else:
                assert (answer.status, answer.body["deduplicated"], answer.body["callId"]) == (200, True, ids[name]), name
        hook = facts["webhook"]
        door = VendorsDoor(admin, hook["kind"], hook["sourceId"], hook["path"], SECRETS[hook["kind"]])
        again = await door.send(hook["event"].encode())
        assert (again.status, again.body["callId"]) == (200, ids["of a vendor"])

        dashboard = await admin.dashboard()
        added = await admin.request(
            "POST", "/api/calls/ingest", token=facts["sourceKey"], json=missed(summary="After the upgrade.")
        )
        assert added.status == 201
        assert [event["seq"] - dashboard.hello["seq"] for event in await dashboard.events(3)] == [1, 2, 3]
        await dashboard.close()

        async def is_found() -> bool:
            found = (await admin.get("/api/calls/history?search=%22after+the+upgrade%22")).body["calls"]
            return [call["callId"] for call in found] == [added.body["callId"]]

        await eventually(is_found)
