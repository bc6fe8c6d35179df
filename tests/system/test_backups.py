"""docs/backups.md, carried out: the commands of the page put a database and its recordings back, and every client is told.

Where MongoDB's Database Tools are not installed, `tests.support.mongo_tools` takes their place.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import r2_settings
from tests.support.database import own_mongod
from tests.support.documents import FENCE, section_of
from tests.support.mongo_tools import path_with_tools
from tests.support.program import program
from tests.support.s3 import S3Server
from tests.support.service import ROOT, SECRET, Tenant, missed, sample

PAGE = "docs/backups.md"


def commands(heading: str) -> list[str]:
    """Return the blocks of commands under a heading of the page."""
    return [code for _, code in FENCE.findall(section_of(PAGE, heading))]


async def shell(command: str, variables: dict[str, str], status: int = 0) -> list[Any]:
    """Run commands of the page; return the lines of JSON that they printed."""
    # What this machine sets for AWS's programs is not for the store of the tests.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = await asyncio.create_subprocess_exec(
        "bash", "-euc", command, env={**environment, "PYTHONPATH": str(ROOT), **variables},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == status, (command, out.decode(), err.decode())
    return [json.loads(line) for line in out.splitlines()]


class Clients:
    """The three doors to the feed, asked from a position: what each says first."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    async def told(self, after: str, count: int) -> list[list[dict[str, Any]]]:
        """Return the first messages over WebSocket, as lines and as server-sent events."""
        return [await self._socket(after, count), await self._lines(after, count), await self._stream(after, count)]

    async def _socket(self, after: str, count: int) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.tenant.token}"}
        address = f"{self.tenant.base_url}/ws?after={after}"
        async with self.tenant.http.ws_connect(address, protocols=("tether.v1",), headers=headers) as socket:
            return [json.loads((await socket.receive(20)).data) for _ in range(count)]

    async def _lines(self, after: str, count: int) -> list[dict[str, Any]]:
        answer = await self.tenant.get(f"/api/feed?after={after}")
        return [json.loads(line) for line in answer.body.splitlines()][:count]

    async def _stream(self, after: str, count: int) -> list[dict[str, Any]]:
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {self.tenant.token}", "Last-Event-ID": after}
        async with self.tenant.http.get(f"{self.tenant.base_url}/api/feed", headers=headers) as answer:
            return [message async for _, message in _events(answer, count)]


async def _events(answer: aiohttp.ClientResponse, count: int) -> Any:
    fields: dict[str, str] = {}
    async with asyncio.timeout(60):
        async for raw in answer.content:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name and value:
                fields[name] = value
            elif fields.get("data"):
                yield fields["id"], json.loads(fields["data"])
                fields = {}
                count -= 1
                if not count:
                    return


async def head(tenant: Tenant) -> dict[str, Any]:
    """Return the `hello` of now."""
    hello: dict[str, Any] = json.loads((await tenant.get("/api/feed")).body.splitlines()[0])
    return hello


async def sent(tenant: Tenant, calls: list[dict[str, Any]]) -> list[str]:
    """Send calls and return their ids."""
    answers = [await tenant.post_call(call) for call in calls]
    assert {answer.status for answer in answers} == {201}
    return [answer.body["callId"] for answer in answers]


async def audio(tenant: Tenant, call_id: str) -> bytes:
    link = await tenant.get(f"/api/calls/{call_id}/recording")
    assert link.status == 200, link.body
    url = str(link.body["audioUrl"])
    async with tenant.http.get(url if url.startswith("http") else tenant.base_url + url) as response:
        assert response.status == 200
        return await response.read()


async def everyone_is_told(tenant: Tenant, before: dict[str, Any]) -> None:
    """Ask from positions of the earlier epoch: below, at and above the number that was put back, and above any."""
    now = await head(tenant)
    assert now["epoch"] != before["epoch"]
    assert now["seq"] < before["seq"]
    for number in (0, now["seq"] - 1, now["seq"], now["seq"] + 1, before["seq"], before["seq"] + 1000):
        for messages in await Clients(tenant).told(f"{before['epoch']}.{number}", 2):
            hello, resync = messages
            assert (hello["event"], hello["epoch"], hello["seq"]) == ("hello", now["epoch"], now["seq"])
            assert (resync["event"], resync["epoch"], resync["seq"]) == ("resync", now["epoch"], now["seq"])
    for messages in await Clients(tenant).told(f"{now['epoch']}.{now['seq']}", 1):
        assert messages[0]["seq"] == now["seq"], "who is up to date in the new epoch is told nothing else"


async def known_and_new(tenant: Tenant, kept: list[dict[str, Any]], ids: list[str], lost: list[dict[str, Any]]) -> None:
    """Send everything again: what the backup has is recognised, what came later is stored."""
    for call, call_id in zip(kept, ids, strict=True):
        answer = await tenant.post_call(call)
        assert (answer.status, answer.body) == (200, {"success": True, "deduplicated": True, "callId": call_id})
    await sent(tenant, lost)


async def test_a_dump_is_put_back_by_the_page_and_every_client_is_told(tmp_path: Path, s3_server: S3Server) -> None:
    settings = {name.upper(): value for name, value in r2_settings(s3_server).items()}
    tools = tmp_path / "tools"
    tools.mkdir()
    dump, _, copy_out = commands("Back up")
    restore, _, copy_back, check = commands("Put back")
    # The store of the tests answers as Amazon's.
    copy_out = copy_out.replace("PROVIDER=Cloudflare", "PROVIDER=Other")
    copy_back = copy_out.partition("rclone copy")[0] + copy_back
    calls = [sample() if number % 2 else missed() for number in range(6)]
    lost = [sample(), missed(), missed()]
    async with own_mongod(tmp_path / "own") as mongod, program(tmp_path, mongod.uri, variables=settings) as running:
        variables = {
            **settings,
            "MONGODB_URI": mongod.uri,
            "TETHER_DATABASE": running.database.name,
            "TETHER_SECRET": SECRET,
            "TETHER_DATA_DIR": running.server.variables["TETHER_DATA_DIR"],
            "BACKUP": str(tmp_path / "backup"),
            "PATH": path_with_tools(tools),
        }
        tenant = await running.tenant()
        ids = await sent(tenant, calls)
        await asyncio.gather(shell(dump, variables), sent(tenant, [missed() for _ in range(20)]))
        await shell(copy_out, variables)
        await sent(tenant, lost)
        before = await head(tenant)
        link = f"/api/calls/{ids[1]}/recording"
        heard = await audio(tenant, ids[1])
        async with tenant.http.ws_connect(
            f"{tenant.base_url}/ws", protocols=("tether.v1",), headers={"Authorization": f"Bearer {tenant.token}"}
        ) as connected:
            assert json.loads((await connected.receive(20)).data) == before
            assert await running.server.stop() == 0
            assert (await connected.receive(20)).type is aiohttp.WSMsgType.CLOSE

        await shell(restore, variables)
        for key in s3_server.keys(settings["R2_BUCKET"]):
            s3_server.delete(settings["R2_BUCKET"], key)
        faults = await shell(check, variables, status=1)
        assert [fault["fault"] for fault in faults] == ["the call's recording is missing, or shorter than it was"] * 3
        assert {fault["callId"] for fault in faults} == {ids[1], ids[3], ids[5]}
        await shell(copy_back, variables)
        assert await shell(check, variables) == []

        await running.server.start()
        tenant = replace(tenant, base_url=running.server.url)
        await everyone_is_told(tenant, before)
        assert (await tenant.get(link)).status == 200
        assert await audio(tenant, ids[1]) == heard
        await known_and_new(tenant, calls, ids, lost)


async def test_copied_files_are_put_back_by_the_page_and_every_client_is_told(tmp_path: Path) -> None:
    copy, put_back = commands("With a copy of the disks")
    variables = {
        "TETHER_SECRET": SECRET,
        "TETHER_DATA_DIR": str(tmp_path / "var"),
        "BACKUP": str(tmp_path / "backup"),
        "PATH": path_with_tools(tmp_path),
    }
    (tmp_path / "backup").mkdir()
    calls = [sample() if number % 2 else missed() for number in range(4)]
    lost = [sample(), missed()]
    async with program(tmp_path) as running:
        variables["TETHER_DATABASE"] = running.database.name
        tenant = await running.tenant()
        ids = await sent(tenant, calls)
        assert await running.server.stop() == 0
        await shell(copy, variables)
        await running.server.start()
        await sent(tenant, lost)
        before = await head(tenant)
        assert await running.server.stop() == 0
        (epoch,) = await shell(put_back, variables)
        await running.server.start()
        assert (await head(tenant))["epoch"] == epoch["epoch"]
        await everyone_is_told(tenant, before)
        await known_and_new(tenant, calls, ids, lost)


async def test_clients_of_a_server_that_was_not_stopped_are_told_as_well(tmp_path: Path) -> None:
    dump, copy_out, _ = commands("Back up")
    restore, copy_back, _, check = commands("Put back")
    async with own_mongod(tmp_path / "own") as mongod, program(tmp_path, mongod.uri) as running:
        variables = {
            **running.server.variables,
            "BACKUP": str(tmp_path / "backup"),
            "PATH": path_with_tools(tmp_path),
        }
        tenant = await running.tenant()
        (spoken, *_) = await sent(tenant, [sample(), missed(), missed()])
        heard = await audio(tenant, spoken)
        await shell(f"{dump}{copy_out}", variables)
        await sent(tenant, [missed() for _ in range(3)])
        before = await head(tenant)
        headers = {"Authorization": f"Bearer {tenant.token}"}
        async with (
            tenant.http.ws_connect(f"{tenant.base_url}/ws", protocols=("tether.v1",), headers=headers) as socket,
            tenant.http.get(f"{tenant.base_url}/api/feed", headers={**headers, "Accept": "text/event-stream"}) as stream,
        ):
            following = _events(stream, 2)
            assert json.loads((await socket.receive(20)).data) == before
            assert (await anext(following))[1] == before
            waiting = asyncio.create_task(tenant.get(f"/api/feed?after={before['epoch']}.{before['seq']}&wait=60"))
            await shell(restore, variables)
            told = [
                json.loads((await socket.receive(60)).data),
                (await anext(following))[1],
                json.loads((await waiting).body.splitlines()[-1]),
            ]
            assert [message["event"] for message in told] == ["resync"] * 3
            assert {message["epoch"] for message in told} == {(await head(tenant))["epoch"]} != {before["epoch"]}
        await shell('rm "$TETHER_DATA_DIR"/recordings/*/*.mp3', variables)
        assert await shell(f"{copy_back}{check}", variables) == []
        assert await audio(tenant, spoken) == heard


def test_the_page_names_no_command_that_is_not_carried_out() -> None:
    blocks = re.findall(r"^```bash$", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert len(blocks) == len(commands("Back up") + commands("Put back") + commands("With a copy of the disks"))
