"""Events as rows of a table for people in a terminal. Pure."""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tether_rt.client import Event, EventData, Resync

MAX_CALLS: Final = 1_000
"""Calls whose names and numbers are remembered, for the events that follow the first."""
_COLUMNS: Final = (("time", 19), ("event", 20), ("contact", 24), ("from → to", 34), ("what", 0))
_COLOURS: Final = {
    "call_initiated": "cyan",
    "call_ended": "green",
    "call_recording_ready": "blue",
    "recording_failed": "red",
    "call_deleted": "yellow",
    "contact_deleted": "yellow",
    "calls_expired": "yellow",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table."""

    text: str
    colour: str | None = None
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class _Call:
    contact: str
    parties: str


class EventTable:
    """Makes lines of items; it remembers who called whom, which only the first event of a call says."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._is_begun = False

    def lines(self, item: Event | Resync) -> Iterator[Line]:
        """Yield the item's line, the first time after the heading."""
        if not self._is_begun:
            self._is_begun = True
            yield Line(_row(*(name for name, _ in _COLUMNS)), is_heading=True)
        if isinstance(item, Resync):
            self._calls.clear()
            yield Line(_row("", "resync", "", "", f"Events are missing here: {item.reason}"), "red")
            return
        call = self._call_of(item)
        time = item.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        yield Line(_row(time, item.event, call.contact, call.parties, _what(item.data)), _COLOURS.get(item.event))

    def _call_of(self, event: Event) -> _Call:
        data = event.data
        call_id = data.get("callId", "")
        if event.event == "call_initiated":
            origin = data["from"] or "withheld"
            self._calls[call_id] = _Call(data["contactName"], f"{origin} → {data['to']}")
            if len(self._calls) > MAX_CALLS:
                self._calls.popitem(last=False)
        known = self._calls.get(call_id, _Call("", ""))
        return _Call(data.get("contactName", known.contact), known.parties)


def _what(data: EventData) -> str:
    parts: list[Any] = []
    if (duration := data.get("duration")) is not None:
        minutes, seconds = divmod(round(duration), 60)
        parts.append(f"{minutes}:{seconds:02}")
    parts += [data.get("status"), ", ".join(data.get("changed", ())), data.get("error"), data.get("before")]
    return " ".join(part for part in parts if part)


def _row(*cells: str) -> str:
    return "  ".join(_fitted(cell, width) for cell, (_, width) in zip(cells, _COLUMNS, strict=True)).rstrip()


def _fitted(text: str, width: int) -> str:
    """Return a text as wide as a column, without what a terminal would obey; the last column may be of any width."""
    text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    if width == 0:
        return text
    kept, used = "", 0
    for position, character in enumerate(text):
        wide = _cells(character)
        rest = 0 if position == len(text) - 1 else 1
        if used + wide + rest > width:
            return f"{kept}…" + " " * (width - used - 1)
        kept, used = kept + character, used + wide
    return kept + " " * (width - used)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
