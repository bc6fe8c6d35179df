"""Making, showing and changing an organization's sources and their API keys. A key is shown once, a secret never."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from tether_rt.auth import credentials
from tether_rt.auth.credentials import Keyring
from tether_rt.domain.phone import to_e164
from tether_rt.domain.source import API_KIND, OVERLAP_HOURS, SourceKey, rotated
from tether_rt.errors import BadRequest, Unavailable
from tether_rt.mongo.client import new_id
from tether_rt.mongo.documents import SourceDocument
from tether_rt.mongo.sources import Sources, keys_of, source_of

MAX_SOURCES: Final = 200
"""Of one organization."""
_ROTATIONS: Final = 5
"""How often a rotation is tried that another one overtakes."""


class NewKey(NamedTuple):
    """A source, and its new API key in clear text."""

    source: SourceDocument
    api_key: str


class SourceAdmin:
    """Administers sources. Request bodies must satisfy the contract; `organization_id` None means any organization.

    Raises `BadRequest` for what a schema cannot say.
    """

    def __init__(
        self,
        sources: Sources,
        keyring: Keyring,
        forget: Callable[[str], None] = lambda digest: None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`forget` is called with the digest of each key that stops, or whose source changes; `now` is the clock."""
        self._sources = sources
        self._keyring = keyring
        self._forget = forget
        self._now = now

    async def add(self, organization_id: str, created_by: str | None, body: dict[str, Any]) -> NewKey:
        """Add a source as a `SourceCreateRequest` describes it; `created_by` is a user's id, None for the command."""
        name, settings, _ = self._changes(body)
        if await self._sources.count(organization_id) >= MAX_SOURCES:
            raise BadRequest(
                f"An organization has at most {MAX_SOURCES} sources: give one that is not in use a new name and a new key"
            )
        key = credentials.new_api_key()
        now = self._now()
        source = SourceDocument(
            _id=new_id(),
            organizationId=organization_id,
            name=name or "",
            kind=body.get("kind", API_KIND),
            enabled=True,
            createdBy=created_by,
            createdAt=now,
            lastSeenAt=None,
            keys=[{"digest": credentials.api_key_digest(key), "createdAt": now, "endsAt": None}],
            settings=settings,  # type: ignore[typeddict-item]  # its keys are the schema's
        )
        await self._sources.add(source)
        return NewKey(source, key)

    async def every(self, organization_id: str) -> list[dict[str, Any]]:
        """Return an organization's sources as they are shown, oldest first."""
        return [self.shown(source) for source in await self._sources.every(organization_id)]

    async def one(self, organization_id: str, source_id: str) -> dict[str, Any] | None:
        """Return a source as it is shown, or None if there is no such source."""
        source = await self._sources.one(organization_id, source_id)
        return self.shown(source) if source else None

    async def change(self, organization_id: str | None, source_id: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Change a source as a `SourceChangeRequest` says and return it as it is shown; None if there is no such source.

        Settings that the request does not name stay. Within 5 s the change holds in every process, in this one at once.
        """
        name, settings, removed = self._changes(body)
        values: dict[str, Any] = {f"settings.{field}": value for field, value in settings.items()}
        if name is not None:
            values["name"] = name
        if "enabled" in body:
            values["enabled"] = body["enabled"]
        source = await self._sources.change(organization_id, source_id, values, [f"settings.{field}" for field in removed])
        if source is None:
            return None
        self._forget_keys(source)
        return self.shown(source)

    async def rotate(self, organization_id: str | None, source_id: str, overlap_hours: float = OVERLAP_HOURS) -> NewKey | None:
        """Give a source a new API key; the newest one before it holds for `overlap_hours` more, any other ends at once.

        None if there is no such source. Raises `Unavailable` if other rotations of the source are always faster.
        """
        for _ in range(_ROTATIONS):
            source = await self._sources.one(organization_id, source_id)
            if source is None:
                return None
            key = credentials.new_api_key()
            keys = rotated(keys_of(source), credentials.api_key_digest(key), self._now(), timedelta(hours=overlap_hours))
            if await self._sources.replace_keys(source, keys):
                self._forget_keys(source)
                return NewKey(source, key)
        raise Unavailable("The keys of this source are being changed by others; send the request again.", 1)

    def shown(self, source: SourceDocument) -> dict[str, Any]:
        """Return a source as the contract has it: of its keys only their times, of its password whether there is one."""
        settings = source_of(source).settings
        live: list[SourceKey] = [key for key in keys_of(source) if key.is_live(self._now())]
        return {
            "id": source["_id"],
            "organizationId": source["organizationId"],
            "name": source["name"],
            "kind": source["kind"],
            "enabled": source["enabled"],
            "createdBy": source["createdBy"],
            "createdAt": source["createdAt"],
            "lastSeenAt": source["lastSeenAt"],
            "keys": [{"createdAt": key.created_at, "endsAt": key.ends_at} for key in live],
            "settings": {
                "recordings": settings.recordings,
                "historic": settings.historic,
                "numbers": list(settings.numbers),
                "agentIds": list(settings.agent_ids),
                "toleranceS": settings.tolerance_s,
                "fetchUser": settings.fetch_user,
                "fetchPasswordSet": settings.sealed_fetch_password is not None,
            },
        }

    def _changes(self, body: dict[str, Any]) -> tuple[str | None, dict[str, Any], list[str]]:
        """Return the name, the settings as they are stored, and which settings are removed."""
        name: str | None = body.get("name")
        if name is not None and not (name := name.strip()):
            raise BadRequest("name must not be empty", code="empty_value", field="name")
        settings = dict(body.get("settings", {}))
        removed = [field for field, value in settings.items() if value is None]
        for field in removed:
            del settings[field]
        if "numbers" in settings:
            numbers = [to_e164(number, f"settings.numbers[{at}]") for at, number in enumerate(settings["numbers"])]
            settings["numbers"] = list(dict.fromkeys(numbers))
        if "fetchPassword" in settings:
            settings["fetchPassword"] = self._keyring.seal(settings["fetchPassword"])
        return name, settings, removed

    def _forget_keys(self, source: SourceDocument) -> None:
        for key in source["keys"]:
            self._forget(key["digest"])
