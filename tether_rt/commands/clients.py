"""`tether-rt send`, `import` and `listen`: the Python client, in a terminal."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, Final

import click

from tether_rt.commands.shared import read_line, say_error
from tether_rt.errors import BadRequest, TetherError

_URL: Final = click.option(
    "--url", required=True, envvar="TETHER_URL", show_envvar=True, metavar="URL", help="The server's address, with its path."
)
_KEY: Final = click.option(
    "--key",
    required=True,
    envvar="TETHER_API_KEY",
    show_envvar=True,
    metavar="KEY",
    help="An API key. -: a line of standard input, which ps does not show.",
)


@click.command()
@click.argument("file", metavar="FILE", type=click.File("rb"))
@_URL
@_KEY
@click.option("--recording", metavar="AUDIO", help="A file, or an address that the server fetches.")
@click.option("--give-up", "give_up_s", default=900.0, metavar="SECONDS", show_default=True, help="How long to try again.")
@click.option("--dry-run", is_flag=True, help="Only say what would become of it; store nothing.")
def send(*, file: Any, url: str, key: str, recording: str | None, give_up_s: float, dry_run: bool) -> int:
    """Send the call in a file of JSON, or - for standard input; print the answer as one line of JSON.

    It is sent until it is stored or refused. The exit status is 1 if it is refused; the sentences on standard error say why.
    """
    from tether_rt.client import Client, ClientError, MissingExternalCallId, Refused, Retries

    with _options_said():
        retries = Retries(give_up_s=give_up_s)
        client = Client(url, api_key=_secret_of(key, "API key"), retries=retries, on_retry=_say_retry)
    call = _call_of(file.read())
    is_address = recording is not None and recording.startswith(("http://", "https://"))
    audio = recording if recording is None or is_address else Path(recording)

    async def run() -> tuple[Any, int]:
        async with client:
            if dry_run:
                verdict = await client.validate(call, audio)
                return verdict.answer, int(verdict.verdict == "would_refuse")
            return (await client.send(call, audio)).answer, 0

    try:
        answer, status = asyncio.run(run())
    except MissingExternalCallId as error:
        raise BadRequest(str(error)) from error
    except ValueError as error:  # NaN, for example
        raise BadRequest(f"FILE cannot be sent: {error}") from error
    except Refused as error:
        for sentence in [fault.error for fault in error.errors] or [error.error]:
            say_error(sentence)
        return 1
    except ClientError as error:
        raise TetherError(str(error)) from error
    except OSError as error:
        raise BadRequest(f"{recording}: {error.strerror}") from error
    click.echo(json.dumps(answer, ensure_ascii=False))
    return status


@click.command()
@_URL
@click.option(
    "--token",
    required=True,
    envvar="TETHER_TOKEN",
    show_envvar=True,
    metavar="TOKEN",
    help="A read token with the scope feed, or a session. -: a line of standard input, which ps does not show.",
)
@click.option("--after", metavar="POSITION", help="Begin behind this position; 0: with the first event that is kept.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON, with its position.")
def listen(*, url: str, token: str, after: str | None, as_json: bool) -> int:
    """Print events as they happen, until Ctrl-C, and where to resume; a lost connection is opened again."""
    from tether_rt.client import Client, ClientError
    from tether_rt.commands.event_table import EventTable

    with _options_said():
        client = Client(url, token=_secret_of(token, "token"), on_retry=_say_retry)
        feed = client.follow(after)
    table = EventTable()
    printed = after
    is_unread = False

    async def run() -> None:
        nonlocal printed
        async with client, aclosing(aiter(feed)) as items:
            async for item in items:
                if as_json:
                    click.echo(json.dumps({**item.message, "position": item.position}))  # ASCII: nothing that a terminal obeys
                else:
                    for line in table.lines(item):
                        click.secho(line.text, fg=line.colour, bold=line.is_heading or None)
                sys.stdout.flush()
                printed = item.position

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        click.echo(err=True)  # the terminal has shown ^C
    except ClientError as error:
        raise TetherError(str(error)) from error
    except OSError:  # standard output is closed: the last item was not printed
        is_unread = True
        raise
    finally:
        position = printed if is_unread else feed.position
        if position is not None:
            click.echo(f"To resume: --after {position}", err=True)
    return 130  # 128 + SIGINT, as in a shell


@click.command("import")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_URL
@_KEY
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=8, metavar="NUMBER", show_default=True, help="Calls at a time."
)
def import_file(*, file: Path, url: str, key: str, concurrency: int) -> int:
    """Send a file of calls to a server, one JSON object a line; print a report as one line of JSON.

    Started again, it sends what is not stored yet. The exit status is 1 if any line was refused.
    """
    from tether_rt.commands.bulk_import import Import

    with _options_said():
        task = Import(file, url, _secret_of(key, "API key"), concurrency=concurrency)
    report = asyncio.run(task.run())
    click.echo(report.to_json())
    return 1 if report.refused else 0


@contextmanager
def _options_said() -> Iterator[None]:
    """Turn what the client says of its arguments into sentences about the options."""
    try:
        yield
    except ValueError as error:
        raise BadRequest(f"--{str(error).removeprefix('api_').replace('give_up_s', 'give-up')}") from error


def _secret_of(given: str, what: str) -> str:
    """Return an option's secret, which `-` says to read."""
    return read_line(what) if given == "-" else given


def _call_of(content: bytes) -> dict[str, Any]:
    try:
        call = json.loads(content)
    except ValueError as error:
        raise BadRequest(f"FILE is not JSON: {error}") from error
    if not isinstance(call, dict):
        raise BadRequest("FILE must hold one call, a JSON object; `tether-rt import` sends a file of many, one a line")
    return call


def _say_retry(reason: str, wait_s: float) -> None:
    click.echo(f"{reason}; trying again in {wait_s:.1f} s", err=True)
