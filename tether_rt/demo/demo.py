"""The demo: a server with a private MongoDB and recordings on disk, one user, and sample calls.

All data is in the data directory. Calls, password and API key are the same after a restart.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import random
import shlex
import sys
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

import click

from tether_rt import accounts
from tether_rt.auth import credentials
from tether_rt.cli import CONTEXT, run_on_fast_loop, status_of
from tether_rt.commands.shared import settings_options
from tether_rt.demo import samples
from tether_rt.demo.simulation import Simulation
from tether_rt.errors import ConfigError
from tether_rt.runtime.logs import JsonLines
from tether_rt.server import Server, serve
from tether_rt.settings import SETTINGS, Settings

EMAIL: Final = "demo@tether.local"
_LOG_BYTES: Final = 8 << 20
_MAX_PER_MINUTE: Final = 3000

# These settings, where they are set, are for production. Sample calls must not go there.
_PRODUCTION_ONLY: Final = frozenset({"mongodb_uri", *(row.name for row in SETTINGS if row.name.startswith("r2_"))})


@click.command(context_settings=CONTEXT)
@click.option(
    "--simulate",
    "per_minute",
    type=click.IntRange(0, _MAX_PER_MINUTE),
    default=0,
    metavar="NUMBER",
    show_default=True,
    help="Sample calls to post each minute.",
)
@settings_options(*(row.name for row in SETTINGS if row.name not in _PRODUCTION_ONLY))
def demo(per_minute: int, **values: Any) -> int:
    """Run a server to try out, with a private MongoDB, recordings on disk, a user and sample calls."""
    settings = Settings.from_values(values)

    async def meanwhile(server: Server) -> None:
        await introduce(server, per_minute)

    return run_on_fast_loop(serve(settings, meanwhile))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo and exit with its status."""
    sys.exit(status_of(demo, "run.py", arguments))


async def introduce(server: Server, per_minute: int) -> None:
    """Print how to use the server, then post `per_minute` sample calls a minute (0 for none) until cancelled.

    Raises `ConfigError` if the data directory cannot be written.
    """
    settings = server.settings
    data_dir = settings.data_dir.absolute()
    sample = data_dir / "sample-call.json"
    try:
        sample.write_text(json.dumps(samples.new_call("appointment")))
        _log_to_file(data_dir / "server.log")
    except OSError as error:
        raise ConfigError(f"The demo cannot write {error.filename}: {error.strerror}.") from error
    password = _password(settings.resolve_secret())
    api_key = await _demo_user(server, password)
    url = server.url.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")
    arriving = (
        f"{per_minute} sample calls a minute are arriving."
        if per_minute
        else "With --simulate 6, six sample calls a minute arrive."
    )
    click.echo(f"""
tether_rt is running. {arriving}

  Dashboard   {url}/
  E-mail      {EMAIL}
  Password    {password}
  API key     {api_key}

Send a call with its recording, as a vendor does. Each time, it is a new call:

  {_curl(url, api_key, sample)}

The API is described at {url}/docs. Data and logs are in {shlex.quote(str(data_dir))}. Ctrl-C stops.
""")
    if per_minute:
        await Simulation(url, api_key, per_minute, random.Random()).run()  # noqa: S311 - not for secrets


def _log_to_file(path: Path) -> None:
    """Write the log to a file, so that the terminal shows the introduction; warnings stay on standard error."""
    root = logging.getLogger()
    for handler in root.handlers:
        handler.setLevel(logging.WARNING)
    to_file = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1)
    to_file.setFormatter(JsonLines())
    root.addHandler(to_file)


def _password(secret: str) -> str:
    """Derive the password from the generated secret, so that it need not be stored and nobody can guess it."""
    digest = hmac.digest(secret.encode(), b"tether_rt demo password", "sha256")
    letters = base64.b32encode(digest).decode().lower()
    return "-".join(letters[start : start + 4] for start in (0, 4, 8))


async def _demo_user(server: Server, password: str) -> str:
    """Return the API key of the demo user. Create the user, or reset the password if the secret has changed."""
    users = server.app.database["users"]
    user = await users.find_one({"email": EMAIL})
    if user is None:
        person = accounts.Person(organization="Demo", email=EMAIL, full_name="Demo Agent", role="admin")
        added = await accounts.add_user(server.app.database, server.settings.resolve_secret(), person, password)
        return added.api_key
    if not credentials.password_matches(password, user["passwordHash"]):  # the secret is a new one
        await users.update_one({"_id": user["_id"]}, {"$set": {"passwordHash": credentials.hash_password(password)}})
    identity = server.app.identity
    return await identity.api_key(user["_id"]) or await identity.regenerate_api_key(user["_id"]) or ""


def _curl(url: str, api_key: str, body: Path) -> str:
    """Return a line for a POSIX shell that posts the file `body` from any directory."""
    return shlex.join([
        "curl", "-sS", "-w", "\\n", "-X", "POST", f"{url}/api/calls/ingest",
        "-H", f"Authorization: Bearer {api_key}",
        "-H", "Content-Type: application/json",
        "--data", f"@{body}",
    ])  # fmt: skip
