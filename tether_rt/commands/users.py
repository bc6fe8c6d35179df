"""`tether-rt user`: the people who may sign in."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from tether_rt.commands.shared import DATABASE, in_database, read_password, settings_options
from tether_rt.settings import Settings

_EMAIL: Final = click.option("--email", required=True, metavar="EMAIL", help="The address that the user signs in with.")


@click.group()
def user() -> None:
    """Manage the people who may sign in."""


@user.command()
@click.option("--org", "organization", required=True, metavar="NAME", help="Organization; created if it is new.")
@click.option("--email", required=True, metavar="EMAIL", help="Address to sign in with; no two users share one.")
@click.option("--name", "full_name", required=True, metavar="NAME", help="The user's name.")
@click.option(
    "--role", metavar="[admin|agent|viewer]", help="What the user may do; agent, unless the organization has no admin yet."
)
@settings_options(*DATABASE)
def add(*, organization: str, email: str, full_name: str, role: str | None, **values: Any) -> None:
    """Add a user; print one line of JSON with userId, organizationId and apiKey.

    The password is read from standard input (one line). In a terminal the command prompts for it.
    """
    from tether_rt import accounts

    settings = Settings.from_values(values)
    person = accounts.Person(organization=organization, email=email, full_name=full_name, role=role)
    password = read_password()
    added = in_database(settings, accounts.add_user, person, password)
    click.echo(json.dumps({"userId": added.user_id, "organizationId": added.organization_id, "apiKey": added.api_key}))


@user.command("list")
@click.option("--org", "organization", required=True, metavar="NAME", help="Organization.")
@settings_options(*DATABASE)
def list_users(*, organization: str, **values: Any) -> None:
    """Print one line of JSON for each user of an organization, the oldest first."""
    from tether_rt import accounts

    for one in in_database(Settings.from_values(values), accounts.people, organization):
        _print(one)


@user.command()
@_EMAIL
@settings_options(*DATABASE)
def disable(*, email: str, **values: Any) -> None:
    """Lock a user out: sessions and the user's own API key end within 5 seconds everywhere. Sources live on."""
    _change(email, values, disabled=True)


@user.command()
@_EMAIL
@settings_options(*DATABASE)
def enable(*, email: str, **values: Any) -> None:
    """Let a user sign in again, with the password and the API key from before."""
    _change(email, values, disabled=False)


@user.command("reset-password")
@_EMAIL
@settings_options(*DATABASE, "base_path")
def reset_password(*, email: str, **values: Any) -> None:
    """Print userId and path: behind https:// and the host, the user chooses a password there, once and within a day."""
    from tether_rt import accounts

    settings = Settings.from_values(values)
    invited = in_database(settings, accounts.reset_password, email)
    click.echo(json.dumps({"userId": invited.user["_id"], "path": settings.base_path + invited.path}))


def _change(email: str, values: dict[str, Any], *, disabled: bool) -> None:
    from tether_rt import accounts

    _print(in_database(Settings.from_values(values), accounts.change_person, email, {"disabled": disabled}))


def _print(user: dict[str, Any]) -> None:
    from tether_rt.domain.call import iso_ms

    click.echo(json.dumps({"userId": user.pop("id"), **user}, default=iso_ms))
