"""Write what this version stores, for the versions after it: `python -m tests.upgrade.make`, docs/releasing.md says when.

Real traffic of every kind goes through a server. `tests/upgrade/<version>.tar.gz` has then the database as `mongodump` writes
it, the recordings, and `facts.json`: what was sent, and what the server answered about it. Names, keys and secrets are made up.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient

from tests.support import mongo_tools
from tests.support.audio import mp3
from tests.support.program import Program, program
from tests.support.service import PASSWORD, ROOT, SAMPLES, Tenant, missed, sample
from tests.support.waiting import eventually
from tests.support.webhooks import body_of, vendors_door
from tether_rt import __version__
from tether_rt.mongo.private_mongod import PrivateMongod

FOLDER: Final = Path(__file__).parent
DATABASE: Final = "tether"
EMAIL: Final = "alex@maple-dental.example"


def calls() -> dict[str, dict[str, Any]]:
    """Return calls of every kind that the contract knows, by a name for each."""
    short = base64.b64encode(mp3(0.5, salt=b"short")).decode()
    return {
        "spoken": sample(recording=base64.b64encode((SAMPLES / "delivery.mp3").read_bytes()).decode()),
        "short": sample("outage", voice=False, recording=short, callerName="Noor Haddad", metadata={"ticket": "T-1042"}),
        "missed": missed(fromNumber="+14165550142"),
        "busy": sample("busy"),
        "failed": sample("failed"),
        "withheld": missed(fromNumber="anonymous", summary="Nobody said a name."),
        "address": missed(fromNumber="sip:reception@maple.example", callerName="Reception"),
        "outbound": missed(direction="outbound", fromNumber="+14165550100", toNumber="+4420 7946 0958"),
        "historic": missed(historic=True, callStartTime="2026-01-05T09:30:00Z"),
        "odd": missed(duration=90_000, summary="It lasted more than a day."),
        "chinese": missed(summary="客户想改约到星期五下午。", callerName="王小明"),
        "no id": missed(externalCallId=..., fromNumber="+14165550177"),
    }


async def send(tenant: Tenant, call: dict[str, Any], **options: Any) -> str:
    """Send a call that is stored; return its id."""
    answer = await tenant.post_call(call, **options)
    assert answer.status == 201, answer.body
    return str(answer.body["callId"])


async def traffic(running: Program, admin: Tenant) -> dict[str, Any]:
    """Send one of everything; return the facts about it."""
    sent = calls()
    ids = {name: await send(admin, call) for name, call in sent.items()}
    change = {"summary": "They come on Friday.", "metadata": {"room": 4}, "callerName": "Mia Duarte"}
    for changed in (change, {"status": "busy"}):
        answer = await admin.request(
            "PATCH", f"/api/calls/ingest/{sent['missed']['externalCallId']}", token=admin.api_key, json=changed
        )
        assert answer.status == 200, answer.body
    later = {"Prefer": "respond-async"}
    for name, address in (("pending", "https://nowhere.invalid/call.mp3"), ("given up", "http://10.0.0.1/call.mp3")):
        sent[name] = sample("appointment", voice=False, recording=address)
        ids[name] = await send(admin, sent[name], headers=later)
    for wrong in ({"status": "answered"}, {"fromNumber": "call me"}):
        assert (await admin.post_call(missed(**wrong))).status == 400
    sent["erased"] = missed(fromNumber="+14165550188", summary="Forget this.")
    ids["erased"] = await send(admin, sent["erased"])
    assert (await admin.request("DELETE", f"/api/calls/{ids['erased']}", token=admin.token)).status == 200

    source = (await admin.post("/api/sources", {"name": "Booking agent"})).body
    key = (await admin.post(f"/api/sources/{source['source']['id']}/rotate", {"overlapHours": 0})).body["apiKey"]
    sent["of a source"] = missed(agentName="Booking agent")
    answer = await admin.request("POST", "/api/calls/ingest", token=key, json=sent["of a source"])
    ids["of a source"] = answer.body["callId"]
    retired = (await admin.post("/api/sources", {"name": "Retired"})).body["source"]["id"]
    assert (await admin.request("PATCH", f"/api/sources/{retired}", token=admin.token, json={"enabled": False})).status == 200
    door = await vendors_door(admin, "retell")
    event = "retell-call_analyzed.json"
    ids["of a vendor"] = (await door.send(event)).body["callId"]

    reading = {"name": "Wallboard", "scopes": ["feed", "calls"]}
    token = (await admin.post("/api/tokens", reading)).body["token"]

    history = (await admin.get("/api/calls/history?limit=100")).body["calls"]
    contact = next(row["contactId"] for row in history if row["callId"] == ids["withheld"])
    renamed = await admin.request("PATCH", f"/api/contacts/{contact}", token=admin.token, json={"name": "Mrs. Silva"})
    assert renamed.status == 200, renamed.body
    assert (await admin.get(f"/api/calls/{ids['spoken']}/peaks")).status == 200
    await running.tenant(role="agent")
    invited = {"email": "sam@maple-dental.example", "fullName": "Sam Okafor", "role": "viewer"}
    assert (await admin.post("/api/users/invite", invited)).status == 201
    zone = await admin.request("PATCH", "/api/organization", token=admin.token, json={"timeZone": "America/Toronto"})
    assert zone.status == 200, zone.body
    link = (await admin.get(f"/api/calls/{ids['spoken']}/recording")).body["audioUrl"]
    async with admin.http.get(link) as response:
        heard = hashlib.sha256(await response.read()).hexdigest()
    return {
        "apiKey": admin.api_key,
        "sourceKey": key,
        "readToken": token,
        "sent": sent,
        "ids": ids,
        "heard": heard,
        "webhook": {"kind": door.kind, "path": door.path, "sourceId": door.source_id, "event": body_of(event).decode()},
    }


def questions(ids: dict[str, str], calls_kept: dict[str, Any]) -> list[str]:
    """Return the paths whose answers must stay what they are."""
    return [
        "/api/calls/history?limit=100",
        *(f"/api/calls/{ids[name]}" for name in ids if name != "erased"),
        "/api/calls/history?search=Friday",
        "/api/calls/history?search=%22改约%22",
        "/api/calls/history?search=ticket:T-1042",
        "/api/calls/history?search=0958",
        "/api/calls/statistics",
        "/api/calls/agents",
        f"/api/calls/{ids['spoken']}/peaks",
        f"/api/calls/{ids['missed']}/history/1",
        *(f"/api/contacts/{call['contactId']}" for call in calls_kept.values()),
        "/api/contacts?limit=100",
        "/api/sources",
        "/api/tokens",
        "/api/organization",
        "/api/deliveries?limit=100",
        "/api/deliveries/reasons",
        "/api/audit?limit=100",
    ]


async def answers(admin: Tenant, ids: dict[str, str]) -> dict[str, Any]:
    """Return what the server says now."""
    kept = {row["callId"]: row for row in (await admin.get("/api/calls/history?limit=100")).body["calls"]}
    found = {}
    for path in questions(ids, kept):
        answer = await admin.get(path)
        assert answer.status == 200, (path, answer.body)
        found[path] = answer.body
    return found


async def admin_of(running: Program) -> Tenant:
    """Add an admin by the command, with a real hash of the password, and sign in."""
    command = [
        sys.executable,
        "-m",
        "tether_rt",
        "user",
        "add",
        "--org",
        "Maple Dental",
        "--email",
        EMAIL,
        "--name",
        "Alex Park",
    ]
    variables = {**os.environ, **running.server.variables, "PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(
        subprocess.run, command, env=variables, input=PASSWORD.encode(), capture_output=True, check=True
    )
    added = json.loads(done.stdout)
    admin = Tenant(
        running.server.url, running.http, added["userId"], added["organizationId"], EMAIL, added["apiKey"]
    )  # fmt: skip
    admin.token = (await admin.request("POST", "/api/auth/login", json={"email": EMAIL, "password": PASSWORD})).body["token"]
    return admin


async def make(folder: Path) -> Path:
    """Run the traffic and write the archive; return its path."""
    async with program(folder, variables={"TETHER_DATABASE": DATABASE}) as running:
        admin = await admin_of(running)
        facts = await traffic(running, admin)

        async def is_settled() -> bool:
            given_up = (await admin.get(f"/api/calls/{facts['ids']['given up']}")).body["call"]["recordingStatus"] == "failed"
            kept = (await admin.get("/api/deliveries")).body["total"] == 3
            return bool(given_up and kept and (await admin.get("/api/calls/history?search=Friday")).body["total"] > 0)

        await eventually(is_settled)
        facts["answers"] = await answers(admin, facts["ids"])
        facts["feed"] = [json.loads(line) for line in (await admin.get("/api/feed?after=0")).body.splitlines()]
        facts["madeAt"] = datetime.now(UTC).isoformat()
        dump = folder / "dump"
        with MongoClient[dict[str, Any]](PrivateMongod(folder / "var").uri) as client:
            await asyncio.to_thread(mongo_tools.dump, client, dump)
    path = FOLDER / f"{__version__}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(dump / DATABASE, "database")
        archive.add(folder / "var" / "recordings", "recordings")
        if (folder / "var" / "deliveries").is_dir():
            archive.add(folder / "var" / "deliveries", "deliveries")
        text = json.dumps(facts, ensure_ascii=False, indent=1).encode()
        about = tarfile.TarInfo("facts.json")
        about.size = len(text)
        archive.addfile(about, io.BytesIO(text))
    return path


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        made = asyncio.run(make(Path(temporary)))
    sys.stdout.write(f"{made}\n")
