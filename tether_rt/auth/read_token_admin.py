"""Making, showing and revoking an organization's read tokens. A token is shown once, and stored as its SHA-256."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tether_rt.auth import credentials
from tether_rt.domain.audit import Actor
from tether_rt.domain.call import parse_time
from tether_rt.domain.contract import Contract
from tether_rt.domain.names import plain_name
from tether_rt.domain.read_token import SCOPES
from tether_rt.errors import BadRequest, Fault
from tether_rt.mongo.account_documents import ReadTokenDocument
from tether_rt.mongo.client import new_id
from tether_rt.mongo.read_tokens import ReadTokenChanges, ReadTokenQueries
from tether_rt.mongo.users import Users


class NewToken(NamedTuple):
    """A token as it is shown, and its text, which is shown this once."""

    shown: dict[str, Any]
    text: str


class ReadTokenAdmin:
    """Administers read tokens; each change is made together with its entry of the audit log."""

    def __init__(
        self,
        stored: ReadTokenQueries,
        changes: ReadTokenChanges,
        users: Users,
        contract: Contract,
        forget: Callable[[str], None] = lambda digest: None,
    ) -> None:
        """`forget` is called with the SHA-256 of a token that changes (`ReadTokens.forget`)."""
        self._stored = stored
        self._changes = changes
        self._users = users
        self._contract = contract
        self._forget = forget

    async def add(self, organization_id: str, body: dict[str, Any], actor: Actor) -> NewToken:
        """Make a token as a `ReadTokenCreateRequest` describes it; raises `BadRequest` with all that is wrong."""
        now = datetime.now(UTC)
        self._contract.check("ReadTokenCreateRequest", body)
        faults = []
        name = plain_name(body["name"])
        if name is None:
            faults.append(Fault("empty_value", "name", "name must not be empty"))
        try:
            expires_at = parse_time(body["expiresAt"]) if body.get("expiresAt") is not None else None
        except (ValueError, OverflowError):
            expires_at = datetime.min.replace(tzinfo=UTC)  # a moment that no clock shows
        if expires_at is not None and expires_at <= now:
            faults.append(Fault("out_of_range", "expiresAt", "expiresAt must lie in the future"))
        if faults:
            raise BadRequest.of(faults)
        text = credentials.new_read_token()
        token = ReadTokenDocument(
            _id=new_id(),
            organizationId=organization_id,
            name=name or "",
            scopes=[scope for scope in SCOPES if scope in body["scopes"]],
            digest=credentials.api_key_digest(text),
            expiresAt=expires_at,
            createdAt=now,
            createdBy=actor.user_id,
            lastUsedAt=None,
            revokedAt=None,
        )
        await self._changes.add(token, actor)
        self._forget(token["digest"])
        return NewToken((await self._shown([token]))[0], text)

    async def every(self, organization_id: str) -> list[dict[str, Any]]:
        """Return an organization's tokens as they are shown, oldest first; those that have expired are there as well."""
        return await self._shown(await self._stored.every(organization_id))

    async def revoke(self, organization_id: str | None, token_id: str, actor: Actor) -> dict[str, Any] | None:
        """End a token for good and return it as it was shown; None if there is none.

        It ends here at once, in the other processes within 5 s. Without an organization it is any's.
        """
        token = await self._changes.revoke(organization_id, token_id, actor)
        if token is None:
            return None
        self._forget(token["digest"])
        return (await self._shown([token]))[0]

    async def _shown(self, tokens: list[ReadTokenDocument]) -> list[dict[str, Any]]:
        names = await self._users.full_names({token["createdBy"] for token in tokens if token["createdBy"]})
        return [
            {
                "id": token["_id"],
                "organizationId": token["organizationId"],
                "name": token["name"],
                "scopes": token["scopes"],
                "expiresAt": token["expiresAt"],
                "createdAt": token["createdAt"],
                "createdBy": token["createdBy"],
                "createdByName": names.get(token["createdBy"] or ""),
                "lastUsedAt": token["lastUsedAt"],
            }
            for token in tokens
        ]
