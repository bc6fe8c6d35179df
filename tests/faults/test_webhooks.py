"""Vendors' webhooks while something is away: what was answered 200 is not lost, and what comes first waits."""

from __future__ import annotations

from pathlib import Path

from tests.support.program import program
from tests.support.waiting import eventually
from tests.support.webhooks import vendors_door


async def test_audio_that_waits_outlives_the_process_that_took_it(mongodb_uri: str, tmp_path: Path) -> None:
    """The next start removes what was uploaded for no call, as after any crash: this has a delivery that names it."""
    async with program(tmp_path, mongodb_uri) as running:
        tenant = await running.tenant(role="admin")
        door = await vendors_door(tenant, "elevenlabs")
        assert (await door.receive("elevenlabs-post_call_audio.json"))["verdict"] == "waiting"
        await running.server.kill()
        await running.server.start()

        async def nothing_is_undecided() -> bool:
            return await running.metric("tether_uploads_undecided") == 0

        await eventually(nothing_is_undecided)
        created = await door.receive("elevenlabs-post_call_transcription.json")
        link = (await tenant.get(f"/api/calls/{created['callId']}/recording")).body["audioUrl"]
        assert (await tenant.request("GET", link.removeprefix(tenant.base_url))).status == 200
