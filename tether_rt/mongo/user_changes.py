"""Changes of an organization's people, each a transaction with its entry in the audit log.

The first statement of each writes the organization's document, so of two changes of one organization's people the second begins
when the first is over. So two admins who disable each other at the same moment cannot leave an organization without one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from motor.motor_asyncio import AsyncIOMotorClientSession as ClientSession
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from tether_rt.domain.audit import Actor, Detail, What
from tether_rt.domain.people import ADMIN
from tether_rt.errors import BadRequest, NotFound
from tether_rt.mongo.account_documents import PersonLinkDocument, UserDocument
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import Collections
from tether_rt.mongo.organization_changes import alone

MAX_USERS: Final = 2_000
"""Of one organization, with those who are invited or disabled."""
ACTIVE_ADMIN: Final = {"accessRole": ADMIN, "disabledAt": None, "passwordHash": {"$ne": ""}}
"""An admin who can sign in; one who was invited cannot yet."""
_CHANGED: Final = {"$currentDate": {"accessChangedAt": True}}


class Changed(NamedTuple):
    """A user after a change, and the sessions that had begun before it, whether they have ended or not."""

    user: UserDocument
    session_ids: list[str]


class UserChanges:
    """Changes users. Every method raises `NotFound` for a user that is not one of the organization's."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        collections = Collections(database)
        self._database = database
        self._users = collections.users
        self._sessions = collections.sessions
        self._audit = audit

    async def invite(self, user: UserDocument, actor: Actor) -> None:
        """Add a user who was invited; raises `BadRequest` for an address that somebody has, and for too many people."""
        organization_id = user["organizationId"]

        async def add(session: ClientSession) -> None:
            if await self._users.count_documents({"organizationId": organization_id}, session=session) >= MAX_USERS:
                raise BadRequest(f"An organization has at most {MAX_USERS} people.", code="out_of_range")
            await self._users.insert_one(user, session=session)
            await self._note(session, user, "person_changed", actor, {"invited": True, "role": user["accessRole"]})

        try:
            await alone(self._database, organization_id, add)
        except DuplicateKeyError as error:
            sentence = f"There is already a user with the address {user['email']}."
            raise BadRequest(sentence, code="taken", field="email") from error

    async def change(
        self, organization_id: str, user_id: str, actor: Actor, *, role: str | None = None, disabled: bool | None = None
    ) -> Changed:
        """Give a user another role, disable or enable the user; what is None stays. Disabling ends all sessions.

        Raises `BadRequest` if the organization would be left without an admin who can sign in.
        """

        async def change(session: ClientSession) -> Changed:
            user = await self._one(session, organization_id, user_id)
            values: dict[str, Any] = {}
            details: dict[str, Detail] = {}
            removed: dict[str, str] = {}
            if role is not None and role != user["accessRole"]:
                values["accessRole"] = details["role"] = role
            if disabled is not None and disabled is not bool(user.get("disabledAt")):
                details["disabled"] = disabled
                removed["link" if disabled else "disabledAt"] = ""
                if disabled:
                    values["disabledAt"] = datetime.now(UTC)
            session_ids = await self._session_ids(session, user_id)
            if not details:
                return Changed(user, session_ids)
            if _is_active_admin(user) and (disabled or (role or ADMIN) != ADMIN):
                await self._require_another_admin(session, user)
            changed = await self._update(session, user_id, values, removed)
            if disabled:
                await self._sessions.delete_many({"userId": user_id}, session=session)
            await self._note(session, user, "person_changed", actor, details)
            return Changed(changed, session_ids)

        return await alone(self._database, organization_id, change)

    async def give_link(self, organization_id: str, user_id: str, link: PersonLinkDocument, actor: Actor) -> UserDocument:
        """Give a user a link to choose a password; the one before it ends. Raises `BadRequest` for one who is disabled."""

        async def give(session: ClientSession) -> UserDocument:
            user = await self._one(session, organization_id, user_id)
            if user.get("disabledAt"):
                raise BadRequest("This user is disabled: enable the user first.")
            changed = await self._update(session, user_id, {"link": link}, {})
            await self._note(session, user, "person_changed", actor, {"link": link["kind"]})
            return changed

        return await alone(self._database, organization_id, give)

    async def end_sessions(self, organization_id: str, user_id: str, actor: Actor) -> Changed:
        """End all sessions of a user."""

        async def end(session: ClientSession) -> Changed:
            user = await self._one(session, organization_id, user_id)
            session_ids = await self._session_ids(session, user_id)
            await self._sessions.delete_many({"userId": user_id}, session=session)
            changed = await self._update(session, user_id, {}, {})
            await self._note(session, user, "person_changed", actor, {"sessionsEnded": len(session_ids)})
            return Changed(changed, session_ids)

        return await alone(self._database, organization_id, end)

    async def set_password(
        self, user: UserDocument, password_hash: str, *, link_digest: str | None = None, kept_session_id: str | None = None
    ) -> Changed | None:
        """Set a user's password, and end all sessions but one.

        With `link_digest` the link is used up by it. Return None, and change nothing, if the user has lost that link meanwhile,
        is disabled, or without a link has got another password.
        """
        own = {"passwordHash": user["passwordHash"]} if link_digest is None else {"link.digest": link_digest}
        query = {"_id": user["_id"], "disabledAt": None, **own}

        async def change(session: ClientSession) -> Changed | None:
            update = {"$set": {"passwordHash": password_hash}, "$unset": {"link": ""}, **_CHANGED}
            changed = await self._users.find_one_and_update(
                query, update, return_document=ReturnDocument.AFTER, session=session
            )
            if changed is None:
                return None
            session_ids = [one for one in await self._session_ids(session, user["_id"]) if one != kept_session_id]
            await self._sessions.delete_many({"_id": {"$in": session_ids}}, session=session)
            details: dict[str, Detail] = {} if link_digest is None else {"link": user["link"]["kind"]}
            await self._note(session, user, "password_changed", Actor(user["_id"]), details)
            return Changed(changed, session_ids)

        return await alone(self._database, user["organizationId"], change)

    async def ensure_admins(self) -> list[str]:
        """Make the oldest user of each organization without an admin one, and return the ids of these users."""
        is_admin = {"$cond": [{"$eq": ["$accessRole", ADMIN]}, 1, 0]}
        stages: list[dict[str, Any]] = [
            {"$match": {"disabledAt": None, "passwordHash": {"$ne": ""}}},
            {"$group": {"_id": "$organizationId", "admins": {"$sum": is_admin}}},
            {"$match": {"admins": 0}},
        ]
        found: list[Any] = await self._users.aggregate(stages).to_list(None)
        promoted = []
        for organization in found:
            oldest = await self._users.find_one(
                {"organizationId": organization["_id"], "disabledAt": None, "passwordHash": {"$ne": ""}},
                sort=[("createdAt", 1), ("_id", 1)],
            )
            if oldest is not None:
                await self.change(organization["_id"], oldest["_id"], Actor(None, "server"), role=ADMIN)
                promoted.append(oldest["_id"])
        return promoted

    # ------------------------------------------------------------------ within a transaction

    async def _one(self, session: ClientSession, organization_id: str, user_id: str) -> UserDocument:
        user = await self._users.find_one({"_id": user_id, "organizationId": organization_id}, session=session)
        if user is None:
            raise NotFound("There is no such user.")
        return user

    async def _session_ids(self, session: ClientSession, user_id: str) -> list[str]:
        return [one["_id"] for one in await self._sessions.find({"userId": user_id}, {"_id": 1}, session=session).to_list(None)]

    async def _update(
        self, session: ClientSession, user_id: str, values: dict[str, Any], removed: dict[str, str]
    ) -> UserDocument:
        update = {**_CHANGED, **({"$set": values} if values else {}), **({"$unset": removed} if removed else {})}
        changed = await self._users.find_one_and_update(
            {"_id": user_id}, update, return_document=ReturnDocument.AFTER, session=session
        )
        assert changed is not None, "it was read in this transaction"
        return changed

    async def _require_another_admin(self, session: ClientSession, user: UserDocument) -> None:
        others = {"organizationId": user["organizationId"], "_id": {"$ne": user["_id"]}, **ACTIVE_ADMIN}
        if await self._users.find_one(others, {"_id": 1}, session=session) is None:
            raise BadRequest("This is the organization's last admin: make somebody else an admin first.", code="last_admin")

    async def _note(
        self, session: ClientSession, user: UserDocument, what: What, actor: Actor, details: dict[str, Detail]
    ) -> None:
        whom: dict[str, Detail] = {"personId": user["_id"]}
        await self._audit.add(
            user["organizationId"], what, actor.user_id, door=actor.door, details={**whom, **details}, session=session
        )


def _is_active_admin(user: UserDocument) -> bool:
    return user["accessRole"] == ADMIN and not user.get("disabledAt") and user["passwordHash"] != ""
