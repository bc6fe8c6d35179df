"""`tether-rt token`: read tokens, with which programs follow the events or read calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from tether_rt.commands.shared import DATABASE, in_database, settings_options
from tether_rt.domain.read_token import SCOPES
from tether_rt.settings import Settings


@click.group()
def token() -> None:
    """Manage the read tokens of programs that follow the events or read calls."""


@token.command()
@click.option("--org", "organization", required=True, metavar="NAME", help="Organization, which must exist.")
@click.option("--name", required=True, metavar="NAME", help="What the token is called.")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), required=True, multiple=True, help="What it reads; repeatable.")
@click.option("--expires", metavar="DATE", help="When it ends: a time, or a date, which means its first moment in UTC.")
@click.option("--days", type=click.IntRange(1, 36_500), metavar="NUMBER", help="In how many days it ends.")
@settings_options(*DATABASE)
def add(*, organization: str, name: str, scopes: tuple[str, ...], expires: str | None, days: int | None, **values: Any) -> None:
    """Make a read token; print one line of JSON with tokenId, organizationId and token, which is not shown again.

    Without --expires or --days it has no end.
    """
    from tether_rt import accounts
    from tether_rt.domain.call import iso_ms

    if expires is not None and days is not None:
        raise click.UsageError("Give one of --expires and --days.")
    if days is not None:
        expires = iso_ms(datetime.now(UTC) + timedelta(days=days))
    elif expires is not None and len(expires) == len("2026-05-15"):
        expires += "T00:00:00Z"
    body = {"name": name, "scopes": list(scopes), "expiresAt": expires}
    made = in_database(Settings.from_values(values), accounts.add_token, organization, body)
    _print(made.shown, token=made.text)


@token.command("list")
@click.option("--org", "organization", required=True, metavar="NAME", help="Organization.")
@settings_options(*DATABASE)
def list_tokens(*, organization: str, **values: Any) -> None:
    """Print one line of JSON for each read token of an organization that was not revoked, the oldest first."""
    from tether_rt import accounts

    for one in in_database(Settings.from_values(values), accounts.tokens, organization):
        _print(one)


@token.command()
@click.argument("token_id", metavar="ID")
@settings_options(*DATABASE)
def revoke(*, token_id: str, **values: Any) -> None:
    """End a read token for good, with the streams that it opened, within 5 seconds everywhere."""
    from tether_rt import accounts

    _print(in_database(Settings.from_values(values), accounts.revoke_token, token_id), revoked=True)


def _print(shown: dict[str, Any], **more: Any) -> None:
    from tether_rt.domain.call import iso_ms

    ids = {"tokenId": shown["id"], "organizationId": shown["organizationId"]}
    rest = {name: value for name, value in shown.items() if name not in ("id", "organizationId")}
    click.echo(json.dumps({**ids, **more, **rest}, default=iso_ms))
