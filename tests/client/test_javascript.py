"""The package for JavaScript against a server: what it sends, what it refuses to send, what it follows, and how it ends."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from tests.conftest import settings_on
from tests.support.documents import blocks
from tests.support.node import node, result_of
from tests.support.service import SAMPLES, Service, Tenant, missed, running, sample
from tests.support.waiting import eventually
from tests.support.web_app import served

SEND = """
import { json } from "node:stream/consumers";
import { readFile } from "node:fs/promises";
import { Client } from "@tether-rt/client";

const { TETHER_URL, API_KEY, AUDIO } = process.env;
const retries = [];
const client = new Client(TETHER_URL, { apiKey: API_KEY, onRetry: (error) => retries.push(error.message) });
const { call, options } = await json(process.stdin);
if (AUDIO) options.recording = await readFile(AUDIO);
if (options.abortAfterMs) options.signal = AbortSignal.timeout(options.abortAfterMs);
const answer = await client.send(call, options).catch((error) => {
  const { name, message, status, code, field, errors, requestId, cause } = error;
  return { name, message, status, code, field, errors, requestId, cause: cause?.message };
});
console.log(JSON.stringify({ answer, retries }));
"""
PRINT = """
import { Client } from "@tether-rt/client";

const client = new Client(process.env.TETHER_URL, { token: process.env.TOKEN });
try {
  for await (const item of client.follow({ after: process.env.AFTER })) console.log(JSON.stringify(item));
} catch ({ name, status, message }) {
  console.log(JSON.stringify({ name, status, message }));
}
"""


async def send(
    folder: Path, tenant: Tenant, call: object, *, url: str = "", audio: Path | str = "", **options: object
) -> dict[str, Any]:
    variables = {"TETHER_URL": url or tenant.base_url, "API_KEY": tenant.api_key, "AUDIO": str(audio)}
    return dict(await result_of(folder, SEND, {"call": call, "options": options}, **variables))


@asynccontextmanager
async def in_front(tenant: Tenant, *trouble: web.Response | None) -> AsyncIterator[tuple[str, list[int]]]:
    """Run something in front of a server, below `/tether`, that answers the first requests itself, or breaks them (None).

    Yield the server's address through it, and the statuses of what came through.
    """
    waiting = list(trouble)
    passed: list[int] = []

    async def pass_on(request: web.Request) -> web.Response:
        body = await request.read()
        if waiting:
            answer = waiting.pop(0)
            if answer is None:
                assert request.transport is not None
                request.transport.close()
            return answer or web.Response()
        path = request.path.removeprefix("/tether")
        passed_on = await tenant.request(request.method, path, data=body, headers=dict(request.headers))
        passed.append(passed_on.status)
        return web.json_response(passed_on.body, status=passed_on.status)

    application = web.Application()
    application.router.add_route("*", "/tether/{rest:.*}", pass_on)
    async with served(application) as port:
        yield f"http://127.0.0.1:{port}/tether/", passed


async def test_a_call_and_its_audio_are_stored(service_on_disk: Service, javascript: Path) -> None:
    tenant = await service_on_disk.tenant()
    audio = SAMPLES / "appointment.mp3"
    call = sample(recording=..., toNumber="+14165550100", fromNumber="+14165550100")
    done = await send(javascript, tenant, call, audio=audio)
    answer = done["answer"]
    assert (answer["deduplicated"], answer["differs"], done["retries"]) == (False, [], [])
    assert "same_number" in {warning["code"] for warning in answer["warnings"]}
    shown = (await tenant.get(f"/api/calls/{answer['callId']}/recording")).body
    async with tenant.http.get(shown["audioUrl"]) as played:
        assert await played.read() == audio.read_bytes()

    again = await send(javascript, tenant, {**call, "recording": base64.b64encode(audio.read_bytes()).decode()})
    assert again["answer"] == {"callId": answer["callId"], "deduplicated": True, "differs": [], "warnings": []}
    other = await send(javascript, tenant, {**call, "agentName": "Somebody else"}, audio=audio)
    assert other["answer"]["differs"] == ["agentName"]


async def test_it_is_patient_with_what_passes_and_keeps_to_retry_after(service_on_disk: Service, javascript: Path) -> None:
    tenant = await service_on_disk.tenant()
    trouble = (
        web.json_response({"success": False, "error": "Busy."}, status=503, headers={"Retry-After": "1"}),
        web.Response(text="Bad gateway", status=502),
        web.Response(text="<html>Welcome to this network</html>"),
    )
    async with in_front(tenant, *trouble) as (url, passed):
        done = await send(javascript, tenant, missed(), url=url)
    assert (done["answer"]["deduplicated"], passed) == (False, [201])
    assert len(done["retries"]) == 3
    assert done["retries"][:2] == ["Busy.", "The server answered 502."]


async def test_what_can_never_be_stored_is_refused_with_every_reason(service_on_disk: Service, javascript: Path) -> None:
    tenant = await service_on_disk.tenant()
    done = await send(javascript, tenant, missed(duration="long", direction="sideways"))
    answer = done["answer"]
    assert (answer["name"], answer["status"], done["retries"]) == ("Refused", 400, [])
    assert {fault["field"] for fault in answer["errors"]} == {"duration", "direction"}
    assert answer["errors"][0] == {"code": answer["code"], "field": answer["field"], "error": answer["message"]}
    assert answer["requestId"]

    gateway = web.json_response({"error": {"code": 413}, "errors": {"upstream": "No"}}, status=413)
    async with in_front(tenant, gateway) as (url, _):
        stopped = (await send(javascript, tenant, missed(), url=url))["answer"]
    assert (stopped["name"], stopped["message"], stopped["errors"]) == ("Refused", "The server answered 413.", [])

    nobody = replace(tenant, api_key="tk_live_nobody")
    assert (await send(javascript, nobody, missed()))["answer"]["name"] == "Unauthorized"
    nameless = await send(javascript, tenant, missed(externalCallId=...))
    assert (nameless["answer"]["name"], "externalCallId" in nameless["answer"]["message"]) == ("TypeError", True)
    async with in_front(tenant, web.Response(status=301, headers={"Location": f"{tenant.base_url}/"})) as (url, passed):
        moved = await send(javascript, tenant, missed(), url=url)
    assert (moved["answer"]["status"], "redirects" in moved["answer"]["message"], passed) == (301, True, [])


async def test_it_gives_up_when_it_is_told_to(service_on_disk: Service, javascript: Path) -> None:
    tenant = await service_on_disk.tenant()
    async with in_front(tenant, *[None] * 100) as (url, passed):
        late = await send(javascript, tenant, missed(), url=url, giveUpMs=300)
        assert late["answer"]["name"] == "GaveUp"
        assert late["answer"]["cause"]
        stopped = await send(javascript, tenant, missed(), url=url, abortAfterMs=300)
        assert stopped["answer"]["name"] == "TimeoutError"
        assert passed == []


async def test_events_begin_behind_a_position_and_go_on_while_the_server_is_replaced(
    mongodb_uri: str, javascript: Path, tmp_path: Path
) -> None:
    settings = settings_on(mongodb_uri, tmp_path, base_path="/tether")
    async with running(settings) as service:
        tenant = await service.tenant()
        settings = replace(settings, port=urlsplit(service.base_url).port or 0)
        assert (await tenant.post_call(missed())).status == 201
        dashboard = await tenant.dashboard()
        epoch = dashboard.hello["epoch"]
        variables = {"TETHER_URL": service.base_url + "/", "TOKEN": tenant.token}
        async with node(javascript, PRINT, AFTER=f"{epoch}.2", **variables) as process:
            assert process.stdout is not None
            assert json.loads(await process.stdout.readline())["seq"] == 3
            assert (await tenant.post_call(missed())).status == 201
            expected = [event | {"position": f"{epoch}.{event['seq']}"} for event in await dashboard.events(3)]
            assert [json.loads(await process.stdout.readline()) for _ in range(3)] == expected
            await dashboard.close()
            await service.server.stop()
            async with running(settings), aiohttp.ClientSession() as http:
                tenant.http = http
                assert (await tenant.post_call(missed())).status == 201
                assert [json.loads(await process.stdout.readline())["seq"] for _ in range(3)] == [7, 8, 9]
                assert (await tenant.post("/api/auth/logout")).status == 200
                ended = json.loads(await process.stdout.readline())
                assert (ended["name"], ended["status"]) == ("Unauthorized", 401)
                assert await process.wait() == 0


@pytest.mark.parametrize("after", ["0000.7", "70"])
async def test_events_that_cannot_be_had_are_told_of(after: str, service_on_disk: Service, javascript: Path) -> None:
    tenant = await service_on_disk.tenant()
    assert (await tenant.post_call(missed())).status == 201
    variables = {"TETHER_URL": service_on_disk.base_url, "TOKEN": tenant.token}
    async with node(javascript, PRINT, AFTER=after, **variables) as process:
        assert process.stdout is not None
        item = json.loads(await process.stdout.readline())
        assert (item["event"], item["seq"], item["position"]) == ("resync", 3, f"{item['epoch']}.3")
        assert (await tenant.post_call(missed())).status == 201
        assert json.loads(await process.stdout.readline())["position"] == f"{item['epoch']}.4"


async def test_a_read_token_follows_where_it_has_the_scope_and_until_it_is_revoked(
    service_on_disk: Service, javascript: Path
) -> None:
    admin = await service_on_disk.tenant(role="admin")

    async def made(scope: str) -> tuple[str, str]:
        made = (await admin.post("/api/tokens", {"name": "Desk", "scopes": [scope]})).body
        return made["token"], made["readToken"]["id"]

    token, token_id = await made("feed")
    async with node(javascript, PRINT, TETHER_URL=admin.base_url, TOKEN=token, AFTER="0") as process:
        assert process.stdout is not None
        assert (await admin.post_call(missed())).status == 201
        assert [json.loads(await process.stdout.readline())["seq"] for _ in range(3)] == [1, 2, 3]
        assert (await admin.request("DELETE", f"/api/tokens/{token_id}", token=admin.token)).status == 200
        assert json.loads(await process.stdout.readline())["name"] == "Unauthorized"
    token, _ = await made("calls")
    async with node(javascript, PRINT, TETHER_URL=admin.base_url, TOKEN=token, AFTER="0") as process:
        assert process.stdout is not None
        refused = json.loads(await process.stdout.readline())
        assert (refused["name"], refused["status"]) == ("Refused", 403)


async def test_the_programs_of_its_page_do_what_the_page_says(service_on_disk: Service, javascript: Path) -> None:
    send_program, follow_program = blocks("clients/javascript/README.md", "js")
    tenant = await service_on_disk.tenant()
    (javascript / "call.json").write_text(json.dumps(sample(recording=..., callerName="Priya Nair")))
    (javascript / "call.mp3").write_bytes((SAMPLES / "appointment.mp3").read_bytes())
    url = service_on_disk.base_url
    async with node(javascript, follow_program, "0", TETHER_URL=url, TETHER_TOKEN=tenant.token) as follower:
        for said in ("is stored", "was there already"):
            async with node(javascript, send_program, TETHER_URL=url, TETHER_API_KEY=tenant.api_key) as sender:
                out, errors = await sender.communicate()
            assert (sender.returncode, errors, out.decode().partition(" ")[2]) == (0, b"", f"{said}\n")
        assert follower.stdout is not None
        lines = [(await follower.stdout.readline()).decode() for _ in range(2)]
        assert " Priya Nair " in lines[0]
        assert " completed " in lines[1]
    (javascript / "call.json").write_text(json.dumps(missed(status="answered")))
    async with node(javascript, send_program, TETHER_URL=url, TETHER_API_KEY=tenant.api_key) as sender:
        _, errors = await sender.communicate()
    assert sender.returncode == 1
    assert errors.decode().startswith("status: status must be one of")


async def test_the_program_of_the_clients_page_sends_and_follows(service_on_disk: Service, javascript: Path) -> None:
    tenant = await service_on_disk.tenant()
    (javascript / "call.json").write_text(json.dumps(sample(recording=...)))
    (javascript / "call.mp3").write_bytes((SAMPLES / "appointment.mp3").read_bytes())
    (code,) = blocks("docs/clients.md", "js")
    code = code.replace("https://calls.example.com", tenant.base_url)
    code = code.replace("tk_live_...", tenant.api_key).replace("tr_live_...", tenant.token)
    before = len(service_on_disk.server.app.hub.dashboards)
    async with node(javascript, code) as process:
        assert process.stdout is not None
        call_id, deduplicated, _ = (await process.stdout.readline()).decode().split(maxsplit=2)
        assert deduplicated == "false"
        assert (await tenant.get(f"/api/calls/{call_id}")).status == 200
        await eventually(lambda: len(service_on_disk.server.app.hub.dashboards) > before)
        later = (await tenant.post_call(missed())).body["callId"]
        assert (await process.stdout.readline()).decode() == f"{later} no-answer 0\n"
