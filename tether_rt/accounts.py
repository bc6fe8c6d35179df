"""Administration of the database: open it as the settings say, add users, sources and read tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from tether_rt.auth import credentials
from tether_rt.auth.password_rules import require_good
from tether_rt.auth.read_token_admin import NewToken, ReadTokenAdmin
from tether_rt.auth.source_admin import NewKey, NewSource, SourceAdmin
from tether_rt.auth.user_admin import Invited, UserAdmin, read_person
from tether_rt.domain.audit import Actor, Detail
from tether_rt.domain.contract import load_contract
from tether_rt.domain.people import ADMIN, AGENT
from tether_rt.errors import BadRequest, TetherError
from tether_rt.mongo import client as store
from tether_rt.mongo.account_documents import UserDocument
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.client import Database
from tether_rt.mongo.indexes import create_indexes
from tether_rt.mongo.private_mongod import PrivateMongod
from tether_rt.mongo.read_tokens import ReadTokenChanges, ReadTokenQueries
from tether_rt.mongo.sources import Sources
from tether_rt.mongo.user_changes import UserChanges
from tether_rt.mongo.users import Users
from tether_rt.settings import Settings

_COMMAND: Final = Actor(None, "command")


@dataclass(frozen=True, slots=True)
class Person:
    """A user to be added. Raises `BadRequest` with the reason if a value is invalid."""

    organization: str
    email: str
    full_name: str
    role: str | None
    """None: an agent, or an admin where the organization has none."""

    def __post_init__(self) -> None:
        if not self.organization.strip():
            raise BadRequest("The organization and the user each need a name.")
        read_person(self.email, self.full_name, self.role or AGENT)


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user that was added, with the API key in clear text."""

    user_id: str
    organization_id: str
    api_key: str


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """Yield the database. Without `MONGODB_URI` join the private mongod that a server runs, or run one until the end.

    Raises `ConfigError` if MongoDB cannot be reached or started or is not a replica set. Errors of the driver become
    `Unavailable` (MongoDB went away) or `TetherError` (it refused a command).
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


async def add_user(
    database: Database,
    secret: str,
    person: Person,
    password: str,
    *,
    hash_password: Callable[[str], str] = credentials.hash_password,
) -> NewUser:
    """Add a user with a new API key. The organization is created if none has that name.

    Raises `BadRequest` if the address is taken or the password is too weak. `hash_password` runs in a thread.
    """

    def judged() -> str:
        require_good(password, person.email, person.full_name)
        return hash_password(password)

    await _require_indexes(database)
    users = Users(database)
    if await users.by_email(person.email) is not None:  # checked before an organization is created
        raise BadRequest(f"There is already a user with the address {person.email}.")
    hashed = await asyncio.to_thread(judged)
    organization_id = await users.organization_named(person.organization.strip())
    role = person.role or (AGENT if await users.has_admin(organization_id) else ADMIN)
    key = credentials.new_api_key()
    user_id = await users.add(
        organization_id=organization_id,
        email=person.email,
        full_name=read_person(person.email, person.full_name, role)[1],
        role=role,
        password_hash=hashed,
        api_key_digest=credentials.api_key_digest(key),
        sealed_api_key=credentials.Keyring(secret).seal(key),
    )
    details: dict[str, Detail] = {"personId": user_id, "added": True, "role": role}
    await AuditLog(database).add(organization_id, "person_changed", None, door="command", details=details)
    return NewUser(user_id, organization_id, key)


async def people(database: Database, secret: str, organization: str) -> list[dict[str, Any]]:
    """Return the people of the organization with this name; raises `BadRequest` if there is no such organization."""
    return await _user_admin(database, secret).every(await _organization(database, organization))


async def change_person(database: Database, secret: str, email: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change the user with this address as a `UserChangeRequest` says; raises `BadRequest` if there is no such user."""
    user = await _user(database, email)
    return await _user_admin(database, secret).change(user["organizationId"], user["_id"], body, _COMMAND)


async def reset_password(database: Database, secret: str, email: str) -> Invited:
    """Give the user with this address a link to choose a password; raises `BadRequest` if there is no such user."""
    user = await _user(database, email)
    return await _user_admin(database, secret).new_link(user["organizationId"], user["_id"], _COMMAND)


async def add_source(database: Database, secret: str, organization: str, body: dict[str, Any]) -> NewSource:
    """Add a source to the organization with this name, as a `SourceCreateRequest` describes it.

    Raises `BadRequest` for a body against the contract, and if there is no such organization.
    """
    load_contract().check("SourceCreateRequest", body)
    organization_id = await _organization(database, organization)
    await _require_indexes(database)
    return await _source_admin(database, secret).add(organization_id, None, body)


async def sources(database: Database, secret: str, organization: str) -> list[dict[str, Any]]:
    """Return the sources of the organization with this name; raises `BadRequest` if there is no such organization."""
    return await _source_admin(database, secret).every(await _organization(database, organization))


async def rotate_source(database: Database, secret: str, source_id: str, overlap_hours: float) -> NewKey:
    """Give a source a new API key, as `SourceAdmin.rotate`; raises `BadRequest` if there is no such source."""
    load_contract().check("SourceRotateRequest", {"overlapHours": overlap_hours})
    rotated = await _source_admin(database, secret).rotate(None, source_id, overlap_hours)
    if rotated is None:
        raise BadRequest(f"There is no source with the id {source_id!r}.")
    return rotated


async def change_source(database: Database, secret: str, source_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change a source as a `SourceChangeRequest` says and return it; raises `BadRequest` if there is no such source."""
    load_contract().check("SourceChangeRequest", body)
    changed = await _source_admin(database, secret).change(None, source_id, body)
    if changed is None:
        raise BadRequest(f"There is no source with the id {source_id!r}.")
    return changed


async def add_token(database: Database, secret: str, organization: str, body: dict[str, Any]) -> NewToken:
    """Make a read token of the organization with this name, as a `ReadTokenCreateRequest` describes it.

    Raises `BadRequest` for a body against the contract, and if there is no such organization.
    """
    organization_id = await _organization(database, organization)
    await _require_indexes(database)
    return await _token_admin(database).add(organization_id, body, _COMMAND)


async def tokens(database: Database, secret: str, organization: str) -> list[dict[str, Any]]:
    """Return the read tokens of the organization with this name; raises `BadRequest` if there is no such organization."""
    return await _token_admin(database).every(await _organization(database, organization))


async def revoke_token(database: Database, secret: str, token_id: str) -> dict[str, Any]:
    """Revoke a read token and return it; raises `BadRequest` if there is no such token."""
    revoked = await _token_admin(database).revoke(None, token_id, _COMMAND)
    if revoked is None:
        raise BadRequest(f"There is no read token with the id {token_id!r}.")
    return revoked


def _token_admin(database: Database) -> ReadTokenAdmin:
    changes = ReadTokenChanges(database, AuditLog(database))
    return ReadTokenAdmin(ReadTokenQueries(database), changes, Users(database), load_contract())


def _user_admin(database: Database, secret: str) -> UserAdmin:
    return UserAdmin(Users(database), UserChanges(database, AuditLog(database)), credentials.Keyring(secret))


async def _user(database: Database, email: str) -> UserDocument:
    user = await Users(database).by_email(email)
    if user is None:
        raise BadRequest(f"There is no user with the address {email!r}.")
    return user


def _source_admin(database: Database, secret: str) -> SourceAdmin:
    return SourceAdmin(Sources(database), credentials.Keyring(secret))


async def _organization(database: Database, name: str) -> str:
    organization_id = await Users(database).organization_id(name.strip())
    if organization_id is None:
        raise BadRequest(f"There is no organization named {name.strip()!r}: tether-rt user add makes one.")
    return organization_id


async def _require_indexes(database: Database) -> None:
    """Create the indexes of a new database, or those that an earlier version did not have; they keep addresses and keys unique.

    How long an existing database keeps its feed and its audit log is left alone: it is the server's setting.
    """
    unique = (("users", "email_1"), ("sources", "keys.digest_1"), ("tokens", "digest_1"))
    if any([index not in await database[collection].index_information() for collection, index in unique]):
        days = Settings().feed_retention_days, Settings().audit_retention_days
        await create_indexes(database, *days, keep_retention=True)
