"""`tether-rt source`: where calls come from, beside the users' own API keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tether_rt.commands.shared import DATABASE, in_database, read_line, setting_option, settings_options
from tether_rt.domain.source import API_KIND, KINDS, OVERLAP_HOURS
from tether_rt.errors import BadRequest
from tether_rt.settings import SETTINGS, Settings

if TYPE_CHECKING:
    from tether_rt.mongo.account_documents import SourceDocument

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SOURCE_SECRET: Final[dict[str, Any]] = {
    # --secret is the vendor's here, and the server's own --tether-secret.
    "token_normalize_func": lambda name: name if name.endswith("-secret") else name.removeprefix("tether-"),
}


@click.group()
def source() -> None:
    """Manage where calls come from, beside the users' own API keys."""


def _source_options(command: _Command) -> _Command:
    """Add the options that say what a source is like, and those for the database."""
    for decorate in reversed(
        (
            click.option(
                "--secret",
                "secrets",
                multiple=True,
                metavar="SECRET",
                help="A secret of the vendor's webhooks; repeatable. -: a line of standard input, which ps does not show.",
            ),
            click.option(
                "--number", "numbers", multiple=True, metavar="+E164", help="A number of the organization's own; repeatable."
            ),
            click.option(
                "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting of the source; repeatable."
            ),
            settings_options("base_path", *(name for name in DATABASE if name != "secret")),
            setting_option(next(row for row in SETTINGS if row.name == "secret"), "--tether-secret"),
        )
    ):
        command = decorate(command)
    return command


def _source_body(secrets: Sequence[str], numbers: Sequence[str], assignments: Sequence[str]) -> dict[str, Any]:
    """Return what `_source_options` say, as the contract has it but unchecked."""
    body: dict[str, Any] = {"settings": source_settings(assignments)}
    if numbers:
        body["settings"]["numbers"] = [*body["settings"].get("numbers", []), *numbers]
    if secrets:
        body["secrets"] = [read_line("secret") if given == "-" else given for given in secrets]
    return body


@source.command("add", context_settings=_SOURCE_SECRET)
@click.option("--org", "organization", required=True, metavar="NAME", help="Organization, which must exist.")
@click.option("--name", required=True, metavar="NAME", help="What the source is called.")
@click.option("--kind", default=API_KIND, metavar="KIND", show_default=True, help=f"How it sends calls: {', '.join(KINDS)}.")
@_source_options
def add_source(
    *,
    organization: str,
    name: str,
    kind: str,
    secrets: tuple[str, ...],
    numbers: tuple[str, ...],
    assignments: tuple[str, ...],
    **values: Any,
) -> None:
    """Add a source; print one line of JSON with sourceId, organizationId, kind, and apiKey or, for a vendor's, webhookPath."""
    from tether_rt import accounts
    from tether_rt.mongo.sources import source_of

    body = {"name": name, "kind": kind, **_source_body(secrets, numbers, assignments)}
    settings = Settings.from_values(values)
    added = in_database(settings, accounts.add_source, organization, body)
    path = source_of(added.source).webhook_path
    own_door = {"webhookPath": settings.base_path + path} if path is not None else {"apiKey": added.api_key}
    _print_source(added.source, kind=kind, **own_door)


@source.command("change", context_settings=_SOURCE_SECRET)
@click.argument("source_id", metavar="ID")
@click.option("--name", metavar="NAME", help="What the source is called from now on.")
@_source_options
def change_source(
    *,
    source_id: str,
    name: str | None,
    secrets: tuple[str, ...],
    numbers: tuple[str, ...],
    assignments: tuple[str, ...],
    **values: Any,
) -> None:
    """Change a source and print it as one line of JSON. Secrets and numbers replace all that are there."""
    from tether_rt import accounts

    body = _source_body(secrets, numbers, assignments)
    if name is not None:
        body["name"] = name
    settings = Settings.from_values(values)
    _print_shown(in_database(settings, accounts.change_source, source_id, body), settings)


@source.command("list")
@click.option("--org", "organization", required=True, metavar="NAME", help="Organization.")
@settings_options(*DATABASE, "base_path")
def list_sources(*, organization: str, **values: Any) -> None:
    """Print one line of JSON for each source of an organization, the oldest first."""
    from tether_rt import accounts

    settings = Settings.from_values(values)
    for one in in_database(settings, accounts.sources, organization):
        _print_shown(one, settings)


@source.command()
@click.argument("source_id", metavar="ID")
@click.option(
    "--overlap-hours", default=OVERLAP_HOURS, metavar="NUMBER", show_default=True, help="How long the key before still holds."
)
@settings_options(*DATABASE)
def rotate(*, source_id: str, overlap_hours: float, **values: Any) -> None:
    """Give a source a new API key; print one line of JSON with sourceId, organizationId and apiKey."""
    from tether_rt import accounts

    rotated = in_database(
        Settings.from_values(values),
        lambda database, secret: accounts.rotate_source(database, secret, source_id, overlap_hours),
    )
    _print_source(rotated.source, apiKey=rotated.api_key)


@source.command()
@click.argument("source_id", metavar="ID")
@settings_options(*DATABASE)
def disable(*, source_id: str, **values: Any) -> None:
    """Stop a source, its API keys and its webhooks, within 5 seconds everywhere."""
    _enable(source_id, False, values)


@source.command()
@click.argument("source_id", metavar="ID")
@settings_options(*DATABASE)
def enable(*, source_id: str, **values: Any) -> None:
    """Let a source go on: its webhooks, and those of its API keys that have not ended."""
    _enable(source_id, True, values)


def _enable(source_id: str, enabled: bool, values: dict[str, Any]) -> None:
    from tether_rt import accounts

    changed = in_database(Settings.from_values(values), accounts.change_source, source_id, {"enabled": enabled})
    click.echo(json.dumps({"sourceId": changed["id"], "organizationId": changed["organizationId"], "enabled": enabled}))


def _print_shown(source: dict[str, Any], settings: Settings) -> None:
    from tether_rt.domain.call import iso_ms

    if "webhookPath" in source:
        source["webhookPath"] = settings.base_path + source["webhookPath"]
    click.echo(json.dumps({"sourceId": source.pop("id"), **source}, default=iso_ms))


def _print_source(source: SourceDocument, **more: str | None) -> None:
    click.echo(json.dumps({"sourceId": source["_id"], "organizationId": source["organizationId"], **more}))


_SETTING_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "historic": lambda text: {"true": True, "false": False}.get(text, text),
    "numbers": lambda text: [part.strip() for part in text.split(",")],
    "agentIds": lambda text: [part.strip() for part in text.split(",")],
    "toleranceS": lambda text: _number(text),
}
"""How the value of `--set` is read; a setting that is not here is text."""


def source_settings(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the settings that `KEY=VALUE` texts give, as the contract has them but unchecked."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise BadRequest(f"--set takes KEY=VALUE, such as recordings=later, not {assignment!r}.")
        settings[key] = _SETTING_READERS.get(key, str)(value)
    return settings


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text  # the contract says what it must be
