"""The servers that take calls, ours and the two full peers, each started the same way: a process, an address, keys, a token."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import bson

from bench.lab import ROOT, Lab
from bench.process import Child, cpu_s
from tether_rt import accounts
from tether_rt.auth import credentials
from tether_rt.mongo import client as store
from tether_rt.mongo.users import Users

NODE: Final = ROOT / "bench" / "peers" / "node"
PYTHON: Final = ROOT / "bench" / "peers" / "python"
SECRET: Final = "a secret for benchmarks that is long enough to sign with"
PASSWORD: Final = "correct horse battery staple"
EMAIL: Final = "agent@example.com"


@dataclass(frozen=True, slots=True)
class Target:
    """A server that runs. `keys` are API keys, one for each organization; `token` opens a dashboard of the first."""

    name: str
    ports: tuple[int, ...]
    children: tuple[Child, ...]
    keys: tuple[str, ...]
    token: str
    dashboards: str
    """How its dashboards speak: `tether`, `websocket` or `socketio`."""
    database: str

    @property
    def port(self) -> int:
        """The first process' port."""
        return self.ports[0]

    def cpu_s(self) -> float:
        """The CPU time of all its processes so far."""
        return sum(cpu_s(child.pid) for child in self.children)


Contestant = Callable[..., Target]
"""Starts a server: `(lab, scope, settings)`. The settings of a recording store (`remote.py`) hold for every server."""
_NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})


def ours(
    lab: Lab,
    scope: ExitStack,
    *,
    database: str = "ours",
    keys: tuple[str, ...] = (),
    organizations: int = 1,
    processes: int = 1,
    settings: Mapping[str, str] = _NO_SETTINGS,
) -> Target:
    """Start `tether-rt serve`, once or more often, with new organizations of one user each unless `keys` says who is there."""
    keys = keys or tuple(one.api_key for one in add_organizations(lab.mongodb_uri, database, organizations))
    folder = lab.new_folder(database)
    children = tuple(
        lab.child(
            scope,
            f"{database}-{number}",
            sys.executable, "-m", "tether_rt", "serve",
            MONGODB_URI=lab.mongodb_uri, TETHER_DATABASE=database, TETHER_SECRET=SECRET, TETHER_PORT="0",
            TETHER_DATA_DIR=str(folder), TETHER_MAX_DASHBOARDS_PER_USER="10000", **settings,
        )
        for number in range(processes)
    )  # fmt: skip
    ports = tuple(int(child.wait_for(r'"event":"listening".*"port":(\d+)')) for child in children)
    return Target(OURS, ports, children, keys, sign_in(ports[0]), "tether", database)


def express(lab: Lab, scope: ExitStack, settings: Mapping[str, str] = _NO_SETTINGS) -> Target:
    """Start Express with ajv, mongoose, socket.io, and the AWS SDK if there is a recording store."""
    key, token = _seed(lab, "express")
    uri = lab.mongodb_uri.replace("/?", "/express?")
    child = lab.child(
        scope, "express", "node", NODE / "express.mjs", MONGODB_URI=uri, DATA_DIR=str(lab.new_folder("express")), **settings
    )
    port = int(child.wait_for(r"listening (\d+)"))
    return Target("Express", (port,), (child,), (key,), token, "socketio", "express")


def fastapi(lab: Lab, scope: ExitStack, settings: Mapping[str, str] = _NO_SETTINGS) -> Target:
    """Start FastAPI with PyMongo's async client, WebSockets and aioboto3, on uvicorn with uvloop and httptools."""
    key, token = _seed(lab, "fastapi")
    child = lab.child(
        scope, "fastapi", lab.peers_python, "-m", "uvicorn", "fastapi_app:app", "--app-dir", PYTHON, "--port", "0",
        "--no-access-log", MONGODB_URI=lab.mongodb_uri, DATABASE="fastapi", DATA_DIR=str(lab.new_folder("fastapi")), **settings,
    )  # fmt: skip
    port = int(child.wait_for(r"running on http://127\.0\.0\.1:(\d+)"))
    return Target("FastAPI", (port,), (child,), (key,), token, "websocket", "fastapi")


def ours_anew(lab: Lab, scope: ExitStack, settings: Mapping[str, str] = _NO_SETTINGS) -> Target:
    """Start ours with a database of its own."""
    return ours(lab, scope, database=f"ours-{bson.ObjectId()}", settings=settings)


OURS: Final = "tether_rt"
PEERS: Final[dict[str, Contestant]] = {"Express": express, "FastAPI": fastapi}
ALL: Final[dict[str, Contestant]] = {OURS: ours_anew, **PEERS}
"""Started one at a time: our change stream, though idle, would make MongoDB work at each write of a peer."""


def post(port: int, path: str, body: Any, token: str = "") -> Any:
    """Post JSON and return the JSON that is answered; raises `urllib.error.HTTPError` for a refusal."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def sign_in(port: int) -> str:
    """Return a session's token for our first user."""
    token: str = post(port, "/api/auth/login", {"email": EMAIL, "password": PASSWORD})["token"]
    return token


def add_organizations(mongodb_uri: str, database: str, count: int) -> list[accounts.NewUser]:
    """Make the database and so many organizations, each with one user; return the users."""
    return asyncio.run(_add_organizations(mongodb_uri, database, count))


async def _add_organizations(mongodb_uri: str, database: str, count: int) -> list[accounts.NewUser]:
    client = store.connect(mongodb_uri, patient=True)
    try:
        db = store.database(client, database)
        person = accounts.Person("Organization 0", EMAIL, "Agent", "agent")
        added = [await accounts.add_user(db, SECRET, person, PASSWORD)]
        users = Users(db)
        for number in range(1, count):  # without a password: hashing a thousand would take a minute
            key = credentials.new_api_key()
            organization_id = await users.organization_named(f"Organization {number}")
            user_id = await users.add(
                organization_id=organization_id, email=f"agent-{number}@example.com", full_name="Agent", role="agent",
                password_hash=credentials.decoy_hash(), api_key_digest=credentials.api_key_digest(key), sealed_api_key="",
            )  # fmt: skip
            added.append(accounts.NewUser(user_id, organization_id, key))
        return added
    finally:
        client.close()


def _seed(lab: Lab, database: str) -> tuple[str, str]:
    """Give a peer its one user; return the key and a session's token."""
    key, token = f"key-{bson.ObjectId()}", f"token-{bson.ObjectId()}"
    organization = str(bson.ObjectId())
    with lab.client() as client:
        db = client[database]
        db["users"].insert_one(
            {"apiKeyDigest": hashlib.sha256(key.encode()).hexdigest(), "organizationId": organization, "fullName": "Agent"}
        )
        db["users"].create_index("apiKeyDigest", unique=True)
        db["sessions"].insert_one({"_id": token, "organizationId": organization})
    return key, token
