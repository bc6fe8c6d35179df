"""The commands that erase, and that change the secret."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from tether_rt.commands.shared import DATABASE, settings_options
from tether_rt.settings import SETTINGS, Settings

_STORE = tuple(row.name for row in SETTINGS if row.name.startswith("r2_"))


@click.command()
@click.option("--org", "organization", required=True, metavar="NAME", help="Organization, which must exist.")
@click.option("--contact", metavar="NUMBER", help="The contact with this number, SIP address or id, with all its calls.")
@click.option("--call", "call_id", metavar="ID", help="One call.")
@click.option("--before", metavar="DATE", help="All calls that began before a date or time, such as 2025-01-01.")
@settings_options()
def erase(*, organization: str, contact: str | None, call_id: str | None, before: str | None, **values: Any) -> int:
    """Erase for good; print the proof as one line of JSON with erasureId, erased, and pending if something is left.

    The exit status is 1 if the recording store was away: a server does the rest.
    """
    given = [one for one in (contact, call_id, before) if one is not None]
    if len(given) != 1:
        raise click.UsageError("Give one of --contact, --call and --before.")
    settings = Settings.from_values(values)
    from tether_rt.commands import erasing

    organization_id, kind, erased = asyncio.run(
        erasing.erase(settings, organization, contact=contact, call_id=call_id, before=before)
    )
    click.echo(json.dumps({"organizationId": organization_id, "kind": kind, **erased.shown()}))
    return 0 if erased.is_done else 1


@click.command()
@settings_options(*DATABASE, "secret_previous", *_STORE)
def reseal(**values: Any) -> int:
    """Encrypt anew what the previous secret encrypted; print one line of JSON for each kind with resealed and unreadable.

    The exit status is 1 if something was encrypted with neither secret.
    """
    settings = Settings.from_values(values)
    from tether_rt.commands import resealing

    counts = asyncio.run(resealing.reseal(settings))
    for kind, count in counts.items():
        click.echo(json.dumps({"kind": kind, **count._asdict()}))
    return 1 if any(count.unreadable for count in counts.values()) else 0
