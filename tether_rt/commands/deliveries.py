"""`tether-rt replay`: what was refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import click

from tether_rt.commands.shared import settings_options
from tether_rt.settings import Settings


@click.command()
@click.option("--org", "organization", required=True, metavar="NAME", help="Organization whose deliveries are replayed.")
@click.option("--verdict", metavar="VERDICT", help="Only those; by default what is refused or dead.")
@click.option("--source", metavar="ID", help="Only those of this source.")
@click.option("--from", "start", metavar="TIME", help="Only those that came then or later, such as 2026-05-15T09:10:00Z.")
@settings_options()
def replay(*, organization: str, verdict: str | None, source: str | None, start: str | None, **values: Any) -> None:
    """Replay what was refused; print one line of JSON for each with deliveryId, verdict and callId."""
    settings = Settings.from_values(values)
    from tether_rt.commands import replaying

    chosen = replaying.replay_filter(verdict=verdict, source=source, start=start)

    async def replay_each() -> None:
        async with contextlib.aclosing(replaying.replayed(settings, organization, chosen)) as results:
            async for delivery_id, result in results:
                click.echo(json.dumps({"deliveryId": delivery_id, "verdict": result.verdict, "callId": result.call_id}))

    asyncio.run(replay_each())
