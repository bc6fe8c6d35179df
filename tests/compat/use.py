"""Use what is installed: start the server, post a call with its recording, see its events, hear it, stop.

Run by `tests.compat` with the Python of a virtual environment that has the wheel, in a folder that becomes the data directory.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

from tether_rt.client import Client
from tether_rt.demo import samples
from tether_rt.domain.events import EVENT_NAMES

PROGRAM = str(Path(sys.executable).parent / "tether-rt")
RARE = struct.pack(">4s5I", b".snd", 24, 16_000, 1, 8_000, 1) + bytes(range(256)) * 62
"""Two seconds of noise in a format that no browser plays."""
EMAIL, PASSWORD = "ann@acme.example", "correct horse battery staple"


async def ask(url: str, method: str = "GET", token: str = "", body: Any = None) -> Any:
    """Return the answer's JSON, or its bytes if it is not JSON; raises for every status but 2xx."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body)
    answer = await AsyncHTTPClient().fetch(url, method=method, headers=headers, body=data)
    return json.loads(answer.body) if answer.headers["Content-Type"].startswith("application/json") else answer.body


async def use(url: str, api_key: str) -> None:
    """Post a call and see it from the vendor's and the agent's side."""
    assert await ask(url + "/readyz")
    token = (await ask(url + "/api/auth/login", "POST", body={"email": EMAIL, "password": PASSWORD}))["token"]
    address = url.replace("http:", "ws:") + "/ws"
    dashboard = await websocket_connect(HTTPRequest(address, headers={"Authorization": f"Bearer {token}"}))
    assert json.loads(await dashboard.read_message() or "")["event"] == "hello"

    rare = {**samples.new_call("delivery"), "recording": base64.b64encode(RARE).decode()}
    rare_id = (await ask(url + "/api/calls/ingest", "POST", api_key, rare))["callId"]
    assert [json.loads(await dashboard.read_message() or "")["event"] for _ in EVENT_NAMES] == list(EVENT_NAMES)
    copy = (await ask(f"{url}/api/calls/{rare_id}/recording?playable=1", token=token))["playableUrl"]
    assert len(await ask(copy if "://" in copy else url + copy)) > 1000

    call = {**samples.new_call("appointment"), "externalCallId": "1"}
    async with Client(url, api_key=api_key, token=token) as client:
        posted = (await client.send(call)).answer
        repeated = await client.send(call)
        assert (repeated.call_id, repeated.deduplicated) == (posted["callId"], True)
        async for item in client.follow(after="0"):
            if item.message["id"] == f"{repeated.call_id}:fetch_messages":
                break
    events = [json.loads(await dashboard.read_message() or "") for _ in EVENT_NAMES]
    assert [event["event"] for event in events] == list(EVENT_NAMES)
    assert {event["data"]["callId"] for event in events} == {posted["callId"]}
    dashboard.close()

    shown = f"{url}/api/calls/{posted['callId']}"
    assert (await ask(shown, token=token))["call"]["callId"] == posted["callId"]
    recording = (await ask(shown + "/recording", token=token))["audioUrl"]
    assert len(await ask(recording if "://" in recording else url + recording)) > 1000
    while (await ask(shown + "/peaks", token=token)).get("peaks") is None:  # noqa: ASYNC110 - it is computed in another process
        await asyncio.sleep(0.1)
    assert b"tether_" in await ask(url + "/metrics")


def main() -> None:
    """Start the server, use it, stop it."""
    serve = [PROGRAM, "serve", "--port", "0", "--data-dir", "var", "--private-recording-hosts", "127.0.0.1:1"]
    with Path("server.log").open("wb") as log:
        server = subprocess.Popen(serve, stdout=log, stderr=log)
    try:
        url = ""
        while not url:
            assert server.poll() is None, Path("server.log").read_text()
            lines = [json.loads(line) for line in Path("server.log").read_bytes().splitlines(True) if line.endswith(b"\n")]
            url = next((line["url"] for line in lines if line["event"] == "listening"), "")
        add = [PROGRAM, "user", "add", "--org", "Acme", "--email", EMAIL, "--name", "Ann", "--data-dir", "var"]
        added = json.loads(subprocess.run(add, input=PASSWORD.encode(), stdout=subprocess.PIPE, check=True).stdout)
        asyncio.run(asyncio.wait_for(use(url, added["apiKey"]), 60))
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0, Path("server.log").read_text()
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
