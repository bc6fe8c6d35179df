"""The documents of `organizations`, `users`, `sources`, `tokens` and `sessions`: their fields, as in `documents`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict

from tether_rt.domain.organization import Retention
from tether_rt.domain.read_token import Scope
from tether_rt.domain.source import Proof, SourceKind


class OrganizationDocument(TypedDict):
    """One tenant; `changes` counts the transactions that changed its people."""

    _id: str
    name: str
    createdAt: datetime
    timeZone: NotRequired[str | None]
    retention: NotRequired[Retention]
    changes: NotRequired[int]


LinkKind = Literal["invite", "reset"]


class PersonLinkDocument(TypedDict):
    """A link with which a person chooses a password, as the SHA-256 of its token."""

    digest: str
    kind: LinkKind
    expiresAt: datetime


class UserDocument(TypedDict):
    """A person of an organization, with one API key.

    `passwordHash` is empty until a person who was invited has chosen a password. `accessChangedAt` is when the role, the
    password or the sessions were last changed, by MongoDB's clock.
    """

    _id: str
    organizationId: str
    email: str
    fullName: str
    accessRole: str
    passwordHash: str
    apiKeyDigest: str
    apiKeySealed: str
    createdAt: datetime
    disabledAt: NotRequired[datetime]
    lastSeenAt: NotRequired[datetime]
    accessChangedAt: NotRequired[datetime]
    link: NotRequired[PersonLinkDocument]


class SourceKeyDocument(TypedDict):
    """An API key of a source, as its SHA-256; `endsAt` is None until another key takes its place."""

    digest: str
    createdAt: datetime
    endsAt: datetime | None


class SourceSecretDocument(TypedDict):
    """A secret that proves a vendor's webhooks: encrypted, and a keyed digest by which it is found."""

    sealed: str
    digest: str
    createdAt: datetime


class LastRefusalDocument(TypedDict):
    """The last request to a source that was refused without proof of its origin."""

    at: datetime
    code: str


class SourceSettingsDocument(TypedDict, total=False):
    """What is set of `domain.source.SourceSettings`; `fetchPassword` is encrypted."""

    recordings: Literal["now", "later"]
    historic: bool
    numbers: list[str]
    agentIds: list[str]
    toleranceS: float
    publicUrl: str
    proof: Proof
    fetchUser: str
    fetchPassword: str


class SourceDocument(TypedDict):
    """Where calls come from, beside the users' own keys; `createdBy` is None for one that was added by the command.

    One of the kind `api` has keys; any other has none, but secrets, and counts by code of what it refused.
    """

    _id: str
    organizationId: str
    name: str
    kind: SourceKind
    enabled: bool
    createdBy: str | None
    createdAt: datetime
    lastSeenAt: datetime | None
    keys: list[SourceKeyDocument]
    secrets: NotRequired[list[SourceSecretDocument]]
    settings: SourceSettingsDocument
    refusals: NotRequired[dict[str, int]]
    lastRefusal: NotRequired[LastRefusalDocument]


class ReadTokenDocument(TypedDict):
    """A read token, as its SHA-256. `createdBy` is None for one of the command, `expiresAt` for one without end."""

    _id: str
    organizationId: str
    name: str
    scopes: list[Scope]
    digest: str
    expiresAt: datetime | None
    createdAt: datetime
    createdBy: str | None
    lastUsedAt: datetime | None
    revokedAt: datetime | None


class SessionDocument(TypedDict):
    """A session of a user, removed by MongoDB when it expires."""

    _id: str
    userId: str
    organizationId: str
    createdAt: datetime
    expiresAt: datetime
