"""Programs and commands in the documents, run as a reader runs them against a real server, and what the server then stores."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.conftest import settings_on
from tests.support.documents import FENCE, blocks, rows, text_of
from tests.support.processes import running_process
from tests.support.service import PASSWORD, Service, Tenant, missed, running, sample
from tests.support.waiting import eventually
from tests.support.web_app import served

VENDOR = "docs/quickstart-vendor.md"
PROTOCOL = "docs/protocol.md"
ARCHITECTURE = "docs/architecture.md"


@pytest.fixture(scope="module")
async def alone(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A server of this module's own."""
    async with running(settings_on(mongodb_uri, tmp_path_factory.mktemp("programs"))) as service:
        yield service


@asynccontextmanager
async def program(folder: Path, code: str, *arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python program; it is ended, if it has not come to its end, with the block."""
    path = folder / "program.py"
    path.write_text(code)
    async with running_process(sys.executable, path, *arguments, env={**os.environ, **variables}) as process:
        yield process


@asynccontextmanager
async def failing_twice(tenant: Tenant) -> AsyncIterator[tuple[str, list[str]]]:
    """Yield the address of a way to the server that first breaks the connection and then says 503, and what it did."""
    done: list[str] = []

    async def pass_on(request: web.Request) -> web.Response:
        given = await request.read()
        if not done:
            done.append("broken")
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if len(done) == 1:
            done.append("503")
            return web.json_response({"success": False, "error": "Busy."}, status=503, headers={"Retry-After": "1"})
        answer = await tenant.post_call(given)
        done.append(str(answer.status))
        return web.json_response(answer.body, status=answer.status)

    application = web.Application()
    application.router.add_post("/api/calls/ingest", pass_on)
    async with served(application) as port:
        yield f"http://127.0.0.1:{port}", done


async def send(folder: Path, address: str, tenant: Tenant, call: object) -> tuple[int | None, str, str]:
    (folder / "call.json").write_text(json.dumps(call))
    variables = {"TETHER_URL": address, "TETHER_API_KEY": tenant.api_key}
    async with program(folder, blocks(VENDOR, "python")[-1], str(folder / "call.json"), **variables) as process:
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_vendors_loop_gets_a_call_through_and_repeats_no_refusal(alone: Service, tmp_path: Path) -> None:
    tenant = await alone.tenant()
    async with failing_twice(tenant) as (address, done):
        call = missed()
        status, out, err = await send(tmp_path, address, tenant, call)
        assert (status, done) == (0, ["broken", "503", "201"]), err
        stored = json.loads(out)["callId"]

        status, out, err = await send(tmp_path, address, tenant, call)
        assert status == 0, err
        assert json.loads(out) == {"success": True, "deduplicated": True, "callId": stored}

        status, _, err = await send(tmp_path, address, tenant, missed(duration="long"))
        assert status == 1
        assert err.startswith("Refused: 400"), "a sentence, no traceback"
        assert "duration must be a number" in err
        assert done == ["broken", "503", "201", "200", "400"]

    status, _, err = await send(tmp_path, address, tenant, missed(externalCallId=...))
    assert status == 1
    assert "without an externalCallId" in err


async def shell(command: str, **variables: str) -> str:
    """Run a command of a document and return what it printed; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", command, env={**os.environ, **variables}, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


@pytest.mark.parametrize(("document", "call_id"), [("README.md", "readme-1"), (VENDOR, "my-first-call")])
async def test_the_first_call_of_a_page_is_stored_once(alone: Service, document: str, call_id: str) -> None:
    tenant = await alone.tenant()
    command = next(code for code in blocks(document, "bash") if call_id in code)
    # The README names the demo's address, and its key as printed.
    command = command.replace("http://127.0.0.1:2212", alone.base_url).replace("tk_live_...", tenant.api_key)
    variables = {"TETHER_URL": alone.base_url, "TETHER_API_KEY": tenant.api_key}
    first = json.loads(await shell(command, **variables))
    assert first.keys() == {"success", "callId", "contactId", "conversationId"}
    again = json.loads(await shell(command, **variables))
    assert again == {"success": True, "deduplicated": True, "callId": first["callId"]}


async def test_the_program_that_signs_by_standard_webhooks_gets_a_call_through(alone: Service, tmp_path: Path) -> None:
    page = re.sub(r"^ {3}", "", text_of("docs/vendors/standard.md"), flags=re.MULTILINE)
    command, body, code = (code for _, code in FENCE.findall(page))
    tenant = await alone.tenant(role="admin")
    make, add = command.splitlines()
    assert add.endswith("< secret.txt")
    secret = await shell(make.replace(" > secret.txt", ""))
    (tmp_path / "secret.txt").write_text(secret)
    source = await tenant.post("/api/sources", {"name": "Own system", "kind": "standard", "secrets": [secret]})
    address = f"{tenant.base_url}{source.body['webhookPath']}"
    code = re.sub(r'ADDRESS = ".*"', f"ADDRESS = {address!r}", code).replace("secret.txt", str(tmp_path / "secret.txt"))
    async with program(tmp_path, f"{code}\nsend({json.loads(body)['data']!r})\n") as process:
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    (call,) = (await tenant.get("/api/calls/history")).body["calls"]
    assert (call["sourceName"], call["to"], call["status"]) == ("Own system", "+14155550177", "no-answer")


PASSING = ("erasure_files", "recording_copies")
"""Collections that have documents while something is made or erased."""


async def test_stored_documents_have_the_fields_of_the_architecture_page(alone: Service) -> None:
    tenant = await alone.tenant(role="admin")
    completed = await tenant.post_call(sample())
    await tenant.post_call(missed(externalCallId=...))
    change = {"callId": completed.body["callId"], "summary": "Changed.", "callerName": "Mia"}
    assert (await tenant.request("PATCH", "/api/calls/ingest", token=tenant.api_key, json=change)).status == 200
    later = sample(recording="https://nowhere.invalid/call.mp3")
    assert (await tenant.post_call(later, headers={"Prefer": "respond-async"})).status == 201
    assert (await tenant.post("/api/sources", {"name": "Booking agent"})).status == 201
    vendors = {"name": "Voice agents", "kind": "retell", "secrets": ["key_1"]}
    assert (await tenant.post("/api/sources", vendors)).status == 201
    assert (await tenant.post("/api/tokens", {"name": "Wallboard", "scopes": ["feed"]})).status == 201
    assert (await tenant.post_call(missed(status="answered"))).status == 400

    erased = (await tenant.post_call(missed())).body["callId"]
    assert (await tenant.request("DELETE", f"/api/calls/{erased}", token=tenant.token)).status == 200

    async def all_is_written() -> bool:
        counts = [await alone.database[name].count_documents({}) for name in ("deliveries", "search", "search_positions")]
        return all(counts)

    await eventually(all_is_written)
    assert (await tenant.get(f"/api/calls/{completed.body['callId']}/peaks")).status == 200
    for name in await alone.database.list_collection_names():
        cells = [cells[0] for cells in rows(ARCHITECTURE, f"`{name}`")]
        fields = [found for cell in cells for found in re.findall(r"`(\w+)`(\??)", cell)]
        documents = await alone.database[name].find({"_id": {"$ne": "readyz"}}).to_list(None)
        assert documents or name in PASSING, name
        for document in documents:
            assert document.keys() <= {field for field, _ in fields}, name
            assert {field for field, optional in fields if not optional} <= document.keys(), name


async def test_curl_gets_a_call_through(alone: Service, tmp_path: Path) -> None:
    tenant = await alone.tenant()
    line = next(code for code in blocks(VENDOR, "bash") if "--retry" in code)
    (tmp_path / "with-recording.json").write_text(json.dumps(missed()))
    curl = await asyncio.create_subprocess_exec(
        "bash", "-c", line, cwd=tmp_path, env={**os.environ, "TETHER_URL": alone.base_url, "TETHER_API_KEY": tenant.api_key}
    )
    assert await curl.wait() == 0
    assert json.loads((tmp_path / "answer.json").read_text())["success"] is True


async def test_the_python_client_misses_nothing_while_the_server_is_replaced(mongodb_uri: str, tmp_path: Path) -> None:
    settings = settings_on(mongodb_uri, tmp_path / "data")
    async with running(settings) as service:
        tenant = await service.tenant()
        settings = replace(settings, port=int(service.base_url.rpartition(":")[2]))
        before = await tenant.post_call(missed())
        variables = {"TETHER_URL": service.base_url, "TETHER_EMAIL": tenant.email, "TETHER_PASSWORD": PASSWORD}
        async with program(tmp_path, blocks(PROTOCOL, "python")[-1], **variables) as client:
            assert client.stdout is not None
            assert await client.stdout.readline() == b"reloaded at 3 with 1 calls\n"
            told = [str((await tenant.post_call(missed())).body["callId"]) for _ in range(2)]
            await service.server.stop()
            async with running(settings), aiohttp.ClientSession() as http:
                tenant.http = http
                told += [str((await tenant.post_call(missed())).body["callId"]) for _ in range(2)]
                lines = [(await client.stdout.readline()).decode().split() for _ in range(12)]
    assert [int(seq) for seq, _, _ in lines] == list(range(4, 16))
    assert [call_id for _, name, call_id in lines if name == "call_ended"] == told
    assert before.body["callId"] not in told


def test_the_javascript_client_is_javascript(tmp_path: Path) -> None:
    path = tmp_path / "client.mjs"
    path.write_text(blocks(PROTOCOL, "js")[0])
    subprocess.run(["node", "--check", path], check=True)
