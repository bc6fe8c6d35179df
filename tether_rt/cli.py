"""The commands. Each takes the settings it needs, as options or from their variables (`settings.SETTINGS`).

An error is one sentence on standard error, with exit status 2 for wrong input and 1 for a later failure. Each command imports
what it needs itself, so that `--help` and a refusal come at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from tether_rt.commands.clients import import_file, listen, send
from tether_rt.commands.deliveries import replay
from tether_rt.commands.privacy import erase, reseal
from tether_rt.commands.restore import epoch, verify
from tether_rt.commands.shared import DATABASE, say_error, settings_options
from tether_rt.commands.sources import source
from tether_rt.commands.tokens import token
from tether_rt.commands.users import user
from tether_rt.errors import BadRequest, ConfigError, TetherError
from tether_rt.settings import Settings

CONTEXT: Final[dict[str, Any]] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 110,
    # A flag is its variable in lower case, with or without the prefix: --tether-port, --port.
    "token_normalize_func": lambda token: token.removeprefix("tether-"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status; `arguments` as in `sys.argv[1:]`."""
    sys.exit(status_of(commands, "tether-rt", arguments))


def status_of(command: click.Command, program: str, arguments: Sequence[str] | None) -> int:
    """Run `command`, print its error if it has one, and return the exit status."""
    try:
        outcome = command.main(arguments, prog_name=program, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _refuse(error.format_message(), 2)
    except (ConfigError, BadRequest) as error:
        return _refuse(str(error), 2)
    except TetherError as error:
        return _refuse(str(error), 1)
    except (KeyboardInterrupt, click.Abort):
        return 130  # 128 + SIGINT, as in a shell
    return outcome if isinstance(outcome, int) else 0


def _refuse(sentence: str, status: int) -> int:
    say_error(sentence)
    return status


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="tether-rt")
def commands() -> None:
    """Take completed call records over HTTP and show them on dashboards, live."""


@commands.command()
@settings_options()
def serve(**values: Any) -> int:
    """Serve until SIGTERM or Ctrl-C, then finish the requests under way."""
    settings = Settings.from_values(values)
    from tether_rt.server import serve

    return run_on_fast_loop(serve(settings))


@commands.command()
@click.option(
    "--rebuild-search", is_flag=True, help="Empty the search index; a running server builds it anew, newest calls first."
)
@settings_options(*DATABASE, "feed_retention_days", "audit_retention_days")
def indexes(rebuild_search: bool, **values: Any) -> None:
    """Create the indexes that are missing. Each start of the server does so, too."""
    from tether_rt import accounts
    from tether_rt.mongo.indexes import create_indexes
    from tether_rt.mongo.search_index import SearchIndex

    async def create(settings: Settings) -> None:
        async with accounts.opened(settings) as database:
            await create_indexes(database, settings.feed_retention_days, settings.audit_retention_days)
            if rebuild_search:
                await SearchIndex(database).forget_all()

    asyncio.run(create(Settings.from_values(values)))


for command in (user, source, token, send, listen, import_file, replay, erase, reseal, verify, epoch):
    commands.add_command(command)


def run_on_fast_loop(work: Any) -> int:
    """Run a coroutine to its end on uvloop and return its result."""
    import uvloop

    return int(uvloop.run(work))
