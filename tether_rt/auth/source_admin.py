"""Making, showing and changing an organization's sources, their API keys and secrets. A key is shown once, a secret never."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from tether_rt.auth import credentials
from tether_rt.auth.credentials import Keyring
from tether_rt.domain.phone import to_e164
from tether_rt.domain.source import API_KIND, OVERLAP_HOURS, SourceKey, SourceKind, read_public_url, rotated
from tether_rt.errors import BadRequest, Unavailable
from tether_rt.mongo.account_documents import SourceDocument, SourceSecretDocument
from tether_rt.mongo.client import new_id
from tether_rt.mongo.sources import Sources, keys_of, source_of

MAX_SOURCES: Final = 200
"""Of one organization."""
_PROOF_KIND: Final[SourceKind] = "vapi"
_ROTATIONS: Final = 5
"""How often a rotation is tried that another one overtakes."""


class NewKey(NamedTuple):
    """A source, and its new API key in clear text."""

    source: SourceDocument
    api_key: str


class NewSource(NamedTuple):
    """A source, and its API key in clear text if it is one of the kind `api`."""

    source: SourceDocument
    api_key: str | None


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
        base_path: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`forget` is called with all under which a source is found that changes (`Identity.forget`); `now` is the clock.

        `base_path` stands in front of the path of its webhooks.
        """
        self._sources = sources
        self._keyring = keyring
        self._forget = forget
        self._base_path = base_path
        self._now = now

    async def add(self, organization_id: str, created_by: str | None, body: dict[str, Any]) -> NewSource:
        """Add a source as a `SourceCreateRequest` describes it; `created_by` is a user's id, None for the command."""
        kind: SourceKind = body.get("kind", API_KIND)
        name, settings, _ = self._changes(body)
        _require_fitting(kind, body)
        if await self._sources.count(organization_id) >= MAX_SOURCES:
            raise BadRequest(
                f"An organization has at most {MAX_SOURCES} sources: give one that is not in use a new name and a new key"
            )
        is_vendors = kind != API_KIND
        key = None if is_vendors else credentials.new_api_key()
        now = self._now()
        source = SourceDocument(
            # Whoever knows the id of a vendor's source may send to it: nobody can guess 96 random bits.
            _id=secrets.token_hex(12) if is_vendors else new_id(),
            organizationId=organization_id,
            name=name or "",
            kind=kind,
            enabled=True,
            createdBy=created_by,
            createdAt=now,
            lastSeenAt=None,
            keys=[{"digest": credentials.api_key_digest(key), "createdAt": now, "endsAt": None}] if key else [],
            settings=settings,  # type: ignore[typeddict-item]  # its keys are the schema's
        )
        if is_vendors:
            source["secrets"] = self._sealed(body.get("secrets", ()), [], now)
        await self._sources.add(source)
        self._forget_source(source)
        return NewSource(source, key)

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
        before = await self._sources.one(organization_id, source_id)
        if before is None:
            return None
        _require_fitting(before["kind"], body)
        values: dict[str, Any] = {f"settings.{field}": value for field, value in settings.items()}
        if name is not None:
            values["name"] = name
        if "enabled" in body:
            values["enabled"] = body["enabled"]
        if "secrets" in body:
            values["secrets"] = self._sealed(body["secrets"], before.get("secrets", ()), self._now())
        source = await self._sources.change(organization_id, source_id, values, [f"settings.{field}" for field in removed])
        if source is None:
            return None
        self._forget_source(before)
        self._forget_source(source)
        return self.shown(source)

    async def rotate(self, organization_id: str | None, source_id: str, overlap_hours: float = OVERLAP_HOURS) -> NewKey | None:
        """Give a source a new API key; the newest one before it holds for `overlap_hours` more, any other ends at once.

        None if there is no such source. Raises `BadRequest` for a source without keys, and `Unavailable` if other rotations of
        it are always faster.
        """
        for _ in range(_ROTATIONS):
            source = await self._sources.one(organization_id, source_id)
            if source is None:
                return None
            if source["kind"] != API_KIND:
                raise BadRequest(
                    f"A source of the kind {source['kind']} has no API key: change its secrets instead, to the old and the new "
                    "one for a while and then to the new one alone"
                )
            key = credentials.new_api_key()
            keys = rotated(keys_of(source), credentials.api_key_digest(key), self._now(), timedelta(hours=overlap_hours))
            if await self._sources.replace_keys(source, keys):
                self._forget_source(source)
                return NewKey(source, key)
        raise Unavailable("The keys of this source are being changed by others; send the request again.", 1)

    def shown(self, source: SourceDocument) -> dict[str, Any]:
        """Return a source as the contract has it: of its keys and secrets only their times, of its password if there is one."""
        own = source_of(source)
        settings = own.settings
        live: list[SourceKey] = [key for key in keys_of(source) if key.is_live(self._now())]
        shown = {
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
                "publicUrl": settings.public_url,
                "proof": settings.proof or ("hmac" if own.kind == _PROOF_KIND else None),
                "fetchUser": settings.fetch_user,
                "fetchPasswordSet": settings.sealed_fetch_password is not None,
            },
        }
        if own.webhook_path is not None:
            last = source.get("lastRefusal")
            shown["webhookPath"] = self._base_path + own.webhook_path
            shown["secrets"] = [{"createdAt": secret["createdAt"]} for secret in source.get("secrets", ())]
            shown["refused"] = source.get("refusals", {})
            shown["lastRefusedAt"] = last["at"] if last else None
        return shown

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
        if "publicUrl" in settings:
            settings["publicUrl"] = url = read_public_url(settings["publicUrl"])
            if url is None:
                raise BadRequest(
                    "settings.publicUrl must be the address under which the vendor reaches this server, such as "
                    "https://calls.example.com, perhaps with a port and the path that a proxy takes off, and nothing else",
                    code="wrong_format",
                    field="settings.publicUrl",
                )
        if "fetchPassword" in settings:
            settings["fetchPassword"] = self._keyring.seal(settings["fetchPassword"])
        return name, settings, removed

    def _sealed(
        self, given: Sequence[str], present: Sequence[SourceSecretDocument], now: datetime
    ) -> list[SourceSecretDocument]:
        """Return the secrets as they are stored, without blanks around them; one that is present keeps its time."""
        known = {secret["digest"]: secret["createdAt"] for secret in present}
        sealed: dict[str, SourceSecretDocument] = {}
        for at, text in enumerate(given):
            if not (secret := text.strip()):
                field = f"secrets[{at}]"
                raise BadRequest(f"{field} must not be empty", code="empty_value", field=field)
            digest = self._keyring.secret_digest(secret)
            since = known.get(digest, now)
            sealed[digest] = {"sealed": self._keyring.seal(secret), "digest": digest, "createdAt": since}
        return list(sealed.values())

    def _forget_source(self, source: SourceDocument) -> None:
        self._forget(source["_id"])
        for one in (*source["keys"], *source.get("secrets", ())):
            self._forget(one["digest"])


def _require_fitting(kind: SourceKind, body: dict[str, Any]) -> None:
    """Raise `BadRequest` for what a request says that has no effect on a source of this kind."""
    if "secrets" in body and kind == API_KIND:
        raise BadRequest(
            "secrets are for sources of vendors: one of the kind api has an API key, which the server makes",
            code="unknown_field",
            field="secrets",
        )
    if "proof" in body.get("settings", {}) and kind != _PROOF_KIND:
        raise BadRequest(
            f"settings.proof is for sources of the kind {_PROOF_KIND}: webhooks of the kind {kind} have one proof of origin",
            code="unknown_field",
            field="settings.proof",
        )
