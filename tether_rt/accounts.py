"""What is done to the database from a command line: open it as the settings say, add users, make indexes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tether_rt.auth import credentials
from tether_rt.errors import BadRequest, TetherError
from tether_rt.mongo import client as store
from tether_rt.mongo.client import Database
from tether_rt.mongo.indexes import create_indexes
from tether_rt.mongo.private_mongod import PrivateMongod
from tether_rt.mongo.users import ROLES, Users
from tether_rt.settings import Settings


@dataclass(frozen=True, slots=True)
class Person:
    """Who is to be added; raises `BadRequest` with the reason when a value cannot be one."""

    organization: str
    email: str
    full_name: str
    role: str

    def __post_init__(self) -> None:
        if not self.organization.strip() or not self.full_name.strip():
            raise BadRequest("The organization and the user each need a name.")
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", self.email):
            raise BadRequest(f"The email address must look like name@example.com, not {self.email!r}.")
        if self.role not in ROLES:
            raise BadRequest(f"The role must be one of {', '.join(ROLES)}, not {self.role!r}.")


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user that was just added; the key in clear, as it is shown this once."""

    user_id: str
    organization_id: str
    api_key: str


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """Yield the database; a private mongod is joined, or started and kept running until the end.

    Raises `ConfigError` when there is none to be had or it is not a replica set, and turns what the driver raises meanwhile
    into `Unavailable` (MongoDB went away) or `TetherError` (it refused).
    """
    private = None if settings.mongodb_uri else PrivateMongod(settings.data_dir, settings.mongod)
    keeper = None
    try:
        uri = settings.mongodb_uri or (await private.start() if private else "")
        keeper = asyncio.create_task(private.run()) if private else None
        client = store.connect(uri, patient=True)
        try:
            await store.require_replica_set(client)
            yield store.database(client, settings.database)
        except store.DriverError as error:
            raise store.unavailable(error) or TetherError(f"MongoDB refused: {error}") from error
        finally:
            client.close()
    finally:
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        if private is not None:
            await private.stop()


async def add_user(database: Database, secret: str, person: Person, password: str) -> NewUser:
    """Add a user to the organization of that name, made if new, with an API key of their own.

    Raises `BadRequest` when the address is taken or the password is empty.
    """
    if not password:
        raise BadRequest("The password must not be empty.")
    await _require_indexes(database)
    users = Users(database)
    if await users.by_email(person.email) is not None:  # before an organization is made for nobody
        raise BadRequest(f"There is already a user with the address {person.email}.")
    organization_id = await users.organization_named(person.organization.strip())
    key = credentials.new_api_key()
    user_id = await users.add(
        organization_id=organization_id,
        email=person.email,
        full_name=person.full_name.strip(),
        role=person.role,
        password_hash=await asyncio.to_thread(credentials.hash_password, password),
        api_key_digest=credentials.api_key_digest(key),
        sealed_api_key=credentials.Keyring(secret).seal(key),
    )
    return NewUser(user_id, organization_id, key)


async def _require_indexes(database: Database) -> None:
    """Make the indexes of a database that is new: they are what keeps addresses unique.

    Only then, because making them also sets the feed's retention, and that is the server's setting, not this command's.
    """
    if "email_1" not in await database["users"].index_information():
        await create_indexes(database, Settings().feed_retention_days)
