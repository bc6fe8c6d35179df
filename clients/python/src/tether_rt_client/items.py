"""What following yields, and how a position moves. Pure: messages in, items out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

EventData = TypedDict(
    "EventData",
    {
        "agentName": str | None,
        "before": str,
        "callId": str,
        "callStartTime": str,
        "changed": list[str],
        "code": str,
        "contactId": str,
        "contactName": str,
        "contentType": str,
        "conversationId": str,
        "direction": str,
        "duration": float | None,
        "endTime": str,
        "error": str,
        "from": str | None,
        "fromWithheld": bool,
        "historic": bool,
        "provider": str,
        "recordingId": str,
        "startTime": str,
        "status": str,
        "summary": str | None,
        "to": str,
    },
    total=False,
)
"""The fields of all events; which of them an event has depends on its name (`docs/protocol.md`)."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the organization."""

    seq: int
    """Its number: one more than that of the event before."""
    id: str
    """The same for ever, so it can be a key where events are stored."""
    event: str
    """Its name, such as `call_ended`. There may be names that this package does not know."""
    at: datetime
    data: EventData
    position: str
    """Give it to `follow(after=…)` to go on behind this event."""
    message: Mapping[str, Any]
    """The server's message as it came."""


@dataclass(frozen=True, slots=True)
class Resync:
    """Events up to `position` cannot be had: fetch the present state by HTTP (`GET /api/calls/history`), then go on."""

    seq: int
    reason: str
    """For people."""
    position: str
    message: Mapping[str, Any]
    """The server's message as it came."""


class MissingEvent(Exception):
    """An event was left out on the way: connecting again brings it."""


class Cursor:
    """How far a stream was read."""

    def __init__(self, after: str | None) -> None:
        """Raises `ValueError` for what is no position."""
        self._epoch: str | None = None
        self._seq: int | None = None
        if after is not None:
            found = re.fullmatch(r"(?:([0-9a-f]{1,32})\.)?([0-9]{1,16})", after, re.ASCII)
            if found is None:
                raise ValueError(f"after must be the position of an event, or a number such as 0, not {after!r}")
            self._epoch, self._seq = found[1], int(found[2])

    @property
    def position(self) -> str | None:
        """Where to go on; None before the first message of a stream that begins now."""
        if self._seq is None:
            return None
        return f"{self._seq}" if self._epoch is None else f"{self._epoch}.{self._seq}"

    def take(self, message: Mapping[str, Any]) -> Event | Resync | None:
        """Move on by one message; None for one that says nothing new. Raises `MissingEvent`."""
        name, seq = message["event"], int(message["seq"])
        if name == "hello":
            self._epoch = self._epoch or message["epoch"]
            self._seq = seq if self._seq is None else self._seq
        elif name == "resync":
            self._epoch, self._seq = message["epoch"], seq
            return Resync(seq, message["reason"], f"{self._epoch}.{seq}", message)
        elif self._seq is None or seq > self._seq + 1:
            raise MissingEvent
        elif seq == self._seq + 1:
            at = datetime.fromisoformat(message["at"])
            item = Event(seq, message["id"], name, at, message["data"], f"{self._epoch}.{seq}", message)
            self._seq = seq
            return item
        return None
