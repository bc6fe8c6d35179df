"""What commands share: the options of settings, what is read from standard input, the database."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import click

from tether_rt.settings import SETTINGS, Setting, Settings

if TYPE_CHECKING:
    from tether_rt.mongo.client import Database

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Result = TypeVar("_Result")
_P = ParamSpec("_P")

DATABASE: Final = ("data_dir", "mongodb_uri", "database", "mongod", "secret")
"""The settings of commands that need the database."""


def settings_options(*names: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options of these settings, or of all, to a command."""

    def decorate(command: _Command) -> _Command:
        for row in reversed(SETTINGS):
            if not names or row.name in names:
                command = setting_option(row, row.flag)(command)
        return command

    return decorate


def setting_option(row: Setting, flag: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds one option for a setting."""
    default = ",".join(row.default) if isinstance(row.default, tuple) else row.default
    shown = "none" if default in (None, "") else default
    return click.option(
        flag,
        row.name,
        envvar=row.variable,
        metavar="NUMBER" if row.kind in ("int", "float") else "TEXT",
        help=f"{row.help[0].upper()}{row.help[1:]}. [{row.variable}; default: {shown}]",
    )


def in_database(
    settings: Settings,
    work: Callable[Concatenate[Database, str, _P], Coroutine[Any, Any, _Result]],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> _Result:
    """Call `work` with the database and the secret that the settings name, and the arguments; return its result."""
    from tether_rt import accounts

    async def run() -> _Result:
        async with accounts.opened(settings) as database:
            return await work(database, settings.resolve_secret(), *args, **kwargs)

    return asyncio.run(run())


def read_password() -> str:
    """Return the password that standard input has, or that is typed twice in a terminal."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return read_line("password")


def read_line(what: str) -> str:
    """Return the next line of standard input, which is a password or a secret."""
    try:
        line = sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The {what} on standard input is not UTF-8 text.") from error
    if not line:
        raise click.UsageError(f"The {what} is missing: give it as one line on standard input.")
    return line


def say_error(sentence: str) -> None:
    """Print a sentence on standard error, with a full stop if it has no mark at its end."""
    sentence = " ".join(sentence.split())
    click.echo(f"Error: {sentence}" if sentence.endswith((".", "?", ")")) else f"Error: {sentence}.", err=True)
