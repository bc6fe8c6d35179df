"""What an adapter makes of a vendor's event: a part of a call, or why it is none, with a trail of notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

HOLD_S: Final = 120.0
"""How long facts may wait for the parts that they await (`Part.awaits`)."""
PARTS_KEPT_S: Final = 24 * 3600.0
"""How long a part waits for the facts of its call."""

IgnoredCode = Literal[
    "not_final", "not_a_phone_call", "not_a_call_event", "unknown_event", "child_leg", "no_recording", "other_agent", "erased"
]
DeadCode = Literal[
    "unparsable",
    "shape",
    "call_id_missing",
    "number_missing",
    "number_invalid",
    "direction_unknown",
    "recording_unusable",
    "contract",
    "expired",
]
WaitingCode = Literal["call_pending", "analysis_pending", "parts_pending", "direction_pending"]


class Note(NamedTuple):
    """Where one of our fields came from, or what was left out and why.

    `field` is ours, None for something that has no field; `path` is written from the payload's root, such as
    `data.metadata.phone_call.external_number`, None where the value came from elsewhere; `note` is a sentence, perhaps empty.
    """

    field: str | None
    path: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a call. `fields` and `outcome` hold only what the event says; nothing in them is None."""

    call_key: str
    """The vendor's id of the call, which its parts share; empty where an own body has none."""
    name: str
    """Which part it is, in the vendor's words: a call has one of each name."""
    fields: Mapping[str, Any]
    """By the names of the contract of `POST /api/calls/ingest`; a recording is an address."""
    outcome: Mapping[str, Any] = field(default_factory=dict)
    """What the vendor says came of the call: `success`, `sentiment`, `score`, `cost`, `endedReason`, `voicemail`."""
    has_facts: bool = False
    """Whether it can make the call: direction, numbers, status and duration are known, or are why it awaits another part."""
    awaits: frozenset[str] = frozenset()
    """Names of the parts that the facts wait for, `HOLD_S` at most."""
    waiting_code: WaitingCode = "call_pending"
    """Why it waits where it does."""
    expects: frozenset[str] = frozenset()
    """Fields that a later part is expected to bring."""
    audio: str | None = None
    """The call's audio in base64, or what stands in its place where that was lifted out of the body."""
    is_own_body: bool = False
    """Whether `fields` are a body of our own contract, and are judged as strictly."""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that is of no interest; `error` says in a sentence why."""

    code: IgnoredCode
    error: str
    call_key: str | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Dead:
    """An event that cannot be part of a call; `field` is a path in the payload, `error` a sentence that says what is wrong."""

    code: DeadCode
    error: str
    field: str | None = None
    call_key: str | None = None
    notes: tuple[Note, ...] = ()


Adapted = Part | Ignored | Dead
