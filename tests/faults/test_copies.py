"""A server that is killed while it makes a copy for browsers: another one makes it, and one copy is there in the end."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

from tests.support import audio
from tests.support.processes import pids_with
from tests.support.program import program
from tests.support.service import missed
from tests.support.waiting import eventually
from tether_rt.recordings.copies import convert

LONG = audio.au(1200)
"""Takes its converter some ten seconds."""


async def test_a_server_killed_while_it_makes_a_copy_leaves_it_to_another(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri, processes=2) as running:
        tenant = await running.tenant()
        call_id = (await tenant.post_call(missed(recording=b64encode(LONG).decode()))).body["callId"]
        path = f"/api/calls/{call_id}/recording?playable=1"
        asking = asyncio.create_task(tenant.get(path))
        server = running.server.process.pid
        await eventually(lambda: bool(pids_with(convert.__name__, server)))
        await running.server.kill()
        await asyncio.gather(asking, return_exceptions=True)
        other = replace(tenant, base_url=running.urls[1])
        codes = set()
        while (answer := await other.get(path)).status == 503:
            codes.add(answer.body["code"])
            await asyncio.sleep(0.5)
        assert (answer.status, codes) == (200, {"copy_not_ready"}), answer.body
        async with running.http.get(answer.body["playableUrl"]) as response:
            assert (response.status, response.content_type) == (200, "audio/mpeg")
            assert len(await response.read()) == response.content_length
        await running.server.start()
        folder = tmp_path / "var" / "recordings" / tenant.organization_id
        await eventually(lambda: len(list(folder.iterdir())) == 2)
        assert await running.database["recording_copies"].count_documents({}) == 0
