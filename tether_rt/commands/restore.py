"""The commands after a restore: check what is stored, and let clients notice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from tether_rt.commands.shared import DATABASE, in_database, settings_options
from tether_rt.settings import Settings

if TYPE_CHECKING:
    from tether_rt.mongo.client import Database


@click.command()
@settings_options()
def verify(**values: Any) -> int:
    """Check that what is stored is whole; print one line of JSON for each fault, and exit with status 1 if there is one.

    A summary goes to standard error. It may run beside a server.
    """
    settings = Settings.from_values(values)
    from tether_rt import accounts
    from tether_rt.commands import verifying
    from tether_rt.recordings.chosen_store import recording_store

    async def check() -> int:
        checked: Counter[str] = Counter()
        found = 0
        store = recording_store(settings)
        async with accounts.opened(settings) as database:
            await store.start()
            try:
                async with contextlib.aclosing(verifying.faults(database, store, checked)) as faults:
                    async for fault in faults:
                        found += 1
                        click.echo(json.dumps({**fault.ids, "fault": fault.sentence}))
            finally:
                await store.close()
        looked_at = ", ".join(f"{count:,} {what}" for what, count in checked.items())
        click.echo(f"{found:,} {'fault' if found == 1 else 'faults'} in {looked_at or 'nothing'}.", err=True)
        return 1 if found else 0

    return asyncio.run(check())


@click.group()
def epoch() -> None:
    """Manage the epoch, by which clients notice that the database was put back to an earlier state."""


@epoch.command()
@settings_options(*DATABASE)
def new(**values: Any) -> None:
    """Begin a new epoch, after the disks were put back from a snapshot and before a server is started; print it as JSON."""
    from tether_rt.mongo.feed import Feed

    async def renew(database: Database, secret: str) -> str:
        return await Feed(database).renew_epoch()

    click.echo(json.dumps({"epoch": in_database(Settings.from_values(values), renew)}))
