"""The role in the deployment page lets the server do all that it does, and nobody change the audit log with it."""

from __future__ import annotations

import re
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from tests.support.documents import section_of
from tests.support.program import program
from tests.support.service import missed, sample
from tests.support.waiting import eventually
from tether_rt.mongo.mongod_process import find_binary

PASSWORD = "a password for tests"


def role() -> dict[str, Any]:
    """Return the role of the deployment page as a command."""
    text = section_of("docs/deployment.md", "A user that cannot change the audit log")
    lists = {name: re.findall(r'"(\w+)"', found) for name, found in re.findall(r"const (\w+) = \[(.*?)\];", text, re.DOTALL)}
    own = [({"db": "tether", "collection": one}, lists["see"] + lists["write"]) for one in lists["rest"]]
    own += [
        ({"db": "tether", "collection": "audit"}, [*lists["see"], "insert"]),
        ({"db": "tether", "collection": ""}, ["listCollections"]),
    ]
    return {"privileges": [{"resource": resource, "actions": actions} for resource, actions in own], "roles": []}


@asynccontextmanager
async def guarded_mongod(folder: Path) -> AsyncIterator[str]:
    """Run a mongod with access control; yield its address for the user of the role."""
    folder.mkdir()  # noqa: ASYNC240
    key = folder / "key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    place = ["--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    guard = ["--replSet", "one", "--keyFile", str(key), "--quiet", "--wiredTigerCacheSizeGB", "0.25"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([find_binary(), *place, *guard], stdout=log, stderr=log)  # noqa: ASYNC220
    try:
        # The first user is made without one, from this machine.
        async with AsyncMongoClient[dict[str, Any]](f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
            members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
            await client.admin.command("replSetInitiate", {"_id": "one", "members": members})

            async def is_primary() -> bool:
                return bool((await client.admin.command("hello"))["isWritablePrimary"])

            await eventually(is_primary)
            await client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        root = f"mongodb://root:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/?directConnection=true"
        async with AsyncMongoClient[dict[str, Any]](root) as client:
            await client["tether"].command("createRole", "tether", **role())
            await client["tether"].command("createUser", "tether", pwd=PASSWORD, roles=["tether"])
        yield f"mongodb://tether:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/?replicaSet=one&authSource=tether"
    finally:
        process.terminate()
        process.wait(60)


async def test_the_servers_own_user_can_add_to_the_audit_log_and_change_nothing_in_it(tmp_path: Path) -> None:
    async with (
        guarded_mongod(tmp_path / "guarded") as uri,
        program(tmp_path, uri, variables={"TETHER_DATABASE": "tether"}) as running,
    ):
        admin = await running.tenant(role="admin")
        call_id = (await admin.post_call(sample())).body["callId"]
        await admin.post_call(missed())
        assert (await admin.get(f"/api/calls/{call_id}/recording")).status == 200
        dashboard = await admin.dashboard()
        assert (await admin.request("DELETE", f"/api/calls/{call_id}", token=admin.token)).status == 200
        assert (await dashboard.next())["event"] == "call_deleted"
        assert {"listened", "erased"} <= {one["what"] for one in (await admin.get("/api/audit")).body["entries"]}
        await dashboard.close()
        audit = running.database["audit"]
        for change in (
            audit.delete_many({}),
            audit.update_many({}, {"$set": {"what": "nothing"}}),
            audit.replace_one({}, {}),
            audit.drop(),
            running.database.command("collMod", "audit", index={"name": "retention", "expireAfterSeconds": 1}),
        ):
            with pytest.raises(OperationFailure) as refused:
                await change
            assert refused.value.code == 13, "Unauthorized"
        assert set(await running.database.list_collection_names()) == {
            one["resource"]["collection"] for one in role()["privileges"] if one["resource"]["collection"]
        }
