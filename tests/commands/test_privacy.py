"""`tether-rt erase` and `tether-rt reseal`, as an operator runs them."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.dump import database_bytes, found_in
from tests.support.program import program
from tests.support.service import PASSWORD, ROOT, SECRET, missed, sample
from tests.support.waiting import eventually
from tests.support.webhooks import vendors_door

NEW_SECRET = "another secret for tests, which takes the place of the first"


async def run(*arguments: str, variables: dict[str, str], folder: Path) -> tuple[int, list[dict[str, Any]], str]:
    """Run a command; return its exit status, its lines of JSON, and what it said of errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tether_rt",
        *arguments,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


async def test_the_command_erases_and_prints_the_proof(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri) as running:
        tenant = await running.tenant("Maple Dental", role="admin")
        for _ in range(3):
            await tenant.post_call(missed(fromNumber="+14165558877", callerName="Wilhelmina Quigley"))
        one = (await tenant.post_call(sample())).body["callId"]
        old = await tenant.post_call(missed(callStartTime="2024-05-15T09:10:00Z", historic=True))
        dashboard = await tenant.dashboard()
        command = partial(run, variables=running.server.variables, folder=tmp_path)

        status, lines, said = await command("erase", "--org", "Maple Dental", "--contact", "+1 416 555 8877")
        assert (status, len(lines)) == (0, 1), said
        assert lines[0]["kind"] == "contact"
        assert lines[0]["organizationId"] == tenant.organization_id
        assert (lines[0]["erased"]["calls"], lines[0]["erased"]["contacts"]) == (3, 1)
        assert "pending" not in lines[0]
        assert [event["event"] for event in await dashboard.events(4)] == ["call_deleted"] * 3 + ["contact_deleted"]
        assert found_in(await database_bytes(running.database), ("Wilhelmina Quigley", "+14165558877")) == []

        status, lines, said = await command("erase", "--org", "Maple Dental", "--call", one)
        assert (status, lines[0]["erased"]["recordings"]) == (0, 1), said
        status, lines, said = await command("erase", "--org", "Maple Dental", "--before", "2025-01-01")
        assert (status, lines[0]["erased"]["calls"]) == (0, 1), said
        assert (await tenant.get(f"/api/calls/{old.body['callId']}")).status == 404
        (entry, *_) = (await tenant.get("/api/audit?what=erased")).body["entries"]
        assert (entry["door"], entry["userId"], entry["details"]["erasureId"]) == ("command", None, lines[0]["erasureId"])

        status, lines, said = await command("verify")
        assert status == 0, (lines, said)

        for arguments, sentence in (
            (("--org", "Nobody", "--call", one), "There is no organization named 'Nobody'."),
            (("--org", "Maple Dental", "--call", one), "There is no such call."),
            (("--org", "Maple Dental", "--contact", "+14165558877"), "There is no contact with this number."),
            (("--org", "Maple Dental"), "Give one of --contact, --call and --before."),
        ):
            status, lines, said = await command("erase", *arguments)
            assert (status, lines) == (2, []), said
            assert sentence in said
        await dashboard.close()


async def test_the_secret_changes_and_nothing_is_lost(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri) as running:
        tenant = await running.tenant(role="admin")
        door = await vendors_door(tenant, "elevenlabs")
        erased = missed()
        gone = (await tenant.post_call(erased)).body["callId"]
        assert (await tenant.request("DELETE", f"/api/calls/{gone}", token=tenant.token)).status == 200
        large = sample(recording="data:audio/mpeg;base64," + "!" * 400_000)
        assert (await tenant.post_call(large)).status == 400
        assert (await tenant.post_call({"direction": "sideways"})).status == 400

        async def bodies() -> list[Any]:
            deliveries = (await tenant.get("/api/deliveries")).body["deliveries"]
            return [(await tenant.get(f"/api/deliveries/{one['id']}/body")).body.get("body") for one in deliveries]

        async def both_are_kept() -> bool:
            return len(await bodies()) == 2

        await eventually(both_are_kept)
        before = await bodies()

        async def nothing_is_lost(message: str) -> None:
            assert (await tenant.get("/api/user/api-key")).body["data"]["apiKey"] == tenant.api_key, message
            assert (await tenant.post_call(erased)).body == {"success": True, "deduplicated": True, "callId": gone}, message
            assert await bodies() == before, message

        await nothing_is_lost("before")
        both = {"TETHER_SECRET": NEW_SECRET, "TETHER_SECRET_PREVIOUS": SECRET}
        await running.server.stop()
        running.server.variables |= both
        await running.server.start()
        await nothing_is_lost("with both secrets")  # the session is of the old one

        status, lines, said = await run("reseal", variables=running.server.variables, folder=tmp_path)
        assert status == 0, said
        counts = {line["kind"]: (line["resealed"], line["unreadable"]) for line in lines}
        assert counts == {
            "API keys": (1, 0),
            "recording addresses": (0, 0),
            "sources' secrets": (1, 0),
            "digest keys": (1, 0),
            "bodies": (2, 0),
        }
        _, lines, _ = await run("reseal", variables=running.server.variables, folder=tmp_path)
        assert {line["resealed"] for line in lines} == {0}

        await running.server.stop()
        del running.server.variables["TETHER_SECRET_PREVIOUS"]
        await running.server.start()
        assert (await tenant.get("/api/user")).status == 401
        answer = await tenant.request("POST", "/api/auth/login", json={"email": tenant.email, "password": PASSWORD})
        tenant.token = answer.body["token"]
        await nothing_is_lost("with the new secret alone")
        assert (await door.send("elevenlabs-post_call_transcription.json")).status == 200

        wrong = {**running.server.variables, "TETHER_SECRET": "a third secret that has nothing to do with the other two"}
        status, lines, _ = await run("reseal", variables=wrong, folder=tmp_path)
        assert status == 1
        assert {line["kind"]: line["unreadable"] for line in lines}["API keys"] == 1
