"""The documents of each collection: names and types of their fields. That of `feed` is `domain.events.FeedSegment`.

Those of organizations, users, sources and sessions are in `account_documents`.

Ids are 24 hexadecimal digits (`client.new_id`), times are aware and in UTC, telephone numbers are in E.164 form. A query with a
projection returns a part of these fields.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict, cast

from motor.motor_asyncio import AsyncIOMotorCollection as Collection

from tether_rt.domain.delivery import Kind, Verdict
from tether_rt.domain.events import FeedSegment
from tether_rt.mongo.account_documents import (
    OrganizationDocument,
    ReadTokenDocument,
    SessionDocument,
    SourceDocument,
    UserDocument,
)
from tether_rt.mongo.client import Database


class CounterDocument(TypedDict):
    """An organization's last event number and its number of calls; its id is the organization's.

    `checks` is written to wait for transactions that hold the counter.
    """

    _id: str
    seq: int
    calls: NotRequired[int]
    at: NotRequired[datetime]
    checks: NotRequired[int]


class ContactDocument(TypedDict):
    """The person at the other end of an organization's calls from and to one number, or of one call without a number.

    `number` is absent when the caller withheld it, and None where such a contact is shown; `renamed` is True when a person gave
    the name. `terms` is what a search finds it by; a contact of an earlier version has none until its index is built.
    """

    _id: str
    contactId: str
    organizationId: str
    number: NotRequired[str | None]
    name: str
    renamed: NotRequired[bool]
    terms: NotRequired[list[str]]
    conversationId: str
    createdAt: datetime
    updatedAt: datetime
    lastCallAt: datetime


class ConversationDocument(TypedDict):
    """All messages with one contact; `type` is `call`."""

    _id: str
    conversationId: str
    organizationId: str
    contactId: str
    type: str
    createdAt: datetime


class MessageDocument(TypedDict):
    """A call as an entry of its conversation; `content` is the call's summary."""

    _id: str
    messageId: str
    organizationId: str
    conversationId: str
    contactId: str
    callId: str
    type: str
    direction: str
    content: str
    createdAt: datetime


class RecordingDocument(TypedDict):
    """A recording of a call; `key` says where it is in the recording store, `duration` is in seconds if it is known.

    `kind` names its format and `playable` says whether browsers play it; recordings of earlier versions have neither.
    """

    recordingId: str
    key: str
    contentType: str
    bytes: int
    sha256: str
    duration: float | None
    kind: NotRequired[str]
    playable: NotRequired[bool]


class CopyDocument(TypedDict):
    """A copy of a recording that every browser plays; `recordingId` is the original's."""

    recordingId: str
    key: str
    contentType: str
    bytes: int


class RecordingErrorDocument(TypedDict):
    """Why a recording that was to be fetched later is not fetched any more."""

    code: str
    error: str


class FreeFormDocument(TypedDict):
    """A request's `metadata`, and its fields that the contract does not know."""

    metadata: dict[str, Any] | None
    extra: dict[str, Any]


_Numbers = TypedDict("_Numbers", {"from": str | None, "to": str})


class WarningDocument(TypedDict):
    """One odd thing about a call (`domain.warnings.CallWarning`)."""

    code: str
    field: str | None
    message: str


class CallContent(_Numbers):
    """What a call's document holds of the call itself. `userId` is the id of its source, who was always a user at first.

    `from` is None, and `fromWithheld` True, when the caller withheld the number.
    `recordingStatus` is absent unless the recording was to be fetched later.
    `deliveries` are those of a vendor's webhooks that brought something of it, the one that completed it first; only a call of
    webhooks has them, with what the vendor says came of it (`outcome`) and what it lacks (`missing`).
    """

    organizationId: str
    userId: str
    sourceName: NotRequired[str | None]
    historic: NotRequired[bool]
    provider: str
    direction: str
    status: str
    duration: float
    startTime: datetime
    endTime: datetime
    summary: str | None
    agentName: str | None
    transcription: list[dict[str, Any]]
    recordings: list[RecordingDocument]
    copies: NotRequired[list[CopyDocument]]
    recordingStatus: NotRequired[Literal["stored", "pending", "failed"] | None]
    recordingError: NotRequired[RecordingErrorDocument | None]
    providerMetadata: FreeFormDocument
    callerName: NotRequired[str]
    providerCallId: NotRequired[str]
    fromWithheld: NotRequired[bool]
    fingerprint: str
    warnings: NotRequired[list[WarningDocument]]
    outcome: NotRequired[dict[str, Any]]
    missing: NotRequired[list[str]]
    deliveries: NotRequired[list[str]]
    callStartTime: NotRequired[datetime]


class LastChangeDocument(TypedDict):
    """The last change of a call: how many it has had, the id of the amendment, and the names of the fields."""

    number: int
    id: str
    changed: list[str]


class CallDocument(CallContent):
    """A call; `told` has the names of the events that it had only after it was stored."""

    _id: str
    callId: str
    contactId: str
    contactName: str
    conversationId: str
    createdAt: datetime
    updatedAt: datetime
    lastChange: NotRequired[LastChangeDocument]
    told: NotRequired[list[str]]


class PendingRecordingDocument(TypedDict):
    """A recording that is still to be fetched; the id is its call's. `url` is encrypted (`Keyring.unseal`).

    `sourceId` is absent in documents of earlier versions.

    `nextAt` is when it is tried next, None for one that was given up, which `expiresAt` then. `holder` is who tries it now.
    """

    _id: str
    organizationId: str
    sourceId: NotRequired[str | None]
    url: str
    attempts: int
    nextAt: datetime | None
    createdAt: datetime
    holder: NotRequired[str]
    expiresAt: NotRequired[datetime]


class CallChangeDocument(TypedDict):
    """A change of a call: its number, who made it, and the old values of the fields by the contract's names.

    The id is the call's and the number modulo 100: each entry takes the place of the one a hundred changes ago.
    """

    _id: str
    organizationId: str
    callId: str
    number: int
    at: datetime
    sourceId: str | None
    changed: dict[str, Any]


class ShownCall(CallDocument):
    """A call as it is shown: `sourceId` is the document's `userId`; `sourceName` is None for a call of an earlier version."""

    sourceId: str


class RecordingCopyDocument(TypedDict):
    """A recording, whose id it has, of which a copy is being made until `until`, or can not be made (`outcome`).

    `holder` is whoever makes it, `failures` how many converters crashed, `version` that of the converter.
    """

    _id: str
    holder: NotRequired[str]
    until: NotRequired[datetime]
    failures: NotRequired[int]
    outcome: NotRequired[str]
    version: NotRequired[int]
    expiresAt: datetime


class PeaksDocument(TypedDict):
    """The waveform of a recording, whose id it has; None for a recording that the decoder cannot decode.

    `channels` are the peaks of each channel, where there are two.
    """

    _id: str
    peaks: bytes | None
    channels: NotRequired[list[bytes]]
    decoder: NotRequired[int]
    createdAt: datetime


class AttemptDocument(TypedDict):
    """One time that a delivery was tried; `by` is who tried it (`domain.delivery`)."""

    at: datetime
    verdict: Verdict
    code: str | None
    field: str | None
    error: str | None
    callId: str | None
    by: str


class LeaseDocument(TypedDict):
    """Who replays a delivery just now, and until when nobody else may."""

    holder: str
    until: datetime


class DeliveryDocument(TypedDict):
    """Something that a source sent, and what became of it. `target` is the call that the address named, if it named one.

    `bytes` is the size of what was sent, `keptBytes` that of what was kept of it; `hasFile` says if a part of that is a file.
    A webhook's has the vendor's id of its call (`callKey`), and while it waits, when it is looked at again (`nextAt`). `audio`
    is the recording that it carried.
    """

    _id: str
    organizationId: str
    sourceId: str
    at: datetime
    requestId: str
    kind: Kind
    target: str | None
    verdict: Verdict
    code: str | None
    field: str | None
    error: str | None
    errors: list[dict[str, Any]]
    callId: str | None
    bytes: int
    keptBytes: int
    times: int
    attempts: list[AttemptDocument]
    notes: list[dict[str, Any]]
    hasFile: bool
    expiresAt: datetime
    lease: NotRequired[LeaseDocument]
    callKey: NotRequired[str]
    nextAt: NotRequired[datetime]
    audio: NotRequired[RecordingDocument]


class BodyDocument(TypedDict):
    """The body of the delivery with the same id, compressed and sealed, without its part from `start` to `end`.

    That part is a file in the recording store, sealed, with `fileBytes`; without one all three are 0. A body with a file has
    `fileExpiresAt`, and a server removes both; another has `expiresAt`, and MongoDB removes it.
    """

    _id: str
    organizationId: str
    sealed: bytes
    start: int
    end: int
    fileBytes: int
    expiresAt: NotRequired[datetime]
    fileExpiresAt: NotRequired[datetime]


class Collections:
    """A database's collections, typed by their documents."""

    def __init__(self, database: Database) -> None:
        self.organizations = cast("Collection[OrganizationDocument]", database["organizations"])
        self.users = cast("Collection[UserDocument]", database["users"])
        self.sources = cast("Collection[SourceDocument]", database["sources"])
        self.tokens = cast("Collection[ReadTokenDocument]", database["tokens"])
        self.sessions = cast("Collection[SessionDocument]", database["sessions"])
        self.counters = cast("Collection[CounterDocument]", database["counters"])
        self.contacts = cast("Collection[ContactDocument]", database["contacts"])
        self.conversations = cast("Collection[ConversationDocument]", database["conversations"])
        self.call_changes = cast("Collection[CallChangeDocument]", database["call_changes"])
        self.pending_recordings = cast("Collection[PendingRecordingDocument]", database["pending_recordings"])
        self.recording_copies = cast("Collection[RecordingCopyDocument]", database["recording_copies"])
        self.messages = cast("Collection[MessageDocument]", database["messages"])
        self.calls = cast("Collection[CallDocument]", database["calls"])
        self.feed = cast("Collection[FeedSegment]", database["feed"])
        self.peaks = cast("Collection[PeaksDocument]", database["peaks"])
        self.deliveries = cast("Collection[DeliveryDocument]", database["deliveries"])
        self.delivery_bodies = cast("Collection[BodyDocument]", database["delivery_bodies"])
