"""The first section of docs/deployment.md, carried out: behind nginx with TLS, below a path, with recordings in an S3 store."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import r2_settings
from tests.support.documents import blocks
from tests.support.nginx import nginx
from tests.support.s3 import S3Server
from tests.support.service import PASSWORD, ROOT, SAMPLES, ServerProcess, Tenant, sample

PAGE = "docs/deployment.md"
STATED = "https://example.com"


async def shell(command: str, folder: Path, standard_input: str = "", **variables: str) -> bytes:
    """Run commands of the page; return what they print. They must succeed."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, **variables},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(standard_input.encode())
    assert process.returncode == 0, err.decode()
    return out


@pytest.fixture
def filled_in(mongodb_uri: str, s3_server: S3Server) -> dict[str, str]:
    """What a reader of the page has."""
    store = {name.upper(): value for name, value in r2_settings(s3_server).items()}
    return {**store, "MONGODB_URI": mongodb_uri, "TETHER_SECRET": uuid.uuid4().hex * 2}


async def test_the_steps_lead_from_nothing_to_a_dashboard(filled_in: dict[str, str], tmp_path: Path) -> None:
    code = blocks(PAGE, "bash")
    settings, add, first = (next(block for block in code if mark in block) for mark in ("mode 0600", "user add", "curl"))
    # The reader's own, and what several tests on one machine cannot share.
    own = {
        **filled_in,
        "TETHER_DATA_DIR": str(tmp_path / "var"),
        "TETHER_DATABASE": f"t{uuid.uuid4().hex[:12]}",
    }
    stated = dict(re.findall(r"^(\w+)=(.*)$", settings, re.MULTILINE))
    assert filled_in.keys() - {"R2_ENDPOINT_URL"} < stated.keys()
    env_file = tmp_path / "tether.env"
    env_file.write_text(settings + "".join(f"{name}='{value}'\n" for name, value in own.items()))

    # Another store than R2 is named by its address, as the settings of R2 say.
    del stated["R2_ACCOUNT_ID"]
    server = ServerProcess(tmp_path, **{**stated, **own, "TETHER_PORT": "0"})
    await server.start()
    try:
        add = add.replace("/etc/tether.env", str(env_file)).replace("/opt/tether/bin/", "")
        added = json.loads(await shell(add, tmp_path, f"{PASSWORD}\n"))
        # A base path is part of the address that the log names.
        async with nginx(tmp_path / "nginx", [server.url], below_path=True) as front:
            variables = {"TETHER_API_KEY": added["apiKey"], "CURL_CA_BUNDLE": str(front.certificate)}
            answer = json.loads(await shell(first.replace(STATED, front.url), tmp_path, **variables))
            assert answer["success"] is True

            address = f"{front.url}{stated['TETHER_BASE_PATH']}"
            async with front.http.get(f"{address}/") as page:
                assert (page.status, page.content_type) == (200, "text/html")
            ann = Tenant(address, front.http, added["userId"], added["organizationId"], "ann@maple.example", added["apiKey"])
            signed_in = await ann.request("POST", "/api/auth/login", json={"email": ann.email, "password": PASSWORD})
            assert signed_in.status == 200, signed_in.body
            ann.token = signed_in.body["token"]
            (call,) = (await ann.get("/api/calls/history")).body["calls"]
            assert call["callId"] == answer["callId"]

            dashboard = await ann.dashboard()
            spoken = await ann.post_call(sample())
            assert [event["event"] for event in await dashboard.events(4)][-1] == "fetch_messages"
            await dashboard.close()
            link = (await ann.get(f"/api/calls/{spoken.body['callId']}/recording")).body["audioUrl"]
            assert link.startswith(filled_in["R2_ENDPOINT_URL"])
            async with ann.http.get(link) as recording:
                assert await recording.read() == (SAMPLES / "appointment.mp3").read_bytes()
    finally:
        assert await server.stop() == 0
